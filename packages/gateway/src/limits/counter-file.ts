// The file that holds the counters of several processes: its tables, how it is opened, and what its errors mean.
import { closeSync, fchmodSync, openSync, statSync } from 'node:fs';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import type { WindowState } from '@gatehouse/policy';
import { parsePlainJson } from '@gatehouse/wire';
import { CountersUnavailableError } from './counters.ts';

/** Layout of the tables; a file of another one is not touched. */
const LAYOUT = 1;

const SCHEMA = `
CREATE TABLE IF NOT EXISTS epoch (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  id TEXT NOT NULL,
  boot TEXT NOT NULL,
  sliding INTEGER NOT NULL,
  calendar INTEGER NOT NULL,
  anchor_sliding INTEGER NOT NULL,
  anchor_wall INTEGER NOT NULL,
  anchor_uptime INTEGER NOT NULL,
  rows_held INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS windows (
  key TEXT PRIMARY KEY,
  state TEXT NOT NULL,
  calendar INTEGER NOT NULL,
  ends INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS windows_ends ON windows (calendar, ends);
CREATE TABLE IF NOT EXISTS slots (
  key TEXT NOT NULL,
  call TEXT NOT NULL,
  until INTEGER NOT NULL,
  PRIMARY KEY (key, call)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS slots_until ON slots (until);
PRAGMA user_version = ${LAYOUT};
`;

/**
 * The epoch marker: the store knows what was counted since it was written. With it stands the store's time. All times are
 * whole milliseconds.
 */
export interface Epoch {
  id: string;
  /** Which start of the machine the anchor's uptime belongs to. */
  boot: string;
  /** The latest instant of sliding time. */
  sliding: number;
  /** The latest instant of calendar time. */
  calendar: number;
  anchorSliding: number;
  anchorWall: number;
  anchorUptime: number;
  /** Counters and slots in the file. */
  rowsHeld: number;
}

/** An open file. Every method may throw what SQLite throws; {@link explainFailure} says what that means. */
export class CounterFile {
  readonly #db: DatabaseSync;
  readonly #path: string;
  readonly #inode: bigint;
  readonly #statements = new Map<string, StatementSync>();

  private constructor(db: DatabaseSync, path: string, inode: bigint) {
    this.#db = db;
    this.#path = path;
    this.#inode = inode;
  }

  /**
   * Opens the file, mode 600, and makes it and its tables where they are missing.
   * @param synced a commit waits for the disk: needed where a loss of power cannot be told from the end of a process
   */
  static open(path: string, synced: boolean): CounterFile {
    // Made by hand, since SQLite would make it, and what lies beside it, readable by others.
    const fd = openSync(path, 'a', 0o600);
    try {
      if (process.platform !== 'win32') fchmodSync(fd, 0o600);
    } finally {
      closeSync(fd);
    }
    const db = new DatabaseSync(path, { timeout: 2_000 });
    try {
      db.exec('PRAGMA journal_mode = WAL');
      db.exec(`PRAGMA synchronous = ${synced ? 'FULL' : 'NORMAL'}`);
      const { user_version: layout } = db.prepare('PRAGMA user_version').get() as { user_version: number };
      if (layout > LAYOUT) {
        throw new CountersUnavailableError(
          'a newer Gatehouse wrote the counters',
          `The counters in ${path} were written by a newer Gatehouse. Run that version.`,
        );
      }
      if (layout < LAYOUT) db.exec(`BEGIN IMMEDIATE; ${SCHEMA} COMMIT;`);
      // From here on nobody waits inside SQLite: that would hold up everything else in this process.
      db.exec('PRAGMA busy_timeout = 0');
      return new CounterFile(db, path, statSync(path, { bigint: true }).ino);
    } catch (error) {
      db.close();
      throw error;
    }
  }

