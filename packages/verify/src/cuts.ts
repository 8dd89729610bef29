import { type Keys, textOf } from './keys.ts';
import type { LogRecord } from './record.ts';
import type { CutReport, SignedCut } from './types.ts';

const ACTION = 'audit.cut';
const TEXTS = ['stream', 'writer', 'hash', 'first_time', 'last_time', 'time', 'key_id', 'signature'];
const NUMBERS = ['first_seq', 'last_seq'];

export const isCutRecord = (record: LogRecord): boolean =>
  record.stream === 'admin' && record.kind === 'admin' && record.action === ACTION;

/** Reads a signed cut; undefined when it has other members than one has, or of other types. */
export function readCut(value: unknown): SignedCut | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  const cut = value as Record<string, unknown>;
  if (Object.keys(cut).length !== TEXTS.length + NUMBERS.length) return undefined;
  if (!TEXTS.every((name) => Object.hasOwn(cut, name) && typeof cut[name] === 'string')) return undefined;
  if (!NUMBERS.every((name) => Object.hasOwn(cut, name) && Number.isSafeInteger(cut[name]))) return undefined;
  const { first_seq, last_seq } = cut as unknown as SignedCut;
  return first_seq >= 1 && first_seq <= last_seq ? (cut as unknown as SignedCut) : undefined;
}

/** Whether a cut is signed under one of the keys: `what` tells its statement from a head's. */
export function checkCut(cut: SignedCut, keys: Keys): ReturnType<Keys['checkText']> {
  const { first_seq, first_time, hash, key_id, last_seq, last_time, stream, time, writer } = cut;
  const what = 'cut';
  const statement = { first_seq, first_time, hash, key_id, last_seq, last_time, stream, time, v: 1, what, writer };
  return keys.checkText(textOf(statement), key_id, cut.signature);
}

export function cutReport(cut: SignedCut): CutReport {
  const { stream, writer, first_seq, last_seq, first_time, last_time, time } = cut;
  return {
    stream,
    writer,
    firstSeq: first_seq,
    lastSeq: last_seq,
    firstTime: first_time,
    lastTime: last_time,
    time,
  };
}
