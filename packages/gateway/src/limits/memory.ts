import {
  type Charge,
  chargeWindow,
  emptyWindow,
  isIdle,
  type LimitCharge,
  lookWindow,
  releaseWindow,
  type SlotCharge,
  type WindowState,
} from '@gatehouse/policy';
import {
  type CallUnderWay,
  type CounterStats,
  type Counters,
  type LookResult,
  needNoCall,
  type Receipt,
  type ReservedCharge,
  type ReserveResult,
} from './counters.ts';
import { type OpenCall, SLOT_RETRY_MS, Slots } from './slots.ts';

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
  readonly #slots = new Slots();
  readonly #released = new WeakSet<Receipt>();
  #sweeper: Iterator<[string, Entry]> | undefined;
  /** Sliding time is `#base` + the monotonic clock. */
  #base: number | undefined;
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
    for (const [key, state] of states) this.#inherited.set(key, state);
  }

  /** Calls of an earlier process that may still run hold their slots until their deadline. Before the first reservation. */
  inheritSlots(calls: Iterable<OpenCall>): void {
    this.#slots.inherit(calls);
  }

  /** @throws Error when the call needs a new counter and there is no room: the caller denies */
  reserve(charges: readonly LimitCharge[], now: number, call?: CallUnderWay): ReserveResult {
    if (call === undefined) needNoCall(charges);
    const times = this.#times(now);
    const denial = this.#firstDenial(charges, times);
    if (denial !== undefined) {
      this.#deniedCount += 1;
      return denial;
    }
    this.#sweep(times);
    this.#needRoom(charges, times);
    const done: ReservedCharge[] = [];
    let slots: SlotCharge[] | undefined;
    for (const charge of charges) {
      if (charge.kind === 'slot') {
        if (call === undefined) continue;
        const until = times.sliding + call.deadline - now;
        this.#slots.take(charge.key, call.id, charge.max, until, times.sliding);
        slots ??= [];
        slots.push(charge);
        continue;
      }
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
      if (call !== undefined) for (const each of slots ?? []) this.#slots.free(each.key, call.id);
      this.#deniedCount += 1;
      return { ok: false, charge, used: charged.used, retryAfterMs: charged.retryAfterMs };
    }
    this.#reservedCount += 1;
    if (slots === undefined || call === undefined) return { ok: true, receipt: { charges: done } };
    return { ok: true, receipt: { charges: done, slots: { id: call.id, charges: slots } } };
  }

  look(charges: readonly LimitCharge[], now: number): LookResult {
    return this.#firstDenial(charges, this.#times(now)) ?? { ok: true };
  }

  release(receipt: Receipt): void {
    if (this.#released.has(receipt)) return;
    this.#released.add(receipt);
    this.#releasedCount += 1;
    for (const each of receipt.charges) this.#giveBack(each);
    this.free(receipt);
  }

  free({ slots }: Receipt): void {
    if (slots === undefined) return;
    // An id that holds nothing any more frees nothing, so that a second time does no harm.
    for (const { key } of slots.charges) this.#slots.free(key, slots.id);
  }

  stats(): CounterStats {
    return {
      counters: this.#entries.size + this.#slots.size,
      reserved: this.#reservedCount,
      denied: this.#deniedCount,
      released: this.#releasedCount,
    };
  }

  #firstDenial(charges: readonly LimitCharge[], times: Times): Extract<ReserveResult, { ok: false }> | undefined {
    let first: { charge: LimitCharge; used: number; freeWithinMs?: number } | undefined;
    let retryAfterMs = 0;
    for (const charge of charges) {
      if (charge.kind === 'slot') {
        const look = this.#slots.look(charge.key, charge.max, times.sliding);
        if (look.free) continue;
        first ??= { charge, used: look.used, freeWithinMs: look.freeWithinMs };
        retryAfterMs = Math.max(retryAfterMs, Math.min(SLOT_RETRY_MS, look.freeWithinMs));
        continue;
      }
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
    this.#base ??= now - monotonic;
    this.#calendar = Math.max(this.#calendar, now);
    return { sliding: Math.floor(this.#base + monotonic), calendar: this.#calendar };
  }

  #sweep(times: Times): void {
    this.#slots.sweep(times.sliding, SWEEP);
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

  #needRoom(charges: readonly LimitCharge[], times: Times): void {
    const fresh = new Set(charges.map((charge) => charge.key).filter((key) => !this.#entries.has(key))).size;
    if (fresh === 0 || this.#entries.size + this.#slots.size + fresh <= this.#maxCounters) return;
    // Dropping a counter that still counts would let calls pass above `max`; refusing never does.
    this.#slots.sweepAll(times.sliding);
    for (const [key, entry] of this.#entries) {
      if (isIdle(entry.charge, entry.state, timeOf(entry.charge, times))) this.#entries.delete(key);
    }
    if (this.#entries.size + this.#slots.size + fresh > this.#maxCounters) {
      throw new Error(
        `${this.#entries.size + this.#slots.size} limit counters are in use, which is all that fit into memory`,
      );
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
