// The line before each piece of a chunked body (RFC 9112 §7.1).
import { IN_VALUE, NAME_LOWER } from './characters.ts';

/** Hexadecimal digits of a size: more than any reply needs, and exact in a JavaScript number. */
export const MAX_SIZE_DIGITS = 12;

/** What stands where the size should be is none, or its extensions are malformed. */
export const BAD_SIZE = -1;

/**
 * The size of the chunk whose line is given; its extensions are checked and dropped.
 * @returns bytes, or BAD_SIZE
 */
export function chunkSize(bytes: Uint8Array, start: number, end: number): number {
  let at = start;
  let size = 0;
  for (; at < end; at++) {
    const digit = hexDigit(bytes[at] as number);
    if (digit === -1) break;
    size = size * 16 + digit;
  }
  if (at === start || at - start > MAX_SIZE_DIGITS) return BAD_SIZE;
  while (at < end) {
    at = afterExtension(bytes, at, end);
    if (at === -1) return BAD_SIZE;
  }
  return size;
}

/** How many bytes of the line are not its size. */
export function extensionBytes(bytes: Uint8Array, start: number, end: number): number {
  let at = start;
  while (at < end && hexDigit(bytes[at] as number) !== -1) at += 1;
  return end - at;
}

/** `;name`, `;name=token` or `;name="text"`: where the next begins; −1: malformed. White space around it is refused, as by others. */
function afterExtension(bytes: Uint8Array, start: number, end: number): number {
  if (bytes[start] !== 0x3b) return -1;
  const name = afterToken(bytes, start + 1, end);
  if (name === start + 1) return -1;
  if (bytes[name] !== 0x3d || name === end) return name;
  if (bytes[name + 1] === 0x22) return afterQuoted(bytes, name + 2, end);
  const value = afterToken(bytes, name + 1, end);
  return value === name + 1 ? -1 : value;
}

function afterToken(bytes: Uint8Array, start: number, end: number): number {
  let at = start;
  while (at < end && NAME_LOWER[bytes[at] as number] !== 0) at += 1;
  return at;
}

function afterQuoted(bytes: Uint8Array, start: number, end: number): number {
  for (let at = start; at < end; at++) {
    const code = bytes[at] as number;
    if (code === 0x22) return at + 1;
    if (IN_VALUE[code] === 0) return -1;
    if (code === 0x5c) {
      at += 1;
      if (at === end || IN_VALUE[bytes[at] as number] === 0) return -1;
    }
  }
  return -1;
}

function hexDigit(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const letter = code | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}
