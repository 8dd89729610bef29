import { createPublicKey, type KeyObject, verify } from 'node:crypto';
import type { PublicKeyInput, SignedHead } from './types.ts';

const MEMBERS = ['stream', 'writer', 'seq', 'hash', 'time', 'key_id', 'signature'];

/** Reads a signed head; undefined when it has other members than a head has, or of other types. */
export function readHead(value: unknown): SignedHead | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  const head = value as Record<string, unknown>;
  const names = Object.keys(head);
  if (names.length !== MEMBERS.length || !MEMBERS.every((name) => Object.hasOwn(head, name))) return undefined;
  if (!Number.isSafeInteger(head.seq) || (head.seq as number) < 0) return undefined;
  const texts = names.every((name) => name === 'seq' || typeof head[name] === 'string');
  return texts ? (head as unknown as SignedHead) : undefined;
}

/** Canonical JSON (RFC 8785) of a statement whose members are named in order. */
export const textOf = (statement: Readonly<Record<string, string | number>>): string => JSON.stringify(statement);

/** The bytes that a head signs. */
export function headStatement(head: SignedHead): string {
  const { hash, key_id, seq, stream, time, writer } = head;
  return textOf({ hash, key_id, seq, stream, time, v: 1, writer });
}

/** Public keys, read once. */
export class Keys {
  readonly #keys: { keyId: string | undefined; key: KeyObject }[];

  /** @throws TypeError when a key is not an Ed25519 public key. */
  constructor(inputs: readonly PublicKeyInput[]) {
    this.#keys = inputs.map(({ keyId, publicKey }) => {
      let key: KeyObject;
      try {
        key = publicKey.trimStart().startsWith('{')
          ? createPublicKey({ key: JSON.parse(publicKey) as { kty: string }, format: 'jwk' })
          : createPublicKey(publicKey);
      } catch (cause) {
        throw new TypeError('A public key for the audit log could not be read; give an Ed25519 key as PEM or JWK.', {
          cause,
        });
      }
      if (key.asymmetricKeyType !== 'ed25519') {
        throw new TypeError(
          `A public key for the audit log is of type ${key.asymmetricKeyType}; heads are signed with Ed25519.`,
        );
      }
      return { keyId, key };
    });
  }

  get some(): boolean {
    return this.#keys.length > 0;
  }

  /** Whether a head is signed under one of the keys. */
  check(head: SignedHead): 'valid' | 'signature_invalid' | 'unknown_key' {
    return this.checkText(headStatement(head), head.key_id, head.signature);
  }

  checkText(text: string, keyIdOfText: string, signatureText: string): 'valid' | 'signature_invalid' | 'unknown_key' {
    const fitting = this.#keys.filter(({ keyId }) => keyId === undefined || keyId === keyIdOfText);
    if (fitting.length === 0) return 'unknown_key';
    // Base64url has several spellings of some byte strings; only the one a writer makes counts.
    const signature = Buffer.from(signatureText, 'base64url');
    if (signature.length !== 64 || signature.toString('base64url') !== signatureText) return 'signature_invalid';
    const statement = Buffer.from(text);
    return fitting.some(({ key }) => verify(null, statement, key, signature)) ? 'valid' : 'signature_invalid';
  }
}
