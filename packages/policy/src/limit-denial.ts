import { deny } from './judge.ts';
import type { Charge, DenyDecision, LimitCharge, SlotCharge } from './types.ts';
import { literal } from './values.ts';

function duration(ms: number): string {
  const seconds = Math.ceil(ms / 1000);
  if (seconds < 120) return `${seconds} second${seconds === 1 ? '' : 's'}`;
  if (seconds < 7200) return `${Math.ceil(seconds / 60)} minutes`;
  return seconds < 172_800 ? `${Math.ceil(seconds / 3600)} hours` : `${Math.ceil(seconds / 86_400)} days`;
}

function windowWords(charge: Charge): string {
  if (charge.unit) return `in this ${charge.unit}`;
  return `in ${duration(charge.windowSeconds * 1000)}`;
}

/** What a counter store says of a limit that denies. */
export interface LimitState {
  /** Units that count at present; of a `concurrent` limit the calls under way. */
  readonly used: number;
  /** Milliseconds until a retry can pass; Infinity where none can. */
  readonly retryAfterMs: number;
  /** Of a `concurrent` limit: milliseconds after which one of the calls under way has certainly ended. */
  readonly freeWithinMs?: number;
}

function windowFacts(charge: Charge, state: LimitState): string {
  const counted = charge.amount === 1 ? '' : ` This call counts ${charge.amount}.`;
  const possible = Number.isFinite(state.retryAfterMs);
  const retry = possible ? ` Retry in ${duration(state.retryAfterMs)}, not before.` : ' Retrying cannot help.';
  return `The limit ${literal(charge.counter)} has used ${state.used} of ${charge.max} ${windowWords(charge)}.${counted}${retry}`;
}

function slotFacts(charge: SlotCharge, { used, retryAfterMs, freeWithinMs = retryAfterMs }: LimitState): string {
  const allowed = charge.max === 1 ? 'one call' : `${charge.max} calls`;
  const running = used === 1 ? 'one is under way' : `${used} are under way`;
  return `The limit ${literal(charge.counter)} lets ${allowed} run at once, and ${running}. A retry can pass when one of them ends, at the latest in ${duration(freeWithinMs)}.`;
}

/**
 * The denial of a limit: names it, its use, its `max` and the milliseconds until a retry can pass. `retryAfterMs` is
 * `Infinity` where no retry can; the decision then has none.
 */
export function limitDenial(charge: LimitCharge, state: LimitState): DenyDecision {
  const possible = Number.isFinite(state.retryAfterMs);
  const facts = charge.kind === 'slot' ? slotFacts(charge, state) : windowFacts(charge, state);
  const message = charge.reason === undefined ? facts : `${charge.reason} ${facts}`;
  return deny(charge.pointer, message, {
    ...(charge.name !== undefined && { name: charge.name }),
    failures: [
      { pointer: charge.pointer, ...(charge.name !== undefined && { name: charge.name }), value: 'false', message },
    ],
    ...(possible && { retryAfterMs: Math.max(0, Math.ceil(state.retryAfterMs)) }),
  });
}
