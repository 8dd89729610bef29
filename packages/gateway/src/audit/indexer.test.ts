import {
  closeSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { Worker } from 'node:worker_threads';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { startIndexThread } from './index-thread.ts';
import { Indexer, type IndexerOptions } from './indexer.ts';
import { AuditUnavailableError } from './log.ts';
import { denial, handTimers, intent, outcome, testFolder, testLog } from './testing.ts';

interface TestIndexer {
  indexer: Indexer;
  /** The threads that it started, the running one last. */
  threads: Worker[];
  tick: () => void;
  ids: () => Promise<string[]>;
}

function open(dir: string, options: Partial<IndexerOptions> = {}): TestIndexer {
  const threads: Worker[] = [];
  const timers = handTimers();
  const indexer = new Indexer({
    dir,
    writer: 'w1',
    schedule: timers.schedule,
    segments: () => 2,
    behindCalls: true,
    startThread: () => {
      threads.push(startIndexThread({ dir, writer: 'w1' }));
      return threads.at(-1)!;
    },
    ...options,
  });
  onTestFinished(() => indexer.close());
  const ids = async () => (await indexer.search({ limit: 1000 })).rows.map((row) => row.requestId);
  return { indexer, threads, tick: timers.run, ids };
}

/** A folder with the calls `a` (with an outcome) to `d`, each in a segment of its own. */
async function filled(): Promise<string> {
  const dir = testFolder();
  const { log } = await testLog({ dir, writer: 'w1', maxSegmentBytes: 1 });
  await log.append(intent('a'), 'process');
  log.enqueue(outcome('a'));
  await new Promise(setImmediate);
  for (const id of ['b', 'c', 'd']) await log.append(denial(id), 'process');
  await log.close();
  return dir;
}

/** Threads start slowly on a busy machine. */
const soon = (check: () => void): Promise<void> => vi.waitFor(check, { timeout: 8_000 });

const segments = (dir: string): string[] => readdirSync(join(dir, 'calls')).sort();

describe('the thread of the index', () => {
  it('[AUD-INDEX-THREAD] is not started by calls where only searches fill the index, and by the first search', async () => {
    const { indexer, threads, tick, ids } = open(await filled(), { behindCalls: false });
    indexer.stored(50_000);
    tick();
    expect(threads).toHaveLength(0);
    expect(await ids()).toEqual(['d', 'c', 'b', 'a']);
    expect(threads).toHaveLength(1);
  });

  it('[AUD-INDEX-THREAD] that dies refuses who waited for it, and the next search has a new one', async () => {
    const { indexer, threads, ids } = open(await filled());
    await ids();
    const waiting = indexer.search({});
    void threads[0]!.terminate();
    await expect(waiting).rejects.toThrow(AuditUnavailableError);
    expect(indexer.error).toContain('thread ended');
    expect(await ids()).toEqual(['d', 'c', 'b', 'a']);
    expect([threads.length, indexer.error]).toEqual([2, undefined]);
  });

  it('[AUD-INDEX-THREAD] that cannot even begin is tried again, first after a pause, with its reason kept', async () => {
    const dir = await filled();
    let works = false;
    const bad = 'throw new Error("no such thing")';
    const { indexer, tick } = open(dir, {
      startThread: () => (works ? startIndexThread({ dir, writer: 'w1' }) : new Worker(bad, { eval: true })),
    });
    indexer.stored(1);
    tick();
    await soon(() => expect(indexer.error).toContain('no such thing'));
    await expect(indexer.search({})).rejects.toThrow('The records are safe');
    works = true;
    tick();
    await soon(() => expect(indexer.indexed).toBeGreaterThan(4));
    expect(indexer.error).toBeUndefined();
  });

  it('[AUD-INDEX-THREAD] closes at once, and refuses who waits and who comes', async () => {
    const { indexer, threads, ids } = open(await filled());
    await ids();
    const ended = new Promise((resolve) => threads[0]!.once('exit', resolve));
    const waiting = indexer.search({});
    await Promise.all([expect(waiting).rejects.toThrow('closed'), indexer.close(), indexer.close()]);
    await ended;
    await expect(indexer.search({})).rejects.toThrow('closed');
    expect(threads).toHaveLength(1);
  });

  it('[AUD-INDEX-LOAD] takes in closed segments alone while the load is high, and the open one when it is low', async () => {
    const dir = testFolder();
    const { log } = await testLog({ dir, writer: 'w1', maxSegmentBytes: 4000 });
    onTestFinished(() => log.close());
    const opened = 2;
    const { indexer, threads, tick } = open(dir, { segments: () => opened });
    for (let i = 0; i < 10; i += 1) await log.append(denial(`r${i}`), 'process');
    indexer.stored(2000);
    tick();
    const all = log.stats().records;
    await soon(() => expect(indexer.indexed).toBeGreaterThan(5));
    expect(indexer.indexed).toBeLessThan(all);
    const before = indexer.indexed;
    // As many again, but no segment was closed: nothing to do.
    indexer.stored(2000);
    tick();
    expect(threads).toHaveLength(1);
    indexer.stored(10);
    tick();
    await soon(() => expect(indexer.indexed).toBe(all));
    expect(before).toBeLessThan(all);
  });
});

describe('the file of the index', () => {
  it('[AUD-INDEX] is built again when it was deleted or replaced while it was in use', async () => {
    const dir = await filled();
    const { ids } = open(dir);
    expect(await ids()).toHaveLength(4);
    for (const suffix of ['', '-wal', '-shm']) rmSync(join(dir, `index.db${suffix}`), { force: true });
    expect(await ids()).toHaveLength(4);
    expect(statSync(join(dir, 'index.db')).size).toBeGreaterThan(0);
    writeFileSync(join(dir, 'other'), 'this is no database'.repeat(1000));
    renameSync(join(dir, 'other'), join(dir, 'index.db'));
    expect(await ids()).toHaveLength(4);
  });

  it('[AUD-INDEX] is built again when a page of it turns out to be damaged', async () => {
    const dir = await filled();
    const first = open(dir);
    expect(await first.ids()).toHaveLength(4);
    await first.indexer.close();
    const path = join(dir, 'index.db');
    const db = new DatabaseSync(path);
    const roots = db.prepare("SELECT rootpage FROM sqlite_schema WHERE tbl_name = 'calls' AND rootpage > 0").all();
    db.close();
    const fd = openSync(path, 'r+');
    // What is looked at when it is opened stays whole.
    for (const { rootpage } of roots) writeSync(fd, Buffer.alloc(4096, 0x5a), 0, 4096, (Number(rootpage) - 1) * 4096);
    closeSync(fd);
    expect(roots).toHaveLength(7);
    expect(await open(dir).ids()).toEqual(['d', 'c', 'b', 'a']);
  });

  it('[AUD-INDEX] that is of another version, or longer than its segments, is built again', async () => {
    const dir = await filled();
    const first = open(dir);
    await first.ids();
    await first.indexer.close();
    const db = new DatabaseSync(join(dir, 'index.db'));
    db.exec('PRAGMA user_version = 1');
    db.close();
    expect(await open(dir).ids()).toHaveLength(4);
    const [name] = segments(dir).slice(-1);
    writeFileSync(join(dir, 'calls', name!), '');
    expect(await open(dir).ids()).toHaveLength(4);
  });

  it('[AUD-INDEX-CUT] forgets the calls of segments that were cut, and keeps the others', async () => {
    const dir = await filled();
    const { indexer, ids } = open(dir);
    expect(await ids()).toEqual(['d', 'c', 'b', 'a']);
    const holds = (id: string) => (name: string) =>
      readFileSync(join(dir, 'calls', name), 'utf8').includes(`"request_id":"${id}","grant"`);
    for (const id of ['a', 'c']) rmSync(join(dir, 'calls', segments(dir).find(holds(id))!));
    await indexer.forgetCut();
    expect(await ids()).toEqual(['d', 'b']);
    expect(await indexer.request('c')).toEqual([]);
    const db = new DatabaseSync(join(dir, 'index.db'), { readOnly: true });
    expect(db.prepare("SELECT count(*) AS n FROM segments WHERE stream = 'calls'").get()!.n).toBe(segments(dir).length);
    db.close();
  });
});

describe('an export', () => {
  it('[AUD-EXPORT] is read as it is taken, can be left, and fails when the thread dies under it', async () => {
    const dir = testFolder();
    const { log } = await testLog({ dir, writer: 'w1' });
    for (let i = 0; i < 3000; i += 1) log.enqueue(denial(`r${i}`));
    await log.close();
    const { indexer, threads } = open(dir);
    const lines = indexer.export({ outcome: 'deny' }, 'jsonl');
    expect((await lines.next()).value).toContain('"request_id":"r0"');
    await lines.return(undefined);
    const csv = await Array.fromAsync(indexer.export({ outcome: 'deny' }, 'csv'));
    expect([csv.length, csv[1]?.includes(',r0,'), csv.at(-1)?.includes(',r2999,')]).toEqual([3001, true, true]);
    const cut = indexer.export({ outcome: 'deny' }, 'jsonl');
    await cut.next();
    await threads[0]!.terminate();
    await expect(Array.fromAsync(cut)).rejects.toThrow('cannot be used');
    await expect(Array.fromAsync(indexer.export({ from: Number.NaN }, 'csv'))).rejects.toThrow('from is not a time');
  });
});
