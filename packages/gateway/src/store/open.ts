import { chmodSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { Transaction } from 'kysely';
import { Kysely, sql } from 'kysely';
import { Migrator } from 'kysely/migration';
import { GatehouseError } from '../errors.ts';
import type { RandomBytes } from '../identity/base62.ts';
import { recovery } from '../keys.ts';
import { NodeSqliteDialect } from './dialect.ts';
import { STORE_FILE } from './files.ts';
import { makeId } from './ids.ts';
import { lockStore } from './lock.ts';
import { MIGRATIONS } from './migrations/list.ts';
import type { InstanceTable, StoreSchema } from './schema.ts';

export type StoreDatabase = Kysely<StoreSchema>;
export type StoreTransaction = Transaction<StoreSchema>;

export interface Store {
  readonly db: StoreDatabase;
  readonly instance: Readonly<InstanceTable>;
  /** Number of the last change that it holds; 0 before the first. */
  readonly lastChange: number;
  close(): Promise<void>;
}

export interface StoreOptions {
  /** Made when it is not there, mode 700. */
  dataDir: string;
  /** Id of the secret key; a store that another key wrote is refused. */
  keyId: string;
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
    await migrate(db, dataDir);
    const instance = await openInstance(db, options, now);
    const lastChange = Number(database.prepare('PRAGMA user_version').get()?.user_version);
    const opened = db;
    return {
      db,
      instance,
      lastChange,
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

async function migrate(db: StoreDatabase, dataDir: string): Promise<void> {
  const tables = await sql<{ name: string }>`select name from sqlite_master where name = 'kysely_migration'`.execute(
    db,
  );
  if (tables.rows.length > 0) {
    const done = await sql<{ name: string }>`select name from kysely_migration`.execute(db);
    const unknown = done.rows.map((row) => row.name).filter((name) => !(name in MIGRATIONS));
    if (unknown.length > 0) {
      throw new GatehouseError(
        'store_newer',
        `The data folder ${dataDir} was written by a newer Gatehouse (unknown: ${unknown.join(', ')}). Run that version, or restore a backup made before the upgrade.`,
      );
    }
  }
  const migrator = new Migrator({ db, provider: { getMigrations: async () => ({ ...MIGRATIONS }) } });
  const { error, results } = await migrator.migrateToLatest();
  if (error !== undefined) {
    const failed = results?.find((result) => result.status === 'Error')?.migrationName ?? 'a migration';
    throw unavailable(`The store in ${dataDir} could not be brought up to date (${failed})`, error);
  }
}

async function openInstance(db: StoreDatabase, options: StoreOptions, now: string): Promise<InstanceTable> {
  const found = await db.selectFrom('instance').selectAll().executeTakeFirst();
  if (found === undefined) {
    const made = { id: makeId('ins', options.random), key_id: options.keyId, created_at: now };
    await db.insertInto('instance').values(made).execute();
    return made;
  }
  if (found.key_id !== options.keyId) {
    throw new GatehouseError(
      'key_missing',
      `The secret key is another one (${options.keyId}; the data needs ${found.key_id}). ${recovery(options.dataDir)}`,
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