  /** False when the file was deleted or replaced, so that other processes count elsewhere. */
  inPlace(): boolean {
    return statSync(this.#path, { bigint: true, throwIfNoEntry: false })?.ino === this.#inode;
  }

  begin(kind: 'IMMEDIATE' | 'DEFERRED'): void {
    this.#db.exec(`BEGIN ${kind}`);
  }

  commit(): void {
    this.#db.exec('COMMIT');
  }

  rollback(): void {
    if (this.#db.isTransaction) this.#db.exec('ROLLBACK');
  }

  readEpoch(): Epoch | undefined {
    const row = this.#run('SELECT * FROM epoch').get();
    if (row === undefined) return undefined;
    return {
      id: String(row.id),
      boot: String(row.boot),
      sliding: integer(row.sliding),
      calendar: integer(row.calendar),
      anchorSliding: integer(row.anchor_sliding),
      anchorWall: integer(row.anchor_wall),
      anchorUptime: integer(row.anchor_uptime),
      rowsHeld: integer(row.rows_held),
    };
  }

  writeEpoch(epoch: Epoch): void {
    this.#run('INSERT OR REPLACE INTO epoch VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?)').run(
      epoch.id,
      epoch.boot,
      epoch.sliding,
      epoch.calendar,
      epoch.anchorSliding,
      epoch.anchorWall,
      epoch.anchorUptime,
      epoch.rowsHeld,
    );
  }

  readWindow(key: string): WindowState | undefined {
    const row = this.#run('SELECT state FROM windows WHERE key = ?').get(key);
    return row === undefined ? undefined : stateOf(String(row.state));
  }

  /** @param ends when it counts nothing any more, in its own time (calendar or sliding) @returns 1 for a new counter */
  writeWindow(key: string, state: WindowState, calendar: boolean, ends: number): number {
    const values = [JSON.stringify(state), calendar ? 1 : 0, ends, key] as const;
    if (Number(this.#run('UPDATE windows SET state = ?, calendar = ?, ends = ? WHERE key = ?').run(...values).changes))
      return 0;
    this.#run('INSERT INTO windows (state, calendar, ends, key) VALUES (?, ?, ?, ?)').run(...values);
    return 1;
  }

  /** How many slots are held at this time, and when the first of them ends by itself. */
  readSlots(key: string, now: number): { used: number; first: number } {
    const row = this.#run('SELECT count(*) AS used, min(until) AS first FROM slots WHERE key = ? AND until > ?').get(
      key,
      now,
    );
    return { used: integer(row?.used), first: row?.first == null ? now : integer(row.first) };
  }

  /** @returns 1 for a new slot */
  writeSlot(key: string, call: string, until: number): number {
    return Number(this.#run('INSERT OR IGNORE INTO slots VALUES (?, ?, ?)').run(key, call, until).changes);
  }

  /** @returns 1 when the call held it */
  deleteSlot(key: string, call: string): number {
    return Number(this.#run('DELETE FROM slots WHERE key = ? AND call = ?').run(key, call).changes);
  }

  /** Drops what counts nothing any more, at most `most` of each kind. @returns how many rows went */
  sweep(sliding: number, calendar: number, most: number): number {
    const windows = this.#run(
      'DELETE FROM windows WHERE key IN (SELECT key FROM windows WHERE calendar = ? AND ends <= ? LIMIT ?)',
    );
    const slots = this.#run(
      'DELETE FROM slots WHERE (key, call) IN (SELECT key, call FROM slots WHERE until <= ? LIMIT ?)',
    );
    return (
      Number(windows.run(0, sliding, most).changes) +
      Number(windows.run(1, calendar, most).changes) +
      Number(slots.run(sliding, most).changes)
    );
  }

  close(): void {
    this.#db.close();
  }

  #run(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.#db.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }
}

function integer(value: unknown): number {
  if (!Number.isSafeInteger(value)) throw damage();
  return value as number;
}

function stateOf(text: string): WindowState {
  let value: Partial<WindowState> | null;
  try {
    value = parsePlainJson(text) as Partial<WindowState> | null;
  } catch {
    throw damage();
  }
  const { time, slices, units } = value ?? {};
  const whole = (list: unknown): list is number[] => Array.isArray(list) && list.every(Number.isSafeInteger);
  if (!Number.isSafeInteger(time) || !whole(slices) || !whole(units) || slices.length !== units.length) throw damage();
  return { time: time as number, slices, units };
}

function damage(): Error {
  return Object.assign(new Error('a row holds what cannot be read'), { errcode: CORRUPT });
}

const BUSY = 5;
const LOCKED = 6;
const CORRUPT = 11;
const NOT_A_DATABASE = 26;

/** The primary result code of SQLite; 0 for other errors. */
function codeOf(error: unknown): number {
  const code = (error as { errcode?: unknown } | null)?.errcode;
  return typeof code === 'number' ? code & 0xff : 0;
}

/** Another process is in the middle of a transaction. */
export function isBusy(error: unknown): boolean {
  const code = codeOf(error);
  return code === BUSY || code === LOCKED;
}

/** What a failure of the file means to the caller of a call, and to the person who runs the gateway. */
export function explainFailure(error: unknown, path: string): CountersUnavailableError {
  if (error instanceof CountersUnavailableError) return error;
  const cause = error instanceof Error ? error.message : String(error);
  const options = { cause: error };
  if (isBusy(error)) {
    return new CountersUnavailableError(
      'another process holds the counters',
      `Another process has held the counters in ${path} for too long. Find out which one uses the file, and end it.`,
      options,
    );
  }
  if (codeOf(error) === CORRUPT || codeOf(error) === NOT_A_DATABASE) {
    return new CountersUnavailableError(
      'the counters are damaged',
      `The counters in ${path} are damaged (${cause}). End every gatehouse run, delete this file and those beside it that begin with its name, and start again: the counters are rebuilt from the log.`,
      options,
    );
  }
  return new CountersUnavailableError(
    'the counters cannot be written',
    `The counters in ${path} cannot be used: ${cause}. Check the folder’s owner, its permissions and its free space.`,
    options,
  );
}
