import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { sql } from 'kysely';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openStore, type StoreOptions } from './open.ts';

/** Opens the store with a migration that has changed half of it, says so, and waits to be killed. */
const MIGRATOR = `
  const { openStore } = await import(process.argv[1] + '/open.ts');
  const { MIGRATIONS } = await import(process.argv[1] + '/migrations/list.ts');
  const { sql } = await import('kysely');
  const { randomBytes } = await import('node:crypto');
  const slow = { async up(db) {
    await sql\`alter table servers add column note text\`.execute(db);
    await sql\`update servers set name = 'half-way'\`.execute(db);
    process.stdout.write('half-way\\n');
    await new Promise(() => setInterval(() => {}, 1000));
  } };
  const migrations = { ...MIGRATIONS, '002-slow': slow };
  await openStore({ dataDir: process.argv[2], keyId: 'aabbccdd', clock: Date.now, random: randomBytes, migrations });
`;

let dataDir: string;
let options: StoreOptions;

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'gatehouse-migrate-'));
  options = { dataDir, keyId: 'aabbccdd', clock: Date.now, random: randomBytes };
});
afterEach(() => rmSync(dataDir, { recursive: true, force: true }));

describe('a migration that is killed in the middle', () => {
  it('[CFG-MIGRATE] leaves the old store, which the old program opens and the new one migrates', async () => {
    const before = await openStore(options);
    await sql`insert into servers values ('srv_1', 's', 'before', 1, '{}', '{}', 'now', 'now')`.execute(before.db);
    await before.close();
    const module = fileURLToPath(new URL('.', import.meta.url)).replace(/\/$/, '');
    for (let round = 0; round < 3; round += 1) {
      const child = spawn(process.execPath, ['--input-type=module', '-e', MIGRATOR, module, dataDir], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      await once(child.stdout, 'data');
      child.kill('SIGKILL');
      await once(child, 'exit');
      const store = await openStore(options);
      expect(store.migrated).toBeUndefined();
      expect((await sql`select * from servers`.execute(store.db)).rows).toEqual([
        expect.objectContaining({ name: 'before' }),
      ]);
      await store.close();
    }
    expect(readdirSync(dataDir).filter((name) => name.includes('-to-'))).toEqual([
      'gatehouse.001-first-to-002-slow.db',
    ]);
  });
});
