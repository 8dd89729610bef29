// The form of tokens (spec: gateway §3): `gh_` + 32 random bytes in base 62 + a checksum of 6 characters.
import { hash } from 'node:crypto';
import type { RandomBytes } from './base62.ts';
import { encodeBase62 } from './base62.ts';

const PREFIX = 'gh_';
const SECRET_BYTES = 32;
const SECRET_WIDTH = 43;
const CHECKSUM_WIDTH = 6;
const FORM = /^gh_[0-9A-Za-z]{49}$/;
const HINT_LENGTH = PREFIX.length + 6;

/** A new token; the caller shows it once and keeps only {@link hashToken}. */
export function makeToken(random: RandomBytes): string {
  const body = PREFIX + encodeBase62(random(SECRET_BYTES), SECRET_WIDTH);
  return body + checksum(body);
}

/** Whether the text can be a token: its form and its checksum. A mistyped or cut token fails here, before any look-up. */
export function isTokenForm(text: string): boolean {
  if (!FORM.test(text)) return false;
  const at = text.length - CHECKSUM_WIDTH;
  return checksum(text.slice(0, at)) === text.slice(at);
}

/** What is stored of a token: SHA-256, hexadecimal. 256 random bits need no salt and no slow hash. */
export function hashToken(token: string): string {
  return hash('sha256', token, 'hex');
}

/** The first characters: enough to recognise it (36 of 256 bits), useless to open anything. */
export function tokenHint(token: string): string {
  return token.slice(0, HINT_LENGTH);
}

/** 32 bits of SHA-256: they fit into six characters (62^6 > 2^35). Not a secret: scanners of leaked texts can check it offline. */
function checksum(body: string): string {
  return encodeBase62(hash('sha256', body, 'buffer').subarray(0, 4), CHECKSUM_WIDTH);
}
