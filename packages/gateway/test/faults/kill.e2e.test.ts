// kill −9 at random times under the load of 64 callers: what was executed is recorded, the log verifies, no limit opens.
// 20 rounds in `npm test`, 1,000 in `npm run test:long`, or as many as ROUNDS says.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import type { Executed } from './ledger.ts';
import { type GatewayProcess, Rig, type StoredRecord, type Told } from './rig.ts';

const ROUNDS = Number(process.env.ROUNDS ?? (process.env.GATEHOUSE_TEST_LONG === undefined ? 20 : 1_000));
/** Rounds on one data folder: each start reads all of its log. */
const ROUNDS_A_FOLDER = 50;
const CALLERS = 64;
/** Of the callers, how many speak to a child process. */
const CHILD_CALLERS = 2;
/** One round in so many is killed while it starts. */
const KILLED_AT_START = 7;
const MAX_LOAD_MS = 900;
const STEADY = { max: 40, seconds: 5 };
const TOTAL = 700;

const POLICIES = {
  ledger: {
    version: '1',
    default: 'deny',
    tools: {
      get_free: {},
      send_free: {},
      get_steady: { limits: [{ counter: 'steady', window: STEADY.seconds, max: STEADY.max }] },
      send_total: { limits: [{ counter: 'total', window: 'hour', max: TOTAL, scope: 'server' }] },
    },
  },
  child: { version: '1', default: 'allow' },
};
const TOOLS = ['get_free', 'send_free', 'get_steady', 'send_total'] as const;

/** Calls until the gateway is gone; what the caller was told of each marker. */
async function load(rig: Rig, gateway: GatewayProcess, round: number, told: Map<string, Told>): Promise<void> {
  const caller = async (index: number): Promise<void> => {
    const slug = index < CHILD_CALLERS ? 'child' : 'ledger';
    let session: string | undefined;
    if (slug === 'child') {
      const params = { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'load', version: '1' } };
      session = (await rig.post(gateway, slug, { id: 0, method: 'initialize', params }))?.session;
      if (session === undefined) return;
    }
    for (let number = 0; ; number++) {
      const marker = `${round}-${index}-${number}`;
      const tool = slug === 'child' ? 'get_free' : (TOOLS[(index + number) % TOOLS.length] as string);
      const answer = await rig.call(gateway, slug, tool, marker, session);
      told.set(marker, answer);
      if (answer === 'lost' || answer === 'refused') return;
    }
  };
  await Promise.all(Array.from({ length: CALLERS }, (_, index) => caller(index)));
}

/** Most entries that any span of this length holds. @param times milliseconds, in any order */
function fullestSpan(times: readonly number[], lengthMs: number): number {
  const sorted = times.toSorted((a, b) => a - b);
  let most = 0;
  for (let first = 0, last = 0; last < sorted.length; last++) {
    while ((sorted[last] as number) - (sorted[first] as number) >= lengthMs) first += 1;
    most = Math.max(most, last - first + 1);
  }
  return most;
}

/** What was executed, each with the intent that it has in the log. */
function withIntents(rig: Rig, executed: readonly Executed[], intents: readonly StoredRecord[]) {
  const byDigest = new Map(intents.map((record) => [record.arguments?.digest, record]));
  const found: (Executed & { intended: number })[] = [];
  const missing: string[] = [];
  for (const entry of executed) {
    const intent = byDigest.get(rig.digestOf(entry.marker));
    if (intent === undefined) missing.push(entry.marker);
    else found.push({ ...entry, intended: Date.parse(intent.time) });
  }
  return { found, missing };
}

let rig: Rig | undefined;
afterEach(async () => {
  await rig?.close();
  rig = undefined;
});

