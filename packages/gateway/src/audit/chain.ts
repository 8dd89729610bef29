import { createPrivateKey, createPublicKey, type KeyObject, sign } from 'node:crypto';
import type { GroupBuffer } from './group-buffer.ts';
import { FORMAT_VERSION, type Stream } from './record.ts';

/** `prev` of the first record of a chain. */
export const GENESIS = '0'.repeat(64);

/** A place in a chain: the record `seq` of `writer`, and its hash. `seq` 0 with {@link GENESIS} is before the first. */
export interface Tip {
  seq: number;
  hash: string;
}

/** What a head says and signs: this chain had this record at this place. */
export interface HeadStatement extends Tip {
  stream: Stream;
  writer: string;
  time: string;
  keyId: string;
}

/** A head as it stands in its record, and as it is sent out. */
export interface SignedHead {
  stream: Stream;
  writer: string;
  seq: number;
  hash: string;
  time: string;
  key_id: string;
  /** Ed25519 over the statement, base64url. */
  signature: string;
}

/** The bytes that a head signs: RFC 8785 canonical JSON, which sorts the members. */
export function headStatement(head: HeadStatement): string {
  return (
    `{"hash":${JSON.stringify(head.hash)},"key_id":${JSON.stringify(head.keyId)},"seq":${head.seq},` +
    `"stream":${JSON.stringify(head.stream)},"time":${JSON.stringify(head.time)},"v":${FORMAT_VERSION},` +
    `"writer":${JSON.stringify(head.writer)}}`
  );
}

// RFC 8410 §7: the fixed prefix of a PKCS #8 Ed25519 private key; the 32 bytes of the seed follow.
const PKCS8_ED25519 = Buffer.from('302e020100300506032b657004220420', 'hex');

/** Signs heads. */
export interface HeadSigner {
  readonly keyId: string;
  /** Public key, PEM (SPKI). */
  readonly publicKey: string;
  /** The same as its 32 bytes, base64url. */
  readonly rawPublicKey: string;
  sign(head: Omit<HeadStatement, 'keyId'>): SignedHead;
  /** Ed25519 over any other statement, base64url. It must say what it is, so that it passes for no head. */
  signText(text: string): string;
}

/**
 * A signer from a 32-byte Ed25519 seed.
 * @throws RangeError when the seed has another length, or the key id is empty or longer than 128 characters.
 */
export function headSigner(seed: Buffer, keyId: string): HeadSigner {
  if (seed.length !== 32) {
    throw new RangeError(`The audit log's signing seed has ${seed.length} bytes; Ed25519 needs exactly 32.`);
  }
  if (!/^[\w.:-]{1,128}$/.test(keyId)) {
    throw new RangeError(`The audit log's key id ${JSON.stringify(keyId)} must be 1 to 128 of A–Z a–z 0–9 _ . : -`);
  }
  const key: KeyObject = createPrivateKey({
    key: Buffer.concat([PKCS8_ED25519, seed]),
    format: 'der',
    type: 'pkcs8',
  });
  const publicHalf = createPublicKey(key);
  const signText = (text: string): string => sign(null, Buffer.from(text), key).toString('base64url');
  return {
    keyId,
    publicKey: publicHalf.export({ format: 'pem', type: 'spki' }) as string,
    rawPublicKey: publicHalf.export({ format: 'jwk' }).x as string,
    signText,
    sign(head) {
      const signature = signText(headStatement({ ...head, keyId }));
      const { stream, writer, seq, hash: digest, time } = head;
      return { stream, writer, seq, hash: digest, time, key_id: keyId, signature };
    },
  };
}

/**
 * Makes the lines of one chain. The hash covers the bytes of the line before `,"hash":`, so that whoever checks it
 * needs no canonical form and no JSON library that keeps numbers and order (docs/audit-format.md).
 */
export class Chain {
  readonly stream: Stream;
  readonly writer: string;
  #tip: Tip = { seq: 0, hash: GENESIS };
  readonly #open: string;

  constructor(stream: Stream, writer: string) {
    this.stream = stream;
    this.writer = writer;
    this.#open = `{"v":${FORMAT_VERSION},"stream":"${stream}","writer":"${writer}","seq":`;
  }

  /** The last record made. */
  get tip(): Tip {
    return this.#tip;
  }

  /** Goes back to an earlier tip, for records that never reached the file. */
  rewind(tip: Tip): void {
    this.#tip = tip;
  }

  /**
   * Adds the next line, with its line feed.
   * @param members JSON members with their leading commas; {@link callMembers} and its like make them.
   */
  add(group: GroupBuffer, time: string, kind: string, members: string): void {
    const start = group.length;
    const seq = this.#tip.seq + 1;
    group.add(`${this.#open}${seq},"time":"${time}","kind":"${kind}"${members},"prev":"${this.#tip.hash}"`);
    const digest = group.hashFrom(start);
    group.add(`,"hash":"${digest}"}\n`);
    this.#tip = { seq, hash: digest };
  }
}
