// JSON leaves DEL, C1 controls, line separators, bidirectional controls and zero-width characters as they are; a
// terminal, a pager or a log shipper may act on them, so they are escaped: one record is one line, and reads as it is.
const UNSAFE = /[\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/;
const UNSAFE_ALL = new RegExp(UNSAFE.source, 'g');

/** JSON text with every character escaped that could break a line or deceive a terminal. Such characters stand only
 * inside JSON strings, so the escape is valid anywhere it is applied. */
export function escapeUnsafe(json: string): string {
  return UNSAFE.test(json)
    ? json.replace(UNSAFE_ALL, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`)
    : json;
}
