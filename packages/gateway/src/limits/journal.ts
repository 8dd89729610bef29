// Keeps the log able to give the counters back soon: follows what stands in the chain of calls, and writes all live
// counters into it every so many records (spec: audit).
import { type CountersMember, countersMembers } from '../audit/counters-record.ts';
import type { ChainFollower } from '../audit/follower.ts';
import type { Entry } from '../audit/open-segment.ts';
import { HELD, type Ledger, type LedgerEntry, type LimitClock, type OpenIntent } from './ledger.ts';
import type { RecoveredLimits } from './recover.ts';

export interface CountersJournalOptions {
  /** What was recovered from the chains before this one; the journal goes on with its ledger. */
  recovered: Pick<RecoveredLimits, 'ledger' | 'covers' | 'records' | 'from'>;
  /** Records that a recovery has to read at most, about, before a new set begins (a day at the latest). Default 10,000. */
  every?: number;
}

/** Where calls are few, a set a day keeps the log's older segments free to be cut. */
const SET_AT_LEAST_EVERY_MS = 86_400_000;
/** One record holds about this much, so that composing it does not hold up the calls beside it (under 1 ms). */
const PART_CHARACTERS = 64 * 1024;
/** Counters that are looked at for one record: those that count nothing any more take time, too. */
const PART_VISITS = 1_000;

/**
 * A set takes several records, with calls between them, while the counters change. Each part says what its counters are
 * at its own place: whoever reads takes a counter as its part has it, and counts the intents behind that. What is not in
 * the set had nothing that counts when the set began. The intents without outcome come before all counters, so that a
 * release that comes between two parts finds what it gives back.
 *
 * The ledger is fed with what stands in the file, nothing else: a reservation whose intent still waits to be written is
 * in no part, and one whose intent was written is in every later one, whatever has become of the call meanwhile.
 */
export class CountersJournal implements ChainFollower {
  readonly #ledger: Ledger;
  readonly #covers: ReadonlyMap<string, number>;
  readonly #every: number;
  #clock: (() => LimitClock) | undefined;
  /** Records that a recovery would read. */
  #since: number;
  /** Time of sliding windows at the oldest of them; 0 while no record tells it. */
  #from: number;
  #sets = 0;
  #set: CountersSetWriter | undefined;
  #setFrom = 0;
  #stepped = false;
  #timeText = '';
  #time = 0;

  constructor({ recovered, every = 10_000 }: CountersJournalOptions) {
    this.#ledger = recovered.ledger;
    this.#covers = recovered.covers;
    this.#since = recovered.records;
    this.#from = recovered.from;
    this.#every = every;
  }

  /** @param clock where the limits' clocks stand now; without it, the ledger's last word on it */
  useClock(clock: () => LimitClock): void {
    this.#clock = clock;
  }

  /** The wall clock was set: the log says so with its next record, or a restart would take the step for time passed. */
  clockStepped(): void {
    this.#stepped = true;
  }

  stored(entries: readonly Entry[]): void {
    this.#since += entries.length;
    for (const { time, record } of entries) {
      if (record === undefined) continue;
      if (record.kind === 'outcome') {
        // Most calls have no limit, and most limits' calls were sent.
        if (this.#ledger.open.has(record.requestId)) {
          this.#ledger.outcome(record.requestId, record.decision?.outcome, record.detail?.slots === HELD);
        }
      } else if (record.kind === 'intent' && record.decision?.limits !== undefined) {
        const at = this.#at(time);
        const { limits, deadline = at, sliding = at } = record.decision;
        this.#ledger.intent({ requestId: record.requestId, time: at, deadline, sliding, limits });
        this.#from ||= sliding;
      }
    }
  }

