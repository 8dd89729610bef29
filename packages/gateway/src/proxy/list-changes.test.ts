import { setImmediate } from 'node:timers/promises';
import { compilePolicy } from '@gatehouse/policy';
import { readReply } from '@gatehouse/wire';
import { describe, expect, it } from 'vitest';
import type { GrantEntry, ServedTool } from '../model.ts';
import { ListChanges, type ListKind, listChanged, subscribedKinds, type WatchedStream } from './list-changes.ts';

const TOOLS = new Map<string, ServedTool>();

function policyOf(document: object): GrantEntry['policy'] {
  const compiled = compilePolicy({ version: '1', default: 'allow', ...document }, { tools: TOOLS });
  if (!compiled.ok) throw new Error(compiled.problems[0]?.message);
  return compiled.policy;
}

function grantOf(id: string, policy: GrantEntry['policy'], groups: string[] = []): GrantEntry {
  const caller = { identity: { id: 'i', name: 'ana', groups }, grant: { id, label: '', attributes: {} } };
  return { id, caller, entry: { tools: TOOLS }, policy } as unknown as GrantEntry;
}

function setUp() {
  const grants = new Map<string, GrantEntry>();
  const faults: unknown[] = [];
  const changes = new ListChanges(
    { grant: (id) => grants.get(id) },
    () => 0,
    (error) => faults.push(error),
  );
  const told: string[] = [];
  const stream = (grant: string, kinds: ListKind[], tell?: () => void): WatchedStream => ({
    grant,
    session: undefined,
    kinds: () => new Set(kinds),
    tell: tell ?? ((kind) => told.push(`${grant} ${kind}`)),
  });
  return { grants, faults, changes, told, stream };
}

const initialized = (capabilities: string) => {
  const reply = readReply(Buffer.from(`{"jsonrpc":"2.0","id":1,"result":{"capabilities":${capabilities}}}`));
  if (!reply.ok) throw new Error('no reply');
  return reply;
};

describe('list changes', () => {
  it('[GW-LISTCHANGED] thousands of streams are told over several turns, each once, whatever one of them does', async () => {
    const { grants, faults, changes, told, stream } = setUp();
    const [before, after] = [policyOf({}), policyOf({ prompts: { deny: ['a'] } })];
    for (let index = 0; index < 1_000; index++) {
      grants.set(`g${index}`, grantOf(`g${index}`, before));
      changes.watch(
        stream(
          `g${index}`,
          ['prompts', 'tools'],
          index !== 3
            ? undefined
            : () => {
                throw new Error('gone');
              },
        ),
      );
    }
    for (const id of grants.keys()) grants.set(id, grantOf(id, after));
    changes.changed();
    expect(told).toEqual([]);
    await setImmediate();
    expect(told.length).toBeGreaterThan(0);
    expect(told.length).toBeLessThan(999);
    for (let turn = 0; turn < 10; turn++) await setImmediate();
    expect(new Set(told).size).toBe(999);
    expect(told).toHaveLength(999);
    expect(faults).toEqual([new Error('gone')]);
  });

  it('[GW-LISTCHANGED] a change during the telling is told as well', async () => {
    const { grants, changes, told, stream } = setUp();
    grants.set('a', grantOf('a', policyOf({})));
    const end = changes.watch(
      stream('a', ['prompts'], () => {
        if (told.push('a') > 1) return;
        grants.set('a', grantOf('a', policyOf({})));
        changes.changed();
      }),
    );
    grants.set('a', grantOf('a', policyOf({ prompts: { deny: ['a'] } })));
    changes.changed();
    for (let turn = 0; turn < 5; turn++) await setImmediate();
    expect(told).toEqual(['a', 'a']);
    end();
    expect(changes.watching).toBe(0);
  });

  it('[GW-LISTCHANGED] of prompts and resources, only what can change a decision counts', async () => {
    const { grants, changes, told, stream } = setUp();
    changes.watch(stream('none', ['resources', 'prompts']));
    const change = async (document: object, groups: string[] = []): Promise<string[]> => {
      grants.set('a', grantOf('a', policyOf(document), groups));
      changes.changed();
      for (let turn = 0; turn < 3; turn++) await setImmediate();
      return told.splice(0);
    };
    const resources = { allow: ['file:///a'], reason: 'so' };
    await change({ resources });
    changes.watch(stream('a', ['resources', 'prompts']));
    expect(await change({ resources: { ...resources, reason: 'other' } })).toEqual([]);
    expect(await change({ resources, tools: {} }, ['staff'])).toEqual([]);
    expect(await change({ resources, default: 'deny' }, ['staff'])).toEqual(['a prompts']);
    expect(await change({ resources: { allow: ['file:///b'] }, default: 'deny' }, ['staff'])).toEqual(['a resources']);
  });

  it('[GW-LISTCHANGED] remembers what was declared, whatever its shape, for a bounded number of sessions', () => {
    const { changes } = setUp();
    changes.declare(
      's',
      initialized('{"tools":{"listChanged":true},"prompts":{"listChanged":"yes"},"resources":null}'),
    );
    expect([...changes.declared('s')]).toEqual(['tools']);
    for (const odd of ['null', '[]', '"tools"', '{"tools":true}']) {
      changes.declare('odd', initialized(odd));
      expect(changes.declared('odd').size).toBe(0);
    }
    for (let index = 0; index < 10_000; index++)
      changes.declare(`n${index}`, initialized('{"tools":{"listChanged":true}}'));
    expect(changes.declared('s').size).toBe(0);
    expect(changes.declared('n9999').size).toBe(1);
  });

  it('[GW-LISTCHANGED] writes the notification of each era, and keeps a subscription to what was asked for', () => {
    expect(Buffer.from(listChanged('tools', undefined)).toString()).toBe(
      '{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}',
    );
    expect(Buffer.from(listChanged('prompts', Buffer.from('"a"'))).toString()).toBe(
      '{"jsonrpc":"2.0","method":"notifications/prompts/list_changed","params":{"_meta":{"io.modelcontextprotocol/subscriptionId":"a"}}}',
    );
    const asked = { toolsListChanged: true, promptsListChanged: false };
    const granted = { toolsListChanged: true, promptsListChanged: true, resourcesListChanged: true };
    expect([...subscribedKinds(asked, granted)]).toEqual(['tools']);
    expect([...subscribedKinds(asked, null), ...subscribedKinds('x', granted)]).toEqual([]);
  });
});
