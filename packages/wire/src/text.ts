/** A range of bytes: `start` inclusive, `end` exclusive. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

const BACKSLASH = 0x5c;
// Without `ignoreBOM` the decoder would swallow a U+FEFF that begins a string.
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const encoder = new TextEncoder();

/** Keys, ids and names: calling the decoder for them costs more than reading them. */
const SHORT = 24;

/** Text of validated bytes from `start` to `end`. Throws a TypeError where they are not UTF-8. */
export function decodeBytes(bytes: Uint8Array, start: number, end: number): string {
  if (end - start <= SHORT) {
    let text = '';
    let at = start;
    for (; at < end && bytes[at]! < 0x80; at++) text += String.fromCharCode(bytes[at]!);
    if (at === end) return text;
  }
  return decoder.decode(bytes.subarray(start, end));
}

export function encodeText(text: string): Uint8Array {
  return encoder.encode(text);
}

/**
 * The string that a JSON string's bytes denote.
 * `span` covers the quotes and must come from bytes that the tokenizer accepted.
 */
export function readString(bytes: Uint8Array, span: Span): string {
  const text = decodeBytes(bytes, span.start + 1, span.end - 1);
  return text.includes('\\') ? (JSON.parse(`"${text}"`) as string) : text;
}

/** Whether `bytes` from `start` to `end` are exactly the ASCII string `ascii`. */
export function equalsAscii(bytes: Uint8Array, start: number, end: number, ascii: string): boolean {
  const length = ascii.length;
  if (end - start !== length) return false;
  for (let i = 0; i < length; i++) {
    if (bytes[start + i] !== ascii.charCodeAt(i)) return false;
  }
  return true;
}

/** Index of the closing quote of the JSON string whose content begins at `at`, in validated bytes. */
export function stringEnd(bytes: Uint8Array, at: number): number {
  let quote = bytes.indexOf(0x22, at);
  for (;;) {
    let before = quote - 1;
    while (before >= at && bytes[before] === BACKSLASH) before--;
    // An even run of backslashes is made of escaped backslashes: the quote stands for itself.
    if ((quote - 1 - before) % 2 === 0) return quote;
    quote = bytes.indexOf(0x22, quote + 1);
  }
}
