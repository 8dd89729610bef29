import { readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { verifyAuditLog } from '@gatehouse/verify';
import { describe, expect, it } from 'vitest';
import type { StoredLine } from './log.ts';
import { nodeFiles } from './segments.ts';
import { denial, intent, outcome, testFolder, testLog } from './testing.ts';

type Line = Record<string, unknown> & { seq: number; kind: string; head?: Record<string, unknown> };

function segments(dir: string, stream = 'calls'): string[] {
  return readdirSync(join(dir, stream)).sort();
}

function lines(dir: string, stream = 'calls'): Line[] {
  return segments(dir, stream).flatMap((name) =>
    readFileSync(join(dir, stream, name), 'utf8')
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as Line),
  );
}

const kinds = (dir: string, stream = 'calls'): string[] => lines(dir, stream).map((line) => line.kind);

describe('append', () => {
  it('[P3] resolves only when the record stands in the file', async () => {
    const { log, dir } = await testLog();
    await log.append(intent('r1'), 'process');
    expect(lines(dir).at(-1)).toMatchObject({ kind: 'intent', request_id: 'r1', seq: 2 });
    await log.append(intent('r2'), 'power');
    expect(lines(dir).at(-1)).toMatchObject({ kind: 'intent', request_id: 'r2', seq: 3 });
    await log.close();
  });

  it('[AUD-GROUP] records that wait at the same moment share one write and one sync', async () => {
    let writes = 0;
    let syncs = 0;
    const { log, dir } = await testLog({
      fs: {
        write: (fd, data) => {
          writes += 1;
          return nodeFiles.write(fd, data);
        },
        sync: (fd, done) => {
          syncs += 1;
          nodeFiles.sync(fd, done);
        },
      },
    });
    writes = 0;
    await Promise.all(Array.from({ length: 100 }, (_, i) => log.append(intent(`r${i}`), i % 2 ? 'power' : 'process')));
    expect([writes, syncs]).toEqual([1, 1]);
    expect(lines(dir)).toHaveLength(101);
    await log.close();
  });

  it('[P3] asks for a sync only where power loss must be survived, and waits for it', async () => {
    const held: (() => void)[] = [];
    const { log } = await testLog({ fs: { sync: (_fd, done) => held.push(() => done(null)) } });
    await log.append(intent('read'), 'process');
    expect(held).toHaveLength(0);
    let stored = false;
    const write = log.append(intent('write'), 'power').then(() => {
      stored = true;
    });
    await log.append(intent('read again'), 'process');
    expect(stored).toBe(false);
    expect(log.stats().queueDepth).toBe(1);
    held.shift()!();
    await write;
    expect(stored).toBe(true);
  });

  it('[AUD-ORDER] an enqueued outcome stands behind what was appended before it', async () => {
    const { log, dir } = await testLog();
    const first = log.append(intent('r1'), 'process');
    log.enqueue(outcome('r1'));
    await log.append(intent('r2'), 'process');
    await first;
    expect(lines(dir).map((line) => `${line.kind}:${line.request_id}`)).toEqual([
      'start:undefined',
      'intent:r1',
      'outcome:r1',
      'intent:r2',
    ]);
    await log.close();
  });

  it('stores an outcome whose detail cannot be written, without the detail', async () => {
    const { log, dir } = await testLog();
    log.enqueue({ ...outcome('r1'), detail: { big: 1n } });
    await log.close();
    expect(lines(dir)[1]).toMatchObject({
      kind: 'outcome',
      request_id: 'r1',
      detail: { not_recorded: expect.any(String) },
    });
  });

  it('refuses a record that is too large, and goes on', async () => {
    const { log } = await testLog();
    const large = { ...intent('r1'), detail: { text: 'x'.repeat(9_000_000) } };
    await expect(log.append(large, 'process')).rejects.toThrow(RangeError);
    await log.append(intent('r2'), 'process');
    expect(log.writable).toBe(true);
    await log.close();
  });

  it('refuses after close', async () => {
    const { log } = await testLog();
    await log.close();
    await expect(log.append(intent('r1'), 'process')).rejects.toThrow('closed');
    expect(log.writable).toBe(false);
  });
});

