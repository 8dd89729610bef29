// Two gateways on one data folder, as real processes.
import { afterEach, expect, it } from 'vitest';
import { Rig } from './rig.ts';

let rig: Rig | undefined;
afterEach(async () => {
  await rig?.close();
  rig = undefined;
});

it('[STORE-LOCK] the second is refused with a clear error and harms nothing; a killed one leaves no lock', async () => {
  const policies = { ledger: { version: '1', default: 'allow' }, child: { version: '1', default: 'allow' } };
  rig = await Rig.open({ policies });
  const first = await rig.start();
  const second = await rig.cli('serve', '--port', '0');
  expect(second.code).toBeGreaterThan(0);
  expect(second.stderr).toContain(`Process ${first.child.pid} uses the data folder ${rig.data}`);
  expect(second.stderr).toContain('Stop it');
  expect(await rig.call(first, 'ledger', 'send_free', 'beside')).toBe('allowed');

  await first.end('SIGKILL');
  const third = await rig.start();
  expect(await rig.call(third, 'ledger', 'send_free', 'after')).toBe('allowed');
  await third.end();
  expect(rig.executed().map(({ marker }) => marker)).toEqual(['beside', 'after']);
  expect((await rig.cli('audit', 'verify')).code).toBe(0);
});
