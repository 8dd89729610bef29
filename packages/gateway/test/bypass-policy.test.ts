// Policies that are no policy: refused when they are saved, and whatever held before goes on holding.
import { describe, expect, it } from 'vitest';
import { ADMIN, Harness } from './harness.ts';

const TOOLS = [{ name: 'get_x', description: 'Gets x', inputSchema: { type: 'object', properties: {} } }];

describe('policies that are not one', () => {
  it.each([
    ['T75', 'nothing', {}],
    ['T75', 'an unknown field', { version: '1', default: 'deny', toolz: {} }],
    [
      'T75',
      'an unknown operator',
      { version: '1', default: 'deny', tools: { get_x: { args: { a: { sounds_like: 1 } } } } },
    ],
    ['T75', 'another version', { version: '2', default: 'allow' }],
    ['T75', 'no default', { version: '1' }],
    ['T75', 'a text', 'allow'],
    [
      'T51',
      'a pattern that is none',
      { version: '1', default: 'deny', tools: { get_x: { args: { a: { regex: '(' } } } } },
    ],
    [
      'T51',
      'a pattern with a look-behind',
      { version: '1', default: 'deny', tools: { get_x: { args: { a: { regex: '(?<=x)y' } } } } },
    ],
  ])('[%s] %s is refused when it is saved, and the policy before it holds', async (_id, _what, document) => {
    const harness = await Harness.open();
    const upstream = await harness.record('rec', { tools: TOOLS });
    const { token } = await harness.grant('rec', { version: '1', default: 'deny' });
    const client = harness.client('rec', token);
    await expect(harness.gateway.services.policies.put('rec', 'p-ana', document, undefined, ADMIN)).rejects.toThrow();
    expect((await client.call('get_x')).message?.result?.isError).toBe(true);
    expect(upstream.calls()).toHaveLength(0);
    await harness.close();
  });

  it('[T62] a rule about an argument that the tool does not have denies every call', async () => {
    const harness = await Harness.open();
    const upstream = await harness.record('rec', { tools: TOOLS });
    const policy = {
      version: '1',
      default: 'deny',
      tools: { get_x: { require: [{ path: 'args.typo', op: 'eq', value: 1, missing: 'fail' }] } },
    };
    const { warnings } = await harness.gateway.services.policies.put('rec', 'typo', policy, undefined, ADMIN);
    expect(JSON.stringify(warnings)).toContain('typo');
    const { secret } = await harness.gateway.services.grants.create(
      { server: 'rec', identity: 'ana', policy: 'typo' },
      ADMIN,
    );
    expect((await harness.client('rec', secret ?? '').call('get_x')).message?.result?.isError).toBe(true);
    expect(upstream.calls()).toHaveLength(0);
    await harness.close();
  });
});
