import { hash } from 'node:crypto';

/** Members that every record has, and those that the verifier looks at. */
export interface LogRecord {
  v: 1;
  stream: string;
  writer: string;
  seq: number;
  time: string;
  kind: string;
  prev: string;
  hash: string;
  request_id?: unknown;
  start?: unknown;
  head?: unknown;
  action?: unknown;
  after?: unknown;
  key_changes?: unknown;
}

/** `prev` of a chain's first record. */
export const GENESIS = '0'.repeat(64);

// A line ends with ,"hash":"<64 hex digits>"} and its hash is over the bytes before that comma.
const HASH_MEMBER = /^,"hash":"([0-9a-f]{64})"\}$/;
const HASH_LENGTH = 75;
const HEX = /^[0-9a-f]{64}$/;

export type ReadRecord =
  | { ok: true; record: LogRecord }
  /** `hash`: what the line says its hash is, where it says so in the right place. */
  | { ok: false; code: 'malformed' | 'hash_mismatch'; reason: string; hash?: string };

/** Reads one line and checks its hash. */
export function readRecord(bytes: Buffer): ReadRecord {
  const split = bytes.length - HASH_LENGTH;
  const claimed = split > 0 ? HASH_MEMBER.exec(bytes.toString('latin1', split))?.[1] : undefined;
  if (claimed === undefined) return { ok: false, code: 'malformed', reason: 'it does not end with its hash' };
  if (hash('sha256', bytes.subarray(0, split)) !== claimed) {
    return {
      ok: false,
      code: 'hash_mismatch',
      reason: 'its bytes do not have the hash that it carries',
      hash: claimed,
    };
  }
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString());
  } catch {
    return { ok: false, code: 'malformed', reason: 'it is not JSON', hash: claimed };
  }
  const record = value as Partial<LogRecord>;
  const wrong =
    record.v !== 1
      ? `its format version is ${JSON.stringify(record.v)}, and this verifier reads version 1`
      : typeof record.stream !== 'string' || typeof record.writer !== 'string' || typeof record.kind !== 'string'
        ? 'stream, writer or kind is missing'
        : !Number.isSafeInteger(record.seq) || record.seq! < 1
          ? 'its number is not a whole number from 1'
          : typeof record.time !== 'string'
            ? 'its time is missing'
            : typeof record.prev !== 'string' || !HEX.test(record.prev) || record.hash !== claimed
              ? 'prev or hash is not 64 hexadecimal digits'
              : undefined;
  if (wrong !== undefined) return { ok: false, code: 'malformed', reason: wrong, hash: claimed };
  return { ok: true, record: record as LogRecord };
}
