// What a restart must not change: the limits that were used stay used.
import { pino } from 'pino';
import { expect, it } from 'vitest';
import { AuditUnavailableError } from '../src/audit/log.ts';
import { type Gateway, loadSettings, openGateway } from '../src/index.ts';
import { type Answer, Harness, RawClient, SECRET_KEY } from './harness.ts';

it('[P4, LIM-RESTART] a limit that was used before a restart is used after it, less what was never sent', async () => {
  const harness = await Harness.open();
  const tools = [{ name: 'get_a', inputSchema: { type: 'object', properties: {} } }];
  const upstream = await harness.record('rec', { tools });
  const limits = [{ counter: 'c', window: 'hour', max: 4 }];
  const { token } = await harness.grant('rec', { version: '1', default: 'deny', tools: { get_a: { limits } } });
  const passes = async (client: RawClient): Promise<boolean> =>
    (await client.call('get_a')).message?.result?.isError !== true;
  const client = harness.client('rec', token);
  await client.initialize();
  expect([await passes(client), await passes(client), await passes(client)]).toEqual([true, true, true]);
  await harness.gateway.close();

  const { settings } = loadSettings({ env: {}, flags: { data: harness.dir, port: 0, log_level: 'silent' } });
  const again = await openGateway(settings, { env: { GATEHOUSE_SECRET_KEY: SECRET_KEY } });
  const addresses = await again.listen();
  const returned = new RawClient(addresses.proxyUrl('rec'), token);
  await returned.initialize();
  expect([await passes(returned), await passes(returned)]).toEqual([true, false]);
  expect(upstream.calls()).toHaveLength(4);
  await again.close();
  await harness.close();
});

const TOOLS = [{ name: 'get_a', inputSchema: { type: 'object', properties: {} } }];
const passed = async (answer: Promise<Answer>): Promise<boolean> => {
  const { message } = await answer;
  return message?.error === undefined && message?.result?.isError !== true;
};

/** Everything that the data folder's next gateway answers, on the same folder. */
async function restarted(harness: Harness, use: (client: RawClient, gateway: Gateway) => Promise<void>, token: string) {
  await harness.gateway.close();
  const lines: { msg: string; [member: string]: unknown }[] = [];
  const logger = pino({ level: 'info' }, { write: (line: string) => lines.push(JSON.parse(line)) });
  const { settings } = loadSettings({ env: {}, flags: { data: harness.dir, port: 0 } });
  const gateway = await openGateway(settings, { env: { GATEHOUSE_SECRET_KEY: SECRET_KEY }, logger });
  const client = new RawClient((await gateway.listen()).proxyUrl('rec'), token);
  await client.initialize();
  await use(client, gateway);
  await gateway.close();
  return lines;
}

it('[P4, LIM-RESTART, AUD-COUNTERS] a start reads the last counters and what followed, and says how much that was', async () => {
  const harness = await Harness.open({ countersEvery: 50 });
  await harness.record('rec', { tools: TOOLS });
  const limits = [{ counter: 'c', window: 'hour', max: 101 }];
  const { token } = await harness.grant('rec', { version: '1', default: 'deny', tools: { get_a: { limits } } });
  const client = harness.client('rec', token);
  await client.initialize();
  for (let i = 0; i < 10; i += 1) await Promise.all(Array.from({ length: 10 }, () => client.call('get_a')));
  const said = await restarted(
    harness,
    async (again, gateway) => {
      expect([await passed(again.call('get_a')), await passed(again.call('get_a'))]).toEqual([true, false]);
      expect(await gateway.audit.verify()).toMatchObject({ ok: true, intentsWithoutOutcome: { count: 0 } });
    },
    token,
  );
  const line = said.find(({ msg }) => msg === 'limits rebuilt from the audit log');
  expect(line).toMatchObject({ counters: 1, segments: 1, milliseconds: expect.any(Number) });
  expect(line?.records).toBeGreaterThan(0);
  expect(line?.records).toBeLessThan(120);
  await harness.close();
});

it('[P4, LIM-RESTART] what a resource subscription used stays used: whatever reserves makes an intent', async () => {
  const harness = await Harness.open();
  await harness.record('rec', { tools: TOOLS });
  const resources = { allow: ['*'], limits: [{ counter: 'c', window: 'hour', max: 1 }] };
  const { token } = await harness.grant('rec', { version: '1', default: 'deny', resources });
  const subscribe = (client: RawClient): Promise<Answer> => client.request('resources/subscribe', { uri: 'file:///a' });
  const client = harness.client('rec', token);
  await client.initialize();
  await subscribe(client);
  const { rows } = await harness.gateway.audit.search({});
  const records = rows.filter((row) => row.method === 'resources/subscribe');
  expect(records.map((row) => row.kind)).toEqual(['intent']);
  await restarted(harness, async (again) => expect(await passed(subscribe(again))).toBe(false), token);
  await harness.close();
});

it('[P4, LIM-RELEASE] a call that was refused though its intent stands in the log counts neither before nor after a restart', async () => {
  const harness = await Harness.open();
  const upstream = await harness.record('rec', { tools: TOOLS });
  const limits = [{ counter: 'c', window: 'hour', max: 1 }];
  const { token } = await harness.grant('rec', { version: '1', default: 'deny', tools: { get_a: { limits } } });
  const client = harness.client('rec', token);
  await client.initialize();
  const { audit } = harness.gateway;
  const append = audit.append.bind(audit);
  audit.append = async (record, durability) => {
    await append(record, durability);
    if (record.kind === 'intent') throw new AuditUnavailableError('The audit log cannot be synced.', true);
  };
  const refused = await client.call('get_a');
  audit.append = append;
  expect(refused.status).toBe(503);
  const { rows } = await audit.search({});
  expect(rows.find((row) => row.tool === 'get_a')).toMatchObject({ outcome: 'not_sent' });
  expect(upstream.calls()).toHaveLength(0);
  await restarted(
    harness,
    async (again) => {
      expect([await passed(again.call('get_a')), await passed(again.call('get_a'))]).toEqual([true, false]);
    },
    token,
  );
  await harness.close();
});
