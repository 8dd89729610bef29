import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { verifyAuditLog } from '@gatehouse/verify';
import { expect, it } from 'vitest';
import { testFolder } from '../audit/testing.ts';
import { recoveredAndReplayed } from './testing.ts';

const WINDOW_SECONDS = 3;
const MAX = 40;
/** Two processes read the clock in whole milliseconds, each beginning somewhere within one. */
const GRAIN_MS = 4;

/** Calls as fast as the limits let it, on three counters, and tells of each that would now go to the upstream. */
const CHILD = `
const { openDurableLimits } = await import(process.env.LIMITS_MODULE);
const { pino } = await import('pino');
const log = { dir: process.env.DATA_DIR + '/audit', clock: Date.now, hmacKey: Buffer.alloc(32, 7),
  signingSeed: Buffer.alloc(32, 9), keyId: 'test-key', maxSegmentBytes: 15000, headEvery: 50 };
const { audit, counters } = await openDurableLimits({ dataDir: process.env.DATA_DIR, log, logger: pino({ level: 'silent' }),
  monotonic: () => performance.now(), countersEvery: 30 });
const lane = async (name) => {
  const key = JSON.stringify([name, ${WINDOW_SECONDS}, 'grant']) + '["g"]';
  const charge = { key, counter: name, windowSeconds: ${WINDOW_SECONDS}, align: 'sliding', timezone: 'UTC', max: ${MAX},
    amount: 1, pointer: '/p', scope: 'grant' };
  for (let i = 0; ; i += 1) {
    const requestId = process.env.ROUND + name + '-' + i;
    const at = Date.now();
    const reserved = counters.reserve([charge], at);
    if (!reserved.ok) {
      audit.enqueue({ kind: 'decision', requestId, decision: { outcome: 'deny' } });
      await new Promise((resolve) => setTimeout(resolve, 5));
      continue;
    }
    const limits = reserved.receipt.charges.map(({ slice }) => ({ key, units: 1, slice }));
    const decision = { outcome: 'allow', limits, deadline: at + 60000 };
    await audit.append({ kind: 'intent', requestId, decision }, i % 5 === 0 ? 'power' : 'process');
    if (i % 11 === 3) {
      counters.release(reserved.receipt);
      audit.enqueue({ kind: 'outcome', requestId, decision: { outcome: 'not_sent' } });
      continue;
    }
    process.stdout.write(name + ' ' + at + '\\n');
    if (i % 7 !== 0) audit.enqueue({ kind: 'outcome', requestId, decision: { outcome: 'allow' } });
  }
};
await Promise.all(['a', 'b', 'c'].map(lane));
`;

async function runAndKill(dataDir: string, round: number, calls: number): Promise<{ counter: string; at: number }[]> {
  const child = spawn(process.execPath, ['--input-type=module', '-e', CHILD], {
    cwd: import.meta.dirname,
    env: {
      ...process.env,
      DATA_DIR: dataDir,
      LIMITS_MODULE: new URL('./open.ts', import.meta.url).href,
      ROUND: String(round),
      NODE_NO_WARNINGS: '1',
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const executed: { counter: string; at: number }[] = [];
  const lines = createInterface({ input: child.stdout });
  lines.on('line', (line) => {
    const [counter = '', at] = line.split(' ');
    executed.push({ counter, at: Number(at) });
    if (executed.length === calls) child.kill('SIGKILL');
  });
  await once(lines, 'close');
  return executed;
}

it('[P4, LIM-RESTART, AUD-COUNTERS] killed at any moment, again and again: no window above max, and the log gives the counters back', async () => {
  const dataDir = testFolder();
  const auditDir = join(dataDir, 'audit');
  const executed: { counter: string; at: number }[] = [];
  let spared = 0;
  for (const [round, calls] of [1, 60, 100, 7, 33, 90].entries()) {
    executed.push(...(await runAndKill(dataDir, round, calls)));
    const found = await recoveredAndReplayed(auditDir, Date.now());
    expect(found.recovered).toEqual(found.replayed);
    spared = found.spared;
  }
  expect(spared).toBeGreaterThan(100);
  for (const { counter, at } of executed) {
    const inSpan = executed.filter(
      (call) => call.counter === counter && call.at >= at && call.at <= at + WINDOW_SECONDS * 1000 - GRAIN_MS,
    );
    expect(inSpan.length).toBeLessThanOrEqual(MAX);
  }
  const fullest = Math.max(
    ...executed.map(({ at }) => executed.filter((call) => call.at >= at && call.at <= at + 3000).length),
  );
  expect(fullest).toBeGreaterThan(MAX);
  expect(await verifyAuditLog({ dir: auditDir, publicKeys: [] })).toMatchObject({ ok: true, problems: [] });
});
