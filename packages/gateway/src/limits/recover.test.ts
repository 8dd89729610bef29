import { appendFileSync, mkdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { verifyAuditLog } from '@gatehouse/verify';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { planRecovery, segmentsNeeded } from '../audit/needed.ts';
import type { LimitRecord } from '../audit/record.ts';
import { outcome, testLog } from '../audit/testing.ts';
import { CountersJournal } from './journal.ts';
import { Ledger } from './ledger.ts';
import { recoverLimits } from './recover.ts';
import {
  type CallEnd,
  charge,
  type Fault,
  live,
  recoveredAndReplayed,
  START,
  type StoredCall,
  valuesOf,
  World,
} from './testing.ts';

const RUNS = Number(process.env.FC_RUNS ?? 1);

async function expectSameAsReplay(world: World): Promise<number> {
  const { recovered, replayed, spared } = await recoveredAndReplayed(world.auditDir, world.wall());
  expect(recovered).toEqual(replayed);
  return spared;
}

const callStep = fc.record({
  do: fc.constant('calls' as const),
  wait: fc.oneof(fc.nat(50), fc.nat(20_000), fc.nat(200_000)),
  jump: fc.oneof({ weight: 8, arbitrary: fc.constant(0) }, fc.integer({ min: -7_200_000, max: 7_200_000 })),
  fault: fc.oneof(
    { weight: 8, arbitrary: fc.constant(undefined) },
    fc.constantFrom<Fault>('write', 'short', 'sync', 'part'),
  ),
  calls: fc.array(
    fc.record({
      counter: fc.constantFrom('a', 'b', 'c'),
      amount: fc.integer({ min: 1, max: 3 }),
      end: fc.constantFrom<CallEnd>('answered', 'answered', 'not sent', 'nothing recorded'),
      durable: fc.boolean(),
    }),
    { maxLength: 6 },
  ),
});
const endStep = fc.record({
  do: fc.constantFrom('die' as const, 'stop' as const),
  down: fc.oneof(fc.nat(1000), fc.nat(400_000)),
  /** The wall clock is set back while nothing runs; set forward, nobody could tell that from time passed. */
  back: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, fc.nat(3_600_000)),
  torn: fc.nat(20),
});
const step = fc.oneof({ weight: 5, arbitrary: callStep }, { weight: 1, arbitrary: endStep });
const steps = fc.array(step, { minLength: 5, maxLength: 40 });

const LIMITS = { sliding: 14, minute: 6, day: 60 };

const COUNTERS = ['a', 'b', 'c'] as const;
type Step<T> = T extends fc.Arbitrary<infer V> ? V : never;

async function calls(world: World, step: Step<typeof callStep>): Promise<void> {
  world.now += step.wait;
  world.step += step.jump;
  if (step.fault !== undefined) world.fail(step.fault);
  const made = step.calls.map(({ counter, amount, end, durable }) =>
    world.call(
      [
        charge(counter, LIMITS.sliding, amount, 'sliding'),
        charge(`${counter}-minute`, LIMITS.minute, amount, 60),
        charge(`${counter}-day`, LIMITS.day, amount, 'day'),
      ],
      end,
      durable ? 'power' : 'process',
    ),
  );
  await Promise.all(made);
  await turn();
  world.tick();
  await turn();
}

async function end(world: World, step: Step<typeof endStep>): Promise<void> {
  if (step.do === 'stop') await world.stop();
  else {
    world.die();
    await turn();
    const last = world.segments().at(-1) as string;
    if (step.torn > 0) appendFileSync(world.path(last), '{"v":1,"stream":"calls","torn'.slice(0, step.torn));
  }
  world.now += step.down;
  world.step -= step.back;
}

/** The most units of one counter in any span of this length, both ends included. */
function most(world: World, key: string, milliseconds: number): number {
  const own = world.executed.filter((call) => call.key === key);
  const spans = own.map(({ at }) =>
    own.reduce((sum, call) => (call.at >= at && call.at - at <= milliseconds ? sum + call.amount : sum), 0),
  );
  return Math.max(0, ...spans);
}

function mostOnADay(world: World, key: string): number {
  const days = Map.groupBy(
    world.executed.filter((call) => call.key === key),
    (call) => call.day,
  );
  return Math.max(0, ...[...days.values()].map((own) => own.reduce((sum, call) => sum + call.amount, 0)));
}

