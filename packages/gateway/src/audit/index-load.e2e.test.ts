// The index beside a log of some size: real threads, real locks.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { IndexBuild } from './build-index.ts';
import { denial, intent, outcome, testLog } from './testing.ts';

const CALLS = 40_000;
let dir: string;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'gatehouse-index-'));
  const { log } = await testLog({ dir, maxSegmentBytes: 4_000_000 });
  for (let i = 0; i < CALLS; i += 1) {
    log.enqueue(intent(`r${i}`, { detail: { subject: 'x'.repeat(300) } }));
    log.enqueue(outcome(`r${i}`));
    if (i % 200 === 0) await nextTurn();
  }
  await log.close();
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** Turns of the event loop until a promise is settled, and the calls recorded meanwhile. */
async function meanwhile<T>(promise: Promise<T>, each: () => Promise<void>): Promise<{ value: T; turns: number }> {
  let settled = false;
  let turns = 0;
  const mark = (): void => {
    settled = true;
  };
  promise.then(mark, mark);
  while (!settled) {
    await each();
    await nextTurn();
    turns += 1;
  }
  return { value: await promise, turns };
}

describe('a search with much to catch up', () => {
  it('[AUD-INDEX-THREAD] holds no call up, and finds what was stored before it', async () => {
    const { log } = await testLog({ dir });
    await log.append(denial('last'), 'process');
    const search = log.search({ requestId: 'last' });
    const during = await meanwhile(search, () => log.append(denial('during'), 'process'));
    expect(during.value.rows).toMatchObject([{ requestId: 'last' }]);
    // 80,000 records take some hundred milliseconds; each turn stores a record.
    expect(during.turns).toBeGreaterThan(100);

    const rows = await log.search({ outcome: 'allow', limit: 1000 });
    expect(rows.rows).toHaveLength(1000);
    let exported = 0;
    const reading = (async () => {
      for await (const line of log.exportLines({ outcome: 'allow' }))
        exported += line.includes('"request_id":"r') ? 1 : 0;
    })();
    const whole = await meanwhile(reading, () => log.append(denial('during'), 'process'));
    expect(exported).toBe(2 * CALLS);
    expect(whole.turns).toBeGreaterThan(100);
    await log.close();
  });

  it('[AUD-INDEX-THREAD] is refused while another process keeps the index locked; calls go on, and the next one is answered', async () => {
    const { log } = await testLog({ dir });
    await log.append(denial('locked'), 'process');
    await log.search({ limit: 1 });
    const other = new DatabaseSync(join(dir, 'index.db'));
    other.exec('BEGIN IMMEDIATE');
    await log.append(denial('waiting'), 'process');
    const search = log.search({ limit: 1 });
    const during = await meanwhile(
      search.catch((error: Error) => error.message),
      () => log.append(denial('during'), 'process'),
    );
    expect(during.value).toContain('database is locked');
    expect(during.turns).toBeGreaterThan(100);
    expect([log.writable, log.stats().indexError]).toEqual([true, 'database is locked']);
    other.exec('ROLLBACK');
    other.close();
    expect((await log.search({ requestId: 'waiting' })).rows).toHaveLength(1);
    expect(log.stats().indexError).toBeUndefined();
    await log.close();
  });

  it('[AUD-INDEX] is built from nothing in bounded memory', () => {
    const script =
      'const { buildIndex } = await import(process.env.MODULE); console.log(JSON.stringify(buildIndex(process.env.DIR)));';
    const env = { ...process.env, MODULE: new URL('./build-index.ts', import.meta.url).href, DIR: dir };
    const build = (): IndexBuild => {
      // A heap that holds some batches, but by far not all rows.
      const { stdout, stderr } = spawnSync(
        process.execPath,
        ['--max-old-space-size=48', '--input-type=module', '-e', script],
        { env, encoding: 'utf8' },
      );
      expect(stderr).toBe('');
      return JSON.parse(stdout) as IndexBuild;
    };
    const built = build();
    expect(built.rows).toBeGreaterThan(CALLS);
    expect(built.records).toBeGreaterThan(2 * CALLS);
    expect(built.maxRss).toBeLessThan(400 * 1024 * 1024);
    expect(built.cpuSeconds).toBeGreaterThan(0);
  });
});
