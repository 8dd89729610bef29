// What a restart must not change: the limits that were used stay used.
import { expect, it } from 'vitest';
import { loadSettings, openGateway } from '../src/index.ts';
import { Harness, RawClient, SECRET_KEY } from './harness.ts';

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
