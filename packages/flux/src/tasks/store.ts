import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync, type SQLOutputValue } from 'node:sqlite';
import { type ErrorRecord, FluxError } from '../errors.ts';
import type { ModelName, OutputFormat } from '../models.ts';

export const TASK_STATES = ['queued', 'running', 'succeeded', 'failed', 'cancelled'] as const;

export type TaskState = (typeof TASK_STATES)[number];

export function isFinished(state: TaskState): boolean {
  return state !== 'queued' && state !== 'running';
}

/** What was asked for; enough to do the work again. */
export interface TaskRequest {
  prompt: string;
  model: ModelName;
  width: number | undefined;
  height: number | undefined;
  count: number;
  seed: number;
  format: OutputFormat;
  callbackUrl: string | undefined;
  /** How many pictures of the call are kept beside the task until it ends. */
  sources: number;
}

export interface ImageRecord {
  id: string;
  format: OutputFormat;
  width: number;
  height: number;
  bytes: number;
  seed: number | undefined;
}

export interface TaskRecord {
  id: string;
  caller: string;
  action: 'generate' | 'edit';
  provider: string;
  state: TaskState;
  request: TaskRequest;
  /** What the provider needs to find its work again. */
  handle: string | undefined;
  /** 0 to 1. */
  progress: number;
  message: string;
  error: ErrorRecord | undefined;
  callback: 'none' | 'pending' | 'delivered' | 'failed';
  /** Milliseconds since 1970. */
  createdAt: number;
  finishedAt: number | undefined;
  images: ImageRecord[];
}

/** Raised with every change of the tables below. */
const SCHEMA_VERSION = 1;

const SCHEMA = `
CREATE TABLE tasks (
  id TEXT PRIMARY KEY, caller TEXT NOT NULL, action TEXT NOT NULL, provider TEXT NOT NULL, state TEXT NOT NULL,
  request TEXT NOT NULL, handle TEXT, progress REAL NOT NULL, message TEXT NOT NULL, error TEXT, callback TEXT NOT NULL,
  owner TEXT, lease_until INTEGER NOT NULL, created_at INTEGER NOT NULL, finished_at INTEGER
) STRICT;
CREATE INDEX tasks_unfinished ON tasks (state) WHERE state IN ('queued', 'running');
CREATE INDEX tasks_created ON tasks (created_at);
CREATE TABLE images (
  id TEXT PRIMARY KEY, task_id TEXT NOT NULL REFERENCES tasks (id) ON DELETE CASCADE, caller TEXT NOT NULL, position INTEGER NOT NULL,
  format TEXT NOT NULL, width INTEGER NOT NULL, height INTEGER NOT NULL, bytes INTEGER NOT NULL, seed INTEGER
) STRICT;
CREATE INDEX images_of_task ON images (task_id, position);
CREATE INDEX images_of_caller ON images (caller, task_id);
`;

type Row = Record<string, SQLOutputValue>;

/**
 * Tasks and the pictures that they made, in one SQLite file of the data folder. Several processes may share it: an unfinished
 * task has an owner and a lease, and only its owner writes to it.
 */
export class TaskStore {
  readonly #db: DatabaseSync;
  readonly #now: () => number;

  /**
   * @param folder is made when it is not there, readable by its owner only
   * @param now milliseconds since 1970
   * @throws FluxError `store` when the file is of a newer version or cannot be opened
   */
  constructor(folder: string, now: () => number) {
    this.#now = now;
    const file = join(folder, 'tasks.sqlite');
    try {
      mkdirSync(folder, { recursive: true, mode: 0o700 });
      this.#db = new DatabaseSync(file, { timeout: 5_000 });
      this.#db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON;');
      this.#migrate(file);
    } catch (error) {
      if (error instanceof FluxError) throw error;
      throw new FluxError(
        'store',
        `The task store ${file} cannot be opened: ${error instanceof Error ? error.message : String(error)}`,
        'Check that the folder exists and is writable, or name another one with --data or FLUX_DATA_DIR.',
        { cause: error },
      );
    }
  }

