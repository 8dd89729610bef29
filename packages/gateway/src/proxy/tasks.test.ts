import { createSecretKey } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { GrantEntry } from '../model.ts';
import { type TaskScope, Tasks } from './tasks.ts';

const key = createSecretKey(Buffer.alloc(32, 7));
const grant = (id: string, server = 's1', identityId = 'i1'): GrantEntry =>
  ({ id, identityId, entry: { server: { id: server } } }) as unknown as GrantEntry;
const scope = (id = 'g1', lane = '', server = 's1', identity = 'i1'): TaskScope => ({
  grant: grant(id, server, identity),
  lane,
});

describe('Tasks', () => {
  it('[GW-TASKS] gives one id to one task, and another to every other', () => {
    const tasks = new Tasks(key);
    const ids = [
      tasks.made(scope(), 'a', 't'),
      tasks.made(scope(), 'a', 't2'),
      tasks.made(scope(), 'b', 't'),
      tasks.made(scope('g2'), 'a', 't'),
      tasks.made(scope('g1', 'lane'), 'a', 't'),
      tasks.made(scope('g1', '', 's2'), 'a', 't'),
    ].map((task) => task?.sealed);
    expect(new Set(ids).size).toBe(6);
    expect(new Tasks(key).made(scope(), 'a', 't')?.sealed).toBe(ids[0]);
  });

  it('[GW-TASKS] opens an id for its grant, identity, server and child alone, in another process as well', () => {
    const sealed = new Tasks(key).made(scope('g1', 'lane'), 'a', 't')?.sealed ?? '';
    const tasks = new Tasks(key);
    expect(tasks.open(scope('g1', 'lane'), sealed)).toMatchObject({ tool: 'a', id: 't', sealed });
    for (const other of [scope('g2', 'lane'), scope(), scope('g1', 'lane', 's2'), scope('g1', 'lane', 's1', 'i2')]) {
      expect(tasks.open(other, sealed)).toBeUndefined();
    }
    expect(new Tasks(createSecretKey(Buffer.alloc(32, 8))).open(scope('g1', 'lane'), sealed)).toBeUndefined();
  });

  it('[GW-TASKS] knows a task of another process once its id was shown, and never another grant’s', () => {
    const sealed = new Tasks(key).made(scope(), 'a', 't')?.sealed ?? '';
    const tasks = new Tasks(key);
    expect(tasks.own(scope(), 't')).toBeUndefined();
    tasks.open(scope(), sealed);
    expect(tasks.own(scope(), 't')?.sealed).toBe(sealed);
    expect(tasks.own(scope('g2'), 't')).toBeUndefined();
  });

  it('takes no id that is empty or endless', () => {
    expect(new Tasks(key).made(scope(), 'a', '')).toBeUndefined();
    expect(new Tasks(key).made(scope(), 'a', 'x'.repeat(2_000))).toBeUndefined();
  });
});
