import { describe, expect, it } from 'vitest';
import { CLIENT_METHODS, LEGACY_VERSIONS, MODERN_VERSION, SERVER_METHODS } from './methods.ts';

describe('CLIENT_METHODS', () => {
  it('[P5] gives a list exactly where the reply is filtered', () => {
    for (const [name, method] of CLIENT_METHODS)
      expect(method.list !== undefined, name).toBe(method.action === 'filter');
    expect([...CLIENT_METHODS.values()].flatMap(({ list }) => list ?? [])).toEqual([
      'tools',
      'resources',
      'resourceTemplates',
      'prompts',
    ]);
  });

  it('[P3] records intent and outcome of calls, reads, prompts, tasks and completion', () => {
    const acting = [...CLIENT_METHODS].filter(([, { canAct }]) => canAct).map(([name]) => name);
    expect(new Set(acting)).toEqual(
      new Set([
        'completion/complete',
        'prompts/get',
        'resources/read',
        'tasks/cancel',
        'tasks/get',
        'tasks/result',
        'tasks/update',
        'tools/call',
      ]),
    );
  });

  it('[P5] lets nothing that can act pass unjudged', () => {
    for (const [name, { canAct, action }] of CLIENT_METHODS) if (canAct) expect(action, name).toBe('judge');
  });

  it('names what is judged by name', () => {
    const named = [...CLIENT_METHODS]
      .filter(([, rule]) => rule.named !== undefined)
      .map(([name, rule]) => `${name} ${rule.named}`);
    expect(named).toEqual([
      'tools/call name',
      'resources/read uri',
      'resources/subscribe uri',
      'resources/unsubscribe uri',
      'prompts/get name',
    ]);
  });

  it('has notifications exactly under notifications/', () => {
    for (const table of [CLIENT_METHODS, SERVER_METHODS]) {
      for (const [name, { kind }] of table)
        expect(name.startsWith('notifications/'), name).toBe(kind === 'notification');
    }
  });

  it.each(['Tools/Call', 'tools/call ', 'tools//call', 'sampling/createMessage', '__proto__', 'constructor'])(
    '[P5] does not know %j',
    (name) => expect(CLIENT_METHODS.get(name)).toBeUndefined(),
  );
});

describe('SERVER_METHODS', () => {
  it('knows no request of the modern era, which has none', () => {
    for (const [name, method] of SERVER_METHODS)
      if (method.kind === 'request') expect(method.eras, name).toBe('legacy');
  });
});

it('names each revision once, in order', () => {
  const versions = [...LEGACY_VERSIONS, MODERN_VERSION];
  versions.slice(1).forEach((version, index) => {
    expect(version > (versions[index] ?? '')).toBe(true);
  });
  expect(versions).toHaveLength(5);
});
