import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { verifyAuditLog } from '@gatehouse/verify';
import { describe, expect, it } from 'vitest';
import { testFolder, testLog } from './testing.ts';

/** Appends without end, a few at a time, and prints each id once its record is acknowledged. */
const CHILD = `
const { openAuditLog } = await import(process.env.LOG_MODULE);
const log = await openAuditLog({ dir: process.env.LOG_DIR, clock: Date.now, hmacKey: Buffer.alloc(32, 7),
  signingSeed: Buffer.alloc(32, 9), keyId: 'test-key', maxSegmentBytes: 20000, headEvery: 50 });
const lane = async (name) => {
  for (let i = 0; ; i += 1) {
    const requestId = name + '-' + i;
    await log.append({ kind: 'intent', requestId }, i % 7 === 0 ? 'power' : 'process');
    process.stdout.write(requestId + '\\n');
    log.enqueue({ kind: 'outcome', requestId, result: { status: 200 } });
    await new Promise(setImmediate);
  }
};
await Promise.all(['a', 'b', 'c'].map((name) => lane(process.env.ROUND + name)));
`;

async function runAndKill(dir: string, round: number, acknowledgements: number): Promise<string[]> {
  const child = spawn(process.execPath, ['--input-type=module', '-e', CHILD], {
    env: {
      ...process.env,
      LOG_DIR: dir,
      LOG_MODULE: new URL('./log.ts', import.meta.url).href,
      ROUND: String(round),
      NODE_NO_WARNINGS: '1',
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const acknowledged: string[] = [];
  const lines = createInterface({ input: child.stdout });
  lines.on('line', (id) => {
    acknowledged.push(id);
    if (acknowledged.length === acknowledgements) child.kill('SIGKILL');
  });
  await once(lines, 'close');
  return acknowledged;
}

describe('a process that is killed', () => {
  it('[P3] what it acknowledged stands in the log, which verifies and goes on in the next process', async () => {
    const dir = testFolder();
    const acknowledged: string[] = [];
    for (const [round, count] of [40, 333, 900].entries()) {
      acknowledged.push(...(await runAndKill(dir, round, count)));
    }
    const { log } = await testLog({ dir });
    const recorded = new Set<string>();
    for (const name of readdirSync(join(dir, 'calls'))) {
      for (const line of readFileSync(join(dir, 'calls', name), 'utf8')
        .split('\n')
        .slice(0, -1)) {
        const record = JSON.parse(line) as { kind: string; request_id: string };
        if (record.kind === 'intent') recorded.add(record.request_id);
      }
    }
    expect(acknowledged.length).toBeGreaterThan(1200);
    expect(acknowledged.filter((id) => !recorded.has(id))).toEqual([]);
    expect((await log.search({ limit: 1000 })).rows).toHaveLength(1000);
    await log.close();
    const report = await verifyAuditLog({ dir, publicKeys: [{ publicKey: log.publicKey() }] });
    expect(report).toMatchObject({ ok: true, unproven: 0 });
    expect(report.intentsWithoutOutcome.count).toBeLessThan(20);
  });
});
