import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sql } from 'kysely';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { GatehouseError } from '../errors.ts';
import { openStore, type Store } from '../store/open.ts';
import { type Change, ChangeRunner } from './change.ts';
import { ADMIN, MemoryAudit, refusal, START } from './testing.ts';

let dataDir: string;
let store: Store;
let audit: MemoryAudit;
let runner: ChangeRunner;

beforeEach(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'gatehouse-change-'));
  store = await openStore({ dataDir, keyId: 'aabbccdd', clock: () => START, random: randomBytes });
  audit = new MemoryAudit();
  runner = new ChangeRunner(store.db, audit, store.lastChange);
});

afterEach(async () => {
  await store.close();
  rmSync(dataDir, { recursive: true, force: true });
});

function naming(name: string, write: Change<string>['write'], applied: string[] = []): () => Change<string> {
  return () => ({
    records: [{ actor: ADMIN, action: 'test.change', target: name }],
    write,
    apply: () => {
      applied.push(name);
      return name;
    },
  });
}

const nothing = async (): Promise<void> => {};

describe('a change', () => {
  it('[AUD-NOCHANGE] is stored and applied only after its record', async () => {
    const order: string[] = [];
    const recorded = audit.admin.bind(audit);
    audit.admin = async (record) => {
      await recorded(record);
      order.push('record');
    };
    const done = await runner.run(() => ({
      records: [{ actor: ADMIN, action: 'test.change', target: 'x' }],
      write: async () => void order.push('write'),
      apply: () => {
        order.push('apply');
        return 7;
      },
    }));
    expect(done).toBe(7);
    expect(order).toEqual(['write', 'record', 'apply']);
  });

  it('[AUD-NOCHANGE] is rolled back when its record cannot be stored', async () => {
    audit.failure = new Error('disk full');
    const insert = (transaction: Parameters<Change<string>['write']>[0]) =>
      transaction.insertInto('instance').values({ id: 'ins_2', key_id: '', created_at: '' }).execute().then(nothing);
    const error = await refusal(runner.run(naming('x', insert)));
    expect(error).toMatchObject({ code: 'audit_unavailable', message: expect.stringContaining('disk full') });
    expect(await store.db.selectFrom('instance').selectAll().execute()).toHaveLength(1);
  });

  it('[AUD-UNMADE] leaves its number in the store and in its record, and none where it was not made', async () => {
    await runner.run(naming('one', nothing));
    const broken = runner.run(
      naming('two', async () => {
        throw new Error('no');
      }),
    );
    expect((await refusal(broken)).code).toBe('store_unavailable');
    await runner.run(naming('three', nothing));
    expect(audit.records.map(({ target, change }) => [target, change])).toEqual([
      ['one', 1],
      ['three', 2],
    ]);
    await store.close();
    store = await openStore({ dataDir, keyId: 'aabbccdd', clock: () => START, random: randomBytes });
    expect(store.lastChange).toBe(2);
  });

  it('is recorded as failed when the commit fails behind its record', async () => {
    const applied: string[] = [];
    const orphan = async (transaction: Parameters<Change<string>['write']>[0]): Promise<void> => {
      // The fault shows at the commit alone.
      await sql`pragma defer_foreign_keys = on`.execute(transaction);
      await sql`insert into policies values ('pol_1', 'srv_none', 'p', 1, '', '', '')`.execute(transaction);
    };
    const error = await refusal(runner.run(naming('x', orphan, applied)));
    expect(error.code).toBe('store_unavailable');
    expect(audit.actions).toEqual(['test.change', 'test.change.failed']);
    expect(applied).toEqual([]);
    expect(await runner.run(naming('y', nothing, applied))).toBe('y');
  });

  it('comes after the one before it, whose refusal stops no other', async () => {
    const applied: string[] = [];
    const refused = runner.run(() => {
      throw new GatehouseError('not_found', 'no');
    });
    const slow = runner.run(naming('slow', () => new Promise((resolve) => setImmediate(resolve)), applied));
    const fast = runner.run(naming('fast', nothing, applied));
    expect((await refusal(refused)).code).toBe('not_found');
    await Promise.all([slow, fast]);
    expect(applied).toEqual(['slow', 'fast']);
    await runner.settled();
  });

  it('that changes nothing makes no record', async () => {
    expect(await runner.run<number>(() => ({ unchanged: 3 }))).toBe(3);
    expect(audit.records).toEqual([]);
  });
});
