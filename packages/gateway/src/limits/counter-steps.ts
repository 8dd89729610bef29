// What transactions on a file of counters are made of.
import { emptyWindow, type LimitCharge, lookWindow, type WindowState } from '@gatehouse/policy';
import type { CounterFile, Epoch } from './counter-file.ts';
import type { Receipt, ReserveResult } from './counters.ts';
import { SLOT_RETRY_MS } from './slots.ts';

type Denial = Extract<ReserveResult, { ok: false }>;

/** The first limit, in the order of the document, that denies. `states` gets what was read. */
export function firstDenial(
  file: CounterFile,
  epoch: Epoch,
  charges: readonly LimitCharge[],
  states: Map<string, WindowState>,
): Denial | undefined {
  let first: Omit<Denial, 'ok' | 'retryAfterMs'> | undefined;
  let retryAfterMs = 0;
  for (const charge of charges) {
    if (charge.kind === 'slot') {
      const { used, first: ends } = file.readSlots(charge.key, epoch.sliding);
      if (used < charge.max) continue;
      const freeWithinMs = Math.max(1, ends - epoch.sliding);
      first ??= { charge, used, freeWithinMs };
      retryAfterMs = Math.max(retryAfterMs, Math.min(SLOT_RETRY_MS, freeWithinMs));
      continue;
    }
    const state = states.get(charge.key) ?? file.readWindow(charge.key) ?? emptyWindow();
    states.set(charge.key, state);
    const look = lookWindow(charge, state, charge.align === 'sliding' ? epoch.sliding : epoch.calendar);
    if (look.free) continue;
    first ??= { charge, used: look.used };
    retryAfterMs = Math.max(retryAfterMs, look.retryAfterMs);
  }
  return first === undefined ? undefined : { ok: false, ...first, retryAfterMs };
}

/** Frees what the call still holds. */
export function freeSlots(file: CounterFile, epoch: Epoch, { slots }: Receipt): void {
  // An id that holds nothing any more frees nothing, so that a second time does no harm.
  for (const { key } of slots?.charges ?? []) epoch.rowsHeld -= file.deleteSlot(key, slots?.id ?? '');
}

/** When the counter counts nothing any more: the wait of a call that needs all of it. */
export function endOf(charge: Parameters<typeof lookWindow>[0], state: WindowState, time: number): number {
  return Math.ceil(time + lookWindow({ ...charge, amount: charge.max }, state, time).retryAfterMs);
}

/** Of each slice the larger count. */
export function larger(a: WindowState, b: WindowState): WindowState {
  const units = new Map<number, number>();
  for (const state of [a, b]) {
    state.slices.forEach((slice, i) => {
      units.set(slice, Math.max(units.get(slice) ?? 0, state.units[i] ?? 0));
    });
  }
  const slices = [...units.keys()].sort((x, y) => x - y);
  return { time: Math.max(a.time, b.time), slices, units: slices.map((slice) => units.get(slice) ?? 0) };
}
