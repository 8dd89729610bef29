import type { Charge } from '@gatehouse/policy';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ReserveResult } from './counters.ts';
import { MemoryCounters } from './memory.ts';

const START = Date.parse('2026-05-01T12:00:00Z');

function charge(key: string, max: number, changes: Partial<Charge> = {}): Charge {
  return {
    key,
    counter: key,
    windowSeconds: 60,
    align: 'sliding',
    timezone: 'UTC',
    max,
    amount: 1,
    pointer: `/limits/${key}`,
    scope: 'grant',
    ...changes,
  };
}

/** Counters whose two clocks go together unless a test steps one of them. */
function ready(maxCounters?: number) {
  const clock = { wall: START, monotonic: 5000 };
  const counters = new MemoryCounters({
    monotonic: () => clock.monotonic,
    ...(maxCounters === undefined ? {} : { maxCounters }),
  });
  const pass = (ms: number): void => {
    clock.wall += ms;
    clock.monotonic += ms;
  };
  const reserve = (...charges: Charge[]): ReserveResult => counters.reserve(charges, clock.wall);
  return { counters, clock, pass, reserve };
}

describe('MemoryCounters', () => {
  it('counts up to max, names the limit that denies, and says when a retry can pass', () => {
    const { reserve, pass } = ready();
    for (let i = 0; i < 3; i++) expect(reserve(charge('a', 3)).ok).toBe(true);
    const denied = reserve(charge('a', 3));
    expect(denied).toMatchObject({ ok: false, charge: { key: 'a' }, used: 3 });
    if (denied.ok) return;
    pass(denied.retryAfterMs - 1);
    expect(reserve(charge('a', 3)).ok).toBe(false);
    pass(1);
    expect(reserve(charge('a', 3)).ok).toBe(true);
  });

  it('[LIM-ATOMIC] reserves all limits of a call or none', () => {
    const { reserve } = ready();
    expect(reserve(charge('narrow', 1)).ok).toBe(true);
    for (let i = 0; i < 5; i++) {
      expect(reserve(charge('wide', 2), charge('narrow', 1))).toMatchObject({ ok: false, charge: { key: 'narrow' } });
    }
    expect(reserve(charge('wide', 2)).ok).toBe(true);
    expect(reserve(charge('wide', 2)).ok).toBe(true);
    expect(reserve(charge('wide', 2))).toMatchObject({ ok: false, used: 2 });
  });

  it('[LIM-ATOMIC] takes back what it counted when two charges of a call do not fit into one counter together', () => {
    const { reserve } = ready();
    expect(reserve(charge('a', 3, { amount: 2 }), charge('a', 3, { amount: 2 }))).toMatchObject({ ok: false, used: 2 });
    expect(reserve(charge('a', 3, { amount: 3 })).ok).toBe(true);
  });

  it('names the first limit that denies, with the wait after which all of them pass', () => {
    const { reserve } = ready();
    const minute = charge('minute', 1);
    const hour = charge('hour', 1, { windowSeconds: 3600 });
    reserve(minute, hour);
    const denied = reserve(minute, hour);
    expect(denied).toMatchObject({ ok: false, charge: { key: 'minute' } });
    if (!denied.ok) expect(denied.retryAfterMs).toBeGreaterThan(3_500_000);
  });

  it('looks without counting', () => {
    const { counters, clock, reserve } = ready();
    for (let i = 0; i < 5; i++) expect(counters.look([charge('a', 1)], clock.wall)).toEqual({ ok: true });
    expect(reserve(charge('a', 1)).ok).toBe(true);
    expect(counters.look([charge('a', 1)], clock.wall)).toMatchObject({ ok: false, used: 1 });
    expect(counters.stats()).toEqual({ counters: 1, reserved: 1, denied: 0, released: 0 });
  });

  it('gives a reservation back once', () => {
    const { counters, reserve } = ready();
    const first = reserve(charge('a', 2));
    reserve(charge('a', 2));
    if (!first.ok) throw new Error('denied');
    counters.release(first.receipt);
    counters.release(first.receipt);
    expect(reserve(charge('a', 2)).ok).toBe(true);
    expect(reserve(charge('a', 2)).ok).toBe(false);
    expect(counters.stats().released).toBe(1);
  });

  it('[LIM-CLOCK] frees nothing when the wall clock steps, neither forward nor back', () => {
    const { reserve, clock, pass } = ready();
    const daily = charge('day', 1, { align: 'calendar', unit: 'day', windowSeconds: 86_400 });
    expect(reserve(charge('a', 1), daily).ok).toBe(true);
    clock.wall += 3_600_000;
    expect(reserve(charge('a', 1)).ok).toBe(false);
    clock.wall += 86_400_000;
    expect(reserve(daily).ok).toBe(true);
    clock.wall -= 86_400_000;
    expect(reserve(daily)).toMatchObject({ ok: false, used: 1 });
    expect(reserve(charge('a', 1)).ok).toBe(false);
    pass(62_000);
    expect(reserve(charge('a', 1)).ok).toBe(true);
  });

  it('[LIM-CLOCK] lets no counter of a past day be forgotten and begun anew', () => {
    const { reserve, clock } = ready();
    const daily = charge('day', 1, { align: 'calendar', unit: 'day', windowSeconds: 86_400 });
    expect(reserve(daily).ok).toBe(true);
    clock.wall += 86_400_000;
    for (let i = 0; i < 20; i++) reserve(charge(`sweep ${i}`, 1));
    clock.wall -= 86_400_000;
    // The day that began cannot be taken back, so this counts for the later one.
    expect(reserve(daily).ok).toBe(true);
    expect(reserve(daily).ok).toBe(false);
    clock.wall += 86_400_000;
    expect(reserve(daily)).toMatchObject({ ok: false, used: 1 });
  });

  it('drops counters that count nothing any more, a few with each reservation', () => {
    const { counters, reserve, pass } = ready();
    for (let i = 0; i < 100; i++) reserve(charge(`old ${i}`, 1));
    expect(counters.stats().counters).toBe(100);
    pass(62_000);
    for (let i = 0; i < 60; i++) reserve(charge('new', 100));
    expect(counters.stats().counters).toBe(1);
  });

  it('[LIM-MEMORY] refuses a new counter when memory is full, and drops none that counts', () => {
    const { reserve, pass } = ready(10);
    for (let i = 0; i < 10; i++) reserve(charge(`c${i}`, 1));
    expect(() => reserve(charge('one too many', 1))).toThrow(/10 limit counters/);
    expect(reserve(charge('c3', 1)).ok).toBe(false);
    pass(62_000);
    expect(reserve(charge('one too many', 1)).ok).toBe(true);
  });

  it('[P4] never passes max in any window, whatever comes when, against a log of its own', () => {
    const step = fc.record({
      wait: fc.oneof(fc.nat(3), fc.nat(2000), fc.nat(90_000)),
      jump: fc.oneof({ weight: 5, arbitrary: fc.constant(0) }, fc.integer({ min: -200_000, max: 200_000 })),
      amounts: fc.tuple(fc.nat(4), fc.nat(4)),
      both: fc.boolean(),
      giveBack: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 80 }), (steps) => {
        const { counters, clock, pass, reserve } = ready();
        const limits = [
          { key: 'ten', max: 5, windowSeconds: 10 },
          { key: 'minute', max: 8, windowSeconds: 60 },
        ];
        const log: { key: string; at: number; amount: number }[] = [];
        for (const { wait, jump, amounts, both, giveBack } of steps) {
          pass(wait);
          clock.wall += jump;
          const charges = limits
            .slice(0, both ? 2 : 1)
            .map(({ key, max, windowSeconds }, index) =>
              charge(key, max, { windowSeconds, amount: amounts[index] ?? 0 }),
            );
          const result = reserve(...charges);
          if (!result.ok) continue;
          if (giveBack) counters.release(result.receipt);
          else for (const each of charges) log.push({ key: each.key, at: clock.monotonic, amount: each.amount });
        }
        for (const { key, max, windowSeconds } of limits) {
          const own = log.filter((entry) => entry.key === key);
          for (const { at } of own) {
            const inSpan = own.filter((entry) => entry.at >= at && entry.at <= at + windowSeconds * 1000);
            expect(inSpan.reduce((sum, { amount }) => sum + amount, 0)).toBeLessThanOrEqual(max);
          }
        }
      }),
    );
  });
});
