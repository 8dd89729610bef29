import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sql } from 'kysely';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { refusal } from '../control/testing.ts';
import { openStore, type Store, type StoreOptions } from './open.ts';

let dataDir: string;
let options: StoreOptions;
const opened: Store[] = [];

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'gatehouse-store-'));
  options = { dataDir, keyId: 'aabbccdd', clock: () => Date.parse('2026-05-01T12:00:00Z'), random: randomBytes };
});

afterEach(async () => {
  for (const store of opened.splice(0)) await store.close();
  rmSync(dataDir, { recursive: true, force: true });
});

async function open(changes: Partial<StoreOptions> = {}): Promise<Store> {
  const store = await openStore({ ...options, ...changes });
  opened.push(store);
  return store;
}

async function closeAll(): Promise<void> {
  for (const store of opened.splice(0)) await store.close();
}

describe('openStore', () => {
  it('makes a folder and an instance, and finds the instance again', async () => {
    const nested = join(dataDir, 'deep', 'data');
    const { instance } = await open({ dataDir: nested });
    expect(instance.id).toMatch(/^ins_[0-9A-Za-z]{20}$/);
    expect(statSync(nested).mode & 0o777).toBe(0o700);
    expect(statSync(join(nested, 'gatehouse.db')).mode & 0o777).toBe(0o600);
    await closeAll();
    expect((await open({ dataDir: nested })).instance).toEqual(instance);
  });

  it('[KEY-MISSING] refuses a store that another key wrote, and says what can be recovered', async () => {
    await open();
    await closeAll();
    const error = await refusal(open({ keyId: '00000000' }));
    expect(error.code).toBe('key_missing');
    expect(error.message).toMatch(/the data needs aabbccdd/);
    expect(error.message).toMatch(/lost for good/);
    await open();
  });

  it('[STORE-LOCK] refuses a second opening of the same folder with the process that has it', async () => {
    await open();
    const error = await refusal(open());
    expect(error.code).toBe('store_locked');
    expect(error.message).toContain(`Process ${process.pid} uses`);
    await closeAll();
    expect(existsSync(join(dataDir, 'lock.json'))).toBe(false);
    await open();
  });

  it('[STORE-NEWER] refuses a store of a newer program, and changes nothing in it', async () => {
    const { db } = await open();
    await sql`insert into kysely_migration (name, timestamp) values ('999-later', 'x')`.execute(db);
    await closeAll();
    const error = await refusal(open());
    expect(error.code).toBe('store_newer');
    expect(error.message).toContain('999-later');
  });

  it('says what is wrong with a file that is no store', async () => {
    writeFileSync(join(dataDir, 'gatehouse.db'), 'this is no database, whatever its name says'.repeat(100));
    expect((await refusal(open())).code).toBe('store_unavailable');
  });

  it('holds foreign keys and rolls back a transaction as a whole', async () => {
    const { db } = await open();
    const orphan = {
      id: 'pol_1',
      server_id: 'srv_none',
      name: 'p',
      version: 1,
      created_at: '',
      updated_at: '',
      updated_by: '',
    };
    await expect(db.insertInto('policies').values(orphan).execute()).rejects.toThrow(/FOREIGN KEY/);
    const failing = db.transaction().execute(async (transaction) => {
      await transaction.insertInto('instance').values({ id: 'ins_2', key_id: 'x', created_at: '' }).execute();
      throw new Error('half-way');
    });
    await expect(failing).rejects.toThrow('half-way');
    expect(await db.selectFrom('instance').selectAll().execute()).toHaveLength(1);
  });

  it('allows one grant of an identity on a server that is not revoked', async () => {
    const { db } = await open();
    const now = '2026-05-01T12:00:00.000Z';
    await sql`insert into servers values ('srv_1', 's', 's', 1, '{}', '{}', ${now}, ${now})`.execute(db);
    await sql`insert into identities values ('idn_1', 'ana', 'person', null, '[]', null, ${now}, null)`.execute(db);
    const insert = (id: string, revokedAt: string | null) =>
      sql`insert into grants values (${id}, '', 'idn_1', 'srv_1', null, '{}', '[]', ${now}, null, ${revokedAt}, 1)`.execute(
        db,
      );
    await insert('grt_1', now);
    await insert('grt_2', now);
    await insert('grt_3', null);
    await expect(insert('grt_4', null)).rejects.toThrow(/UNIQUE/);
  });
});