  #migrate(file: string): void {
    const version = (): number => Number(this.#db.prepare('PRAGMA user_version').get()?.user_version ?? 0);
    if (version() < SCHEMA_VERSION) {
      // IMMEDIATE: of several processes that start together, one makes the tables and the others wait and find them.
      this.#db.exec('BEGIN IMMEDIATE');
      if (version() < SCHEMA_VERSION) this.#db.exec(`${SCHEMA} PRAGMA user_version = ${SCHEMA_VERSION};`);
      this.#db.exec('COMMIT');
    }
    if (version() > SCHEMA_VERSION) {
      throw new FluxError(
        'store',
        `${file} was written by a newer version of this server (schema ${version()}, this one knows ${SCHEMA_VERSION}).`,
        'Start the newer version, or use another data folder.',
      );
    }
  }

  insert(
    task: Pick<TaskRecord, 'id' | 'caller' | 'action' | 'provider' | 'request'>,
    owner: string,
    leaseUntil: number,
  ): void {
    this.#db
      .prepare(
        `INSERT INTO tasks (id, caller, action, provider, state, request, progress, message, callback, owner, lease_until, created_at)
         VALUES (?, ?, ?, ?, 'queued', ?, 0, 'waiting', ?, ?, ?, ?)`,
      )
      .run(
        task.id,
        task.caller,
        task.action,
        task.provider,
        JSON.stringify(task.request),
        task.request.callbackUrl === undefined ? 'none' : 'pending',
        owner,
        leaseUntil,
        this.#now(),
      );
  }

  /** The task when it is there and belongs to the caller; a foreign one looks like none at all. */
  get(id: string, caller: string): TaskRecord | undefined {
    const row = this.#db.prepare('SELECT * FROM tasks WHERE id = ? AND caller = ?').get(id, caller);
    return row === undefined ? undefined : this.#toTask(row);
  }

  /** Unfinished tasks of all callers with who works on them. */
  unfinished(): { task: TaskRecord; owner: string | undefined; leaseUntil: number }[] {
    return this.#db
      .prepare(`SELECT * FROM tasks WHERE state IN ('queued', 'running') ORDER BY created_at`)
      .all()
      .map((row) => ({
        task: this.#toTask(row),
        owner: text(row.owner),
        leaseUntil: Number(row.lease_until),
      }));
  }

  /** Takes over an unfinished task from an owner that was seen to be gone. @returns false when another process was first */
  claim(
    id: string,
    from: { owner: string | undefined; leaseUntil: number },
    owner: string,
    leaseUntil: number,
  ): boolean {
    const result = this.#db
      .prepare(
        `UPDATE tasks SET owner = ?, lease_until = ?
         WHERE id = ? AND owner IS ? AND lease_until = ? AND state IN ('queued', 'running')`,
      )
      .run(owner, leaseUntil, id, from.owner ?? null, from.leaseUntil);
    return result.changes === 1;
  }

  renewLeases(owner: string, leaseUntil: number): void {
    this.#db
      .prepare(`UPDATE tasks SET lease_until = ? WHERE owner = ? AND state IN ('queued', 'running')`)
      .run(leaseUntil, owner);
  }

  setHandle(id: string, handle: string): void {
    this.#db.prepare(`UPDATE tasks SET handle = ?, state = 'running' WHERE id = ?`).run(handle, id);
  }

  setProgress(id: string, progress: number, message: string): void {
    this.#db
      .prepare(`UPDATE tasks SET progress = ?, message = ? WHERE id = ? AND state IN ('queued', 'running')`)
      .run(progress, message, id);
  }

