import { createPublicKey, type KeyObject, verify } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isSignedBy, type KeyChange, keyOf, type NamedKey, readKeyChanges } from './key-changes.ts';
import type { KeyReport, PublicKeyInput, SignedHead } from './types.ts';

const MEMBERS = ['stream', 'writer', 'seq', 'hash', 'time', 'key_id', 'signature'];

/** Statements that lead nowhere yet; a bound for the memory. */
const MAX_OPEN = 1_000;

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

/** What the file of keys in a log's folder says; without it, and with a damaged one, what the records say is left. */
export function changesBeside(dir: string): KeyChange[] {
  try {
    const { changes } = JSON.parse(readFileSync(join(dir, 'keys.json'), 'utf8')) as { changes?: unknown };
    return readKeyChanges(changes);
  } catch {
    return [];
  }
}

/** The bytes that a head signs: canonical JSON (RFC 8785) of what it says. */
export function headStatement(head: SignedHead): string {
  const { hash, key_id, seq, stream, time, writer } = head;
  return textOf({ hash, key_id, seq, stream, time, v: 1, writer });
}

interface KnownKey {
  /** Undefined: heads of any name are checked with it. */
  keyId: string | undefined;
  /** For the report, where `keyId` leaves it open. */
  name: string | undefined;
  key: KeyObject;
  raw: string;
  source: KeyReport['source'];
  heads: number;
}

interface Found {
  result: 'valid' | 'signature_invalid' | 'unknown_key';
  key?: KnownKey;
}

/** Public keys: those that were given, and those that the log ties to them. */
export class Keys {
  readonly #keys: KnownKey[];
  #open: readonly KeyChange[] = [];

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
      const raw = key.export({ format: 'jwk' }).x as string;
      return { keyId, name: keyId, key, raw, source: 'given' as const, heads: 0 };
    });
  }

  get some(): boolean {
    return this.#keys.length > 0;
  }

  /** What each key did, in the order in which they became known. */
  get report(): KeyReport[] {
    return this.#keys.map(({ name, source, heads }) => ({ ...(name !== undefined && { keyId: name }), source, heads }));
  }

  /**
   * Takes in what a log says of its keys. A statement counts when a key that is known already signed it: an earlier key
   * names its successor, and a later one vouches for its predecessor.
   */
  learn(changes: readonly KeyChange[]): void {
    if (!this.some) return;
    const fresh = changes.filter((change) => !this.#knows(change.from) || !this.#knows(change.to));
    if (fresh.length === 0) return;
    let open = [...this.#open, ...fresh];
    for (let grew = true; grew; ) {
      grew = false;
      for (const change of open) {
        if (this.#take(change, 'from', 'to') || this.#take(change, 'to', 'from')) grew = true;
      }
      open = open.filter((change) => !this.#knows(change.from) || !this.#knows(change.to));
    }
    // What led nowhere may still be tied to a key that a later statement brings.
    this.#open = open.slice(0, MAX_OPEN);
  }

  /** Whether a head is signed under one of the keys. */
  check(head: SignedHead): 'valid' | 'signature_invalid' | 'unknown_key' {
    return this.#findHead(head).result;
  }

  /** As {@link check}, for any other statement. */
  checkText(text: string, keyIdOfText: string, signatureText: string): 'valid' | 'signature_invalid' | 'unknown_key' {
    return this.#find(text, keyIdOfText, signatureText).result;
  }

  /** As {@link check}, and counts the head for its key. */
  count(head: SignedHead): 'valid' | 'signature_invalid' | 'unknown_key' {
    const { result, key } = this.#findHead(head);
    if (key) {
      key.heads += 1;
      key.name ??= head.key_id;
    }
    return result;
  }

  #knownAs(named: NamedKey): KnownKey | undefined {
    return this.#keys.find(
      ({ keyId, raw }) => raw === named.public_key && (keyId === undefined || keyId === named.key_id),
    );
  }

  #knows(named: NamedKey): boolean {
    return this.#knownAs(named) !== undefined;
  }

  #take(change: KeyChange, known: 'from' | 'to', other: 'from' | 'to'): boolean {
    const by = this.#knownAs(change[known]);
    const key = keyOf(change[other]);
    if (by === undefined || key === undefined || this.#knows(change[other]) || !isSignedBy(change, known)) return false;
    by.name ??= change[known].key_id;
    const { key_id: keyId, public_key: raw } = change[other];
    const source = other === 'to' ? 'successor' : 'predecessor';
    this.#keys.push({ keyId, name: keyId, key, raw, source, heads: 0 });
    return true;
  }

  #findHead(head: SignedHead): Found {
    return this.#find(headStatement(head), head.key_id, head.signature);
  }

  #find(text: string, keyIdOfText: string, signatureText: string): Found {
    const fitting = this.#keys.filter(({ keyId }) => keyId === undefined || keyId === keyIdOfText);
    if (fitting.length === 0) return { result: 'unknown_key' };
    // Base64url has several spellings of some byte strings; only the one a writer makes counts.
    const signature = Buffer.from(signatureText, 'base64url');
    if (signature.length !== 64 || signature.toString('base64url') !== signatureText) {
      return { result: 'signature_invalid' };
    }
    const statement = Buffer.from(text);
    const key = fitting.find((known) => verify(null, statement, known.key, signature));
    return key ? { result: 'valid', key } : { result: 'signature_invalid' };
  }
}
