import {
  type Charge,
  chargeWindow,
  emptyWindow,
  isIdle,
  lookWindow,
  releaseWindow,
  type WindowState,
} from '@gatehouse/policy';
import type { CounterStats, Counters, LookResult, Receipt, ReservedCharge, ReserveResult } from './counters.ts';

export interface MemoryCountersOptions {
  /**
   * Milliseconds of a clock that never steps, `performance.now` outside tests. Sliding windows follow it from the first
   * use on: a step of the wall clock neither frees nor takes capacity.
   */
  monotonic: () => number;
  /** Most counters held at once. Default 1,000,000 (about 300 bytes each). Above it, calls with a new counter are refused. */
  maxCounters?: number;
}

interface Entry {
  /** The charge that was counted last: it carries what the window's arithmetic needs. */
  charge: Charge;
  readonly state: WindowState;
}

/** How many counters each reservation looks at to drop those that no longer count anything. */
const SWEEP = 4;

/** Counters in the memory of one process. All of its methods answer at once, which makes each of them atomic. */
export class MemoryCounters implements Counters {
  readonly #monotonic: () => number;
  readonly #maxCounters: number;
  readonly #entries = new Map<string, Entry>();
  /** What an earlier process counted, until this one uses the counter. */
  readonly #inherited = new Map<string, WindowState>();
  readonly #released = new WeakSet<Receipt>();
  #sweeper: Iterator<[string, Entry]> | undefined;
  /** Sliding time is `#base` + the monotonic clock. */
  #base: number | undefined;
  /** The last time that an earlier process recorded: sliding time resumes at the later of it and now. */
  #recorded = 0;
  #calendar = 0;
  #reservedCount = 0;
  #deniedCount = 0;
  #releasedCount = 0;

  constructor(options: MemoryCountersOptions) {
    this.#monotonic = options.monotonic;
    this.#maxCounters = options.maxCounters ?? 1_000_000;
  }

  /** Goes on with what an earlier process counted. Before the first reservation. */
  inherit(states: ReadonlyMap<string, WindowState>): void {
    for (const [key, state] of states) {
      this.#inherited.set(key, state);
      this.#recorded = Math.max(this.#recorded, state.time);
    }
  }

  /** @throws Error when the call needs a new counter and there is no room: the caller denies */
  reserve(charges: readonly Charge[], now: number): ReserveResult {
    const times = this.#times(now);
    const denial = this.#firstDenial(charges, times);
    if (denial !== undefined) {
      this.#deniedCount += 1;
      return denial;
    }
    this.#sweep(times);
    this.#needRoom(charges, times);
    const done: ReservedCharge[] = [];
    for (const charge of charges) {
      let entry = this.#entries.get(charge.key);
      if (entry === undefined) {
        entry = { charge, state: this.#inherited.get(charge.key) ?? emptyWindow() };
        this.#inherited.delete(charge.key);
        this.#entries.set(charge.key, entry);
      }
      entry.charge = charge;
      const charged = chargeWindow(charge, entry.state, timeOf(charge, times));
      if (charged.ok) {
        done.push({ charge, slice: charged.slice });
        continue;
      }
      // Two charges on one counter pass the look one by one and may not fit together: nothing of them stays.
      for (const each of done) this.#giveBack(each);
      this.#deniedCount += 1;
      return { ok: false, charge, used: charged.used, retryAfterMs: charged.retryAfterMs };
    }
    this.#reservedCount += 1;
    return { ok: true, receipt: { charges: done } };
  }

  look(charges: readonly Charge[], now: number): LookResult {
    return this.#firstDenial(charges, this.#times(now)) ?? { ok: true };
  }

  release(receipt: Receipt): void {
    if (this.#released.has(receipt)) return;
    this.#released.add(receipt);
    this.#releasedCount += 1;
    for (const each of receipt.charges) this.#giveBack(each);
  }

  stats(): CounterStats {
    return {
      counters: this.#entries.size,
      reserved: this.#reservedCount,
      denied: this.#deniedCount,
      released: this.#releasedCount,
    };
  }

  #firstDenial(charges: readonly Charge[], times: Times): Extract<ReserveResult, { ok: false }> | undefined {
    let first: { charge: Charge; used: number } | undefined;
    let retryAfterMs = 0;
    for (const charge of charges) {
      const state = this.#entries.get(charge.key)?.state ?? this.#inherited.get(charge.key) ?? emptyWindow();
      const look = lookWindow(charge, state, timeOf(charge, times));
      if (look.free) continue;
      first ??= { charge, used: look.used };
      retryAfterMs = Math.max(retryAfterMs, look.retryAfterMs);
    }
    return first === undefined ? undefined : { ok: false, ...first, retryAfterMs };
  }

  #giveBack({ charge, slice }: ReservedCharge): void {
    const entry = this.#entries.get(charge.key);
    if (entry !== undefined) releaseWindow(charge, entry.state, slice);
  }

  /** Calendar time never goes back; sliding time goes at the pace of the monotonic clock (spec: policy §5). */
  #times(now: number): Times {
    const monotonic = this.#monotonic();
    this.#base ??= Math.max(now, this.#recorded) - monotonic;
    this.#calendar = Math.max(this.#calendar, now);
    return { sliding: Math.floor(this.#base + monotonic), calendar: this.#calendar };
  }

  #sweep(times: Times): void {
    for (let i = 0; i < SWEEP; i++) {
      this.#sweeper ??= this.#entries.entries();
      const next = this.#sweeper.next();
      if (next.done === true) {
        this.#sweeper = undefined;
        return;
      }
      const [key, entry] = next.value;
      if (isIdle(entry.charge, entry.state, timeOf(entry.charge, times))) this.#entries.delete(key);
    }
  }

  #needRoom(charges: readonly Charge[], times: Times): void {
    const fresh = new Set(charges.map((charge) => charge.key).filter((key) => !this.#entries.has(key))).size;
    if (fresh === 0 || this.#entries.size + fresh <= this.#maxCounters) return;
    // Dropping a counter that still counts would let calls pass above `max`; refusing never does.
    for (const [key, entry] of this.#entries) {
      if (isIdle(entry.charge, entry.state, timeOf(entry.charge, times))) this.#entries.delete(key);
    }
    if (this.#entries.size + fresh > this.#maxCounters) {
      throw new Error(`${this.#entries.size} limit counters are in use, which is all that fit into memory`);
    }
  }
}

interface Times {
  readonly sliding: number;
  readonly calendar: number;
}

function timeOf(charge: Charge, times: Times): number {
  return charge.align === 'sliding' ? times.sliding : times.calendar;
}
