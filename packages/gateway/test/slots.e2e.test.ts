// `concurrent` limits in front of a stdio server: nothing runs on in a process that is gone.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Harness, type RawClient } from './harness.ts';

const SERVER = `
process.on('SIGTERM', () => setTimeout(() => process.exit(0), 400));
const tools = ['get_ok', 'get_crash', 'get_stuck'].map((name) => ({ name, inputSchema: { type: 'object', properties: {} } }));
require('node:readline').createInterface({ input: process.stdin }).on('line', (line) => {
  const { id, method, params } = JSON.parse(line);
  if (id === undefined || params?.name === 'get_stuck') return;
  if (params?.name === 'get_crash') process.exit(7);
  const result =
    method === 'initialize'
      ? { protocolVersion: params.protocolVersion, capabilities: { tools: {} }, serverInfo: { name: 's', version: '1' } }
      : method === 'tools/list' ? { tools } : { content: [] };
  process.stdout.write(JSON.stringify({ jsonrpc: '2.0', id, result }) + '\\n');
});
setInterval(() => {}, 1000);`;

describe('calls under way in a child', () => {
  let harness: Harness;
  let token: string;

  beforeAll(async () => {
    harness = await Harness.open();
    const transport = { kind: 'stdio', command: process.execPath, args: ['-e', SERVER], environment: {} } as const;
    await harness.server('s', transport, { children: { max: 8, idleSeconds: 600 } });
    const document = { version: '1', default: 'allow', all_tools: { limits: [{ concurrent: 1 }] } };
    ({ token } = await harness.grant('s', document));
  });
  afterAll(() => harness.close());

  async function open(): Promise<RawClient> {
    const client = harness.client('s', token);
    const { status, text } = await client.initialize();
    expect(status, text).toBe(200);
    return client;
  }
  const isDenied = async (client: RawClient, name = 'get_ok'): Promise<boolean> =>
    (await client.call(name)).message?.result?.isError === true;

  it('[POL-CONCURRENT] a child that was told to end holds them until it is gone', async () => {
    const [client, other] = [await open(), await open()];
    const stuck = client.call('get_stuck');
    await expect.poll(() => isDenied(other)).toBe(true);
    const ended = fetch(client.url, {
      method: 'DELETE',
      headers: { authorization: `Bearer ${token}`, 'mcp-session-id': client.session ?? '' },
    });
    expect((await stuck).message?.error?.message).toContain('The session has ended');
    expect(await isDenied(other)).toBe(true);
    await ended;
    await expect.poll(() => isDenied(other)).toBe(false);
  });

  it('[POL-CONCURRENT] a child that died frees the slots of its calls', async () => {
    // Opened before: after a crash a new child waits for its turn.
    const clients = [await open(), await open(), await open()];
    for (const client of clients.slice(1)) expect(await isDenied(client, 'get_crash')).toBe(false);
    expect(await isDenied(clients[0]!)).toBe(false);
  });
});
