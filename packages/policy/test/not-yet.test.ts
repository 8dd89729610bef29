// What the language will have and this version has not is refused by name, never half understood (spec: policy §10). Each
// of these tests goes when its requirement is met.
import { describe, expect, it } from 'vitest';
import { checkPolicy } from '../src/index.ts';

const block = (content: object) => ({ version: '1', default: 'deny', tools: { t: content } });
const predicate = (content: object) => block({ require: [content] });
const limit = (content: object) => block({ limits: [{ counter: 'c', window: 'day', max: 1, ...content }] });

describe('a document that uses it is refused by name', () => {
  it.each<[string, string, string, object]>([
    ['[not yet: POL-ASK]', 'require_approval', '/tools/t/action', block({ action: 'require_approval' })],
    ['[not yet: POL-ASK]', 'approval', '/tools/t/approval', block({ approval: { when: [] } })],
    ['[not yet: POL-ASK]', 'exceeded', '/tools/t/limits/0/exceeded', limit({ exceeded: 'ask' })],
    ['[not yet: POL-DELAY]', 'delay', '/tools/t/action', block({ action: 'delay' })],
    ['[not yet: POL-SQL]', 'sql', '/tools/t/args/q/sql', block({ args: { q: { sql: { dialect: 'postgresql' } } } })],
    [
      '[not yet: POL-EMAIL]',
      'email_domain_in',
      '/tools/t/args/to/email_domain_in',
      block({ args: { to: { email_domain_in: ['example.com'] } } }),
    ],
    ['[not yet: POL-SECRETS]', 'no_secret', '/tools/t/args/x/no_secret', block({ args: { x: { no_secret: true } } })],
    [
      '[not yet: POL-SECRETS]',
      'no_hidden_characters',
      '/tools/t/args/x/no_hidden_characters',
      block({ args: { x: { no_hidden_characters: true } } }),
    ],
    ['[not yet: POL-SUBSCHEMA]', 'schema', '/tools/t/args/x/schema', block({ args: { x: { schema: {} } } })],
    [
      '[not yet: POL-FOLDED]',
      'fold',
      '/tools/t/require/0/fold',
      predicate({ path: 'args.x', op: 'eq', value: 'a', fold: true }),
    ],
    [
      '[not yet: POL-QUANTIFIER]',
      'each',
      '/tools/t/require/0/each',
      predicate({ each: 'args.to', satisfies: { path: 'item', op: 'eq', value: 1 } }),
    ],
    [
      '[not yet: POL-QUANTIFIER]',
      '**',
      '/tools/t/require/0/path',
      predicate({ path: 'args.**', op: 'eq', value: 'a' }),
    ],
    [
      '[not yet: POL-VALUEFROM]',
      'value_from',
      '/tools/t/require/0/value_from',
      predicate({ path: 'args.x', op: 'eq', value_from: 'identity.id' }),
    ],
    ['[not yet: POL-VALUEFROM]', 'lists', '/lists', { version: '1', default: 'deny', lists: { hosts: [] } }],
    ['[not yet: POL-BRANCHES]', 'cases', '/tools/t/cases', block({ cases: { on: 'args.method', else: {} } })],
    ['[not yet: POL-BY]', 'by', '/tools/t/limits/0/by', limit({ by: 'args.customer' })],
    [
      '[not yet: POL-ANSWERS]',
      'input.*',
      '/tools/t/require/0/path',
      predicate({ path: 'input.x', op: 'eq', value: 1 }),
    ],
  ])('%s %s at %s', (_, name, pointer, document) => {
    expect(checkPolicy(document)).toContainEqual(
      expect.objectContaining({
        pointer,
        severity: 'error',
        code: 'not_available',
        message: `"${name}" is not available in this version.`,
      }),
    );
  });
});
