import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { type Kysely, sql } from 'kysely';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { refusal } from '../control/testing.ts';
import type { Migrations } from './migrate.ts';
import { MIGRATIONS } from './migrations/list.ts';
import { openStore, type StoreOptions } from './open.ts';

const NEWER: Migrations = {
  ...MIGRATIONS,
  '002-notes': {
    async up(db: Kysely<unknown>) {
      await db.schema
        .alterTable('servers')
        .addColumn('note', 'text', (c) => c.notNull().defaultTo('moved'))
        .execute();
    },
  },
};
const FAILING: Migrations = {
  ...NEWER,
  '003-breaks': {
    async up(db: Kysely<unknown>) {
      await sql`update servers set name = 'half-way'`.execute(db);
      throw new Error('no more room');
    },
  },
};
const COPY = 'gatehouse.001-first-to-002-notes.db';

let dataDir: string;
let options: StoreOptions;

beforeEach(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'gatehouse-migrate-'));
  options = { dataDir, keyId: 'aabbccdd', clock: () => Date.parse('2026-05-01T12:00:00Z'), random: randomBytes };
  const store = await openStore(options);
  await sql`insert into servers values ('srv_1', 's', 'before', 1, '{}', '{}', 'now', 'now')`.execute(store.db);
  await store.close();
});

afterEach(() => rmSync(dataDir, { recursive: true, force: true }));

const copies = (): string[] => readdirSync(dataDir).filter((name) => /-to-.*\.db$/.test(name));

function rows(file: string): Record<string, unknown>[] {
  const database = new DatabaseSync(join(dataDir, file));
  try {
    return database
      .prepare('select * from servers')
      .all()
      .map((row) => ({ ...row }));
  } finally {
    database.close();
  }
}

describe('migrations at a start', () => {
  it('[CFG-MIGRATE] run after a copy of the store was made, which is kept and names both versions', async () => {
    const store = await openStore({ ...options, migrations: NEWER });
    expect(store.migrated).toEqual({ from: '001-first', to: '002-notes', backup: join(dataDir, COPY) });
    await store.close();
    expect(rows('gatehouse.db')).toEqual([expect.objectContaining({ name: 'before', note: 'moved' })]);
    expect(statSync(join(dataDir, COPY)).mode & 0o777).toBe(0o600);
    expect(rows(COPY)).toEqual([expect.not.objectContaining({ note: 'moved' })]);
    const again = await openStore({ ...options, migrations: NEWER });
    expect(again.migrated).toBeUndefined();
    await again.close();
    expect(copies()).toEqual([COPY]);
  });

  it('[CFG-MIGRATE] a new store needs no copy', async () => {
    const fresh = join(dataDir, 'fresh');
    const store = await openStore({ ...options, dataDir: fresh, migrations: NEWER });
    expect(store.migrated).toBeUndefined();
    await store.close();
    expect(readdirSync(fresh)).toEqual(expect.not.arrayContaining([expect.stringContaining('-to-')]));
  });

  it('[CFG-MIGRATE] one that fails leaves the store as it was, for the program that wrote it', async () => {
    const before = readFileSync(join(dataDir, 'gatehouse.db'));
    const error = await refusal(openStore({ ...options, migrations: FAILING }));
    expect(error.code).toBe('store_unavailable');
    expect(error.message).toMatch(/003-breaks: no more room.*as it was before/);
    expect(readFileSync(join(dataDir, 'gatehouse.db')).equals(before)).toBe(true);
    const store = await openStore(options);
    await store.close();
    expect(rows('gatehouse.db')).toEqual([expect.objectContaining({ name: 'before' })]);
  });

  it('[CFG-MIGRATE] starts that fail again and again keep one copy, and a changed store another', async () => {
    for (let round = 0; round < 3; round += 1) await refusal(openStore({ ...options, migrations: FAILING }));
    expect(copies()).toEqual(['gatehouse.001-first-to-003-breaks.db']);
    const store = await openStore(options);
    await sql`update servers set name = 'since'`.execute(store.db);
    await store.close();
    await refusal(openStore({ ...options, migrations: FAILING }));
    expect(copies().sort()).toEqual(['gatehouse.001-first-to-003-breaks.2.db', 'gatehouse.001-first-to-003-breaks.db']);
  });

  it('[CFG-MIGRATE] without room for the copy nothing is migrated', async () => {
    // A folder stands where the copy is to be written.
    mkdirSync(join(dataDir, 'gatehouse.db.copying', 'in-the-way'), { recursive: true });
    const error = await refusal(openStore({ ...options, migrations: NEWER }));
    expect(error.message).toMatch(/was not migrated, since the copy/);
    expect(rows('gatehouse.db')).toEqual([expect.not.objectContaining({ note: 'moved' })]);
  });

  it('[STORE-NEWER] the older program refuses the migrated store and names what it does not know', async () => {
    const store = await openStore({ ...options, migrations: NEWER });
    await store.close();
    const error = await refusal(openStore(options));
    expect([error.code, error.message]).toEqual(['store_newer', expect.stringContaining('002-notes')]);
  });
});
