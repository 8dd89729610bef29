// A process that is killed between the record of a change and its commit: the next start says that it was not made.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { Sandbox } from '@gatehouse/testkit';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type Gateway, loadSettings, openGateway } from '../../src/index.ts';
import { ADMIN, SECRET_KEY } from '../harness.ts';

/** Makes one change, and is gone as soon as the second one's record is on the disk. */
const KILLED = `
const { loadSettings, openGateway } = await import(process.env.GATEWAY_MODULE);
const { settings } = loadSettings({ env: {}, flags: { data: process.env.DATA, port: 0, log_level: 'silent' } });
const gateway = await openGateway(settings, { env: { GATEHOUSE_SECRET_KEY: process.env.KEY } });
const actor = { kind: 'local-admin', id: 'local' };
await gateway.services.identities.create({ name: 'made' }, actor);
const admin = gateway.audit.admin.bind(gateway.audit);
gateway.audit.admin = async (record) => {
  await admin(record);
  process.kill(process.pid, 'SIGKILL');
  await new Promise(() => {});
};
await gateway.services.identities.create({ name: 'unmade' }, actor);
`;

let sandbox: Sandbox;
beforeEach(() => {
  sandbox = new Sandbox();
});
afterEach(() => sandbox.close());

async function killed(): Promise<void> {
  const child = spawn(process.execPath, ['--input-type=module', '-e', KILLED], {
    env: {
      PATH: process.env.PATH,
      HOME: sandbox.home,
      DATA: sandbox.path('data'),
      KEY: SECRET_KEY,
      GATEWAY_MODULE: new URL('../../src/index.ts', import.meta.url).href,
      NODE_NO_WARNINGS: '1',
    },
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  const [, signal] = (await once(child, 'exit')) as [number | null, string | null];
  expect(signal).toBe('SIGKILL');
}

function open(): Promise<Gateway> {
  const { settings } = loadSettings({
    env: {},
    flags: { data: sandbox.path('data'), port: 0, log_level: 'silent' },
  });
  return openGateway(settings, { env: { GATEHOUSE_SECRET_KEY: SECRET_KEY } });
}

const actions = async (gateway: Gateway): Promise<string[]> =>
  (await gateway.audit.searchAdmin({})).rows.map(({ action, actor }) => `${actor.kind} ${action}`).reverse();

const MADE = ['local-admin identity.create', 'local-admin identity.create', 'gatehouse identity.create.failed'];

it('[AUD-UNMADE, AUD-ADMIN] is found at the next start, recorded once, and does not stand in the way of what comes', async () => {
  await killed();
  const first = await open();
  expect(first.services.identities.list().map(({ name }) => name)).toEqual(['made']);
  expect(await actions(first)).toEqual(MADE);
  const [failed, recorded] = (await first.audit.searchAdmin({ limit: 2 })).rows;
  expect(failed).toMatchObject({ target: recorded?.target, record: { change: recorded?.record?.change } });
  await first.close();

  const second = await open();
  expect(await actions(second)).toEqual(MADE);
  await second.services.identities.create({ name: 'unmade' }, ADMIN);
  expect(second.services.identities.list()).toHaveLength(2);
  await second.close();

  const third = await open();
  expect(await actions(third)).toEqual([...MADE, 'local-admin identity.create']);
  expect((await third.audit.verify()).ok).toBe(true);
  await third.close();
});