describe('heads and segments', () => {
  it('[AUD-HEAD] signs every so many records, when idle, and at stop', async () => {
    const { log, dir, tick } = await testLog({ headEvery: 3 });
    for (const id of ['a', 'b', 'c']) await log.append(intent(id), 'process');
    expect(kinds(dir)).toEqual(['start', 'intent', 'intent', 'head', 'intent']);
    tick();
    await log.append(intent('d'), 'process');
    expect(kinds(dir)).toEqual(['start', 'intent', 'intent', 'head', 'intent', 'head', 'intent']);
    expect(log.stats().lastHeadSeq).toBe(6);
    await log.close();
    expect(kinds(dir).slice(-2)).toEqual(['stop', 'head']);
    expect(kinds(dir, 'admin')).toEqual(['start', 'head', 'stop', 'head']);
    const report = await verifyAuditLog({ dir, publicKeys: [{ publicKey: log.publicKey() }] });
    expect(report).toMatchObject({ ok: true, unproven: 0 });
  });

  it('makes no head where nothing came since the last', async () => {
    const { log, dir, tick } = await testLog();
    for (let i = 0; i < 5; i += 1) {
      tick();
      await new Promise(setImmediate);
    }
    expect(kinds(dir)).toEqual(['start', 'head']);
    await log.close();
  });

  it('[AUD-SEQ] goes on in a new segment without a gap', async () => {
    const { log, dir } = await testLog({ maxSegmentBytes: 1500 });
    for (let i = 0; i < 12; i += 1) await log.append(intent(`r${i}`), 'power');
    await log.close();
    expect(segments(dir).length).toBeGreaterThan(3);
    expect(lines(dir).map((line) => line.seq)).toEqual(lines(dir).map((_, i) => i + 1));
    expect(await log.verify()).toMatchObject({ ok: true, unproven: 0 });
  });

  it('syncs a full segment before the next begins, so that a loss of power leaves no gap', async () => {
    const did: string[] = [];
    const { log } = await testLog({
      maxSegmentBytes: 1,
      fs: {
        create: (path) => {
          did.push('create');
          return nodeFiles.create(path);
        },
        syncNow: (fd) => {
          did.push('sync');
          nodeFiles.syncNow(fd);
        },
      },
    });
    did.length = 0;
    await log.append(intent('r1'), 'process');
    await log.append(intent('r2'), 'process');
    expect(did).toEqual(['sync', 'create', 'sync', 'create']);
    await log.close();
  });

  it('takes many records, in few writes, and all of them verify', async () => {
    let writes = 0;
    const { log } = await testLog({
      fs: {
        write: (fd, data) => {
          writes += 1;
          return nodeFiles.write(fd, data);
        },
      },
    });
    for (let i = 0; i < 20; i += 1) {
      await Promise.all(Array.from({ length: 1000 }, (_, k) => log.append(denial(`r${i}-${k}`), 'process')));
    }
    expect(writes).toBeLessThan(50);
    await log.close();
    // Per stream start, stop and a head; among the calls two more heads.
    expect(await log.verify()).toMatchObject({ ok: true, records: 20_008, heads: 4, unproven: 0 });
  });

  it('[P6] keeps files and folders to their owner', async () => {
    const { log, dir } = await testLog();
    expect(statSync(join(dir, 'calls')).mode & 0o777).toBe(0o700);
    await log.search({});
    for (const name of [join('calls', segments(dir)[0]!), 'index.db', 'index.db-wal']) {
      expect(statSync(join(dir, name)).mode & 0o777, name).toBe(0o600);
    }
    await log.close();
  });

  it('refuses a writer id that the folder knows, a short key and a short seed', async () => {
    const { log, dir } = await testLog({ writer: 'w1' });
    await log.close();
    await expect(testLog({ dir, writer: 'w1' })).rejects.toThrow('already has a chain of the writer w1');
    await expect(testLog({ writer: 'a/b' })).rejects.toThrow('writer id');
    await expect(testLog({ hmacKey: Buffer.alloc(8) })).rejects.toThrow('at least 32');
    await expect(testLog({ signingSeed: Buffer.alloc(8) })).rejects.toThrow('exactly 32');
    await expect(testLog({ keyId: '' })).rejects.toThrow('key id');
  });
});

