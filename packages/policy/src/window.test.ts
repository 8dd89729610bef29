import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { CalendarUnit, Charge } from './types.ts';
import { chargeWindow, emptyWindow, isIdle, lookWindow, releaseWindow, type WindowState } from './window.ts';
import { calendarPeriod, isZone, localTime, zoneOf } from './zone.ts';

const RUNS = Number(process.env.FC_RUNS ?? 1);

function charge(part: Partial<Charge>): Charge {
  return {
    key: 'k',
    counter: 'c',
    windowSeconds: 60,
    align: 'sliding',
    timezone: 'UTC',
    max: 5,
    amount: 1,
    pointer: '/p',
    scope: 'grant',
    ...part,
  };
}

const START = Date.parse('2026-03-04T10:00:00Z');
const arrivals = fc.array(fc.record({ gap: fc.oneof(fc.nat(3), fc.nat(2000), fc.nat(40_000)), amount: fc.nat(3) }), {
  maxLength: 150,
});

describe('sliding windows', () => {
  it('[POL-SLIDING] accepted units never exceed max in any span of the window’s length', () => {
    fc.assert(
      fc.property(
        arrivals,
        fc.constantFrom(1, 7, 60, 90),
        fc.integer({ min: 0, max: 8 }),
        (list, windowSeconds, max) => {
          const state = emptyWindow();
          let now = START;
          const accepted: { at: number; amount: number }[] = [];
          for (const { gap, amount } of list) {
            now += gap;
            if (chargeWindow(charge({ windowSeconds, max, amount }), state, now).ok) accepted.push({ at: now, amount });
          }
          for (const [i, first] of accepted.entries()) {
            let sum = 0;
            for (const one of accepted.slice(i)) if (one.at - first.at <= windowSeconds * 1000) sum += one.amount;
            expect(sum).toBeLessThanOrEqual(max);
          }
        },
      ),
      { numRuns: 300 * RUNS },
    );
  });

  it('[POL-SLIDING] capacity is back after the window and one sixtieth of it', () => {
    fc.assert(
      fc.property(fc.nat(10_000_000), fc.constantFrom(1, 7, 60, 3600, 86_400), (offset, windowSeconds) => {
        const state = emptyWindow();
        const one = charge({ windowSeconds, max: 1 });
        const now = START + offset;
        const length = windowSeconds * 1000;
        expect(chargeWindow(one, state, now).ok).toBe(true);
        expect(lookWindow(one, state, now + length).free).toBe(false);
        expect(lookWindow(one, state, now + Math.ceil(length + length / 60)).free).toBe(true);
      }),
      { numRuns: 300 * RUNS },
    );
  });

  it('[POL-RETRY] the retry time is exact: one millisecond earlier is too early', () => {
    fc.assert(
      fc.property(arrivals, fc.constantFrom(7, 60), fc.integer({ min: 1, max: 6 }), (list, windowSeconds, max) => {
        const state = emptyWindow();
        let now = START;
        for (const { gap, amount } of list) {
          now += gap;
          const one = charge({ windowSeconds, max, amount });
          const looked = lookWindow(one, state, now);
          const result = chargeWindow(one, state, now);
          expect(result.ok).toBe(looked.free);
          if (result.ok) continue;
          expect(result).toEqual({ ok: false, used: looked.used, retryAfterMs: looked.retryAfterMs });
          if (amount > max) {
            expect(result.retryAfterMs).toBe(Number.POSITIVE_INFINITY);
            continue;
          }
          expect(lookWindow(one, state, now + result.retryAfterMs).free).toBe(true);
          expect(lookWindow(one, state, now + result.retryAfterMs - 1).free).toBe(false);
        }
      }),
      { numRuns: 200 * RUNS },
    );
  });

  it('[POL-CLOCK] a clock that steps back gives nothing back', () => {
    const state = emptyWindow();
    const one = charge({ max: 1 });
    expect(chargeWindow(one, state, START).ok).toBe(true);
    for (const back of [1, 60_000, 86_400_000]) {
      const result = chargeWindow(one, state, START - back);
      expect(result).toMatchObject({ ok: false, used: 1 });
      expect(isIdle(one, state, START - back)).toBe(false);
    }
    expect(lookWindow(one, state, START + 61_000).free).toBe(true);
  });

  it('[POL-CLOCK] what is charged while the clock is behind counts as of the last time recorded', () => {
    const state = emptyWindow();
    const one = charge({ max: 2 });
    const first = chargeWindow(one, state, START);
    const second = chargeWindow(one, state, START - 50_000);
    expect(first.ok && second.ok && second.slice === first.slice).toBe(true);
    expect(lookWindow(one, state, START + 59_999).used).toBe(2);
    expect(chargeWindow(one, state, START + 59_999).ok).toBe(false);
  });

  it('[POL-RELEASE] a released unit goes back to its own slice and never below zero', () => {
    const state = emptyWindow();
    const one = charge({ max: 2, amount: 2 });
    const first = chargeWindow(one, state, START);
    expect(first.ok && chargeWindow(one, state, START).ok).toBe(false);
    if (!first.ok) throw new Error('not charged');
    releaseWindow(one, state, first.slice);
    expect(lookWindow(one, state, START).used).toBe(0);
    releaseWindow(one, state, first.slice);
    expect(lookWindow(one, state, START).used).toBe(0);
    const second = chargeWindow(one, state, START + 600_000);
    releaseWindow(one, state, first.slice);
    expect(second.ok && lookWindow(one, state, START + 600_000).used).toBe(2);
  });

  it('keeps at most 61 slices, survives JSON, and is idle when nothing counts', () => {
    let state: WindowState = emptyWindow();
    const one = charge({ max: 1_000_000 });
    for (let i = 0; i < 5000; i++) {
      chargeWindow(one, state, START + i * 137);
      state = JSON.parse(JSON.stringify(state)) as WindowState;
    }
    expect(state.slices.length).toBeLessThanOrEqual(61);
    const end = START + 5000 * 137;
    expect(isIdle(one, state, end)).toBe(false);
    expect(isIdle(one, state, end + 62_000)).toBe(true);
  });
});

