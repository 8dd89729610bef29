import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AuditUnavailableError } from './log.ts';
import { nodeFiles, type SegmentFiles } from './segments.ts';
import { intent, outcome, testFolder, testLog } from './testing.ts';

/** The real file system with faults that the test switches on. */
function faulty(): {
  fs: Partial<SegmentFiles>;
  fault: { write?: number | 'throw'; sync?: boolean; create?: boolean; size?: boolean; truncate?: boolean };
  closedTwice: number[];
} {
  const open = new Set<number>();
  const twice: number[] = [];
  const fault: { write?: number | 'throw'; sync?: boolean; create?: boolean; size?: boolean; truncate?: boolean } = {};
  const fail = (what: boolean | undefined, message: string): void => {
    if (what) throw Object.assign(new Error(message), { code: 'EIO' });
  };
  return {
    fault,
    closedTwice: twice,
    fs: {
      write(fd, data) {
        fail(fault.write === 'throw', 'ENOSPC: no space left on device');
        return nodeFiles.write(fd, typeof fault.write === 'number' ? data.subarray(0, fault.write) : data);
      },
      sync: (fd, done) => (fault.sync ? setImmediate(() => done(new Error('EIO: sync'))) : nodeFiles.sync(fd, done)),
      syncNow(fd) {
        fail(fault.sync, 'EIO: sync');
        nodeFiles.syncNow(fd);
      },
      create(path) {
        fail(fault.create, 'EROFS: read-only file system');
        const fd = nodeFiles.create(path);
        open.add(fd);
        return fd;
      },
      reopen(path) {
        const fd = nodeFiles.reopen(path);
        open.add(fd);
        return fd;
      },
      // A number that is closed twice may be another file's, or a connection's, the second time.
      close(fd) {
        if (!open.delete(fd)) twice.push(fd);
        nodeFiles.close(fd);
      },
      size(fd) {
        fail(fault.size, 'EIO: stat');
        return nodeFiles.size(fd);
      },
      truncate(fd, length) {
        fail(fault.truncate, 'EIO: truncate');
        nodeFiles.truncate(fd, length);
      },
    },
  };
}

function stored(dir: string): { kind: string; id: string | undefined; seq: number }[] {
  const folder = join(dir, 'calls');
  return readdirSync(folder)
    .sort()
    .flatMap((name) => readFileSync(join(folder, name), 'utf8').split('\n').slice(0, -1))
    .map((line) => JSON.parse(line) as { kind: string; request_id?: string; seq: number })
    .map(({ kind, request_id, seq }) => ({ kind, id: request_id, seq }));
}

