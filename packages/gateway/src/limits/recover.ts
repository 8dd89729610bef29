// Counters after a restart or a crash: the last complete set of `counters` records, and what the log's intents reserved
// since, less what was given back (spec: policy §5, audit).
import { parsePlainJson } from '@gatehouse/wire';
import { isCounters, readCounters, seqOf } from '../audit/counters-record.ts';
import { type CountersSet, planRecovery, WINDOW_HORIZON_MS } from '../audit/needed.ts';
import type { LimitRecord } from '../audit/record.ts';
import { segmentLines } from '../audit/segment-lines.ts';
import { HELD, Ledger } from './ledger.ts';
import type { OpenCall } from './slots.ts';

interface LimitedRecord {
  kind: string;
  time: string;
  request_id: string;
  decision?: { outcome: string; limits?: readonly LimitRecord[]; deadline?: string; sliding?: number };
  detail?: { slots?: string };
}

export interface RecoveredLimits {
  /**
   * All counters that count, the clocks, and the intents without outcome whose deadline had not passed when the log was
   * written last: whoever holds a slot for them holds it until that deadline.
   */
  readonly ledger: Ledger;
  /** The last record of each chain that is taken in, by writer: what a new set of `counters` records covers. */
  readonly covers: ReadonlyMap<string, number>;
  /** Time of sliding windows where the reading began, milliseconds since the epoch; 0 when nothing told it. */
  readonly from: number;
  /** Records read, those of a set included. */
  readonly records: number;
  /** Segments read. */
  readonly segments: number;
  /** Lines that are damaged, so that what they reserved is not known. */
  readonly unreadable: number;
  /** Those of the open intents that hold slots. */
  readonly openCalls: readonly OpenCall[];
}

const LIMITS = Buffer.from('"limits":[');
const OUTCOME = Buffer.from('"kind":"outcome"');

/**
 * Reads no more of the log than is needed. A damaged line is counted and passed over: loss of power may leave one, and
 * it is the verifier's to find, not a reason to stay down.
 * @param dir folder of the log; its stream `calls` may be missing
 * @param now milliseconds since the epoch; records that no window reaches any more are passed over
 * @throws Error when a segment cannot be read
 */
export async function recoverLimits(dir: string, now: number): Promise<RecoveredLimits> {
  const { base, chains } = await planRecovery(dir);
  const reader = new Reader(base, now - WINDOW_HORIZON_MS);
  const covers = new Map<string, number>();
  let segments = 0;
  for (const { writer, after, segments: files } of chains) {
    let last = after;
    for (const segment of files) {
      segments += 1;
      for await (const lines of segmentLines(segment.path)) last = Math.max(last, reader.take(writer, after, lines));
    }
    if (last > 0) covers.set(writer, last);
  }
  const { ledger } = reader;
  for (const [key, entry] of ledger.counters) ledger.dropIfIdle(key, entry);
  for (const intent of ledger.open.values()) ledger.dropAtDeadline(intent);
  const { from, records, unreadable } = reader;
  return { ledger, covers, from, records, segments, unreadable, openCalls: callsWithSlots(ledger) };
}

/** Their deadlines are of sliding time, as slots are: a step of the wall clock neither ends nor lengthens them. */
function callsWithSlots(ledger: Ledger): OpenCall[] {
  const calls: OpenCall[] = [];
  for (const { requestId, time, deadline, sliding, limits } of ledger.open.values()) {
    const keys = limits.filter(({ slot }) => slot === true).map(({ key }) => key);
    if (keys.length > 0) calls.push({ id: requestId, deadline: sliding + deadline - time, keys });
  }
  return calls;
}

class Reader {
  readonly ledger = new Ledger();
  from = 0;
  records = 0;
  unreadable = 0;
  readonly #base: CountersSet | undefined;
  readonly #horizon: number;

  constructor(base: CountersSet | undefined, horizon: number) {
    this.#base = base;
    this.#horizon = horizon;
  }

  /** @returns the number of the last record among the lines */
  take(writer: string, after: number, lines: readonly Buffer[]): number {
    let last = 0;
    for (const line of lines) {
      const seq = seqOf(line);
      if (seq !== undefined) {
        last = seq;
        if (seq <= after) continue;
        this.records += 1;
      }
      try {
        if (isCounters(line)) this.#counters(writer, line);
        // Most records reserve nothing and end nothing: they are not even parsed.
        else if (line.includes(LIMITS) || (this.ledger.open.size > 0 && line.includes(OUTCOME))) this.#call(line);
      } catch {
        this.unreadable += 1;
      }
    }
    return last;
  }

  #counters(writer: string, line: Buffer): void {
    const { clock, set, open = [], values = [] } = readCounters(line);
    this.ledger.noteClock(clock);
    this.from ||= clock.sliding;
    // Another set is not complete, or the intents that it stands for are read themselves.
    if (set === undefined || this.#base?.set !== set || this.#base.writer !== writer) return;
    for (const { request_id: requestId, ...rest } of open) this.ledger.open.set(requestId, { requestId, ...rest });
    for (const [key, pairs] of values) this.ledger.assign(key, pairs);
  }

  #call(line: Buffer): void {
    const record = parsePlainJson(line.toString()) as LimitedRecord;
    const { request_id: requestId, decision, detail } = record;
    if (record.kind === 'outcome') {
      this.ledger.outcome(requestId, decision?.outcome, detail?.slots === HELD);
      return;
    }
    const time = Date.parse(record.time);
    if (record.kind !== 'intent' || decision?.limits === undefined || time < this.#horizon) return;
    const deadline = decision.deadline === undefined ? time : Date.parse(decision.deadline);
    const { limits, sliding = time } = decision;
    const isWhole =
      typeof requestId === 'string' && [time, deadline, sliding].every(Number.isFinite) && limits.every(isLimit);
    if (!isWhole) throw new Error('not an intent');
    this.ledger.intent({ requestId, time, deadline, sliding, limits });
    this.from ||= sliding;
  }
}

/** Nothing of a damaged record is counted: half of it could be anything. */
function isLimit(value: unknown): value is LimitRecord {
  if (typeof value !== 'object' || value === null) return false;
  const { key, units, slice } = value as Partial<LimitRecord>;
  const isPlace = slice === undefined || Number.isSafeInteger(slice);
  return typeof key === 'string' && Number.isSafeInteger(units) && (units as number) >= 0 && isPlace;
}
