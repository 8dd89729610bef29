// The wall clock is set forward and back by hours during a run and over a restart; the monotonic clock goes on.
import type { ServerResponse } from 'node:http';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ADMIN, Harness, type RawClient } from './harness.ts';

const HOUR = 3_600_000;
const START = Date.parse('2026-11-02T02:00:00Z');
const POLICY = {
  version: '1',
  default: 'allow',
  tools: {
    get_hourly: { limits: [{ counter: 'h', window: 'hour', max: 2 }] },
    get_daily: { limits: [{ counter: 'd', window: 'day', max: 2 }] },
  },
};

let harness: Harness;
let wall: number;
let elapsed: number;
let held: ServerResponse | undefined;
let arrived: (() => void) | undefined;

const clocks = { clock: () => wall + elapsed, monotonic: () => elapsed };

beforeEach(async () => {
  wall = START;
  elapsed = 5_000;
  harness = await Harness.open(clocks);
});
afterEach(() => harness.close());

async function open(): Promise<{ client: RawClient; token: string }> {
  const tools = ['get_hourly', 'get_daily', 'get_held'].map((name) => ({ name, inputSchema: { type: 'object' } }));
  await harness.record('up', {
    tools,
    intercept: (request, response) => {
      if (request.message?.params?.name !== 'get_held') return false;
      held = response;
      arrived?.();
      return true;
    },
  });
  const { token } = await harness.grant('up', POLICY);
  const client = harness.client('up', token);
  await client.initialize();
  return { client, token };
}

async function passes(client: RawClient, tool: string): Promise<boolean> {
  const answer = await client.call(tool);
  expect(answer.status).toBe(200);
  return answer.message?.result?.isError !== true;
}

describe('a wall clock that steps', () => {
  it('[P4, LIM-CLOCK] frees nothing of a sliding limit, and takes nothing of it', async () => {
    const { client } = await open();
    expect([await passes(client, 'get_hourly'), await passes(client, 'get_hourly')]).toEqual([true, true]);
    for (const step of [5 * HOUR, -10 * HOUR, 2 * HOUR, -1 * HOUR]) {
      wall += step;
      elapsed += 1_000;
      expect(await passes(client, 'get_hourly')).toBe(false);
    }
    elapsed += HOUR + HOUR / 60;
    expect([await passes(client, 'get_hourly'), await passes(client, 'get_hourly')]).toEqual([true, true]);
    expect(await passes(client, 'get_hourly')).toBe(false);
  });

  it('[P4, LIM-CLOCK] never opens a calendar limit by going back', async () => {
    const { client } = await open();
    expect([await passes(client, 'get_daily'), await passes(client, 'get_daily')]).toEqual([true, true]);
    wall -= 12 * HOUR;
    expect(await passes(client, 'get_daily')).toBe(false);
    // Into the next day, and back into the one before.
    wall += 36 * HOUR;
    await client.initialize();
    expect([await passes(client, 'get_daily'), await passes(client, 'get_daily')]).toEqual([true, true]);
    wall -= 20 * HOUR;
    expect(await passes(client, 'get_daily')).toBe(false);
  });

  for (const step of [-3 * HOUR, 3 * HOUR]) {
    it(`[P4, LIM-CLOCK, LIM-RESTART] over a restart (${step / HOUR} h) opens no window before its time, nor long after it`, async () => {
      const { client, token } = await open();
      expect([await passes(client, 'get_hourly'), await passes(client, 'get_hourly')]).toEqual([true, true]);
      expect([await passes(client, 'get_daily'), await passes(client, 'get_daily')]).toEqual([true, true]);
      await harness.gateway.close();
      const before = harness;
      wall += step;
      elapsed = 70_000;
      harness = await Harness.open({ ...clocks, dir: before.dir });
      const again = harness.client('up', token);
      await again.initialize();
      expect(await passes(again, 'get_daily')).toBe(false);
      if (step < 0) {
        expect(await passes(again, 'get_hourly')).toBe(false);
        elapsed += HOUR - 60_000;
        expect(await passes(again, 'get_hourly')).toBe(false);
        elapsed += 60_000 + 2 * (HOUR / 60);
      }
      expect([await passes(again, 'get_hourly'), await passes(again, 'get_hourly')]).toEqual([true, true]);
      expect(await passes(again, 'get_hourly')).toBe(false);
      await harness.gateway.close();
      await before.close();
    });
  }

  it('[GW-SESSION, AUTH-EXPIRY] ends sessions and tokens by what it shows, and none before', async () => {
    const { client } = await open();
    const { services } = harness.gateway;
    const expiresAt = new Date(START + 2 * HOUR).toISOString();
    const { secret } = await services.tokens.create({ identity: 'ana', expiresAt }, ADMIN);
    const other = harness.client('up', secret);
    expect((await other.initialize()).status).toBe(200);
    wall -= 5 * HOUR;
    expect((await client.tools()).length).toBe(3);
    expect((await other.request('ping')).status).toBe(200);
    wall += 8 * HOUR;
    expect((await other.request('ping')).status).toBe(401);
    expect((await client.tools()).length).toBe(3);
    wall += 22 * HOUR;
    expect((await client.request('tools/list')).status).toBe(404);
  });

  it('[GW-DEADLINE] cuts no call short', async () => {
    const { client } = await open();
    for (const step of [20 * HOUR, -20 * HOUR]) {
      const here = new Promise<void>((resolve) => {
        arrived = resolve;
      });
      const answer = client.call('get_held');
      await here;
      wall += step;
      held?.writeHead(200, { 'content-type': 'application/json' });
      held?.end(`{"jsonrpc":"2.0","id":${step > 0 ? 2 : 3},"result":{"content":[]}}`);
      expect((await answer).message?.result).toEqual({ content: [] });
    }
  });

  it('[P7, AUD-SEQ] leaves a log that verifies and reads in its order', async () => {
    const { client } = await open();
    for (const step of [5 * HOUR, -10 * HOUR, HOUR]) {
      wall += step;
      await client.request('ping');
    }
    const { audit } = harness.gateway;
    expect((await audit.verify()).ok).toBe(true);
    const sequences: number[] = [];
    for await (const line of audit.exportLines({})) {
      const record = JSON.parse(line) as { stream: string; seq: number };
      if (record.stream === 'calls') sequences.push(record.seq);
    }
    expect(sequences).toEqual(sequences.map((_, index) => index + 1));
    const { rows } = await audit.search({ method: 'ping' });
    expect(rows.map(({ time }) => time)).toEqual(rows.map(({ time }) => time).toSorted((a, b) => b - a));
    expect(rows).toHaveLength(3);
  });
});
