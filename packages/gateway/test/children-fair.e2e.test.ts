// The children of one command are shared by grants: none can keep the others out, and no call is cut off for it.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Harness, type RawClient } from './harness.ts';

const MAX = 4;
const SERVER = `
const tools = ['get_pid', 'get_slow'].map((name) => ({ name, inputSchema: { type: 'object', properties: {} } }));
require('node:readline').createInterface({ input: process.stdin }).on('line', (line) => {
  const { id, method, params } = JSON.parse(line);
  if (id === undefined) return;
  const result =
    method === 'initialize'
      ? { protocolVersion: params.protocolVersion, capabilities: { tools: {} }, serverInfo: { name: 'pid', version: '1' } }
      : method === 'tools/list' ? { tools } : { content: [{ type: 'text', text: String(process.pid) }] };
  const answer = () => process.stdout.write(JSON.stringify({ jsonrpc: '2.0', id, result }) + '\\n');
  if (params?.name === 'get_slow') setTimeout(answer, 1500); else answer();
});`;

let harness: Harness;
/** Set while the wall clock is wrong. */
let ahead = 0;

beforeEach(async () => {
  ahead = 0;
  harness = await Harness.open({ clock: () => Date.now() + ahead, monotonic: () => performance.now() });
  const transport = { kind: 'stdio', command: process.execPath, args: ['-e', SERVER], environment: {} } as const;
  await harness.server('pid', transport, { children: { max: MAX, idleSeconds: 600 } });
});
afterEach(() => harness.close());

async function tokenOf(identity: string): Promise<string> {
  return (await harness.grant('pid', { version: '1', default: 'allow' }, identity)).token;
}

async function session(token: string): Promise<RawClient | undefined> {
  const client = harness.client('pid', token);
  const { status } = await client.initialize();
  return status === 200 ? client : undefined;
}

async function eventually(token: string): Promise<RawClient> {
  for (let tries = 0; tries < 100; tries++) {
    const client = await session(token);
    if (client !== undefined) return client;
    await sleep(50);
  }
  throw new Error('no child in five seconds');
}

const works = async (client: RawClient): Promise<boolean> => (await client.call('get_pid')).status === 200;

/** All places of the server, taken by one grant. */
async function takeAll(token: string): Promise<RawClient[]> {
  const clients: RawClient[] = [];
  for (;;) {
    const client = await session(token);
    if (client === undefined) break;
    clients.push(client);
  }
  return clients;
}

describe('children of a server that several grants use', () => {
  it('[GW-FAIR] one that is idle gives way to a grant that has fewer, until they have as many', async () => {
    const [greedy, modest] = [await tokenOf('greedy'), await tokenOf('modest')];
    const all = await takeAll(greedy);
    expect(all.length).toBeGreaterThanOrEqual(MAX - 1);
    // Streams that are listened to do not keep the others out either.
    const listening = all.map((client) =>
      fetch(client.url, {
        headers: {
          accept: 'text/event-stream',
          authorization: `Bearer ${greedy}`,
          'mcp-session-id': client.session ?? '',
        },
      }),
    );
    await Promise.all(listening);
    const mine = [await session(modest), await session(modest)];
    expect(mine.every((client) => client !== undefined)).toBe(true);
    for (const client of mine) expect(await works(client as RawClient)).toBe(true);
    expect(await session(modest)).toBeUndefined();
    expect(await session(greedy)).toBeUndefined();
    const left = await Promise.all(all.map(works));
    expect(left.filter(Boolean).length).toBe(MAX - 2);
    for (const answer of await Promise.all(listening)) await answer.body?.cancel();
  });

  it('[GW-FAIR] no call is cut off for it; the next place that comes free is the waiting grant’s', async () => {
    const [greedy, modest] = [await tokenOf('greedy'), await tokenOf('modest')];
    const all = await takeAll(greedy);
    while (all.length > MAX) all.shift();
    let stop = false;
    const statuses: number[] = [];
    // It is busy without a pause: a call of each child is followed by the next at once.
    const busy = all.map(async (client) => {
      while (!stop) {
        const { status, message } = await client.call('get_slow');
        // What was not sent was not cut off: its child gave way between two calls.
        if (status === 404 || /another grant|session has ended/.test(message?.error?.message ?? '')) return;
        statuses.push(status);
      }
    });
    await sleep(300);
    expect(await session(modest)).toBeUndefined();
    const client = await eventually(modest);
    expect(await works(client)).toBe(true);
    stop = true;
    await Promise.all(busy);
    expect(statuses.length).toBeGreaterThanOrEqual(all.length - 1);
    expect(new Set(statuses)).toEqual(new Set([200]));
  });

  it('[LIM-CLOCK, GW-CHILDREN] a wall clock that is set back does not keep a child that died from starting again', async () => {
    const token = await tokenOf('ana');
    const first = (await session(token)) as RawClient;
    const pid = Number((await first.call('get_pid')).message?.result?.content?.[0]?.text);
    process.kill(pid, 'SIGKILL');
    await sleep(100);
    ahead = -5 * 3_600_000;
    expect(await works(await eventually(token))).toBe(true);
  });
});