const ZONES = ['Europe/Berlin', 'America/New_York', 'Australia/Lord_Howe', 'America/St_Johns', 'Asia/Beirut'];

describe('calendar windows', () => {
  it('[POL-CALENDAR] never more than max in one period of the zone, across daylight saving and a clock that steps', () => {
    const instants = fc.array(
      fc.tuple(
        fc.constantFrom('2026-03-28', '2026-10-24', '2026-10-31', '2026-04-04', '2026-03-07'),
        fc.nat(4 * 86_400_000),
      ),
      { minLength: 5, maxLength: 60 },
    );
    fc.assert(
      fc.property(
        instants,
        fc.constantFrom(...ZONES),
        fc.constantFrom<CalendarUnit>('hour', 'day', 'week', 'month'),
        fc.boolean(),
        (list, timezone, unit, ordered) => {
          const times = list.map(([day, ms]) => Date.parse(`${day}T00:00:00Z`) + ms);
          if (ordered) times.sort((a, b) => a - b);
          const state = emptyWindow();
          const one = charge({ align: 'calendar', unit, timezone, max: 2 });
          const counts = new Map<number, number>();
          for (const now of times) {
            const result = chargeWindow(one, state, now);
            if (!result.ok) continue;
            const { start, end } = calendarPeriod(now, unit, zoneOf(timezone));
            expect(result.slice).toBeGreaterThanOrEqual(start);
            if (now >= result.slice && now < end) expect(result.slice).toBe(start);
            counts.set(result.slice, (counts.get(result.slice) ?? 0) + 1);
          }
          for (const count of counts.values()) expect(count).toBeLessThanOrEqual(2);
          expect([...counts.keys()]).toEqual([...counts.keys()].sort((a, b) => a - b));
        },
      ),
      { numRuns: 150 * RUNS },
    );
  });

  const CHANGES: Readonly<Record<string, readonly string[]>> = {
    'Europe/Berlin': ['2026-03-29', '2026-10-25', '2027-01-01'],
    // Half an hour.
    'Australia/Lord_Howe': ['2026-04-05', '2026-10-04', '2026-05-01'],
    // At midnight: skipped in spring, and 23 o'clock twice in autumn.
    'America/Sao_Paulo': ['2018-02-18', '2018-11-04', '2019-02-17'],
  };

  it('[POL-CALENDAR] exactly max a day, a week, a month of the zone, by the dates that Intl gives', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...Object.keys(CHANGES)),
        fc.constantFrom<CalendarUnit>('day', 'week', 'month'),
        fc.nat(2),
        fc.integer({ min: 1, max: 4 }),
        fc.array(fc.oneof(fc.nat(1_800_000), fc.nat(8 * 3_600_000)), { minLength: 10, maxLength: 80 }),
        (timezone, unit, change, max, gaps) => {
          const dates = new Intl.DateTimeFormat('en-CA', { timeZone: timezone, dateStyle: 'short' });
          const periodOf = (at: number): string => {
            const date = dates.format(at);
            if (unit === 'day') return date;
            if (unit === 'month') return date.slice(0, 7);
            const day = Date.parse(`${date}T00:00:00Z`) / 86_400_000;
            return `week ${Math.floor((day + 3) / 7)}`;
          };
          const state = emptyWindow();
          const one = charge({ align: 'calendar', unit, timezone, max });
          let now = Date.parse(`${CHANGES[timezone]![change]!}T00:00:00Z`) - 60 * 3_600_000;
          const arrived = new Map<string, number>();
          const accepted = new Map<string, number>();
          for (const gap of gaps) {
            now += gap;
            const period = periodOf(now);
            arrived.set(period, (arrived.get(period) ?? 0) + 1);
            if (chargeWindow(one, state, now).ok) accepted.set(period, (accepted.get(period) ?? 0) + 1);
          }
          for (const [period, count] of arrived)
            expect([period, accepted.get(period)]).toEqual([period, Math.min(max, count)]);
        },
      ),
      { numRuns: 200 * RUNS },
    );
  });

  it('[POL-SLIDING] gives the whole capacity back to a counter that was idle for a window and a sixtieth', () => {
    fc.assert(
      fc.property(arrivals, fc.constantFrom(1, 7, 60, 3600), fc.integer({ min: 1, max: 8 }), (list, seconds, max) => {
        const state = emptyWindow();
        let now = START;
        for (const { gap, amount } of list) {
          now += gap;
          chargeWindow(charge({ windowSeconds: seconds, max, amount }), state, now);
        }
        now += Math.ceil((seconds * 1000 * 61) / 60);
        expect(isIdle(charge({ windowSeconds: seconds, max }), state, now)).toBe(true);
        expect(chargeWindow(charge({ windowSeconds: seconds, max, amount: max }), state, now).ok).toBe(true);
      }),
      { numRuns: 200 * RUNS },
    );
  });

  it('[POL-CALENDAR] days have 23 and 25 hours where the clocks change', () => {
    const hours = (at: string, zone: string): number => {
      const { start, end } = calendarPeriod(Date.parse(at), 'day', zoneOf(zone));
      return (end - start) / 3_600_000;
    };
    expect(hours('2026-03-29T12:00:00Z', 'Europe/Berlin')).toBe(23);
    expect(hours('2026-10-25T12:00:00Z', 'Europe/Berlin')).toBe(25);
    expect(hours('2026-03-08T12:00:00Z', 'America/New_York')).toBe(23);
    expect(hours('2026-11-01T12:00:00Z', 'America/New_York')).toBe(25);
    expect(hours('2026-04-04T18:00:00Z', 'Australia/Lord_Howe')).toBe(24.5);
    // Havana has its midnight twice: the day begins at the first.
    expect(hours('2026-11-01T12:00:00Z', 'America/Havana')).toBe(25);
    // Beirut skips its midnight: the day begins at one o'clock.
    expect(hours('2026-03-29T12:00:00Z', 'Asia/Beirut')).toBe(23);
    expect(hours('2026-06-15T12:00:00Z', 'UTC')).toBe(24);
  });

  it('[POL-CALENDAR] periods partition time and begin at local midnight, Monday, the first', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: Date.parse('2001-01-01'), max: Date.parse('2040-01-01') }),
        fc.constantFrom(...ZONES, 'UTC', 'Pacific/Apia', 'America/Havana', 'America/Sao_Paulo'),
        fc.constantFrom<CalendarUnit>('day', 'week', 'month'),
        (at, name, unit) => {
          const zone = zoneOf(name);
          const period = calendarPeriod(at, unit, zone);
          expect(period.start).toBeLessThanOrEqual(at);
          expect(period.end).toBeGreaterThan(at);
          expect(calendarPeriod(period.start, unit, zone)).toEqual(period);
          expect(calendarPeriod(period.end - 1, unit, zone)).toEqual(period);
          expect(calendarPeriod(period.end, unit, zone).start).toBe(period.end);
          const local = localTime(period.start, zone);
          expect(local.hour).toBeLessThanOrEqual(1);
          if (unit === 'week') expect(local.weekday).toBe(1);
          if (unit === 'month') expect(local.date.endsWith('-01')).toBe(true);
        },
      ),
      { numRuns: 300 * RUNS },
    );
  });

  it('[POL-RETRY] says when the next period begins, and never counts backwards', () => {
    const state = emptyWindow();
    const one = charge({ align: 'calendar', unit: 'day', timezone: 'Europe/Berlin', max: 1 });
    const noon = Date.parse('2026-10-25T11:00:00Z');
    expect(chargeWindow(one, state, noon).ok).toBe(true);
    const denied = chargeWindow(one, state, noon);
    expect(denied).toEqual({ ok: false, used: 1, retryAfterMs: Date.parse('2026-10-25T23:00:00Z') - noon });
    expect(chargeWindow(one, state, noon - 2 * 86_400_000)).toMatchObject({ ok: false, used: 1 });
    expect(chargeWindow(one, state, noon + 12 * 3_600_000).ok).toBe(true);
    expect(chargeWindow(one, state, noon)).toMatchObject({ ok: false, used: 1 });
  });

  it('knows IANA zones only', () => {
    expect(['UTC', 'Europe/Berlin', 'Etc/GMT+5'].every(isZone)).toBe(true);
    expect(['+02:00', 'Mars/Olympus', '', '../etc'].some(isZone)).toBe(false);
  });
});
