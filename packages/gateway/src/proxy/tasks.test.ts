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

const keys = { current: key, previous: [] };
const other = createSecretKey(Buffer.alloc(32, 8));

describe('Tasks', () => {
  it('[GW-TASKS] gives one id to one task, and another to every other', () => {
    const tasks = new Tasks(keys);
    const ids = [
      tasks.made(scope(), 'a', 't'),
      tasks.made(scope(), 'a', 't2'),
      tasks.made(scope(), 'b', 't'),
      tasks.made(scope('g2'), 'a', 't'),
      tasks.made(scope('g1', 'lane'), 'a', 't'),
      tasks.made(scope('g1', '', 's2'), 'a', 't'),
    ].map((task) => task?.sealed);
    expect(new Set(ids).size).toBe(6);
    expect(new Tasks(keys).made(scope(), 'a', 't')?.sealed).toBe(ids[0]);
  });

  it('[GW-TASKS] opens an id for its grant, identity, server and child alone, in another process as well', () => {
    const sealed = new Tasks(keys).made(scope('g1', 'lane'), 'a', 't')?.sealed ?? '';
    const tasks = new Tasks(keys);
    expect(tasks.open(scope('g1', 'lane'), sealed)).toMatchObject({ tool: 'a', id: 't', sealed });
    for (const foreign of [scope('g2', 'lane'), scope(), scope('g1', 'lane', 's2'), scope('g1', 'lane', 's1', 'i2')]) {
      expect(tasks.open(foreign, sealed)).toBeUndefined();
    }
    expect(new Tasks({ current: other, previous: [] }).open(scope('g1', 'lane'), sealed)).toBeUndefined();
  });

  it('[GW-TASKS] knows a task of another process once its id was shown, and never another grant’s', () => {
    const sealed = new Tasks(keys).made(scope(), 'a', 't')?.sealed ?? '';
    const tasks = new Tasks(keys);
    expect(tasks.own(scope(), 't')).toBeUndefined();
    tasks.open(scope(), sealed);
    expect(tasks.own(scope(), 't')?.sealed).toBe(sealed);
    expect(tasks.own(scope('g2'), 't')).toBeUndefined();
  });

  it('[GW-TASKS] opens an id that an earlier key sealed while that one is kept', () => {
    const sealed = new Tasks(keys).made(scope(), 'a', 't')?.sealed ?? '';
    expect(new Tasks({ current: other, previous: [key] }).open(scope(), sealed)).toMatchObject({ tool: 'a', id: 't' });
  });

  it('takes no id that is empty or endless', () => {
    expect(new Tasks(keys).made(scope(), 'a', '')).toBeUndefined();
    expect(new Tasks(keys).made(scope(), 'a', 'x'.repeat(2_000))).toBeUndefined();
  });
});
