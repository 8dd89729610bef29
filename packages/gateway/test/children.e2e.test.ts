// stdio upstreams: one child for each session, capped, ended when idle, and failing its calls at once when it dies.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Harness, type RawClient } from './harness.ts';
import { SseClient, until } from './sse-peers.ts';

const SERVER = `
const tools = ['get_pid', 'get_crash'].map((name) => ({ name, inputSchema: { type: 'object', properties: {} } }));
require('node:readline').createInterface({ input: process.stdin }).on('line', (line) => {
  const { id, method, params } = JSON.parse(line);
  if (id === undefined) return;
  if (params?.name === 'get_crash') process.exit(7);
  const result =
    method === 'initialize'
      ? { protocolVersion: params.protocolVersion, capabilities: { tools: {} }, serverInfo: { name: 'pid', version: '1' } }
      : method === 'tools/list' ? { tools } : { content: [{ type: 'text', text: String(process.pid) }] };
  process.stdout.write(JSON.stringify({ jsonrpc: '2.0', id, result }) + '\\n');
});`;

const lives = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

describe('children of a stdio server', () => {
  let harness: Harness;
  let token: string;
  let ahead = 0;

  beforeAll(async () => {
    // The gateway's clock is turned forward by hand; the idle time of a child runs on the system's.
    harness = await Harness.open({ clock: () => Date.now() + ahead });
    const transport = { kind: 'stdio', command: process.execPath, args: ['-e', SERVER], environment: {} } as const;
    await harness.server('pid', transport, { children: { max: 2, idleSeconds: 1 } });
    await harness.server('kept', transport, { children: { max: 2, idleSeconds: 600 } });
    ({ token } = await harness.grant('pid', { version: '1', default: 'allow' }));
  });
  afterAll(() => harness.close());

  async function open(): Promise<RawClient> {
    const client = harness.client('pid', token);
    expect((await client.initialize()).status).toBe(200);
    return client;
  }
  const pidOf = async (client: RawClient): Promise<number> =>
    Number((await client.call('get_pid')).message?.result?.content?.[0]?.text);

  it('[GW-CHILDREN] at the cap, the one that was left alone for longest gives way', async () => {
    const grant = await harness.grant('kept', { version: '1', default: 'allow' }, 'bob');
    const connect = async (): Promise<RawClient> => {
      const client = harness.client('kept', grant.token);
      expect((await client.initialize()).status).toBe(200);
      return client;
    };
    const [one, two] = [await connect(), await connect()];
    ahead += 20_000;
    expect(await pidOf(two)).toBeGreaterThan(0);
    expect((await harness.client('kept', grant.token).initialize()).message?.error?.message).toContain('its limit');
    ahead += 20_000;
    const three = await connect();
    expect(await pidOf(three)).toBeGreaterThan(0);
    expect((await one.call('get_pid')).status).toBe(404);
    expect(await pidOf(two)).toBeGreaterThan(0);
  });

  it('[GW-CHILDREN] each session has its own, up to the cap, and an idle one is ended', async () => {
    const [one, two] = [await open(), await open()];
    const pids = [await pidOf(one), await pidOf(two)];
    expect(new Set(pids).size).toBe(2);
    const third = await harness.client('pid', token).initialize();
    expect(third.message?.error?.message).toContain('2 processes running');

    const started = performance.now();
    while (pids.some(lives) && performance.now() - started < 10_000) await new Promise((done) => setTimeout(done, 50));
    expect(pids.filter(lives)).toEqual([]);
    expect((await one.call('get_pid')).status).toBe(404);
    expect(await pidOf(await open())).toBeGreaterThan(0);
  });

  it('[GW-CHILDREN, GW-SSE-OLD] one of an old client ends with its stream, and the stream with the child', async () => {
    const { token: old } = await harness.grant('kept', { version: '1', default: 'allow' }, 'old');
    const connect = async (): Promise<{ client: SseClient; pid: number }> => {
      const client = await SseClient.open(harness.proxyUrl('kept'), old);
      await client.initialize();
      return { client, pid: Number((await client.call('get_pid')).result?.content?.[0]?.text) };
    };
    const left = await connect();
    expect(lives(left.pid)).toBe(true);
    left.client.leave();
    await until(() => !lives(left.pid), 'the end of the child');
    const crashed = await connect();
    expect((await crashed.client.call('get_crash')).error?.message).toContain('ended before it answered');
    await until(() => crashed.client.ended, 'the end of the stream');
  });

  it('[GW-CHILDREN] one that dies fails its call at once, and the next session has a new one after a back-off', async () => {
    const client = await open();
    const started = performance.now();
    const answer = await client.call('get_crash');
    expect(answer.message?.error?.message).toContain('ended before it answered');
    expect(performance.now() - started).toBeLessThan(3_000);

    // The next one waits for the back-off, and says so.
    const next = harness.client('pid', token);
    let opened = await next.initialize();
    while (opened.status !== 200 && performance.now() - started < 10_000) {
      expect([opened.status, opened.message?.error?.message]).toEqual([502, expect.stringContaining('again')]);
      await new Promise((done) => setTimeout(done, 50));
      opened = await next.initialize();
    }
    expect(await pidOf(next)).toBeGreaterThan(0);
  });
});