  /** Ends a task that is not ended yet, and notes its pictures in the same transaction. @returns whether this call ended it */
  finish(
    id: string,
    end: { state: 'succeeded' | 'failed' | 'cancelled'; message: string; error?: ErrorRecord; images?: ImageRecord[] },
  ): boolean {
    this.#db.exec('BEGIN IMMEDIATE');
    try {
      const { changes } = this.#db
        .prepare(
          `UPDATE tasks SET state = ?, message = ?, error = ?, finished_at = ?, owner = NULL,
             progress = CASE WHEN ? = 'succeeded' THEN 1 ELSE progress END
           WHERE id = ? AND state IN ('queued', 'running')`,
        )
        .run(
          end.state,
          end.message,
          end.error === undefined ? null : JSON.stringify(end.error),
          this.#now(),
          end.state,
          id,
        );
      if (changes === 1) {
        const insert = this.#db.prepare(
          `INSERT INTO images (id, task_id, caller, position, format, width, height, bytes, seed)
           SELECT ?, id, caller, ?, ?, ?, ?, ?, ? FROM tasks WHERE id = ?`,
        );
        for (const [position, image] of (end.images ?? []).entries()) {
          const { format, width, height, bytes } = image;
          insert.run(image.id, position, format, width, height, bytes, image.seed ?? null, id);
        }
      }
      this.#db.exec('COMMIT');
      return changes === 1;
    } catch (error) {
      this.#db.exec('ROLLBACK');
      throw error;
    }
  }

  setCallback(id: string, callback: TaskRecord['callback']): void {
    this.#db.prepare('UPDATE tasks SET callback = ? WHERE id = ?').run(callback, id);
  }

  /** A picture by its id; of one caller, or of any when `caller` is `undefined` (the id itself is the secret then). */
  image(id: string, caller: string | undefined): ImageRecord | undefined {
    const row =
      caller === undefined
        ? this.#db.prepare('SELECT * FROM images WHERE id = ?').get(id)
        : this.#db.prepare('SELECT * FROM images WHERE id = ? AND caller = ?').get(id, caller);
    return row === undefined ? undefined : toImage(row);
  }

  /** The newest pictures of a caller. */
  recentImages(caller: string, limit: number): { image: ImageRecord; createdAt: number }[] {
    return this.#db
      .prepare(
        `SELECT images.*, tasks.created_at FROM images JOIN tasks ON tasks.id = images.task_id
         WHERE images.caller = ? ORDER BY tasks.created_at DESC, images.position LIMIT ?`,
      )
      .all(caller, limit)
      .map((row) => ({ image: toImage(row), createdAt: Number(row.created_at) }));
  }

  /** Removes ended tasks made before a moment. @returns their pictures, whose files are the caller's to delete */
  removeBefore(createdAt: number): ImageRecord[] {
    const old = `SELECT id FROM tasks WHERE created_at < ? AND state NOT IN ('queued', 'running')`;
    const images = this.#db.prepare(`SELECT * FROM images WHERE task_id IN (${old})`).all(createdAt).map(toImage);
    this.#db.prepare(`DELETE FROM tasks WHERE id IN (${old})`).run(createdAt);
    return images;
  }

  close(): void {
    this.#db.close();
  }

  #toTask(row: Row): TaskRecord {
    const id = String(row.id);
    const error = text(row.error);
    const request = JSON.parse(String(row.request)) as TaskRequest;
    return {
      id,
      caller: String(row.caller),
      action: row.action as TaskRecord['action'],
      provider: String(row.provider),
      state: row.state as TaskState,
      request,
      handle: text(row.handle),
      progress: Number(row.progress),
      message: String(row.message),
      error: error === undefined ? undefined : (JSON.parse(error) as ErrorRecord),
      callback: row.callback as TaskRecord['callback'],
      createdAt: Number(row.created_at),
      finishedAt: row.finished_at === null ? undefined : Number(row.finished_at),
      images: this.#db.prepare('SELECT * FROM images WHERE task_id = ? ORDER BY position').all(id).map(toImage),
    };
  }
}

function toImage(row: Row): ImageRecord {
  return {
    id: String(row.id),
    format: row.format as OutputFormat,
    width: Number(row.width),
    height: Number(row.height),
    bytes: Number(row.bytes),
    seed: row.seed === null ? undefined : Number(row.seed),
  };
}

function text(value: SQLOutputValue | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