async function history(list: readonly Step<typeof step>[], each: (world: World) => Promise<void>): Promise<World> {
  const world = new World();
  await world.start();
  for (const one of list) {
    if (one.do === 'calls') await calls(world, one);
    else {
      await end(world, one);
      await each(world);
      await world.start();
    }
  }
  world.die();
  await turn();
  await each(world);
  return world;
}

const turn = (): Promise<void> => new Promise(setImmediate);

describe('counters after a restart', () => {
  it('[P4, AUD-COUNTERS] from the last set of counters records are what a replay of everything gives', async () => {
    let spared = 0;
    await fc.assert(
      fc.asyncProperty(steps, async (list) => {
        const { auditDir, publicKey } = await history(list, async (world) => {
          spared += await expectSameAsReplay(world);
        });
        expect((await verifyAuditLog({ dir: auditDir, publicKeys: [{ publicKey }] })).problems).toEqual([]);
      }),
      { numRuns: 8 * RUNS },
    );
    expect(spared).toBeGreaterThan(0);
  });

  it('[P4, LIM-RESTART, LIM-CLOCK] never let max be passed, whatever the clocks and the disk do', async () => {
    await fc.assert(
      fc.asyncProperty(steps, async (list) => {
        const world = await history(list, async () => undefined);
        for (const name of COUNTERS) {
          expect(most(world, charge(name, 0, 0, 'sliding').key, 600_000)).toBeLessThanOrEqual(LIMITS.sliding);
          expect(most(world, charge(`${name}-minute`, 0, 0, 60).key, 60_000)).toBeLessThanOrEqual(LIMITS.minute);
          expect(mostOnADay(world, charge(`${name}-day`, 0, 0, 'day').key)).toBeLessThanOrEqual(LIMITS.day);
        }
      }),
      { numRuns: 8 * RUNS },
    );
  });

  it('[LIM-RESTART] have their whole capacity back one sixtieth of the window after it, however often it starts', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(120_000), { minLength: 1, maxLength: 4 }), async (pauses) => {
        const world = new World();
        await world.start();
        const all = charge('a', 5, 5, 'sliding');
        expect(await world.call([all], 'answered')).toBe(true);
        const used = world.now;
        for (const pause of pauses) {
          await turn();
          world.die();
          world.now += pause;
          await world.start();
          expect(await world.call([charge('a', 5, 1, 'sliding')], 'answered')).toBe(false);
        }
        world.now = used + 610_000;
        expect(await world.call([all], 'answered')).toBe(true);
        world.die();
      }),
      { numRuns: 5 * RUNS },
    );
  });
});

/** A log with several segments and at least one set, and what its counters are. */
async function usedWorld(): Promise<World> {
  const world = new World();
  await world.start();
  for (let i = 0; i < 60; i += 1) {
    world.now += 1000;
    expect(await world.call([charge(`c${i % 7}`, 100, 1, 'sliding')], i % 5 === 0 ? 'not sent' : 'answered')).toBe(
      i % 5 !== 0,
    );
  }
  await turn();
  world.die();
  return world;
}

const recovered = async (world: World): Promise<unknown> => {
  const { ledger } = await recoverLimits(world.auditDir, world.wall());
  return { live: live(valuesOf(ledger), ledger), clock: ledger.clock, open: [...ledger.open.keys()] };
};