  due(): { members: string; power: boolean } | undefined {
    if (this.#set === undefined && this.#isSetDue()) {
      this.#sets += 1;
      this.#set = new CountersSetWriter(this.#sets, this.#ledger, this.#covers);
    }
    if (this.#set === undefined) {
      return this.#stepped ? { members: countersMembers({ clock: this.#noted() }), power: false } : undefined;
    }
    const part = this.#set.next(this.#noted());
    if (part.part === 0) this.#setFrom = part.clock.sliding;
    return { members: countersMembers(part), power: part.last === true };
  }

  dueStored(): void {
    this.#stepped = false;
    if (this.#set?.isDone !== true) return;
    this.#set = undefined;
    this.#since = 0;
    this.#from = this.#setFrom;
  }

  dueFailed(): void {
    this.#set = undefined;
  }

  atStop(): string | undefined {
    const clock = this.#noted();
    return clock.sliding === 0 ? undefined : countersMembers({ clock });
  }

  #isSetDue(): boolean {
    if (this.#since >= this.#every) return true;
    return this.#from > 0 && this.#ledger.clock.sliding - this.#from >= SET_AT_LEAST_EVERY_MS;
  }

  #noted(): LimitClock {
    if (this.#clock !== undefined && this.#ledger.clock.sliding > 0) this.#ledger.noteClock(this.#clock());
    return this.#ledger.clock;
  }

  /** Records of one turn share their time. */
  #at(time: string): number {
    if (time !== this.#timeText) {
      this.#timeText = time;
      this.#time = Date.parse(time);
    }
    return this.#time;
  }
}

/** One set on its way. */
class CountersSetWriter {
  readonly #number: number;
  readonly #ledger: Ledger;
  readonly #covers: (readonly [string, number])[];
  readonly #open: Iterator<OpenIntent>;
  readonly #counters: Iterator<[string, LedgerEntry]>;
  // What comes in while the set is written stands behind its first part anyhow.
  #openLeft: number;
  #countersLeft: number;
  #part = 0;

  constructor(number: number, ledger: Ledger, covers: ReadonlyMap<string, number>) {
    this.#number = number;
    this.#ledger = ledger;
    this.#covers = [...covers];
    this.#open = ledger.open.values();
    this.#counters = ledger.counters.entries();
    this.#openLeft = ledger.open.size;
    this.#countersLeft = ledger.counters.size;
  }

  get isDone(): boolean {
    return this.#covers.length === 0 && this.#openLeft === 0 && this.#countersLeft === 0;
  }

  next(clock: LimitClock): CountersMember {
    const part: CountersMember = { set: this.#number, part: this.#part, clock };
    this.#part += 1;
    let room = PART_CHARACTERS;
    const covers = this.#covers.splice(0, PART_VISITS);
    let visits = PART_VISITS - covers.length;
    if (covers.length > 0) part.covers = covers;
    const open: NonNullable<CountersMember['open']> = [];
    for (; this.#openLeft > 0 && room > 0 && visits > 0; visits -= 1) {
      this.#openLeft -= 1;
      const { value: intent, done } = this.#open.next();
      if (done === true) this.#openLeft = 0;
      else if (!this.#ledger.dropIfOver(intent)) {
        const { requestId, time, deadline, sliding, limits } = intent;
        open.push({ request_id: requestId, time, deadline, sliding, limits });
        room -= 150 + limits.reduce((sum, limit) => sum + limit.key.length + 40, 0);
      }
    }
    const values: NonNullable<CountersMember['values']> = [];
    for (; this.#openLeft === 0 && this.#countersLeft > 0 && room > 0 && visits > 0; visits -= 1) {
      this.#countersLeft -= 1;
      const { value, done } = this.#counters.next();
      if (done === true) this.#countersLeft = 0;
      else if (!this.#ledger.dropIfIdle(value[0], value[1])) {
        const [key, { state }] = value;
        values.push([key, state.slices.flatMap((slice, i) => [slice, state.units[i] as number])]);
        room -= key.length + 10 + state.slices.length * 16;
      }
    }
    if (this.isDone) part.last = true;
    if (open.length > 0) part.open = open;
    if (values.length > 0) part.values = values;
    return part;
  }
}
