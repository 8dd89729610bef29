/**
 * The arithmetic of limits (spec: policy §5): pure, on integers, under the given `now`. A sliding window of W is cut into
 * slices of W/60; a unit of slice k counts until (k+1)·W/60 + W, that is in the current slice and the 60 before it, so
 * that any span of length W lies within slices that were summed together.
 */
import type { Charge } from './types.ts';
import { calendarPeriod, zoneOf } from './zone.ts';

const SLICES = 60;

/** Plain data: survives JSON unchanged. `slices` ascend; `units` beside them. A calendar counter has one slice, its period's start. */
export interface WindowState {
  /** The latest instant recorded, milliseconds since the epoch; 0 before the first. */
  time: number;
  slices: number[];
  units: number[];
}

type WindowOf = Pick<Charge, 'align' | 'unit' | 'windowSeconds' | 'timezone' | 'max' | 'amount'>;

export function emptyWindow(): WindowState {
  return { time: 0, slices: [], units: [] };
}

/** Time never goes back: after a clock's step the counter stands until the clock has caught up. */
function current(
  charge: Omit<WindowOf, 'max' | 'amount'>,
  state: WindowState,
  now: number,
): { slice: number; from: number } {
  const time = Math.max(now, state.time);
  if (charge.align === 'sliding') {
    const slice = Math.floor((time * SLICES) / (charge.windowSeconds * 1000));
    return { slice, from: slice - SLICES };
  }
  const { start } = calendarPeriod(time, charge.unit ?? 'day', zoneOf(charge.timezone));
  const slice = Math.max(start, state.slices.at(-1) ?? start);
  return { slice, from: slice };
}

function sum(state: WindowState, from: number): number {
  let used = 0;
  for (let i = state.slices.length - 1; i >= 0 && state.slices[i]! >= from; i--) used += state.units[i]!;
  return used;
}

/** Milliseconds until `amount` fits, from `now`; Infinity when it never does. */
function waitFor(charge: WindowOf, state: WindowState, now: number, from: number, used: number): number {
  if (charge.amount > charge.max) return Number.POSITIVE_INFINITY;
  if (charge.align === 'calendar') {
    const slice = state.slices.at(-1) ?? now;
    const { end } = calendarPeriod(Math.max(now, state.time, slice), charge.unit ?? 'day', zoneOf(charge.timezone));
    return Math.max(1, end - now);
  }
  let left = used;
  for (let i = 0; i < state.slices.length; i++) {
    const slice = state.slices[i]!;
    if (slice < from) continue;
    left -= state.units[i]!;
    if (left + charge.amount <= charge.max) {
      return Math.max(1, Math.ceil(((slice + SLICES + 1) * charge.windowSeconds * 1000) / SLICES) - now);
    }
  }
  return 1;
}

/** Looks without counting. `free`: the amount would fit now. `retryAfterMs` is 0 when free, Infinity when it never fits. */
export function lookWindow(
  charge: WindowOf,
  state: WindowState,
  now: number,
): { used: number; free: boolean; retryAfterMs: number } {
  const { from } = current(charge, state, now);
  const used = sum(state, from);
  const free = used + charge.amount <= charge.max;
  return { used, free, retryAfterMs: free ? 0 : waitFor(charge, state, now, from, used) };
}

/** Counts the amount, or nothing at all. `slice` is what `releaseWindow` needs to give it back. */
export function chargeWindow(
  charge: WindowOf,
  state: WindowState,
  now: number,
): { ok: true; slice: number } | { ok: false; used: number; retryAfterMs: number } {
  const { slice, from } = current(charge, state, now);
  const used = sum(state, from);
  if (used + charge.amount > charge.max) {
    return { ok: false, used, retryAfterMs: waitFor(charge, state, now, from, used) };
  }
  state.time = Math.max(now, state.time);
  let expired = 0;
  while (expired < state.slices.length && state.slices[expired]! < from) expired++;
  if (expired > 0) {
    state.slices.splice(0, expired);
    state.units.splice(0, expired);
  }
  const last = state.slices.length - 1;
  if (last >= 0 && state.slices[last] === slice) {
    state.units[last]! += charge.amount;
  } else {
    state.slices.push(slice);
    state.units.push(charge.amount);
  }
  return { ok: true, slice };
}

/** Gives a charge back to the slice it came from: never to another period, never below zero, once per charge. */
export function releaseWindow(charge: Pick<Charge, 'amount'>, state: WindowState, slice: number): void {
  const at = state.slices.indexOf(slice);
  if (at >= 0) state.units[at] = Math.max(0, state.units[at]! - charge.amount);
}

/** True when an empty window would behave the same from `now` on, so that the state may leave memory. */
export function isIdle(charge: Omit<WindowOf, 'max' | 'amount'>, state: WindowState, now: number): boolean {
  if (now < state.time) return false;
  return sum(state, current(charge, state, now).from) === 0;
}
