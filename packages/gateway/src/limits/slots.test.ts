import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Slots } from './slots.ts';

describe('Slots', () => {
  it('[POL-CONCURRENT] lets as many in as max says, and says when the first of them ends at the latest', () => {
    const slots = new Slots();
    expect(slots.take('k', 'a', 2, 300, 0)).toEqual({ free: true });
    expect(slots.take('k', 'b', 2, 200, 0)).toEqual({ free: true });
    expect(slots.take('k', 'c', 2, 900, 50)).toEqual({ free: false, used: 2, freeWithinMs: 150 });
    expect(slots.take('other', 'c', 2, 900, 50)).toEqual({ free: true });
    expect(slots.size).toBe(3);
  });

  it('[POL-CONCURRENT] frees a slot once, and only of the call that holds it', () => {
    const slots = new Slots();
    slots.take('k', 'a', 1, 300, 0);
    expect([slots.free('k', 'b'), slots.free('other', 'a'), slots.free('k', 'a'), slots.free('k', 'a')]).toEqual([
      false,
      false,
      true,
      false,
    ]);
    expect(slots.size).toBe(0);
  });

  it('[POL-CONCURRENT, LIM-RESTART] what is inherited holds until its deadline, in any number', () => {
    const slots = new Slots();
    slots.inherit([
      { id: 'a', deadline: 100, keys: ['k', 'l'] },
      { id: 'b', deadline: 200, keys: ['k'] },
    ]);
    expect(slots.look('k', 1, 0)).toEqual({ free: false, used: 2, freeWithinMs: 100 });
    expect(slots.look('k', 1, 100)).toEqual({ free: false, used: 1, freeWithinMs: 100 });
    expect(slots.look('l', 1, 100)).toEqual({ free: true });
    expect(slots.look('k', 1, 200)).toEqual({ free: true });
    expect(slots.size).toBe(0);
  });

  it('[LIM-MEMORY] drops what ended by itself, a few limits at a time', () => {
    const slots = new Slots();
    for (let i = 0; i < 50; i++) slots.take(`k${i}`, 'a', 1, i < 25 ? 100 : 900, 0);
    for (let i = 0; i < 20; i++) slots.sweep(100, 4);
    expect(slots.size).toBe(25);
  });

  it('[POL-CONCURRENT] answers as a plain list of holders does', () => {
    const step = fc.record({
      wait: fc.nat(40),
      key: fc.constantFrom('k', 'l'),
      length: fc.integer({ min: 1, max: 100 }),
      max: fc.integer({ min: 1, max: 4 }),
      free: fc.option(fc.nat(), { nil: undefined }),
      sweep: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const slots = new Slots();
        let list: { key: string; id: string; until: number }[] = [];
        let now = 0;
        for (const [i, { wait, key, length, max, free, sweep }] of steps.entries()) {
          now += wait;
          list = list.filter(({ until }) => until > now);
          const own = list.filter((one) => one.key === key);
          if (sweep) slots.sweep(now, 1);
          const taken = slots.take(key, `c${i}`, max, now + length, now);
          expect(taken.free).toBe(own.length < max);
          if (taken.free) list.push({ key, id: `c${i}`, until: now + length });
          else {
            const first = Math.min(...own.map(({ until }) => until));
            expect(taken).toEqual({ free: false, used: own.length, freeWithinMs: first - now });
          }
          const ended = free === undefined ? undefined : list[free % Math.max(1, list.length)];
          if (ended === undefined) continue;
          expect(slots.free(ended.key, ended.id)).toBe(true);
          list = list.filter((one) => one !== ended);
        }
      }),
    );
  });
});
