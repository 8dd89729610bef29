import type { Charge } from '@gatehouse/policy';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Receipt } from './counters.ts';
import { MemoryCounters } from './memory.ts';
import { recoverCounters } from './recover.ts';

const START = Date.parse('2026-11-02T10:00:00Z');

const charge = (counter: string, max: number, amount: number, align: 'sliding' | 'calendar'): Charge => ({
  key: `["${counter}"]`,
  counter,
  windowSeconds: align === 'sliding' ? 600 : 86_400,
  align,
  ...(align === 'calendar' ? { unit: 'day' as const } : {}),
  timezone: 'UTC',
  max,
  amount,
  pointer: '/tools/t/limits/0',
  scope: 'grant',
});

/** The records of one call, as the log writes what matters here. */
function intent(id: string, time: number, receipt: Receipt): string {
  const limits = receipt.charges.map((one) => ({ key: one.charge.key, units: one.charge.amount, slice: one.slice }));
  const record = {
    kind: 'intent',
    time: new Date(time).toISOString(),
    request_id: id,
    decision: { outcome: 'allow', limits },
  };
  return JSON.stringify(record);
}

function outcome(id: string, said: string): string {
  return JSON.stringify({ kind: 'outcome', time: '', request_id: id, decision: { outcome: said } });
}

async function* each(lines: readonly string[]): AsyncGenerator<string> {
  yield* lines;
}

async function restarted(lines: readonly string[], clock: () => number): Promise<MemoryCounters> {
  const counters = new MemoryCounters({ monotonic: clock });
  counters.inherit((await recoverCounters(each(lines), clock())).states);
  return counters;
}

describe('counters after a restart', () => {
  it('[P4, LIM-RESTART] answer as the counters that were lost would have, whenever the process ended', async () => {
    const step = fc.record({
      wait: fc.integer({ min: 0, max: 200_000 }),
      counter: fc.constantFrom('a', 'b'),
      amount: fc.integer({ min: 1, max: 3 }),
      sent: fc.boolean(),
      answered: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), fc.nat(700_000), async (steps, later) => {
        let now = START;
        const before = new MemoryCounters({ monotonic: () => now });
        const lines: string[] = ['{"kind":"start"}'];
        for (const [index, { wait, counter, amount, sent, answered }] of steps.entries()) {
          now += wait;
          const charges = [charge(counter, 12, amount, 'sliding'), charge(`day-${counter}`, 40, amount, 'calendar')];
          const result = before.reserve(charges, now);
          if (!result.ok) continue;
          lines.push(intent(`r${index}`, now, result.receipt));
          if (!sent) before.release(result.receipt);
          if (!sent || answered) lines.push(outcome(`r${index}`, sent ? 'allow' : 'not_sent'));
        }
        now += later;
        const after = await restarted(lines, () => now);
        for (const counter of ['a', 'b']) {
          for (const one of [charge(counter, 12, 1, 'sliding'), charge(`day-${counter}`, 40, 1, 'calendar')]) {
            for (let call = 0; call < 50; call++)
              expect(after.reserve([one], now).ok).toBe(before.reserve([one], now).ok);
          }
        }
      }),
      { numRuns: 60 },
    );
  });

  it('[LIM-RESTART] passes over what no window reaches any more', async () => {
    const counters = new MemoryCounters({ monotonic: () => START });
    const result = counters.reserve([charge('a', 1, 1, 'sliding')], START);
    if (!result.ok) throw new Error('not reserved');
    const late = START + 40 * 86_400_000;
    expect((await recoverCounters(each([intent('r', START, result.receipt)]), late)).states).toEqual(new Map());
  });

  it('[LIM-RESTART] passes over damaged records, counts them, and keeps all others', async () => {
    const counters = new MemoryCounters({ monotonic: () => START });
    const result = counters.reserve([charge('a', 9, 2, 'sliding')], START);
    if (!result.ok) throw new Error('not reserved');
    const damaged = [
      '{"kind":"intent","decision":{"limits":[ broken',
      '{"kind":"intent","decision":{"limits":[null]}}',
    ];
    const lines = [...damaged, intent('r', START, result.receipt), '\0\0"limits":[\0'];
    const { states, unreadable } = await recoverCounters(each(lines), START);
    expect(unreadable).toBe(3);
    expect([...states.values()].map((state) => state.units)).toEqual([[2]]);
  });

  it('[POL-CONCURRENT, LIM-RESTART] names the calls that may still run, with their slots and deadlines', async () => {
    const deadline = START + 600_000;
    const slot = { key: 's', units: 1, slot: true };
    const began = (id: string, limits: object[] = [slot], until = deadline) =>
      JSON.stringify({
        kind: 'intent',
        time: new Date(START).toISOString(),
        request_id: id,
        decision: { outcome: 'allow', limits, deadline: new Date(until).toISOString() },
      });
    const lines = [
      ...['open', 'answered', 'not sent', 'held'].map((id) => began(id)),
      began('without slots', [{ key: 'w', units: 1, slice: 7 }]),
      began('past', [slot], START),
      began('two', [slot, { ...slot, key: 't' }]),
      outcome('answered', 'allow'),
      outcome('not sent', 'not_sent'),
      JSON.stringify({
        kind: 'outcome',
        time: '',
        request_id: 'held',
        decision: { outcome: 'unknown' },
        detail: { slots: 'held' },
      }),
    ];
    expect((await recoverCounters(each(lines), START)).openCalls).toEqual([
      { id: 'open', deadline, keys: ['s'] },
      { id: 'held', deadline, keys: ['s'] },
      { id: 'two', deadline, keys: ['s', 't'] },
    ]);
  });
});