describe('a log that cannot be written', () => {
  it('[P3] refuses records after a write that failed, until a new segment is open', async () => {
    const { fs, fault } = faulty();
    const { log, dir, tick } = await testLog({ fs });
    await log.append(intent('before'), 'process');
    fault.write = 'throw';
    await expect(log.append(intent('lost'), 'process')).rejects.toThrow(AuditUnavailableError);
    expect([log.writable, log.lastError]).toEqual([false, 'ENOSPC: no space left on device']);
    await expect(log.append(intent('refused'), 'power')).rejects.toMatchObject({
      message: expect.stringContaining('no space left'),
      mayStand: false,
    });
    tick();
    expect(log.writable).toBe(false);
    delete fault.write;
    tick();
    expect([log.writable, log.lastError]).toEqual([true, undefined]);
    await log.append(intent('after'), 'process');
    await log.close();
    expect(stored(dir).map(({ id, kind }) => id ?? kind)).toEqual(['start', 'before', 'head', 'after', 'stop', 'head']);
    expect(await log.verify()).toMatchObject({ ok: true, unproven: 0, torn: [] });
  });

  it('[AUD-SHORT] after a short write goes on behind the last whole record, in a new segment', async () => {
    const { fs, fault } = faulty();
    const { log, dir, tick } = await testLog({ fs });
    fault.write = 700;
    const waiting = ['a', 'b', 'c'].map((id) => log.append(intent(id), 'process'));
    const results = await Promise.allSettled(waiting);
    // Whoever is refused is told that its record may stand all the same: one of the three does.
    expect(results.map((result) => result.status === 'rejected' && result.reason.mayStand)).toEqual([true, true, true]);
    delete fault.write;
    tick();
    await log.append(intent('d'), 'process');
    await log.close();
    // The first record was whole in the file: it keeps its number, though its call was denied.
    expect(stored(dir).map(({ id, kind }) => id ?? kind)).toEqual(['start', 'a', 'head', 'd', 'stop', 'head']);
    expect(readdirSync(join(dir, 'calls'))).toHaveLength(2);
    expect(await log.verify()).toMatchObject({ ok: true, torn: [], intentsWithoutOutcome: { count: 2 } });
  });

  it('[AUD-TORN] a torn line that cannot be cut off is reported as torn, not as tampering', async () => {
    const { fs, fault } = faulty();
    const { log, tick } = await testLog({ fs });
    fault.write = 100;
    fault.truncate = true;
    await expect(log.append(intent('a'), 'process')).rejects.toThrow('only 100 of');
    delete fault.write;
    tick();
    await log.append(intent('b'), 'process');
    await log.close();
    expect(await log.verify()).toMatchObject({ ok: true, unproven: 0, torn: [{ afterSeq: 1, bytes: 100 }] });
  });

  it('[P3] a failed sync refuses all who waited for it, and closes the segment', async () => {
    const { fs, fault, closedTwice } = faulty();
    const { log, dir, tick } = await testLog({ fs });
    fault.sync = true;
    const waiting = [log.append(intent('a'), 'power'), log.append(intent('b'), 'power')];
    const results = await Promise.allSettled(waiting);
    expect(results.map((result) => result.status === 'rejected' && result.reason.mayStand)).toEqual([true, true]);
    expect(log.writable).toBe(false);
    tick();
    expect(log.writable).toBe(false);
    delete fault.sync;
    tick();
    await log.append(intent('c'), 'power');
    await log.close();
    const numbers = stored(dir).map(({ seq }) => seq);
    expect(numbers).toEqual(numbers.map((_, i) => i + 1));
    expect(await log.verify()).toMatchObject({ ok: true, unproven: 0 });
    expect(closedTwice).toEqual([]);
  });

  it('keeps outcomes while it cannot write, and stores them first', async () => {
    const { fs, fault } = faulty();
    const { log, dir, tick } = await testLog({ fs });
    await log.append(intent('a'), 'process');
    fault.write = 'throw';
    fault.size = true;
    log.enqueue(outcome('a'));
    await expect(log.append(intent('b'), 'process')).rejects.toThrow();
    tick();
    delete fault.write;
    tick();
    expect(log.writable).toBe(false);
    delete fault.size;
    fault.create = true;
    tick();
    expect(log.lastError).toContain('read-only');
    delete fault.create;
    tick();
    expect(log.writable).toBe(true);
    await log.close();
    expect(stored(dir).map(({ id, kind }) => (id ? `${kind} ${id}` : kind))).toEqual([
      'start',
      'intent a',
      'outcome a',
      'head',
      'stop',
      'head',
    ]);
    expect(await log.verify()).toMatchObject({ ok: true, intentsWithoutOutcome: { count: 0 } });
  });

  it('says what to look at when it cannot open, and when it cannot close', async () => {
    const { fs, fault } = faulty();
    fault.create = true;
    await expect(testLog({ fs })).rejects.toThrow(/cannot be written: EROFS.*Check that the folder/);
    delete fault.create;
    const { log } = await testLog({ fs });
    fault.write = 'throw';
    await expect(log.close()).rejects.toThrow('no space left');
    expect(log.writable).toBe(false);
  });

  it('[P3] whatever fails when: what was acknowledged is stored, in one unbroken chain', async () => {
    const step = fc.record({
      what: fc.constantFrom('process', 'power', 'enqueue', 'tick'),
      fault: fc.constantFrom('none', 'none', 'none', 'throw', 'sync', 'create', 'size', 'truncate', 20, 500, 900),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
        const { fs, fault } = faulty();
        const { log, dir, tick } = await testLog({ fs, headEvery: 4, maxSegmentBytes: 1500 });
        const acknowledged: string[] = [];
        for (const [i, { what, fault: kind }] of steps.entries()) {
          for (const name of ['write', 'sync', 'create', 'size', 'truncate'] as const) delete fault[name];
          if (kind === 'throw' || typeof kind === 'number') fault.write = kind;
          else if (kind !== 'none') fault[kind as 'sync'] = true;
          if (what === 'tick') tick();
          else if (what === 'enqueue') log.enqueue(outcome(`r${i}`));
          else {
            const many = [`r${i}a`, `r${i}b`];
            const results = await Promise.allSettled(many.map((id) => log.append(intent(id), what as 'process')));
            for (const [k, result] of results.entries()) if (result.status === 'fulfilled') acknowledged.push(many[k]!);
          }
          await new Promise(setImmediate);
        }
        for (const name of ['write', 'sync', 'create', 'size', 'truncate'] as const) delete fault[name];
        // A sync that was made to fail above may still have to say so.
        for (let turn = 0; turn < 4; turn += 1) await new Promise(setImmediate);
        await log.close();
        const ids = new Set(stored(dir).map(({ id }) => id));
        expect(acknowledged.filter((id) => !ids.has(id))).toEqual([]);
        expect(await log.verify()).toMatchObject({ ok: true, unproven: 0 });
      }),
      { numRuns: 40 },
    );
  });
});

