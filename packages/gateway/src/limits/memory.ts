import {
  type Charge,
  type CounterWindow,
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
import { isWallTime, type Ledger, type LimitClock } from './ledger.ts';
import { type OpenCall, SLOT_RETRY_MS, Slots } from './slots.ts';

export interface MemoryCountersOptions {
  /**
   * Milliseconds of a clock that never steps, `performance.now` outside tests. Sliding windows follow it from the first
   * use on: a step of the wall clock neither frees nor takes capacity.
   */
  monotonic: () => number;
  /**
   * Most counters held at once. Default 1,000,000 (about 300 bytes each, and 550 for the log's view of them). Above it,
   * calls with a new counter are refused.
   */
  maxCounters?: number;
  /** Told when the wall clock was set, before the call that met it goes on. */
  onStep?: () => void;
}

interface Entry {
  /** What the window's arithmetic needs; undefined for a key of an earlier version that says nothing of its window. */
  window: CounterWindow | undefined;
  readonly state: WindowState;
}

/** How many counters each reservation looks at to drop those that no longer count anything. */
const SWEEP = 4;

/** Counters in the memory of one process. All of its methods answer at once, which makes each of them atomic. */
export class MemoryCounters implements Counters {
  readonly #monotonic: () => number;
  readonly #maxCounters: number;
  readonly #entries = new Map<string, Entry>();
  readonly #onStep: () => void;
  readonly #slots = new Slots();
  readonly #released = new WeakSet<Receipt>();
  #sweeper: Iterator<[string, Entry]> | undefined;
  /** Sliding time is `#base` + the monotonic clock. */
  #base: number | undefined;
  /** Sliding time less the wall clock, as it was seen last. */
  #ahead = 0;
  #calendar = 0;
  #reservedCount = 0;
  #deniedCount = 0;
  #releasedCount = 0;

  constructor(options: MemoryCountersOptions) {
    this.#monotonic = options.monotonic;
    this.#maxCounters = options.maxCounters ?? 1_000_000;
    this.#onStep = options.onStep ?? (() => {});
  }

  /**
   * Goes on with what earlier processes counted. Before the first reservation. Takes copies: the ledger goes on with the
   * log. Sliding time goes on from the last time
   * recorded, with what the wall clock says has passed since: with clocks that were never set that is `now`; a step in
   * the earlier run is no time passed, and a clock that was set back since has stood still. Calendar time stands still
   * until the wall clock has caught up with the latest that it ever said.
   * @param now wall clock, milliseconds since the epoch
   */
  inherit({ counters, clock }: Pick<Ledger, 'counters' | 'clock'>, now: number): void {
    for (const [key, { window, state }] of counters) {
      const own = { time: 0, slices: [...state.slices], units: [...state.units] };
      this.#entries.set(key, { window, state: own });
    }
    this.#calendar = Math.max(this.#calendar, clock.calendar);
    if (clock.sliding === 0) return;
    const sliding = clock.sliding + Math.max(0, now - clock.wall);
    this.#base = sliding - this.#monotonic();
    this.#ahead = sliding - now;
  }

  /** Where the clocks stand. @param now wall clock, milliseconds since the epoch */
  clock(now: number): LimitClock {
    return { ...this.#times(now), wall: now };
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
        entry = { window: charge, state: emptyWindow() };
        this.#entries.set(charge.key, entry);
      }
      entry.window = charge;
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
    const receipt: { -readonly [K in keyof Receipt]: Receipt[K] } = { charges: done };
    if (!isWallTime(times.sliding - now)) receipt.sliding = times.sliding;
    if (slots !== undefined && call !== undefined) receipt.slots = { id: call.id, charges: slots };
    return { ok: true, receipt };
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
      const state = this.#entries.get(charge.key)?.state ?? emptyWindow();
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
    const sliding = Math.floor(this.#base + monotonic);
    if (!isWallTime(sliding - now - this.#ahead)) {
      this.#ahead = sliding - now;
      this.#onStep();
    }
    return { sliding, calendar: this.#calendar };
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
      if (isDone(entry, times)) this.#entries.delete(key);
    }
  }

  #needRoom(charges: readonly LimitCharge[], times: Times): void {
    const fresh = new Set(charges.map((charge) => charge.key).filter((key) => !this.#entries.has(key))).size;
    if (fresh === 0 || this.#entries.size + this.#slots.size + fresh <= this.#maxCounters) return;
    // Dropping a counter that still counts would let calls pass above `max`; refusing never does.
    this.#slots.sweepAll(times.sliding);
    for (const [key, entry] of this.#entries) {
      if (isDone(entry, times)) this.#entries.delete(key);
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

/** What an unknown window counted is kept: dropping it could let calls pass above `max`. */
function isDone({ window, state }: Entry, times: Times): boolean {
  return window !== undefined && isIdle(window, state, timeOf(window, times));
}

function timeOf(charge: Pick<Charge, 'align'>, times: Times): number {
  return charge.align === 'sliding' ? times.sliding : times.calendar;
}
