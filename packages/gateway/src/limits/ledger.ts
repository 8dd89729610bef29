// What the log says of the counters: the fold of its records, the same while they are written and when they are read
// back after a crash (spec: audit, policy §5). It never asks a clock: equal records give an equal ledger.
import { type CounterWindow, isIdle, type WindowState, windowOfKey } from '@gatehouse/policy';
import type { LimitRecord } from '../audit/record.ts';

/** Where the clocks of the limits stood; milliseconds since the epoch. */
export interface LimitClock {
  /** Time of sliding windows. */
  readonly sliding: number;
  /** What the wall clock said at that moment: the two part when it is set. */
  readonly wall: number;
  /** Time of calendar windows: the latest that the wall clock ever said. */
  readonly calendar: number;
}

/**
 * How far sliding time may be from the wall clock and pass for the same. Ahead, a little is the time that judging takes,
 * and would give capacity back late; behind, it would give it back early, so only the grain of the clocks is allowed.
 */
const AHEAD_MS = 250;
const BEHIND_MS = 2;

/** @param ahead milliseconds that sliding time is ahead of the wall clock */
export function isWallTime(ahead: number): boolean {
  return ahead <= AHEAD_MS && ahead >= -BEHIND_MS;
}

const NO_CLOCK: LimitClock = { sliding: 0, wall: 0, calendar: 0 };

/** `detail.slots` of an outcome whose call may still run. */
export const HELD = 'held';

/** An intent whose outcome is not in the log: its call runs, or nobody knows what became of it. */
export interface OpenIntent {
  readonly requestId: string;
  /** When it was recorded by the wall clock, milliseconds since the epoch. */
  readonly time: number;
  /** Until when by the wall clock the call may run, and holds what is held while it runs (a `concurrent` slot). */
  readonly deadline: number;
  /** Time of sliding windows when it was recorded: with the two above it says how long the call may run, whatever is set. */
  readonly sliding: number;
  /** What it reserved, as recorded; units without a `slice` are of no window. */
  readonly limits: readonly LimitRecord[];
}

export interface LedgerEntry {
  /** Undefined for a key that is of no window: its units are kept for ever. */
  readonly window: CounterWindow | undefined;
  /** `time` is 0: the one clock of all counters stands in for it. */
  readonly state: WindowState;
}

/** An outcome that comes later than this after the call's deadline gives nothing back: the intent was forgotten. */
const LATE_MS = 3_600_000;
/** Slices of a sliding window that count beside the newest (spec: policy §5). */
const SLICES = 60;

export class Ledger {
  readonly counters = new Map<string, LedgerEntry>();
  readonly open = new Map<string, OpenIntent>();
  #clock: LimitClock = NO_CLOCK;

  /** The latest that the records say; all zero before the first. */
  get clock(): LimitClock {
    return this.#clock;
  }

  /** An intent that reserved. Every unit of it counts, until a `not_sent` says that nothing was sent. */
  intent(intent: OpenIntent): void {
    this.noteClock({ sliding: intent.sliding, wall: intent.time, calendar: intent.time });
    this.open.set(intent.requestId, intent);
    for (const { key, units, slice } of intent.limits) {
      if (slice !== undefined) this.#count(key, units, slice);
    }
  }

  /**
   * The end of a call; anything but `not_sent` leaves its units where they are. Once for each intent.
   * @param held the call may still run: it holds its slots until its deadline, as if nothing was known of it
   */
  outcome(requestId: string, outcome: string | undefined, held: boolean): void {
    const intent = this.open.get(requestId);
    if (intent === undefined || held) return;
    this.open.delete(requestId);
    if (outcome !== 'not_sent' || this.#isPast(intent, LATE_MS)) return;
    for (const { key, units, slice } of intent.limits) {
      const state = this.counters.get(key)?.state;
      const at = slice === undefined ? -1 : (state?.slices.indexOf(slice) ?? -1);
      if (state !== undefined && at >= 0) state.units[at] = Math.max(0, (state.units[at] as number) - units);
    }
  }

  /** The whole of one counter, in place of all that was counted for it: [slice, units, slice, units, …]. */
  assign(key: string, values: readonly number[]): void {
    const state: WindowState = { time: 0, slices: [], units: [] };
    for (let i = 0; i + 1 < values.length; i += 2) {
      state.slices.push(values[i] as number);
      state.units.push(values[i + 1] as number);
    }
    this.counters.set(key, { window: windowOfKey(key), state });
  }

  /** Time of neither kind goes back. */
  noteClock(clock: LimitClock): void {
    const later = clock.sliding >= this.#clock.sliding;
    this.#clock = {
      sliding: later ? clock.sliding : this.#clock.sliding,
      wall: later ? clock.wall : this.#clock.wall,
      calendar: Math.max(clock.calendar, this.#clock.calendar),
    };
  }

  /** True when the counter counts nothing from now on; it is then gone. */
  dropIfIdle(key: string, { window, state }: LedgerEntry): boolean {
    if (window === undefined) return false;
    const now = window.align === 'sliding' ? this.#clock.sliding : this.#clock.calendar;
    if (!isIdle(window, state, now)) return false;
    this.counters.delete(key);
    return true;
  }

  /** True when no outcome can matter any more; the intent is then gone. */
  dropIfOver(intent: OpenIntent): boolean {
    return this.#isPast(intent, LATE_MS) && this.open.delete(intent.requestId);
  }

  /** For the intents of processes that are gone: no outcome comes, and what has passed its deadline holds nothing. */
  dropAtDeadline(intent: OpenIntent): boolean {
    return this.#isPast(intent, 0) && this.open.delete(intent.requestId);
  }

  #isPast({ sliding, time, deadline }: OpenIntent, by: number): boolean {
    return this.#clock.sliding >= sliding + (deadline - time) + by;
  }

  #count(key: string, units: number, slice: number): void {
    let entry = this.counters.get(key);
    if (entry === undefined) {
      entry = { window: windowOfKey(key), state: { time: 0, slices: [], units: [] } };
      this.counters.set(key, entry);
    }
    const { slices, units: counted } = entry.state;
    // Slices ascend; the chains of two processes may overlap by a little.
    let at = slices.length;
    while (at > 0 && (slices[at - 1] as number) > slice) at -= 1;
    if (at > 0 && slices[at - 1] === slice) counted[at - 1] = (counted[at - 1] as number) + units;
    else {
      slices.splice(at, 0, slice);
      counted.splice(at, 0, units);
      this.#forgetOld(entry);
    }
  }

  /** What the newest slice has left behind never counts again, so it is no part of what is kept. */
  #forgetOld({ window, state: { slices, units } }: LedgerEntry): void {
    if (window === undefined) return;
    const from = (slices.at(-1) as number) - (window.align === 'sliding' ? SLICES : 0);
    let old = 0;
    while ((slices[old] as number) < from) old += 1;
    if (old === 0) return;
    slices.splice(0, old);
    units.splice(0, old);
  }
}
