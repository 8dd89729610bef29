import { createHash, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import type { PublicKeyInput, SignedCut, SignedHead } from './types.ts';

// A writer of its own, after docs/audit-format.md alone: the verifier is not tested against the gateway's idea of it.

const pair = generateKeyPairSync('ed25519');
const other = generateKeyPairSync('ed25519');

export const PUBLIC_KEY = pair.publicKey.export({ format: 'pem', type: 'spki' }) as string;
export const OTHER_KEY = other.publicKey.export({ format: 'pem', type: 'spki' }) as string;
export const KEYS: PublicKeyInput[] = [{ keyId: 'k1', publicKey: PUBLIC_KEY }];
export const JWK_KEYS: PublicKeyInput[] = [{ publicKey: JSON.stringify(pair.publicKey.export({ format: 'jwk' })) }];

/** A statement that one key follows another, signed by those that `by` names. */
export function keyChange(
  from: { name: string; pair: KeyPair },
  to: { name: string; pair: KeyPair },
  by: readonly ('from' | 'to')[] = ['from', 'to'],
): object {
  const named = ({ name, pair: { publicKey } }: { name: string; pair: KeyPair }) => ({
    key_id: name,
    public_key: publicKey.export({ format: 'jwk' }).x as string,
  });
  const [old, next] = [named(from), named(to)];
  const key = (one: typeof old) => `{"key_id":"${one.key_id}","public_key":"${one.public_key}"}`;
  const statement = `{"from":${key(old)},"purpose":"key-change","time":"${TIME}","to":${key(next)},"v":1}`;
  const signed = (one: typeof from) => sign(null, Buffer.from(statement), one.pair.privateKey).toString('base64url');
  const signatures = {
    ...(by.includes('from') && { from: signed(from) }),
    ...(by.includes('to') && { to: signed(to) }),
  };
  return { from: old, to: next, time: TIME, signatures: { to: 'AAAA', ...signatures } };
}

export interface KeyPair {
  publicKey: KeyObject;
  privateKey: KeyObject;
}

export const K1 = { name: 'k1', pair };
export const newKey = (name: string): { name: string; pair: KeyPair } => ({
  name,
  pair: generateKeyPairSync('ed25519'),
});
export const pem = ({ pair: { publicKey } }: { pair: KeyPair }): string =>
  publicKey.export({ format: 'pem', type: 'spki' }) as string;

const TIME = '2026-03-01T10:00:00.000Z';

/** A chain that is made record by record. */
export class ChainMaker {
  readonly lines: string[] = [];
  readonly stream: string;
  readonly writer: string;
  prev = '0'.repeat(64);
  seq = 0;

  constructor(writer: string, stream = 'calls') {
    this.writer = writer;
    this.stream = stream;
  }

  add(kind: string, members: Record<string, unknown> = {}): this {
    this.seq += 1;
    const { stream, writer, seq, prev } = this;
    const record = JSON.stringify({ v: 1, stream, writer, seq, time: TIME, kind, ...members, prev });
    const body = record.slice(0, -1);
    this.prev = createHash('sha256').update(body).digest('hex');
    this.lines.push(`${body},"hash":"${this.prev}"}`);
    return this;
  }

  start(...chains: readonly ChainMaker[]): this {
    const named = chains.map(({ stream, writer, seq, prev }) => ({ stream, writer, seq, hash: prev }));
    return this.add('start', { start: { key_id: 'k1', chains: named } });
  }

  call(requestId: string): this {
    return this.add('intent', { request_id: requestId }).add('outcome', { request_id: requestId });
  }

  /** The head over this chain as it is now. */
  head(key: KeyObject = pair.privateKey, change: Partial<SignedHead> = {}): SignedHead {
    const head = {
      stream: this.stream,
      writer: this.writer,
      seq: this.seq,
      hash: this.prev,
      time: TIME,
      key_id: 'k1',
      ...change,
    };
    const { hash, key_id, seq, stream, time, writer } = head;
    const statement = `{"hash":"${hash}","key_id":"${key_id}","seq":${seq},"stream":"${stream}","time":"${time}","v":1,"writer":"${writer}"}`;
    return { ...head, signature: sign(null, Buffer.from(statement), key).toString('base64url') };
  }

  addHead(head: unknown = this.head()): this {
    return this.add('head', { head });
  }

  /** What a retention tells that cut this chain up to record `last`. */
  cut(last: number, key: KeyObject = pair.privateKey, change: Partial<SignedCut> = {}): SignedCut {
    const { hash } = JSON.parse(this.lines[last - 1]!) as { hash: string };
    const { stream, writer } = this;
    const times = { first_time: TIME, last_time: TIME, time: '2027-04-05T10:00:00.000Z' };
    const cut = { stream, writer, first_seq: 1, last_seq: last, hash, ...times, key_id: 'k1', ...change };
    const text =
      `{"first_seq":${cut.first_seq},"first_time":"${cut.first_time}","hash":"${cut.hash}","key_id":"${cut.key_id}",` +
      `"last_seq":${cut.last_seq},"last_time":"${cut.last_time}","stream":"${cut.stream}","time":"${cut.time}","v":1,` +
      `"what":"cut","writer":"${cut.writer}"}`;
    return { ...cut, signature: sign(null, Buffer.from(text), key).toString('base64url') };
  }

  /** Tells of a cut, in the stream admin. */
  addCut(cut: unknown): this {
    const actor = { kind: 'gatehouse', id: 'retention' };
    return this.add('admin', { actor, action: 'audit.cut', target: 'x', after: cut });
  }

  /** The chain from a record on, as a segment's bytes. */
  from(first: number): string {
    return this.lines
      .slice(first - 1)
      .map((line) => `${line}\n`)
      .join('');
  }

  /** The chain as a segment's bytes. */
  get text(): string {
    return this.lines.map((line) => `${line}\n`).join('');
  }
}

export const wrongKey: KeyObject = other.privateKey;
