import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type ImageRecord, type TaskRequest, TaskStore } from './store.ts';

const request: TaskRequest = {
  prompt: 'a fox',
  model: 'flux-dev',
  width: 64,
  height: 64,
  count: 1,
  seed: 1,
  format: 'png',
  callbackUrl: undefined,
  sources: 0,
};
const image: ImageRecord = { id: 'a'.repeat(32), format: 'png', width: 64, height: 64, bytes: 9, seed: 1 };

let folder: string;
let now = 0;
let store: TaskStore;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'flux-store-'));
  now = 1_000;
  store = new TaskStore(folder, () => now);
});

afterEach(() => {
  store.close();
  rmSync(folder, { recursive: true });
});

const add = (id: string, caller = 'ana') =>
  store.insert({ id, caller, action: 'generate', provider: 'preview', request }, 'me', 5_000);

describe('TaskStore', () => {
  it('[FLUX-RESTART] keeps tasks and pictures for the next process', () => {
    add('t1');
    store.setHandle('t1', 'h');
    store.setProgress('t1', 0.5, 'half');
    now = 2_000;
    expect(store.finish('t1', { state: 'succeeded', message: '1 made', images: [image] })).toBe(true);
    store.close();
    store = new TaskStore(folder, () => now);
    const task = store.get('t1', 'ana');
    expect(task).toMatchObject({
      state: 'succeeded',
      progress: 1,
      handle: 'h',
      createdAt: 1_000,
      finishedAt: 2_000,
      request: { prompt: 'a fox' },
    });
    expect(task?.images).toEqual([image]);
  });

  it('[FLUX-CALLER] shows a task and its pictures to its caller alone', () => {
    add('t1');
    store.finish('t1', { state: 'succeeded', message: '', images: [image] });
    expect(store.get('t1', 'ben')).toBeUndefined();
    expect(store.image(image.id, 'ben')).toBeUndefined();
    expect(store.recentImages('ben', 9)).toEqual([]);
    expect(store.image(image.id, 'ana')).toEqual(image);
    expect(store.recentImages('ana', 9)).toHaveLength(1);
  });

  it('ends a task once: what comes later changes nothing', () => {
    add('t1');
    expect(store.finish('t1', { state: 'cancelled', message: 'first' })).toBe(true);
    expect(store.finish('t1', { state: 'succeeded', message: 'second', images: [image] })).toBe(false);
    expect(store.get('t1', 'ana')).toMatchObject({ state: 'cancelled', message: 'first', images: [] });
  });

  it('gives a lost task to one process only', () => {
    add('t1');
    const other = new TaskStore(folder, () => now);
    const seen = { owner: 'me', leaseUntil: 5_000 };
    expect(other.claim('t1', seen, 'second', 9_000)).toBe(true);
    expect(store.claim('t1', seen, 'third', 9_000)).toBe(false);
    expect(store.unfinished()).toMatchObject([{ owner: 'second', leaseUntil: 9_000 }]);
    other.close();
  });

  it('removes old ended tasks with their pictures, and keeps unfinished ones', () => {
    add('old');
    store.finish('old', { state: 'succeeded', message: '', images: [image] });
    add('open');
    now = 50_000;
    add('new');
    expect(store.removeBefore(20_000)).toEqual([image]);
    expect(['old', 'open', 'new'].map((id) => store.get(id, 'ana') !== undefined)).toEqual([false, true, true]);
  });

  it('refuses a file of a newer version by name', () => {
    store.close();
    const db = new DatabaseSync(join(folder, 'tasks.sqlite'));
    db.exec('PRAGMA user_version = 99');
    db.close();
    expect(() => new TaskStore(folder, () => now)).toThrow(/newer version.*schema 99/);
    store = new TaskStore(join(folder, 'other'), () => now);
  });
});