async function rounds(count: number): Promise<void> {
  rig = await Rig.open({ policies: POLICIES });
  const told = new Map<string, Told>();
  let loaded = 0;
  for (let round = 0; round < count; round++) {
    const gateway = rig.spawn();
    if (round % KILLED_AT_START === KILLED_AT_START - 1) {
      await sleep(Math.random() * 700);
      await gateway.end('SIGKILL');
      continue;
    }
    await gateway.ready();
    const calls = load(rig, gateway, round, told);
    await sleep(50 + Math.random() * MAX_LOAD_MS);
    await gateway.end('SIGKILL');
    await calls;
    loaded += 1;
    // A child whose gateway was killed reads the end of its input.
    for (const began = performance.now(); rig.leftovers().length > 0; await sleep(20)) {
      if (performance.now() - began > 5_000) throw new Error(`left behind: ${rig.leftovers().join('\n')}`);
    }
  }

  // The last start goes on as if nothing had been; what is left of the limit can be used, and no more.
  const last = await rig.start();
  for (let number = 0; ; number++) {
    const answer = await rig.call(last, 'ledger', 'send_total', `last-${number}`);
    if (answer === 'denied') break;
    expect(answer).toBe('allowed');
  }
  await last.end();
  expect(existsSync(join(rig.data, 'server.json'))).toBe(false);
  expect(rig.leftovers()).toEqual([]);

  const executed = rig.executed();
  expect(executed.length).toBeGreaterThan(loaded * CALLERS);
  expect(new Set(executed.map((entry) => entry.marker)).size).toBe(executed.length);
  const didRun = new Set(executed.map((entry) => entry.marker));
  expect([...told].filter(([marker, answer]) => answer === 'allowed' && !didRun.has(marker))).toEqual([]);
  expect([...told].filter(([marker, answer]) => answer === 'denied' && didRun.has(marker))).toEqual([]);

  const records = rig.records();
  const intents = records.filter((record) => record.kind === 'intent');
  const { found, missing } = withIntents(rig, executed, intents);
  expect(missing).toEqual([]);

  const verified = await rig.cli('audit', 'verify');
  expect([verified.code, verified.stdout]).toEqual([0, expect.stringMatching(/^INTACT/m)]);

  // The long limit spans all lives of the gateway: never above `max`, and only a call that a kill cut off may be missing.
  const total = executed.filter((entry) => entry.tool === 'send_total');
  const notSent = new Set(
    records.filter(({ decision }) => decision?.outcome === 'not_sent').map((record) => record.request_id),
  );
  const reserved = intents.filter((record) => record.tool === 'send_total' && !notSent.has(record.request_id));
  expect(total.length).toBeLessThanOrEqual(TOTAL);
  expect(reserved).toHaveLength(TOTAL);

  const steady = found.filter((entry) => entry.tool === 'get_steady');
  expect(steady.length).toBeGreaterThan(STEADY.max);
  const windowMs = STEADY.seconds * 1_000;
  expect(
    fullestSpan(
      steady.map(({ intended }) => intended),
      windowMs,
    ),
  ).toBeLessThanOrEqual(STEADY.max);
  // By the upstream's clock alone: two calls may have come closer together on the way, by as much as the slowest took.
  const slowest = Math.max(...steady.map(({ at, intended }) => at - intended));
  expect(slowest).toBeLessThan(windowMs / 2);
  expect(
    fullestSpan(
      steady.map(({ at }) => at),
      windowMs - slowest,
    ),
  ).toBeLessThanOrEqual(STEADY.max);
  await rig.close();
  rig = undefined;
}

describe('a gateway that is killed at random times under load', () => {
  it(`[P3, P4, P7, LIM-RESTART] ${ROUNDS} times: executed ⊆ recorded, the log verifies, no limit opens, nothing is left behind`, {
    timeout: 60_000 + ROUNDS * 6_000,
  }, async () => {
    for (let done = 0; done < ROUNDS; done += ROUNDS_A_FOLDER) await rounds(Math.min(ROUNDS_A_FOLDER, ROUNDS - done));
  });
});
