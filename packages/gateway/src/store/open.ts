import { chmodSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { backup, DatabaseSync } from 'node:sqlite';
import type { Transaction } from 'kysely';
import { Kysely } from 'kysely';
import { GatehouseError } from '../errors.ts';
import type { RandomBytes } from '../identity/base62.ts';
import { recovery } from '../keys.ts';
import { NodeSqliteDialect } from './dialect.ts';
import { STORE_FILE } from './files.ts';
import { makeId } from './ids.ts';
import { lockStore } from './lock.ts';
import { type Migrated, type Migrations, migrate } from './migrate.ts';
import { MIGRATIONS } from './migrations/list.ts';
import type { InstanceTable, StoreSchema } from './schema.ts';

export type StoreDatabase = Kysely<StoreSchema>;
export type StoreTransaction = Transaction<StoreSchema>;

export interface Store {
  readonly db: StoreDatabase;
  readonly instance: Readonly<InstanceTable>;
  /** Number of the last change that it holds; 0 before the first. */
  readonly lastChange: number;
  /** What this opening brought up to date. */
  readonly migrated: Migrated | undefined;
  /** Copies the store as it is now into a new file, without holding up the thread. */
  copyTo(path: string): Promise<void>;
  close(): Promise<void>;
}

export interface StoreOptions {
  /** Made when it is not there, mode 700. */
  dataDir: string;
  /** Id of the secret key; a store that another key wrote is refused. */
  keyId: string;
  /** Ids of earlier keys that are at hand: a store of theirs is opened, to be given to the present key. */
  previousKeyIds?: readonly string[];
  /** Opens a store whose key is lost too, so that it can be given to another one. Default false. */
  anyKey?: boolean;
  /** Default: those of this program. */
  migrations?: Migrations;
  /** Milliseconds since the epoch. */
  clock: () => number;
  random: RandomBytes;
}

/** How long a change waits for who else writes to the file, which nobody should: all calls wait with it meanwhile. */
const BUSY_MS = 250;

/**
 * Opens the embedded store, brings it to the present schema, and holds the data folder until it is closed.
 * @throws GatehouseError store_locked, store_newer, key_missing, or store_unavailable when it cannot be opened or migrated
 */
export async function openStore(options: StoreOptions): Promise<Store> {
  const { dataDir } = options;
  const now = new Date(options.clock()).toISOString();
  try {
    mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw unavailable(`The data folder ${dataDir} cannot be made`, error);
  }
  const lock = lockStore(dataDir, now);
  let db: StoreDatabase | undefined;
  try {
    const path = join(dataDir, STORE_FILE);
    const database = new DatabaseSync(path, { enableForeignKeyConstraints: true, timeout: BUSY_MS });
    db = new Kysely<StoreSchema>({ dialect: new NodeSqliteDialect(database) });
    database.exec('PRAGMA journal_mode = WAL');
    // A change that was answered must hold after power loss; changes are rare.
    database.exec('PRAGMA synchronous = FULL');
    // Overwrites what is deleted: a removed credential leaves no sealed copy behind in free pages.
    database.exec('PRAGMA secure_delete = ON');
    if (process.platform !== 'win32') chmodSync(path, 0o600);
    const migrated = await migrate({ db, database, dataDir }, options.migrations ?? MIGRATIONS);
    const instance = await openInstance(db, options, now);
    const lastChange = Number(database.prepare('PRAGMA user_version').get()?.user_version);
    const opened = db;
    return {
      db,
      instance,
      lastChange,
      migrated,
      async copyTo(copy) {
        await backup(database, copy);
      },
      async close() {
        await opened.destroy();
        lock.release();
      },
    };
  } catch (error) {
    await db?.destroy();
    lock.release();
    throw error instanceof GatehouseError ? error : unavailable(`The store in ${dataDir} cannot be opened`, error);
  }
}

async function openInstance(db: StoreDatabase, options: StoreOptions, now: string): Promise<InstanceTable> {
  const found = await db.selectFrom('instance').selectAll().executeTakeFirst();
  if (found === undefined) {
    const made = { id: makeId('ins', options.random), key_id: options.keyId, created_at: now };
    await db.insertInto('instance').values(made).execute();
    return made;
  }
  const { keyId, previousKeyIds = [], anyKey = false } = options;
  if (!anyKey && found.key_id !== keyId && !previousKeyIds.includes(found.key_id)) {
    throw new GatehouseError(
      'key_missing',
      `The secret key is another one (${keyId}; the data needs ${found.key_id}). ${recovery(options.dataDir)}`,
    );
  }
  return found;
}

function unavailable(what: string, cause: unknown): GatehouseError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new GatehouseError(
    'store_unavailable',
    `${what}: ${reason}. Check the folder’s owner and free space, then start again.`,
    [],
    { cause },
  );
}
