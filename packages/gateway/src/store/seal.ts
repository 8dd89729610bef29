// Authenticated encryption of what is kept or handed out sealed (spec: gateway §7, P6).
import type { KeyObject } from 'node:crypto';
import { createCipheriv, createDecipheriv, createSecretKey } from 'node:crypto';
import { GatehouseError } from '../errors.ts';
import type { RandomBytes } from '../identity/base62.ts';

const VERSION = 'g1';
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const DATA_KEY_BYTES = 32;

/** A key with the id that its sealed texts carry, so that another key is told apart from tampering. */
export interface SealingKey {
  key: KeyObject;
  keyId: string;
}

/**
 * AES-256-GCM with a random 96-bit nonce.
 * @param aad what the text belongs to (record and field); it opens only with the same
 * @returns `g1.<key id>.<base64url of nonce, ciphertext and tag>`
 */
export function seal(key: SealingKey, plaintext: Uint8Array | string, aad: string, random: RandomBytes): string {
  const nonce = random(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', key.key, nonce);
  const prefix = `${VERSION}.${key.keyId}.`;
  cipher.setAAD(Buffer.from(prefix + aad));
  const sealed = Buffer.concat([
    nonce,
    cipher.update(plaintext as string, 'utf8'),
    cipher.final(),
    cipher.getAuthTag(),
  ]);
  return prefix + sealed.toString('base64url');
}

/**
 * Opens what {@link seal} made.
 * @throws GatehouseError key_missing when it was sealed with another key or for another place, or was changed
 */
export function open(key: SealingKey, sealed: string, aad: string): Buffer {
  const [version, keyId, body, ...rest] = sealed.split('.');
  if (version !== VERSION || keyId === undefined || body === undefined || rest.length > 0) {
    throw new GatehouseError('key_missing', 'A sealed value has an unknown form: it was not written by this program.');
  }
  if (keyId !== key.keyId) {
    throw new GatehouseError(
      'key_missing',
      `A sealed value needs the secret key ${keyId}; the present one is ${key.keyId}. Set GATEHOUSE_SECRET_KEY or secret_key_file to that key.`,
    );
  }
  const bytes = Buffer.from(body, 'base64url');
  try {
    const decipher = createDecipheriv('aes-256-gcm', key.key, bytes.subarray(0, NONCE_BYTES));
    decipher.setAAD(Buffer.from(`${version}.${keyId}.${aad}`));
    decipher.setAuthTag(bytes.subarray(bytes.length - TAG_BYTES));
    return Buffer.concat([decipher.update(bytes.subarray(NONCE_BYTES, bytes.length - TAG_BYTES)), decipher.final()]);
  } catch (error) {
    throw new GatehouseError(
      'key_missing',
      'A sealed value does not open: it was changed, or belongs to another record.',
      [],
      {
        cause: error,
      },
    );
  }
}

/** One record under envelope encryption: its own data key, wrapped by the long-lived key. */
export interface Envelope {
  wrappedKey: string;
  sealed: string;
}

/** Seals a record with a fresh data key; changing the long-lived key later means wrapping again, not encrypting again. */
export function sealEnvelope(key: SealingKey, plaintext: string, aad: string, random: RandomBytes): Envelope {
  const dataKey = random(DATA_KEY_BYTES);
  const inner: SealingKey = { key: createSecretKey(dataKey), keyId: key.keyId };
  return {
    wrappedKey: seal(key, dataKey, `key:${aad}`, random),
    sealed: seal(inner, plaintext, `record:${aad}`, random),
  };
}

/**
 * @param keys the present key, and earlier ones that records may still be wrapped under
 * @throws GatehouseError key_missing as {@link open}
 */
export function openEnvelope(keys: readonly SealingKey[], envelope: Envelope, aad: string): string {
  const dataKey = open(keyOf(keys, envelope.wrappedKey), envelope.wrappedKey, `key:${aad}`);
  // The record keeps the id of the key that it was first wrapped under.
  const inner: SealingKey = { key: createSecretKey(dataKey), keyId: keyIdOf(envelope.sealed) ?? '' };
  return open(inner, envelope.sealed, `record:${aad}`).toString('utf8');
}

/**
 * Wraps the data key of a record under another key; the record itself stays as it is.
 * @throws GatehouseError key_missing as {@link open}
 */
export function rewrapEnvelope(
  keys: readonly SealingKey[],
  next: SealingKey,
  envelope: Envelope,
  aad: string,
  random: RandomBytes,
): Envelope {
  const dataKey = open(keyOf(keys, envelope.wrappedKey), envelope.wrappedKey, `key:${aad}`);
  return { wrappedKey: seal(next, dataKey, `key:${aad}`, random), sealed: envelope.sealed };
}

/** Id of the key that a text was sealed with. */
function keyIdOf(sealed: string): string | undefined {
  return sealed.split('.', 2)[1];
}

/** The key that a text was sealed with; the first one where none is, which then says so. */
function keyOf(keys: readonly SealingKey[], sealed: string): SealingKey {
  const keyId = keyIdOf(sealed);
  return keys.find((key) => key.keyId === keyId) ?? (keys[0] as SealingKey);
}