/** A disk of so many bytes, of which the log's reserve takes a part. */
function smallDisk(dir: string, size: number) {
  const disk = { size, used: 0 };
  const fs: Partial<SegmentFiles> = {
    write(fd, data) {
      const reserve = statSync(join(dir, 'reserve'), { throwIfNoEntry: false })?.size ?? 0;
      const room = disk.size - disk.used - reserve;
      if (room <= 0) throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
      const count = nodeFiles.write(fd, data.subarray(0, room));
      disk.used += count;
      return count;
    },
    truncate(fd, length) {
      disk.used -= nodeFiles.size(fd) - length;
      nodeFiles.truncate(fd, length);
    },
  };
  return { disk, fs };
}

describe('a log whose disk is full', () => {
  const RESERVE = 64 * 1024;

  async function full() {
    const dir = testFolder();
    const { disk, fs } = smallDisk(dir, RESERVE + 40_000);
    const test = await testLog({ dir, fs, reserveBytes: RESERVE });
    const { log } = test;
    while (log.stats().reserve.held < RESERVE) await new Promise(setImmediate);
    const acknowledged: string[] = [];
    for (let i = 0; log.writable && i < 1_000; i += 1) {
      await log.append(intent(`r${i}`), 'process').then(
        () => acknowledged.push(`r${i}`),
        () => undefined,
      );
    }
    expect(log.stats().reserve.spent).toBe(true);
    return { ...test, disk, acknowledged };
  }

  it('[GW-DISK-RESERVE] stores the outcomes of what was begun, begins nothing, and goes on when there is room', async () => {
    const { log, dir, disk, tick, acknowledged } = await full();
    await expect(log.append(intent('new'), 'power')).rejects.toThrow(/cannot be written: the disk of .* is full/);
    await expect(log.admin({ actor: { kind: 'local-admin', id: 'x' }, action: 'a', target: 't' })).rejects.toThrow(
      'full',
    );
    for (const id of acknowledged) log.enqueue(outcome(id));
    await new Promise(setImmediate);
    expect(log.stats()).toMatchObject({ queueDepth: 0, dropped: 0 });
    expect(log.lastError).toContain('must be free');
    // There is room for the reserve and as much again: it is made anew, and calls pass.
    disk.size = 10 * RESERVE;
    for (let i = 0; i < 5_000 && !log.writable; i += 1) {
      tick();
      await new Promise(setImmediate);
    }
    await log.append(intent('after'), 'power');
    await log.close();
    const ids = new Set(stored(dir).map(({ id }) => id));
    expect(acknowledged.filter((id) => !ids.has(id))).toEqual([]);
    expect(ids.has('new')).toBe(false);
    expect(await log.verify()).toMatchObject({ ok: true, unproven: 0, torn: [] });
    const open = stored(dir).filter(({ kind }) => kind === 'intent').length - acknowledged.length;
    expect((await log.verify()).intentsWithoutOutcome.count).toBe(open);
  });

  it('[GW-DISK-RESERVE] stores a stop record and a head when it is closed', async () => {
    const { log, dir } = await full();
    await log.close();
    expect(
      stored(dir)
        .slice(-2)
        .map(({ kind }) => kind),
    ).toEqual(['stop', 'head']);
    expect(await log.verify()).toMatchObject({ ok: true, unproven: 0 });
  });

  it('does not start on a disk that is full: the start says so', async () => {
    const dir = testFolder();
    const { fs } = smallDisk(dir, 0);
    await expect(testLog({ dir, fs, reserveBytes: RESERVE })).rejects.toThrow(/ENOSPC.*disk has room/);
  });
});
