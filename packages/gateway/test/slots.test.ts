// `concurrent` limits through the front door: how many calls are under way at the upstream, and what ends one.
import type { ServerResponse } from 'node:http';
import type { RecordingUpstream } from '@gatehouse/testkit';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { loadSettings, openGateway } from '../src/index.ts';
import { type Answer, Harness, RawClient, SECRET_KEY } from './harness.ts';
import { answerWith, events, json, type Reply, tool } from './replies.ts';

const TOOLS = [tool('get_a'), tool('hidden_b')];
const policy = (concurrent: number) => ({
  version: '1',
  default: 'allow',
  hide: ['hidden_b'],
  tools: { get_a: { limits: [{ concurrent }, { counter: 'c', window: 'hour', max: 100_000 }] } },
});
const denied = ({ message }: Answer): boolean => message?.result?.isError === true;
const done = (id: string): string => `{"jsonrpc":"2.0","id":${id},"result":{"content":[]}}`;
const DEADLINE_MS = 600_000;

interface LoggedCall {
  kind: string;
  tool?: string;
  decision: { limits?: unknown; deadline?: string };
  result?: { status?: number };
  detail?: unknown;
}

const MODERN = {
  'io.modelcontextprotocol/protocolVersion': '2026-07-28',
  'io.modelcontextprotocol/clientCapabilities': {},
};