describe('the next process', () => {
  it('[AUD-START] names the end of every chain before it once, and they verify together', async () => {
    const dir = testFolder();
    for (const writer of ['w1', 'w2', 'w3']) {
      const { log } = await testLog({ dir, writer });
      await log.append(intent(`of ${writer}`), 'process');
      await log.close();
    }
    const starts = lines(dir).filter((line) => line.kind === 'start');
    const named = starts.map((line) =>
      (line.start as { chains: { stream: string; writer: string; seq: number }[] }).chains.map(
        (chain) => `${chain.stream}/${chain.writer}/${chain.seq}`,
      ),
    );
    expect(named).toEqual([[], ['calls/w1/4', 'admin/w1/3'], ['calls/w2/4', 'admin/w2/3']]);
    expect(starts[0]!.start).toMatchObject({ key_id: 'test-key' });
  });

  it('[AUD-RECOVER] signs what a killed process left unsigned, and leaves its torn line where it is', async () => {
    const dir = testFolder();
    const killed = await testLog({ dir, writer: 'w1' });
    await killed.log.append(intent('r1'), 'process');
    await killed.log.append(intent('r2'), 'process');
    const path = join(dir, 'calls', segments(dir)[0]!);
    truncateSync(path, statSync(path).size - 10);

    const { log } = await testLog({ dir, writer: 'w2' });
    await log.close();
    const own = lines(dir).filter((line) => line.writer === 'w2');
    expect(own.map((line) => line.kind)).toEqual(['start', 'head', 'stop', 'head']);
    expect(own[1]!.head).toMatchObject({ writer: 'w1', seq: 2, key_id: 'test-key' });
    expect(own[0]!.start).toMatchObject({
      chains: [{ stream: 'calls', writer: 'w1', seq: 2, torn_bytes: expect.any(Number) }, expect.anything()],
    });
    const report = await log.verify();
    expect(report.ok).toBe(true);
    expect(report.torn).toMatchObject([{ stream: 'calls', writer: 'w1', afterSeq: 2 }]);
    expect(report.chains.find((chain) => chain.writer === 'w1')).toMatchObject({ unproven: 0, stopped: false });
  });

  it('starts beside a chain whose end is damaged, and says so', async () => {
    const dir = testFolder();
    const { log: first } = await testLog({ dir, writer: 'w1' });
    await first.close();
    const path = join(dir, 'calls', segments(dir)[0]!);
    writeFileSync(
      path,
      readFileSync(path, 'utf8')
        .replace('"stop"', '"atop"')
        .replace(/"signature":"./, '"signature":"*'),
    );
    const { log } = await testLog({ dir, writer: 'w2' });
    await log.close();
    const start = lines(dir).find((line) => line.writer === 'w2')!.start;
    expect(start).toMatchObject({ chains: [{ writer: 'w1', damaged: true }, expect.anything()] });
    expect(await log.verify()).toMatchObject({
      ok: false,
      problems: [{ code: 'hash_mismatch', writer: 'w1', seq: 2 }, expect.anything()],
    });
  });
});

describe('admin, tail, export', () => {
  it('[AUD-ADMIN] stores a change with before and after, durable, in its own stream', async () => {
    let syncs = 0;
    const { log, dir } = await testLog({
      fs: {
        sync: (fd, done) => {
          syncs += 1;
          nodeFiles.sync(fd, done);
        },
      },
    });
    await log.admin({
      actor: { kind: 'local-admin', id: 'me' },
      action: 'grant.create',
      target: 'g1',
      before: null,
      after: { label: 'x' },
    });
    expect(syncs).toBe(1);
    expect(lines(dir, 'admin')[1]).toMatchObject({
      stream: 'admin',
      seq: 2,
      kind: 'admin',
      action: 'grant.create',
      target: 'g1',
      before: null,
      after: { label: 'x' },
    });
    expect((await log.searchAdmin({ action: 'grant.create' })).rows).toMatchObject([
      { target: 'g1', actor: { id: 'me' }, record: { after: { label: 'x' } } },
    ]);
    expect((await log.searchAdmin({ target: 'g2' })).rows).toEqual([]);
    await log.close();
  });

  it('tells who follows of each record, and drops one who throws', async () => {
    const { log } = await testLog();
    const heard: StoredLine[] = [];
    let thrown = 0;
    const stop = log.tail((stored) => heard.push(stored));
    log.tail(() => {
      thrown += 1;
      throw new Error('listener');
    });
    await log.append(intent('r1'), 'process');
    await log.append(intent('r2'), 'process');
    stop();
    await log.append(intent('r3'), 'process');
    expect(heard.map((stored) => (JSON.parse(stored.line) as Line).request_id)).toEqual(['r1', 'r2']);
    expect([heard[0]!.stream, heard[0]!.seq, thrown]).toEqual(['calls', 2, 1]);
    await log.close();
  });

  it('[AUD-EXPORT] exports both streams whole, so that the export verifies by itself', async () => {
    const { log } = await testLog({ maxSegmentBytes: 1000 });
    for (let i = 0; i < 5; i += 1) {
      await log.append(intent(`r${i}`), 'process');
      log.enqueue(outcome(`r${i}`));
    }
    await log.append(denial('d1'), 'process');
    const exported = await Array.fromAsync(log.exportLines({}));
    const report = await verifyAuditLog({ lines: exported, publicKeys: [{ publicKey: log.publicKey() }] });
    expect(report).toMatchObject({ ok: true, records: 13, intentsWithoutOutcome: { count: 0 } });
    const some = await Array.fromAsync(log.exportLines({ requestId: 'r3' }));
    expect(some.map((line) => (JSON.parse(line) as Line).kind)).toEqual(['intent', 'outcome']);
    await log.close();
  });
});
