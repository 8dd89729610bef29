// Brings a store to the present schema, after a copy of it was made (spec: config).
import { hash } from 'node:crypto';
import { chmodSync, closeSync, existsSync, fsyncSync, openSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import type { Migration } from 'kysely/migration';
import { Migrator } from 'kysely/migration';
import { GatehouseError } from '../errors.ts';
import { STORE_FILE } from './files.ts';
import type { StoreDatabase } from './open.ts';

export type Migrations = Readonly<Record<string, Migration>>;

/** What a start made of an older store. */
export interface Migrated {
  /** Names of the last migration before and after. */
  from: string;
  to: string;
  /** The copy of the store as it was. */
  backup: string;
}

interface StorePlace {
  db: StoreDatabase;
  database: DatabaseSync;
  dataDir: string;
}

/**
 * Runs the migrations that the store does not have yet, all of them or none. An existing store is copied first, to a
 * file beside it that names both versions and is kept.
 * @returns undefined when there was nothing to migrate, or the store is new
 * @throws GatehouseError store_newer when the store has a migration that this program does not know; store_unavailable
 *   when the copy cannot be made or a migration fails: the store is then as it was
 */
export async function migrate(place: StorePlace, migrations: Migrations): Promise<Migrated | undefined> {
  const { db, database, dataDir } = place;
  const done = appliedMigrations(database);
  const unknown = done.filter((name) => !Object.hasOwn(migrations, name));
  if (unknown.length > 0) {
    throw new GatehouseError(
      'store_newer',
      `The data folder ${dataDir} was written by a newer Gatehouse (unknown: ${unknown.join(', ')}). Run that version, or restore a backup made before the upgrade.`,
    );
  }
  const from = done.toSorted().at(-1);
  const to = Object.keys(migrations).toSorted().at(-1);
  if (to === undefined || Object.keys(migrations).every((name) => done.includes(name))) return undefined;
  const kept = from === undefined ? undefined : keepCopy(place, from, to);
  const migrator = new Migrator({ db, provider: { getMigrations: async () => ({ ...migrations }) } });
  const { error, results } = await migrator.migrateToLatest();
  if (error !== undefined) {
    const failed = results?.find((result) => result.status === 'Error')?.migrationName ?? 'a migration';
    const reason = error instanceof Error ? error.message : String(error);
    const copy = kept === undefined ? '' : ` A copy of it is ${kept.path}.`;
    throw new GatehouseError(
      'store_unavailable',
      `The store in ${dataDir} could not be brought up to date (${failed}: ${reason}). It is as it was before.${copy} Check free space, then start again; or run the version that you had.`,
      [],
      { cause: error },
    );
  }
  return from === undefined || kept === undefined ? undefined : { from, to, backup: kept.path };
}

/** Names of the migrations that a store has; none for a new one. */
export function appliedMigrations(database: DatabaseSync): string[] {
  const table = database.prepare("select 1 from sqlite_master where name = 'kysely_migration'").get();
  if (table === undefined) return [];
  return database
    .prepare('select name from kysely_migration')
    .all()
    .map((row) => String(row.name));
}

/** Copies the store to a file of its own. A start that was killed made the same copy before: that one is then used. */
function keepCopy({ database, dataDir }: StorePlace, from: string, to: string): { path: string } {
  const part = join(dataDir, `${STORE_FILE}.copying`);
  try {
    rmSync(part, { force: true });
    database.prepare('VACUUM INTO ?').run(part);
    if (process.platform !== 'win32') chmodSync(part, 0o600);
    sync(part);
    const digest = digestOf(part);
    for (let number = 1; ; number += 1) {
      const path = join(dataDir, `gatehouse.${from}-to-${to}${number === 1 ? '' : `.${number}`}.db`);
      if (!existsSync(path)) {
        renameSync(part, path);
        if (process.platform !== 'win32') sync(dirname(path));
        return { path };
      }
      if (digestOf(path) === digest) {
        rmSync(part);
        return { path };
      }
    }
  } catch (error) {
    try {
      rmSync(part, { force: true });
    } catch {
      // What stands in the way is what the message is about.
    }
    const reason = error instanceof Error ? error.message : String(error);
    throw new GatehouseError(
      'store_unavailable',
      `The store in ${dataDir} was not migrated, since the copy that is kept of it could not be made (${reason}). Make room in the folder, then start again.`,
      [],
      { cause: error },
    );
  }
}

const digestOf = (path: string): string => hash('sha256', readFileSync(path));

function sync(path: string): void {
  const file = openSync(path, 'r');
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}