/** Makes a call; what is returned ends the client's connection. */
function callAndLeave(client: RawClient, modern = false): () => Promise<unknown> {
  const params = { name: 'get_a', arguments: {}, ...(modern ? { _meta: MODERN } : {}) };
  const era: Record<string, string> = modern
    ? { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/call', 'mcp-name': 'get_a' }
    : { 'mcp-session-id': client.session ?? '' };
  const leaving = new AbortController();
  const left = fetch(client.url, {
    method: 'POST',
    body: JSON.stringify({ jsonrpc: '2.0', id: 'x', method: 'tools/call', params }),
    headers: {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      authorization: `Bearer ${client.token}`,
      ...era,
    },
    signal: leaving.signal,
  }).catch(() => undefined);
  return () => {
    leaving.abort();
    return left;
  };
}

describe('calls under way', () => {
  let harness: Harness;
  let upstream: RecordingUpstream;
  let now = Date.parse('2026-05-01T12:00:00Z');

  beforeAll(async () => {
    harness = await Harness.open({ flags: { max_result: '64 KiB' }, clock: () => now });
    upstream = await harness.record('rec', { tools: TOOLS });
  });
  beforeEach(() => {
    upstream.forget();
    delete upstream.options.intercept;
  });
  afterAll(() => harness.close());

  let people = 0;
  /** A client of its own grant, so that no test holds the slots of another. */
  async function clientWith(concurrent: number): Promise<RawClient> {
    people += 1;
    const { token } = await harness.grant('rec', policy(concurrent), `p${people}`);
    const client = harness.client('rec', token);
    await client.initialize();
    return client;
  }

  async function records(): Promise<LoggedCall[]> {
    const found: LoggedCall[] = [];
    for await (const line of harness.gateway.audit.exportLines({})) found.push(JSON.parse(line) as LoggedCall);
    return found;
  }

  it('[POL-CONCURRENT] are never more than allowed at the upstream with 64 callers, and all slots come back', async () => {
    const limit = 5;
    const client = await clientWith(limit);
    const before = harness.gateway.gate.counters.stats().counters;
    let running = 0;
    let most = 0;
    const waiting: (() => void)[] = [];
    answerWith(upstream, 'tools/call', (response, id) => {
      running += 1;
      most = Math.max(most, running);
      waiting.push(() => {
        running -= 1;
        // Every seventh ends in an error of the server, which is an answer too.
        if (upstream.calls().length % 7 === 0) json(response, '<html>', 500, { 'content-type': 'text/html' });
        else json(response, done(id));
      });
      // The first are held until as many as may be are under way.
      if (most === limit) setTimeout(() => waiting.splice(0).map((end) => end()), 2);
    });
    let refused = 0;
    await Promise.all(
      Array.from({ length: 64 }, async () => {
        for (let left = 4; left > 0; ) {
          if (denied(await client.call('get_a'))) refused += 1;
          else left -= 1;
        }
      }),
    );
    expect(most).toBe(limit);
    expect(refused).toBeGreaterThan(0);
    expect(upstream.calls()).toHaveLength(64 * 4);
    // The counter of the hour, and not one slot.
    expect(harness.gateway.gate.counters.stats().counters - before).toBe(1);
  });

  it('[POL-CONCURRENT, POL-LIMITDENIAL] a denial says how many run; the intent records the slot and the deadline', async () => {
    const client = await clientWith(1);
    const waiting: (() => void)[] = [];
    answerWith(upstream, 'tools/call', (response, id) => waiting.push(() => json(response, done(id))));
    const first = client.call('get_a');
    await expect.poll(() => waiting.length).toBe(1);
    const answer = await client.call('get_a');
    expect(answer.message?.result?.content?.[0]?.text).toContain(
      'The limit "get_a_concurrent" lets one call run at once, and one is under way. A retry can pass when one of them ends, at the latest in 10 minutes.',
    );
    expect(answer.message?.result?._meta?.['dev.gatehouse/decision']).toMatchObject({
      rule: '/tools/get_a/limits/0',
      retryAfterMs: 1_000,
    });
    for (const end of waiting) end();
    expect(denied(await first)).toBe(false);
    const intent = (await records()).findLast(({ kind, tool: name }) => kind === 'intent' && name === 'get_a');
    expect(intent?.decision.limits).toEqual([
      { key: expect.stringContaining('"c",3600'), units: 1, slice: expect.any(Number) },
      { key: expect.stringContaining('"get_a_concurrent","concurrent","grant"'), units: 1, slot: true },
    ]);
    expect(intent?.decision.deadline).toBe(new Date(now + DEADLINE_MS).toISOString());
  });

  const ENDS: [string, 'free' | 'held', Reply][] = [
    ['an answer', 'free', (response, id) => json(response, done(id))],
    ['an answer in a stream', 'free', (response, id) => events(response, done(id))],
    [
      'an error of JSON-RPC',
      'free',
      (response, id) => json(response, `{"jsonrpc":"2.0","id":${id},"error":{"code":-32000,"message":"no"}}`),
    ],
    ['a page with status 500', 'free', (response) => json(response, '<html>', 500, { 'content-type': 'text/html' })],
    ['a refused credential', 'free', (response, id) => json(response, done(id), 401)],
    [
      'a redirect',
      'free',
      (response) => {
        response.writeHead(307, { location: '/elsewhere' });
        response.end();
      },
    ],
    ['a body that is no message', 'free', (response) => json(response, '{"a":1}')],
    ['an empty body', 'free', (response) => json(response, '')],
    ['a connection that breaks off', 'held', (response) => response.destroy()],
    [
      'a body that breaks off',
      'held',
      (response) => {
        response.writeHead(200, { 'content-type': 'application/json', 'content-length': '5000' });
        response.write('{', () => response.destroy());
      },
    ],
    ['a stream that ends without the answer', 'held', (response) => events(response)],
    ['a stream with what is no message', 'held', (response) => events(response, '{"a":1}')],
    ['more than may come', 'held', (response) => json(response, `"${'x'.repeat(70_000)}"`)],
  ];
  it.each(ENDS)('[POL-CONCURRENT] after %s the slot is %s', async (_name, state, reply) => {
    const client = await clientWith(1);
    answerWith(upstream, 'tools/call', reply);
    await client.call('get_a');
    answerWith(upstream, 'tools/call', (response, id) => json(response, done(id)));
    expect(denied(await client.call('get_a'))).toBe(state === 'held');
    const outcomes = (await records()).filter(({ kind, result }) => kind === 'outcome' && result?.status !== undefined);
    expect(outcomes.at(state === 'held' ? -1 : -2)?.detail).toEqual(state === 'held' ? { slots: 'held' } : undefined);
    if (state === 'free') return;
    now += DEADLINE_MS - 1;
    expect(denied(await client.call('get_a'))).toBe(true);
    now += 1;
    expect(denied(await client.call('get_a'))).toBe(false);
  });

  it('[POL-CONCURRENT] a client that leaves does not free it; the answer that still comes does', async () => {
    const client = await clientWith(1);
    const held: [ServerResponse, string][] = [];
    answerWith(upstream, 'tools/call', (response, id) => held.push([response, id]));
    const leave = callAndLeave(client);
    await expect.poll(() => held.length).toBe(1);
    await leave();
    expect(denied(await client.call('get_a'))).toBe(true);
    for (const [response, id] of held) json(response, done(id));
    answerWith(upstream, 'tools/call', (response, id) => json(response, done(id)));
    await expect.poll(async () => denied(await client.call('get_a'))).toBe(false);
  });

  it('[POL-CONCURRENT] a client of the stateless revision cancels by leaving, and frees nothing by it either', async () => {
    const client = await clientWith(1);
    answerWith(upstream, 'tools/call', () => undefined);
    const leave = callAndLeave(client, true);
    await expect.poll(() => upstream.calls().length).toBe(1);
    await leave();
    delete upstream.options.intercept;
    const outcome = async () => (await records()).findLast(({ kind }) => kind === 'outcome');
    await expect.poll(async () => (await outcome())?.detail).toEqual({ slots: 'held' });
    now += DEADLINE_MS - 1;
    expect(denied(await client.call('get_a'))).toBe(true);
    now += 1;
    expect(denied(await client.call('get_a'))).toBe(false);
  });

  it('[POL-CONCURRENT, LIM-RELEASE] what was never sent frees its slot', async () => {
    const client = await clientWith(1);
    const { gate } = harness.gateway;
    const real = gate.audit.append;
    gate.audit.append = () => Promise.reject(new Error('disk full'));
    expect((await client.call('get_a')).status).toBe(503);
    gate.audit.append = real;
    expect(denied(await client.call('get_a'))).toBe(false);
  });
});

describe('calls under way when the gateway ends', () => {
  it('[POL-CONCURRENT, LIM-RESTART] hold their slots after the restart, until their deadline', async () => {
    let now = Date.parse('2026-05-01T12:00:00Z');
    const harness = await Harness.open({ clock: () => now });
    const upstream = await harness.record('rec', { tools: TOOLS });
    const { token } = await harness.grant('rec', policy(2));
    const client = harness.client('rec', token);
    await client.initialize();
    expect(denied(await client.call('get_a'))).toBe(false);
    answerWith(upstream, 'tools/call', (response) => {
      if (upstream.calls().length === 2) response.destroy();
    });
    // One whose connection broke off, so that its outcome is written, and one that has none.
    await client.call('get_a');
    const leave = callAndLeave(client);
    await expect.poll(() => upstream.calls().length).toBe(3);
    await leave();
    await harness.gateway.close();
    delete upstream.options.intercept;

    now += 60_000;
    const { settings } = loadSettings({ env: {}, flags: { data: harness.dir, port: 0, log_level: 'silent' } });
    const clocks = { clock: () => now, monotonic: () => now };
    const again = await openGateway(settings, { env: { GATEHOUSE_SECRET_KEY: SECRET_KEY }, ...clocks });
    const returned = new RawClient((await again.listen()).proxyUrl('rec'), token);
    await returned.initialize();
    expect(denied(await returned.call('get_a'))).toBe(true);
    now += DEADLINE_MS - 60_001;
    expect(denied(await returned.call('get_a'))).toBe(true);
    now += 1;
    expect(denied(await returned.call('get_a'))).toBe(false);
    await again.close();
    await harness.close();
  });

  it('[POL-CONCURRENT] the deadline frees it while the gateway runs', async () => {
    const harness = await Harness.open({ flags: { call_deadline: '1s' } });
    const upstream = await harness.record('rec', { tools: TOOLS });
    const { token } = await harness.grant('rec', policy(1));
    const client = harness.client('rec', token);
    await client.initialize();
    answerWith(upstream, 'tools/call', () => undefined);
    expect((await client.call('get_a')).status).toBe(504);
    delete upstream.options.intercept;
    expect(denied(await client.call('get_a'))).toBe(false);
    await harness.close();
  });
});
