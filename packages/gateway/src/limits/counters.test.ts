// What counters promise, whichever store they are in. Those in SQLite are asked through two "processes" in turn.
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import type { Receipt } from './counters.ts';
import {
  Callers,
  memoryCounters,
  newCall,
  slotCharge,
  sqliteCounters,
  type TestCounters,
  windowCharge,
} from './counters-testing.ts';

const RUNS = Number(process.env.FC_RUNS ?? 1);
const KINDS: [string, (maxCounters?: number) => TestCounters][] = [
  ['memory', memoryCounters],
  ['sqlite', sqliteCounters],
];

describe.each(KINDS)('counters in %s', (_, make) => {
  const open: TestCounters[] = [];
  afterEach(async () => {
    for (const one of open.splice(0)) await one.close();
  });
  function ready(maxCounters?: number) {
    const counters = make(maxCounters);
    open.push(counters);
    const { clocks } = counters;
    return { counters, clocks, callers: new Callers(counters), pass: (ms: number) => clocks.pass(ms) };
  }
  const held = (counters: TestCounters): number => Math.max(...counters.processes.map((each) => each.stats().counters));

  it('[LIM-MAX] count up to max, name the limit that denies, and say when a retry can pass', async () => {
    const { callers, pass } = ready();
    for (let i = 0; i < 3; i++) expect(await callers.passes(windowCharge('a', 3))).toBe(true);
    const denied = await callers.reserve(windowCharge('a', 3));
    expect(denied).toMatchObject({ ok: false, charge: { key: 'a' }, used: 3 });
    if (denied.ok) return;
    pass(denied.retryAfterMs - 1);
    expect(await callers.passes(windowCharge('a', 3))).toBe(false);
    pass(1);
    expect(await callers.passes(windowCharge('a', 3))).toBe(true);
  });

  it('[LIM-ATOMIC] reserve all limits of a call or none, windows and slots', async () => {
    const { callers } = ready();
    const narrow = windowCharge('narrow', 1);
    expect(await callers.passes(narrow)).toBe(true);
    for (let i = 0; i < 5; i++) {
      const denied = await callers.reserve(windowCharge('wide', 2), slotCharge('slots', 1), narrow);
      expect(denied).toMatchObject({ ok: false, charge: { key: 'narrow' } });
    }
    expect(await callers.passes(slotCharge('slots', 1), windowCharge('wide', 2))).toBe(true);
    expect(await callers.reserve(windowCharge('wide', 2), slotCharge('slots', 1))).toMatchObject({
      ok: false,
      charge: { key: 'slots' },
    });
    expect(await callers.passes(windowCharge('wide', 2))).toBe(true);
    expect(await callers.reserve(windowCharge('wide', 2))).toMatchObject({ ok: false, used: 2 });
  });

  it('[LIM-ATOMIC] take back what they counted when two charges of a call do not fit into one counter together', async () => {
    const { callers } = ready();
    const two = windowCharge('a', 3, { amount: 2 });
    expect(await callers.reserve(slotCharge('s', 1), two, two)).toMatchObject({ ok: false });
    expect(await callers.passes(slotCharge('s', 1), windowCharge('a', 3, { amount: 3 }))).toBe(true);
  });

  it('name the first limit that denies, with the wait after which all of them pass', async () => {
    const { callers } = ready();
    const charges = [
      slotCharge('slot', 1),
      windowCharge('minute', 1),
      windowCharge('hour', 1, { windowSeconds: 3600 }),
    ];
    await callers.reserve(...charges);
    const denied = await callers.reserve(...charges);
    expect(denied).toMatchObject({ ok: false, charge: { key: 'slot' }, used: 1, freeWithinMs: 600_000 });
    if (!denied.ok) expect(denied.retryAfterMs).toBeGreaterThan(3_500_000);
  });

  it('look without counting', async () => {
    const { callers, clocks } = ready();
    const charges = [windowCharge('a', 1), slotCharge('s', 1)];
    for (let i = 0; i < 5; i++) expect(await callers.next.look(charges, clocks.wall)).toEqual({ ok: true });
    expect(await callers.passes(...charges)).toBe(true);
    expect(await callers.next.look(charges, clocks.wall)).toMatchObject({ ok: false, charge: { key: 'a' }, used: 1 });
    expect(await callers.next.look(charges.slice(1), clocks.wall)).toMatchObject({ ok: false, retryAfterMs: 1000 });
  });

  it('[LIM-RELEASE] give a reservation back once, slots included', async () => {
    const { callers, counters } = ready();
    const charges = [windowCharge('a', 2), slotCharge('s', 2)];
    const process = callers.next;
    const first = await process.reserve(charges, counters.clocks.wall, newCall(counters.clocks));
    await callers.receipt(...charges);
    if (!first.ok) throw new Error('denied');
    await process.release(first.receipt);
    await process.release(first.receipt);
    expect(await callers.passes(...charges)).toBe(true);
    expect(await callers.passes(charges[0]!)).toBe(false);
    expect(await callers.passes(charges[1]!)).toBe(false);
    expect(process.stats().released).toBe(1);
  });

  it('[POL-CONCURRENT] hold a slot until it is freed, once, while the units of windows stay counted', async () => {
    const { callers, pass } = ready();
    const charges = [windowCharge('a', 9), slotCharge('s', 2)];
    const receipts = [await callers.receipt(...charges), await callers.receipt(...charges)];
    expect(await callers.reserve(...charges)).toMatchObject({ ok: false, charge: { key: 's' }, used: 2 });
    pass(300_000);
    expect(await callers.passes(...charges)).toBe(false);
    await callers.next.free(receipts[0]!);
    await callers.next.free(receipts[0]!);
    expect(await callers.passes(...charges)).toBe(true);
    expect(await callers.passes(...charges)).toBe(false);
  });

  it('[POL-CONCURRENT] free a slot at the deadline of its call when nobody else does, not before', async () => {
    const { callers, pass } = ready();
    await callers.receipt(slotCharge('s', 1));
    pass(599_999);
    expect(await callers.reserve(slotCharge('s', 1))).toMatchObject({ ok: false, retryAfterMs: 1, freeWithinMs: 1 });
    pass(1);
    expect(await callers.passes(slotCharge('s', 1))).toBe(true);
  });

  it('[POL-CONCURRENT] a smaller max holds for those who come, and ends nobody who is under way', async () => {
    const { callers } = ready();
    const receipts: Receipt[] = [];
    for (let i = 0; i < 3; i++) receipts.push(await callers.receipt(slotCharge('s', 3)));
    expect(await callers.reserve(slotCharge('s', 2))).toMatchObject({ ok: false, used: 3 });
    for (const receipt of receipts.slice(0, 2)) await callers.next.free(receipt);
    expect(await callers.passes(slotCharge('s', 2))).toBe(true);
    expect(await callers.passes(slotCharge('s', 2))).toBe(false);
  });

  it('a slot without a call to hold it is a fault', () => {
    const { counters, clocks } = ready();
    expect(() => counters.processes[0]?.reserve([slotCharge('s', 1)], clocks.wall)).toThrow(TypeError);
  });

  it('[LIM-CLOCK] free nothing when the wall clock steps, neither forward nor back', async () => {
    const { callers, clocks, pass } = ready();
    const daily = windowCharge('day', 1, { align: 'calendar', unit: 'day', windowSeconds: 86_400 });
    expect(await callers.passes(windowCharge('a', 1), slotCharge('s', 1), daily)).toBe(true);
    clocks.wall += 3_600_000;
    expect(await callers.passes(windowCharge('a', 1))).toBe(false);
    expect(await callers.passes(slotCharge('s', 1))).toBe(false);
    clocks.wall += 86_400_000;
    expect(await callers.passes(daily)).toBe(true);
    clocks.wall -= 86_400_000;
    expect(await callers.reserve(daily)).toMatchObject({ ok: false, used: 1 });
    expect(await callers.passes(windowCharge('a', 1))).toBe(false);
    pass(62_000);
    expect(await callers.passes(windowCharge('a', 1))).toBe(true);
  });

  it('[LIM-CLOCK] let no counter of a past day be forgotten and begun anew', async () => {
    const { callers, clocks } = ready();
    const daily = windowCharge('day', 1, { align: 'calendar', unit: 'day', windowSeconds: 86_400 });
    expect(await callers.passes(daily)).toBe(true);
    clocks.wall += 86_400_000;
    for (let i = 0; i < 20; i++) await callers.passes(windowCharge(`sweep ${i}`, 1));
    clocks.wall -= 86_400_000;
    // The day that began cannot be taken back, so this counts for the later one.
    expect(await callers.passes(daily)).toBe(true);
    expect(await callers.passes(daily)).toBe(false);
    clocks.wall += 86_400_000;
    expect(await callers.reserve(daily)).toMatchObject({ ok: false, used: 1 });
  });

  it('[LIM-MEMORY] drop what counts nothing any more, a few with each reservation', async () => {
    const { callers, counters, pass } = ready();
    for (let i = 0; i < 40; i++) await callers.passes(windowCharge(`old ${i}`, 1), slotCharge(`slot ${i}`, 1));
    expect(held(counters)).toBe(80);
    pass(600_000);
    for (let i = 0; i < 60; i++) await callers.passes(windowCharge('new', 100));
    await callers.passes(windowCharge('new', 100));
    expect(Math.min(...counters.processes.map((each) => each.stats().counters))).toBe(1);
  });

  it('[LIM-MEMORY] refuse a new counter or slot when there is no room, and drop none that counts', async () => {
    const { callers, pass } = ready(10);
    for (let i = 0; i < 5; i++) await callers.passes(windowCharge(`c${i}`, 1), slotCharge(`s${i}`, 2));
    await expect(callers.reserve(windowCharge('one too many', 1))).rejects.toThrow(/10 limit counters/);
    await expect(callers.reserve(slotCharge('s0', 2))).rejects.toThrow(/10 limit counters/);
    expect(await callers.passes(windowCharge('c3', 1))).toBe(false);
    pass(62_000);
    expect(await callers.passes(windowCharge('one too many', 1))).toBe(true);
  });

  it('[LIM-MEMORY] make room of slots that ended by themselves, wherever they stand', async () => {
    const { callers, clocks, pass } = ready(10);
    for (let i = 0; i < 10; i++) {
      const call = newCall(clocks, i < 9 ? 600_000 : 1_000);
      expect(await callers.next.reserve([slotCharge(`s${i}`, 1)], clocks.wall, call)).toMatchObject({ ok: true });
    }
    await expect(callers.reserve(slotCharge('one too many', 1))).rejects.toThrow(/10 limit counters/);
    pass(1_000);
    expect(await callers.passes(slotCharge('t', 1))).toBe(true);
    await expect(callers.reserve(windowCharge('one too many', 1))).rejects.toThrow(/10 limit counters/);
  });

  it('[P4, LIM-PROCESSES] never pass max, whatever comes when and where, against a log of its own', async () => {
    const step = fc.record({
      wait: fc.oneof(fc.nat(3), fc.nat(2000), fc.nat(90_000)),
      jump: fc.oneof({ weight: 5, arbitrary: fc.constant(0) }, fc.integer({ min: -200_000, max: 200_000 })),
      amounts: fc.tuple(fc.nat(4), fc.nat(4)),
      both: fc.boolean(),
      slot: fc.boolean(),
      deadline: fc.constantFrom(1_000, 60_000, 600_000),
      next: fc.constantFrom('release', 'free', 'run', 'run', 'end one'),
    });
    const counters = make();
    open.push(counters);
    const { clocks, processes } = counters;
    let run = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(step, fc.nat()), { minLength: 1, maxLength: 60 }),
        fc.boolean(),
        async (steps, jumps) => {
          run += 1;
          const limits = [
            { key: `${run} ten`, max: 5, windowSeconds: 10 },
            { key: `${run} minute`, max: 8, windowSeconds: 60 },
          ];
          const log: { key: string; at: number; amount: number }[] = [];
          let running: { receipt: Receipt; until: number }[] = [];
          for (const [{ wait, jump, amounts, both, slot, deadline, next }, pick] of steps) {
            clocks.pass(wait);
            if (jumps) clocks.wall += jump;
            running = running.filter(({ until }) => until > clocks.monotonic);
            const process = processes[pick % processes.length]!;
            const charges = limits
              .slice(0, both ? 2 : 1)
              .map(({ key, max, windowSeconds }, index) =>
                windowCharge(key, max, { windowSeconds, amount: amounts[index] ?? 0 }),
              );
            const all = slot ? [...charges, slotCharge(`${run} slot`, 3)] : charges;
            const result = await process.reserve(all, clocks.wall, newCall(clocks, deadline));
            if (!result.ok) {
              // Nothing is denied without need, as long as no clock steps.
              if (!jumps && result.charge.kind === 'slot') expect(running).toHaveLength(3);
              continue;
            }
            if (next === 'release') {
              await process.release(result.receipt);
              continue;
            }
            for (const each of charges) log.push({ key: each.key, at: clocks.monotonic, amount: each.amount });
            if (slot) running.push({ receipt: result.receipt, until: clocks.monotonic + deadline });
            expect(running.length).toBeLessThanOrEqual(3);
            if (next === 'free' && slot) await process.free(running.pop()!.receipt);
            if (next === 'end one' && running.length > 0) {
              const [ended] = running.splice(pick % running.length, 1);
              await processes[pick % processes.length]!.free(ended!.receipt);
            }
          }
          for (const { key, max, windowSeconds } of limits) {
            const own = log.filter((entry) => entry.key === key);
            for (const { at } of own) {
              const inSpan = own.filter((entry) => entry.at >= at && entry.at <= at + windowSeconds * 1000);
              expect(inSpan.reduce((sum, { amount }) => sum + amount, 0)).toBeLessThanOrEqual(max);
            }
          }
        },
      ),
      { numRuns: 60 * RUNS },
    );
  });
});
