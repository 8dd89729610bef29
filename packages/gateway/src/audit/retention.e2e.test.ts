import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { verifyAuditLog } from '@gatehouse/verify';
import { expect, it } from 'vitest';
import { Retention } from './retention.ts';
import { listSegments } from './segments.ts';
import { intent, testFolder, testLog } from './testing.ts';

const DAY = 86_400_000;

/** Cuts, and is killed before it has removed so many segments. */
const CHILD = `
const [{ openAuditLog }, { Retention }, { rmSync }] = await Promise.all(
  [process.env.LOG_MODULE, process.env.RETENTION_MODULE, 'node:fs'].map((name) => import(name)));
const audit = await openAuditLog({ dir: process.env.LOG_DIR, clock: Date.now, hmacKey: Buffer.alloc(32, 7),
  signingSeed: Buffer.alloc(32, 9), keyId: 'test-key' });
let left = Number(process.env.LEFT);
await new Retention({ audit, age: 400 * ${DAY}, clock: Date.now, shared: false,
  remove: async (path) => {
    if (left === 0) process.kill(process.pid, 'SIGKILL');
    left -= 1;
    rmSync(path);
  } }).run();
`;

it('[AUD-RETENTION, P7] killed at each step of a cut, the log verifies, and the next run ends what was begun', async () => {
  const dir = testFolder();
  let now = Date.now() - 500 * DAY;
  const old = await testLog({ dir, writer: 'w1', clock: () => now++, maxSegmentBytes: 1_500 });
  for (let i = 0; i < 24; i += 1) await old.log.append(intent(`r${i}`), 'process');
  await old.log.close();
  const publicKeys = [{ publicKey: old.log.publicKey() }];
  const begun = listSegments(dir, 'calls').length;
  expect(begun).toBeGreaterThan(6);
  for (const left of [0, 1, 2, 0]) {
    const child = spawn(process.execPath, ['--input-type=module', '-e', CHILD], {
      env: {
        ...process.env,
        LOG_DIR: dir,
        LEFT: String(left),
        LOG_MODULE: new URL('./log.ts', import.meta.url).href,
        RETENTION_MODULE: new URL('./retention.ts', import.meta.url).href,
        NODE_NO_WARNINGS: '1',
      },
      stdio: ['ignore', 'inherit', 'inherit'],
    });
    expect(await once(child, 'exit')).toEqual([null, 'SIGKILL']);
    const report = await verifyAuditLog({ dir, publicKeys });
    expect(report, `killed before removal ${left}`).toMatchObject({ ok: true, cutCount: 2 });
  }
  now = Date.now();
  const next = await testLog({ dir, writer: 'zz', clock: Date.now });
  await new Retention({ audit: next.log, age: 400 * DAY, clock: Date.now, shared: false }).run();
  expect(listSegments(dir, 'calls').filter(({ writer }) => writer === 'w1')).toEqual([]);
  expect((await next.log.searchAdmin({ action: 'audit.cut' })).rows).toHaveLength(2);
  await next.log.close();
  expect(await verifyAuditLog({ dir, publicKeys })).toMatchObject({ ok: true, unproven: 0, cutCount: 2 });
});
