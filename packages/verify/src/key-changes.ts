import { createPublicKey, type KeyObject, verify } from 'node:crypto';

/** A signing key as a log names it: the public half is its 32 bytes, base64url. */
export interface NamedKey {
  key_id: string;
  public_key: string;
}

/** What a log says of a change of its signing key. */
export interface KeyChange {
  from: NamedKey;
  to: NamedKey;
  time: string;
  signatures: { from?: string; to: string };
}

const isNamed = (value: unknown): value is NamedKey => {
  const { key_id, public_key } = (value ?? {}) as Partial<NamedKey>;
  return typeof key_id === 'string' && typeof public_key === 'string' && /^[\w-]{43}$/.test(public_key);
};

/** The statements among `values`; anything of another form is no statement and says nothing. */
export function readKeyChanges(values: unknown): KeyChange[] {
  if (!Array.isArray(values)) return [];
  return values.filter((value): value is KeyChange => {
    const { from, to, time, signatures } = (value ?? {}) as Partial<KeyChange>;
    if (!isNamed(from) || !isNamed(to) || typeof time !== 'string') return false;
    const { from: old, to: next } = (signatures ?? {}) as Partial<KeyChange['signatures']>;
    return typeof next === 'string' && (old === undefined || typeof old === 'string');
  });
}

/** The statements that a record carries. */
export function keyChangesOf(record: { kind: string; start?: unknown; key_changes?: unknown }): KeyChange[] {
  if (record.kind === 'key') return readKeyChanges(record.key_changes);
  if (record.kind !== 'start') return [];
  return readKeyChanges((record.start as { key_changes?: unknown } | undefined)?.key_changes);
}

export function keyOf({ public_key }: NamedKey): KeyObject | undefined {
  try {
    return createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: public_key }, format: 'jwk' });
  } catch {
    return undefined;
  }
}

/** The bytes that both keys sign: canonical JSON (RFC 8785). */
export function keyChangeStatement({ from, to, time }: Pick<KeyChange, 'from' | 'to' | 'time'>): string {
  const named = ({ key_id, public_key }: NamedKey): NamedKey => ({ key_id, public_key });
  return JSON.stringify({ from: named(from), purpose: 'key-change', time, to: named(to), v: 1 });
}

/** Whether a statement carries the signature of one of its two keys. */
export function isSignedBy(change: KeyChange, side: 'from' | 'to'): boolean {
  const text = change.signatures[side];
  const key = keyOf(change[side]);
  if (text === undefined || key === undefined) return false;
  const signature = Buffer.from(text, 'base64url');
  return signature.length === 64 && verify(null, Buffer.from(keyChangeStatement(change)), key, signature);
}