describe('what recovery reads', () => {
  it('[AUD-COUNTERS] reads no segment older than the last complete set, and says which ones it needs', async () => {
    const world = await usedWorld();
    const before = await recovered(world);
    const needed = await segmentsNeeded(world.auditDir, world.now);
    const old = world.segments().filter((name) => !needed.has(world.path(name)));
    expect(old.length).toBeGreaterThan(3);
    for (const name of old.slice(1)) rmSync(world.path(name));
    // A folder in its place cannot be read, so that looking into it would fail.
    rmSync(world.path(old[0] as string));
    mkdirSync(world.path(old[0] as string));
    expect(await recovered(world)).toEqual(before);
    const { records, segments } = await recoverLimits(world.auditDir, world.wall());
    expect(segments).toBe(needed.size);
    expect(records).toBeLessThan(40);
  });

  it('[AUD-COUNTERS] a set that is torn, damaged or not finished is not used, the one before it is', async () => {
    const world = await usedWorld();
    const before = await recovered(world);
    const full = world.records().filter((record) => record.counters?.set !== undefined);
    expect(full.length).toBeGreaterThan(1);
    const { seq } = full.at(-1) as StoredCall;
    for (const name of world.segments()) {
      const text = readFileSync(world.path(name), 'utf8');
      // One digit of the last set: the intents before it stand and say the same.
      const damaged = text.replace(new RegExp(`(\\n|^)(.*"seq":${seq},.*"values":\\[\\[".*?",\\[)(\\d)`), '$1$2' + '9');
      if (damaged !== text) writeFileSync(world.path(name), damaged);
    }
    const { records } = await recoverLimits(world.auditDir, world.wall());
    expect(await recovered(world)).toEqual(before);
    for (const name of world.segments()) {
      const text = readFileSync(world.path(name), 'utf8');
      const at = text.indexOf(`"seq":${seq},`);
      if (at < 0) continue;
      truncateSync(world.path(name), at + 30);
      for (const later of world.segments().slice(world.segments().indexOf(name) + 1)) rmSync(world.path(later));
      break;
    }
    const torn = await recoverLimits(world.auditDir, world.wall());
    expect(torn.records).toBeLessThan(records);
    await expectSameAsReplay(world);
  });

  it('[AUD-COUNTERS] a set whose record could not be written begins anew, and says what counts by then', async () => {
    const world = new World();
    await world.start();
    for (let i = 0; i < 30; i += 1) {
      if (i === 5) world.fail('part');
      world.now += 1000;
      const denied = world.limits?.audit.writable === false;
      expect(await world.call([charge('a', 100, 1, 'sliding')], 'answered')).toBe(!denied);
      await turn();
      world.tick();
    }
    world.die();
    const sets = world.records().flatMap(({ counters }) => (counters?.set === undefined ? [] : [counters.set]));
    expect(sets.slice(0, 3)).toEqual([1, 3, 4]);
    expect(await expectSameAsReplay(world)).toBeGreaterThan(20);
  });

  it('[AUD-COUNTERS] a set of many counters takes many records, with calls between them, none of them large', async () => {
    const world = new World({ countersEvery: 5000, maxSegmentBytes: 300_000 });
    await world.start();
    const many = Array.from({ length: 6000 }, (_, i) => world.call([charge(`c${i}`, 9, 1, 3600)], 'answered'));
    await Promise.all(many);
    for (let i = 0; i < 12; i += 1) {
      await world.call([charge(`c${i * 400}`, 9, 1, 3600), charge(`new${i}`, 9, 1, 3600)], 'nothing recorded');
      await turn();
    }
    world.die();
    const parts = world.records().filter((record) => record.counters?.set !== undefined);
    expect(parts.length).toBeGreaterThan(5);
    expect(parts.at(-1)?.counters?.last).toBe(true);
    const places = world
      .records()
      .flatMap(({ kind, counters }, i) => (kind === 'counters' && counters?.set ? [i] : []));
    expect(places.at(-1)).toBeGreaterThan((places[0] as number) + parts.length);
    for (const part of parts) expect(JSON.stringify(part).length).toBeLessThan(200_000);
    expect(await expectSameAsReplay(world)).toBeGreaterThan(4000);
  });

  it('[AUD-COUNTERS] writes a set soon where the chains before it would make the next start long', async () => {
    const world = new World({ countersEvery: 40 });
    for (let run = 0; run < 6; run += 1) {
      await world.start();
      for (let i = 0; i < 9; i += 1) await world.call([charge('a', 999, 1, 3600)], 'answered');
      await turn();
      world.die();
      world.now += 1000;
    }
    expect(await expectSameAsReplay(world)).toBeGreaterThan(0);
    expect((await recoverLimits(world.auditDir, world.wall())).records).toBeLessThan(80);
  });

  it('[AUD-COUNTERS] a set names every chain that it takes in, however many there were', async () => {
    const covers = new Map(Array.from({ length: 2300 }, (_, i) => [`chain-${i}`, i + 1]));
    const recovered = { ledger: new Ledger(), covers, records: 10_000, from: 0 };
    const { log, dir } = await testLog({ follower: new CountersJournal({ recovered }), writer: 'w' });
    await log.append(outcome('r1'), 'process');
    for (let i = 0; i < 6; i += 1) await turn();
    await log.close();
    expect((await planRecovery(dir)).base).toEqual({ writer: 'w', set: 1, first: 3, last: 5, covers });
  });

  it('[AUD-COUNTERS] writes a set once a day where calls are few, so that old segments are not needed for ever', async () => {
    const world = new World({ countersEvery: 10_000 });
    for (let day = 0; day < 3; day += 1) {
      await world.start();
      for (let call = 0; call < 4; call += 1) {
        world.now += 9 * 3_600_000;
        await world.call([charge('a', 999, 1, 3600)], 'answered');
        await turn();
      }
      world.die();
    }
    const sets = world.records().filter(({ counters }) => counters?.set !== undefined);
    // At hours 36, 63 and 90: each is a day after the one before, or after the first call.
    expect(sets.map(({ time }) => (Date.parse(time) - START) / 3_600_000)).toEqual([36, 63, 90]);
    const needed = await segmentsNeeded(world.auditDir, world.now);
    const chain = (world.segments().at(-1) as string).replace(/-\d+\.jsonl$/, '');
    expect([...needed].filter((path) => !path.includes(chain))).toEqual([]);
    await expectSameAsReplay(world);
  });

  it('[LIM-RESTART] keeps what 400 days reach, and passes over what no window reaches', async () => {
    const world = new World();
    await world.start();
    const year = charge('a', 1, 1, 400 * 86_400);
    expect(await world.call([year], 'answered')).toBe(true);
    await turn();
    world.die();
    world.now += 399 * 86_400_000;
    expect((await recoverLimits(world.auditDir, world.wall())).ledger.counters.size).toBe(1);
    expect((await recoverLimits(world.auditDir, world.wall() + 9 * 86_400_000)).ledger.counters.size).toBe(0);
  });

  it('[LIM-RESTART] passes over damaged records, counts them, and keeps all others', async () => {
    const world = await usedWorld();
    const last = world.path(world.segments().at(-1) as string);
    const before = await recovered(world);
    appendFileSync(
      last,
      '{"kind":"intent","decision":{"limits":[ broken\n\0\0"limits":[\0\n{"decision":{"limits":[null]},"kind":"intent"}\n',
    );
    expect((await recoverLimits(world.auditDir, world.wall())).unreadable).toBe(3);
    expect(await recovered(world)).toEqual(before);
  });

  it('[POL-CONCURRENT, LIM-RESTART] names the calls that may still run, with their slots and deadlines', async () => {
    const slot = { key: 's', units: 1, slot: true as const };
    for (const countersEvery of [1000, 4]) {
      const world = new World({ countersEvery });
      const { audit } = await world.start();
      const deadline = world.wall() + 600_000;
      const intent = (requestId: string, limits: LimitRecord[] = [slot], until = deadline) =>
        audit.append({ kind: 'intent', requestId, decision: { outcome: 'allow', limits, deadline: until } }, 'process');
      for (const id of ['open', 'answered', 'not sent', 'held']) await intent(id);
      await intent('without slots', [{ key: 'w', units: 1, slice: 7 }]);
      await intent('past', [slot], world.wall());
      await intent('two', [slot, { ...slot, key: 't' }]);
      audit.enqueue({ kind: 'outcome', requestId: 'answered', decision: { outcome: 'allow' } });
      audit.enqueue({ kind: 'outcome', requestId: 'not sent', decision: { outcome: 'not_sent' } });
      const held = { decision: { outcome: 'unknown' }, detail: { slots: 'held' } };
      audit.enqueue({ kind: 'outcome', requestId: 'held', ...held });
      await intent('last', [{ key: 'w', units: 1, slice: 8 }]);
      world.die();
      const { openCalls } = await recoverLimits(world.auditDir, world.wall());
      expect(openCalls.toSorted((a, b) => a.id.localeCompare(b.id))).toEqual([
        { id: 'held', deadline, keys: ['s'] },
        { id: 'open', deadline, keys: ['s'] },
        { id: 'two', deadline, keys: ['s', 't'] },
      ]);
    }
  });
});
