import { deny } from './judge.ts';
import type { Charge, DenyDecision } from './types.ts';
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

/**
 * The denial of a limit: names it, its use, its `max` and the milliseconds until a retry can pass. `retryAfterMs` is
 * `Infinity` where no retry can; the decision then has none.
 */
export function limitDenial(
  charge: Charge,
  state: { readonly used: number; readonly retryAfterMs: number },
): DenyDecision {
  const counted = charge.amount === 1 ? '' : ` This call counts ${charge.amount}.`;
  const possible = Number.isFinite(state.retryAfterMs);
  const retry = possible ? ` Retry in ${duration(state.retryAfterMs)}, not before.` : ' Retrying cannot help.';
  const facts = `The limit ${literal(charge.counter)} has used ${state.used} of ${charge.max} ${windowWords(charge)}.${counted}${retry}`;
  const message = charge.reason === undefined ? facts : `${charge.reason} ${facts}`;
  return deny(charge.pointer, message, {
    ...(charge.name !== undefined && { name: charge.name }),
    failures: [
      { pointer: charge.pointer, ...(charge.name !== undefined && { name: charge.name }), value: 'false', message },
    ],
    ...(possible && { retryAfterMs: Math.max(0, Math.ceil(state.retryAfterMs)) }),
  });
}
