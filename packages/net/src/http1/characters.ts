// Which characters names and values of header fields are made of (RFC 9110 §5.1, §5.5, §5.6.2).

/** Of each byte of a field name its lower case; 0 where the byte stands in no name. */
export const NAME_LOWER = new Uint8Array(256);
/** 1 for each byte that may stand in a field value: HTAB, SP, visible ASCII, and 0x80–0xff. */
export const IN_VALUE = new Uint8Array(256);

for (const character of "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz") {
  NAME_LOWER[character.charCodeAt(0)] = character.charCodeAt(0);
}
for (let code = 0x41; code <= 0x5a; code++) NAME_LOWER[code] = code + 0x20;
for (let code = 0x20; code <= 0xff; code++) IN_VALUE[code] = code === 0x7f ? 0 : 1;
IN_VALUE[0x09] = 1;

/** Whether the text is a field name (a token) in lower case. */
export function isFieldName(text: string): boolean {
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === 0 || NAME_LOWER[code] !== code) return false;
  }
  return text.length > 0;
}

/** Whether the text is a field value as it stands: Latin-1 without control characters, and no white space around it. */
export function isFieldValue(text: string): boolean {
  for (let at = 0; at < text.length; at++) {
    // Beyond Latin-1 it is `undefined`.
    if (IN_VALUE[text.charCodeAt(at)] !== 1) return false;
  }
  return text.length === 0 || !(isSpace(text.charCodeAt(0)) || isSpace(text.charCodeAt(text.length - 1)));
}

/** SP or HTAB. */
export function isSpace(code: number | undefined): boolean {
  return code === 0x20 || code === 0x09;
}

/** Whether the bytes from `start` to `end` are this ASCII text, in any case. `lower` is in lower case. */
export function equalsIgnoringCase(bytes: Uint8Array, start: number, end: number, lower: string): boolean {
  if (end - start !== lower.length) return false;
  for (let at = 0; at < lower.length; at++) {
    if (NAME_LOWER[bytes[start + at] as number] !== lower.charCodeAt(at)) return false;
  }
  return true;
}
