// The member `counters` of a `counters` record: what counts at this place of the chain (docs/audit-format.md).
import { hash } from 'node:crypto';
import { parsePlainJson } from '@gatehouse/wire';
import type { LimitRecord } from './record.ts';
import { escapeUnsafe } from './unsafe-text.ts';

/** Times are milliseconds since the epoch. */
export interface CountersMember {
  /** Number of the set within its chain. A record without one says only where the clocks stood. */
  set?: number;
  /** Number of this part within its set, from 0. */
  part?: number;
  last?: true;
  clock: { sliding: number; wall: number; calendar: number };
  /** The last record of each other chain that the set takes in, by writer. In the first parts, before all else. */
  covers?: readonly (readonly [writer: string, seq: number])[];
  /** Intents without outcome. */
  open?: { request_id: string; time: number; deadline: number; sliding: number; limits: readonly LimitRecord[] }[];
  /** Each counter whole as it is at this record: key, then slice and units in turn. */
  values?: (readonly [key: string, values: readonly number[]])[];
}

/** Members as a line holds them. `set`, `part` and `last` come first: whoever looks for a set reads no further. */
export function countersMembers({ set, part, last, clock, ...rest }: CountersMember): string {
  return escapeUnsafe(`,"counters":${JSON.stringify({ set, part, last, clock, ...rest })}`);
}

/** Where a part of a set stands. */
export interface PartPlace {
  seq: number;
  set: number;
  part: number;
  last: boolean;
}

const HEADER =
  /^\{"v":1,"stream":"calls","writer":"[^"]*","seq":(\d+),"time":"[^"]*","kind":"counters","counters":\{"set":(\d+),"part":(\d+),("last":true,)?/;
const HEADER_BYTES = 320;
const MARK = Buffer.from('"kind":"counters"');
/** Length of `,"hash":"<64>"}`, which ends every line. */
const HASH_MEMBER = 75;

export function isCounters(line: Buffer): boolean {
  return line.subarray(0, HEADER_BYTES).includes(MARK);
}

/** The place of a part; undefined for every other line, and for one whose bytes do not have their hash. */
export function readPartPlace(line: Buffer): PartPlace | undefined {
  const found = HEADER.exec(line.toString('latin1', 0, HEADER_BYTES));
  if (found === null) return undefined;
  const body = line.subarray(0, line.length - HASH_MEMBER);
  // One damaged bit here would stand for many records: such a set is not used.
  if (line.toString('latin1', line.length - HASH_MEMBER) !== `,"hash":"${hash('sha256', body)}"}`) return undefined;
  return { seq: Number(found[1]), set: Number(found[2]), part: Number(found[3]), last: found[4] !== undefined };
}

const SEQ = /^\{"v":1,"stream":"[a-z]*","writer":"[^"]*","seq":(\d+),/;

/** A record's number in its chain, without reading the record; undefined for a line that is none. */
export function seqOf(line: Buffer): number | undefined {
  const found = SEQ.exec(line.toString('latin1', 0, 160));
  return found === null ? undefined : Number(found[1]);
}

/** @throws Error for a line that is no record */
export function readCounters(line: Buffer): CountersMember {
  return (parsePlainJson(line.toString()) as { counters: CountersMember }).counters;
}
