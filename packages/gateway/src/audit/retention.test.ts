import { readdirSync, rmSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { verifyAuditLog } from '@gatehouse/verify';
import { describe, expect, it } from 'vitest';
import { tryLock } from './folder-lock.ts';
import type { AuditLogOptions } from './log.ts';
import { Retention, type RetentionOptions } from './retention.ts';
import { listSegments } from './segments.ts';
import { handTimers, intent, outcome, START, type TestLog, testFolder, testLog } from './testing.ts';

const DAY = 86_400_000;

class Kept {
  readonly dir = testFolder();
  now = START;

  open(more: Partial<AuditLogOptions> = {}): Promise<TestLog> {
    return testLog({ dir: this.dir, clock: () => this.now, maxSegmentBytes: 2_000, ...more });
  }

  /** So many calls, one a second. */
  async calls({ log }: TestLog, prefix: string, count: number): Promise<void> {
    for (let i = 0; i < count; i += 1) {
      await log.append(intent(`${prefix}${i}`), 'process');
      log.enqueue(outcome(`${prefix}${i}`));
      await log.append({ kind: 'decision', requestId: `${prefix}${i}x` }, 'process');
      this.now += 1000;
    }
  }

  retention({ log }: TestLog, more: Partial<RetentionOptions> = {}): Retention {
    return new Retention({
      audit: log,
      age: 400 * DAY,
      clock: () => this.now,
      shared: false,
      schedule: handTimers().schedule,
      needed: async () => new Set(),
      ...more,
    });
  }

  async verified({ log }: TestLog) {
    return verifyAuditLog({ dir: this.dir, publicKeys: [{ publicKey: log.publicKey() }] });
  }

  /** Segments as `writer/first record`, oldest first. */
  segments(stream: 'calls' | 'admin' = 'calls'): string[] {
    return listSegments(this.dir, stream).map(({ writer, firstSeq }) => `${writer}/${firstSeq}`);
  }
}

describe('retention', () => {
  it('[AUD-RETENTION] cuts whole closed segments older than the age, and the log still verifies', async () => {
    const kept = new Kept();
    const old = await kept.open({ writer: 'w1' });
    await kept.calls(old, 'old', 12);
    await old.log.close();
    kept.now += 200 * DAY;
    const test = await kept.open({ writer: 'w2' });
    await kept.calls(test, 'mid', 12);
    expect(kept.segments().filter((name) => name.startsWith('w1')).length).toBeGreaterThan(2);
    const retention = kept.retention(test);
    expect((await retention.view()).due).toEqual([]);
    expect(await retention.run()).toEqual([]);

    kept.now = START + 401 * DAY;
    const { due, before } = await retention.view();
    expect(before).toBe(new Date(START + DAY).toISOString());
    expect(due.map(({ stream, writer, firstSeq }) => [stream, writer, firstSeq])).toEqual([
      ['calls', 'w1', 1],
      ['admin', 'w1', 1],
    ]);
    expect(await retention.run()).toEqual(due);
    expect(kept.segments().every((name) => name.startsWith('w2'))).toBe(true);
    expect(kept.segments('admin').every((name) => name.startsWith('w2'))).toBe(true);
    const report = await kept.verified(test);
    expect(report).toMatchObject({ ok: true, cutCount: 2, intentsWithoutOutcome: { count: 0 } });
    expect(report.cuts).toMatchObject([
      { stream: 'calls', writer: 'w1', firstSeq: 1, lastSeq: due[0]!.lastSeq, firstTime: due[0]!.firstTime },
      { stream: 'admin', writer: 'w1', firstSeq: 1, lastSeq: due[1]!.lastSeq, time: new Date(kept.now).toISOString() },
    ]);
    expect(retention.state).toMatchObject({ cutSegments: due[0]!.segments + due[1]!.segments });
    // Nothing is due twice, and no record is written for nothing.
    expect(await retention.run()).toEqual([]);
    expect((await test.log.searchAdmin({ action: 'audit.cut' })).rows).toHaveLength(2);

    // The running process's own closed segments follow, its open one stays.
    kept.now = START + 601 * DAY;
    const own = await retention.run();
    expect(own.map(({ stream, writer }) => `${stream}/${writer}`)).toEqual(['calls/w2']);
    expect(kept.segments()).toHaveLength(1);
    await kept.calls(test, 'new', 3);
    await test.log.close();
    expect(await kept.verified(test)).toMatchObject({ ok: true, unproven: 0, cutCount: 3 });
  });

  it('[AUD-RETENTION] the search forgets what was cut, now and after a restart', async () => {
    const kept = new Kept();
    const old = await kept.open({ writer: 'w1' });
    await kept.calls(old, 'old', 8);
    await old.log.admin({ actor: { kind: 'local-admin', id: 'x' }, action: 'grant.create', target: 'g' });
    await old.log.close();
    kept.now += 390 * DAY;
    const test = await kept.open({ writer: 'w2' });
    await kept.calls(test, 'new', 8);
    expect((await test.log.search({ limit: 100 })).rows).toHaveLength(32);
    kept.now = START + 401 * DAY;
    await kept.retention(test).run();
    const ids = async (): Promise<string[]> => (await test.log.search({ limit: 100 })).rows.map((row) => row.requestId);
    expect(await ids()).toHaveLength(16);
    expect((await ids()).every((id) => id.startsWith('new'))).toBe(true);
    expect(await test.log.byRequestId('old1')).toEqual([]);
    expect((await test.log.searchAdmin({ action: 'grant.create' })).rows).toEqual([]);
    await test.log.close();
    const again = await kept.open({ writer: 'w3' });
    expect((await again.log.search({ limit: 100 })).rows).toHaveLength(16);
    await again.log.close();
  });

  it('[AUD-RETENTION] leaves what counters are rebuilt from, and what is damaged, and says so', async () => {
    const kept = new Kept();
    const old = await kept.open({ writer: 'w1' });
    await kept.calls(old, 'old', 12);
    await old.log.close();
    const third = listSegments(kept.dir, 'calls')[2]!;
    kept.now += 500 * DAY;
    const test = await kept.open({ writer: 'w2' });
    const needed = kept.retention(test, { needed: async () => new Set([third.path]) });
    await needed.run();
    expect(kept.segments()[0]).toBe(`w1/${third.firstSeq}`);
    expect((await needed.view()).kept).toEqual([
      { stream: 'calls', writer: 'w1', name: third.name, reason: 'limits are rebuilt from it' },
    ]);
    expect(await kept.verified(test)).toMatchObject({ ok: true });
    // A gap is evidence: nothing behind it is cut away, and nothing before it that would hide it.
    const [, fourth] = listSegments(kept.dir, 'calls');
    rmSync(fourth!.path);
    const retention = kept.retention(test);
    expect(await retention.run()).toEqual([]);
    expect((await retention.view()).kept).toMatchObject([{ reason: 'records are missing behind it' }]);
    expect(await kept.verified(test)).toMatchObject({ ok: false });
    await test.log.close();
  });

  it('[AUD-RETENTION] by default, nothing that a window may reach goes, whatever the age', async () => {
    const kept = new Kept();
    kept.now = Date.now() - 500 * DAY;
    const old = await kept.open({ writer: 'w1' });
    await kept.calls(old, 'old', 6);
    kept.now = Date.now() - 390 * DAY;
    await kept.calls(old, 'mid', 6);
    await old.log.close();
    kept.now = Date.now();
    const test = await kept.open({ writer: 'w2' });
    const retention = new Retention({ audit: test.log, age: DAY, clock: () => kept.now, shared: false });
    await retention.run();
    const { rows } = await test.log.search({ limit: 100 });
    expect(rows.filter((row) => row.requestId.startsWith('mid')).length).toBe(12);
    expect(rows.some((row) => row.requestId.startsWith('old0'))).toBe(false);
    await retention.close();
    await test.log.close();
  });

  it('[AUD-RETENTION] ended between its record and its work, it leaves a log that verifies, and the next run ends it', async () => {
    for (const removed of [0, 1, 2]) {
      const kept = new Kept();
      const old = await kept.open({ writer: 'w1' });
      await kept.calls(old, 'old', 12);
      await old.log.close();
      kept.now += 500 * DAY;
      const test = await kept.open({ writer: 'w2' });
      let count = 0;
      const broken = kept.retention(test, {
        remove: async (path) => {
          if (count === removed) throw new Error('killed');
          count += 1;
          await rm(path);
        },
      });
      await expect(broken.run()).rejects.toThrow('killed');
      expect(broken.state.lastError).toBe('killed');
      expect(await kept.verified(test), `after ${removed}`).toMatchObject({ ok: true });
      await test.log.close();
      const next = await kept.open({ writer: 'w3' });
      await kept.retention(next).run();
      expect(kept.segments().some((name) => name.startsWith('w1'))).toBe(false);
      expect((await next.log.searchAdmin({ action: 'audit.cut', target: 'calls/w1' })).rows).toHaveLength(1);
      expect(await kept.verified(next)).toMatchObject({ ok: true });
      await next.log.close();
    }
  });

  it('[AUD-RETENTION] removes nothing that could not be recorded first', async () => {
    const kept = new Kept();
    const old = await kept.open({ writer: 'w1' });
    await kept.calls(old, 'old', 6);
    await old.log.close();
    kept.now += 500 * DAY;
    const test = await kept.open({ writer: 'w2' });
    const before = kept.segments();
    const refusing = { admin: () => Promise.reject(new Error('no room')), cutting: test.log.cutting };
    const results: unknown[] = [];
    const retention = kept.retention(test, { audit: refusing, onRun: (result) => results.push(result) });
    await expect(retention.run()).rejects.toThrow('no room');
    expect(kept.segments()).toEqual(before);
    expect(results).toMatchObject([{ error: { message: 'no room' } }]);
    await test.log.close();
  });

  it('[AUD-RETENTION] tells a cut again before the record that told it is cut, while something points to it', async () => {
    const kept = new Kept();
    // w1 is cut while w2 runs, whose record of it is cut in turn; w2's last segment of calls is young.
    const first = await kept.open({ writer: 'w1' });
    await kept.calls(first, 'a', 6);
    await first.log.close();
    kept.now = START + 401 * DAY;
    const second = await kept.open({ writer: 'w2', maxSegmentBytes: 100_000 });
    await kept.retention(second).run();
    expect(await kept.verified(second)).toMatchObject({ ok: true, cutCount: 2 });
    await kept.calls(second, 'b', 2);
    kept.now = START + 900 * DAY;
    await kept.calls(second, 'late', 1);
    await second.log.close();
    kept.now = START + 1_301 * DAY;
    const third = await kept.open({ writer: 'w3' });
    const cut = await kept
      .retention(third, {
        // The calls of w2, whose start names w1, stay.
        needed: async () => new Set(listSegments(kept.dir, 'calls').map(({ path }) => path)),
      })
      .run();
    expect(cut.map(({ stream, writer }) => `${stream}/${writer}`)).toEqual(['admin/w2']);
    const report = await kept.verified(third);
    expect(report).toMatchObject({ ok: true, unproven: expect.any(Number) });
    expect(report.cuts.map(({ stream, writer }) => `${stream}/${writer}`).sort()).toEqual([
      'admin/w1',
      'admin/w2',
      'calls/w1',
    ]);
    await third.log.close();
  });

  it('[AUD-RETENTION] where several processes write, the last segment of one that may still run stays', async () => {
    const kept = new Kept();
    const killed = await kept.open({ writer: 'w1', maxSegmentBytes: 1_000_000 });
    await kept.calls(killed, 'killed', 2);
    const stopped = await kept.open({ writer: 'w2', maxSegmentBytes: 1_000_000 });
    await kept.calls(stopped, 'stopped', 2);
    await stopped.log.close();
    kept.now += 500 * DAY;
    const test = await kept.open({ writer: 'w3' });
    const shared = kept.retention(test, { shared: true });
    expect((await shared.view()).kept.map(({ writer, reason }) => [writer, reason.slice(0, 11)])).toEqual([
      ['w1', 'its process'],
      ['w1', 'its process'],
    ]);
    await shared.run();
    expect(kept.segments()).toEqual(['w1/1', 'w3/1']);
    expect(await kept.verified(test)).toMatchObject({ ok: true });
    await kept.retention(test).run();
    expect(kept.segments()).toEqual(['w3/1']);
    expect(await kept.verified(test)).toMatchObject({ ok: true });
    await test.log.close();
  });

  it('one process at a time; a run asked for twice runs twice, one after the other', async () => {
    const kept = new Kept();
    const old = await kept.open({ writer: 'w1' });
    await kept.calls(old, 'old', 6);
    await old.log.close();
    kept.now += 500 * DAY;
    const test = await kept.open({ writer: 'w2' });
    const retention = kept.retention(test);
    const unlock = tryLock(join(kept.dir, 'retention.lock'))!;
    expect(await retention.run()).toEqual([]);
    unlock();
    const [one, two] = await Promise.all([retention.run(), retention.run()]);
    expect([one.length, two.length]).toEqual([2, 0]);
    expect(readdirSync(join(kept.dir, 'calls')).some((name) => name.startsWith('w1'))).toBe(false);
    await test.log.close();
  });

  it('runs some time after the start and then every hour; never, when nothing is to be cut', async () => {
    const kept = new Kept();
    const test = await kept.open({ writer: 'w1' });
    const timers: { run: () => void; milliseconds: number }[] = [];
    const schedule: RetentionOptions['schedule'] = (run, milliseconds) => {
      timers.push({ run, milliseconds });
      return { refresh: () => undefined, cancel: () => undefined };
    };
    kept.retention(test, { age: null, schedule }).start();
    expect(timers).toEqual([]);
    const retention = kept.retention(test, { schedule });
    retention.start();
    expect(timers[0]!.milliseconds).toBe(10_000);
    timers[0]!.run();
    await retention.run();
    await new Promise(setImmediate);
    expect(timers[1]!.milliseconds).toBe(3_600_000);
    expect(retention.state.lastRun).toBe(new Date(kept.now).toISOString());
    await retention.close();
    await test.log.close();
  });
});
