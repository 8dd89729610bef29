const DIGITS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

/** Source of random bytes; `node:crypto` `randomBytes` outside tests. */
export type RandomBytes = (size: number) => Uint8Array;

/**
 * Bytes, read as one unsigned big-endian number, in base 62 (digits 0-9, A-Z, a-z).
 * @param width number of characters; shorter numbers are padded with `0`
 * @throws RangeError when the number does not fit
 */
export function encodeBase62(bytes: Uint8Array, width: number): string {
  let rest = 0n;
  for (const byte of bytes) rest = (rest << 8n) | BigInt(byte);
  let text = '';
  while (rest > 0n) {
    text = DIGITS[Number(rest % 62n)] + text;
    rest /= 62n;
  }
  if (text.length > width) throw new RangeError(`${bytes.length} bytes do not fit into ${width} characters of base 62`);
  return text.padStart(width, '0');
}

/** Random text of `length` characters, each of the 62 equally likely. */
export function randomBase62(length: number, random: RandomBytes): string {
  let text = '';
  while (text.length < length) {
    for (const byte of random(length - text.length)) {
      // 248 is the last multiple of 62 below 256: what lies above would make the first digits likelier.
      if (byte < 248) text += DIGITS[byte % 62];
    }
  }
  return text;
}
