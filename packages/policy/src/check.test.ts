import { describe, expect, it } from 'vitest';
import { makeTool } from '../test/support.ts';
import { checkPolicy } from './check.ts';
import { FEATURES } from './features.ts';

function codes(document: unknown, tools?: Parameters<typeof checkPolicy>[1]): string[] {
  return checkPolicy(document, tools).map((p) => `${p.severity} ${p.pointer} ${p.code}`);
}

const policy = (part: object): object => ({ version: '1', default: 'deny', ...part });
const block = (part: object): object => policy({ tools: { t: part } });

describe('checkPolicy', () => {
  it('[POL-SEED] accepts the example policy of Flux as it is', () => {
    const limits = [{ counter: 'flux_generate_image_rate', window: 'minute', max: 30, scope: 'grant' }];
    expect(checkPolicy(policy({ tools: { flux_generate_image: { limits } } }))).toEqual([]);
  });

  it('[POL-ALLERRORS] reports all errors at once, each with its pointer', () => {
    expect(
      codes({
        version: '2',
        defualt: 'deny',
        timezone: 'Mars/Olympus',
        list: 'some',
        hide: ['@destroy', 5, '!@read'],
        classes: { reads: {} },
        tools: {
          t: {
            args: { 'a..b': { lte: 1 }, c: { lte: 'x', maximum: 3 }, d: 4 },
            require: [{ path: 'args.x', op: 'regex', value: '(?=a)' }, { op: 'eq' }, 7],
            deny_if: {},
            limits: [{ window: 'fortnight', max: -1, scope: 'person', amount: 0 }, { max: 1.5 }],
            rate_limit: 'often',
            arguments: { undeclared: 'drop', validate: 'no' },
          },
        },
      }),
    ).toEqual(
      [
        '/defualt unknown_field',
        '/version wrong_value',
        '/default missing_field',
        '/list wrong_value',
        '/timezone unknown_zone',
        '/hide/0 unknown_class',
        '/hide/1 wrong_type',
        '/hide/2 wrong_value',
        '/classes/reads unknown_class',
        '/tools/t/args/a..b bad_path',
        '/tools/t/args/c/lte wrong_value',
        '/tools/t/args/c/maximum unknown_operator',
        '/tools/t/args/d wrong_type',
        '/tools/t/require/0/value wrong_value',
        '/tools/t/require/1/value missing_field',
        '/tools/t/require/1/path missing_field',
        '/tools/t/require/2 wrong_type',
        '/tools/t/deny_if wrong_type',
        '/tools/t/limits/0/max wrong_value',
        '/tools/t/limits/0/window wrong_value',
        '/tools/t/limits/0/scope wrong_value',
        '/tools/t/limits/0/amount wrong_value',
        '/tools/t/limits/1/max wrong_value',
        '/tools/t/limits/1/window missing_field',
        '/tools/t/rate_limit wrong_value',
        '/tools/t/arguments/undeclared wrong_value',
        '/tools/t/arguments/validate wrong_value',
      ].map((line) => `error ${line}`),
    );
  });

  it('[POL-SUGGEST] suggests what was meant', () => {
    const suggestion = (document: object): string | undefined => checkPolicy(document)[0]?.suggestion;
    expect(suggestion(policy({ tolls: {} }))).toBe('did you mean `tools`?');
    expect(suggestion(block({ requires: [] }))).toBe('did you mean `require`?');
    expect(suggestion(block({ args: { a: { lenght_lte: 3 } } }))).toBe('did you mean `length_lte`?');
    expect(suggestion(block({ require: [{ path: 'count', op: 'eq', value: 1 }] }))).toBe('did you mean `args.count`?');
    expect(suggestion(block({ require: [{ path: 'arg.count', op: 'eq', value: 1 }] }))).toBe('did you mean `args`?');
    expect(suggestion(policy({ classes: { destructiv: {} } }))).toBe('did you mean `destructive`?');
  });

  it('[POL-REFUSED] refuses by name what this version does not have', () => {
    const refused: [object, string][] = [
      [block({ action: 'require_approval' }), 'require_approval'],
      [block({ action: 'delay' }), 'delay'],
      [block({ approval: {} }), 'approval'],
      [block({ cases: {} }), 'cases'],
      [block({ limits: [{ window: 'day', max: 1, by: 'args.x' }] }), 'by'],
      [block({ limits: [{ window: 'day', max: 1, exceeded: 'ask' }] }), 'exceeded'],
      [policy({ lists: {} }), 'lists'],
      [block({ require: [{ path: 'args.x', op: 'eq', value_from: 'identity.id' }] }), 'value_from'],
      [block({ require: [{ path: 'args.x', op: 'eq', value: 1, fold: true }] }), 'fold'],
      [block({ args: { x: { in: { list: 'hosts' } } } }), 'list'],
      [block({ args: { '**': { eq: 1 } } }), '**'],
      [block({ require: [{ path: 'args.**', op: 'eq', value: 1 }] }), '**'],
      [block({ require: [{ path: 'input.x', op: 'eq', value: 1 }] }), 'input.*'],
      [block({ require: [{ each: 'args.to', satisfies: {} }] }), 'each'],
      [block({ require: [{ some: 'args.to', satisfies: {} }] }), 'some'],
      ...FEATURES.filter((f) => f.kind === 'operator' && !f.available).map(({ name }): [object, string] => [
        block({ args: { x: { [name]: true } } }),
        name,
      ]),
    ];
    for (const [document, name] of refused) {
      const problems = checkPolicy(document);
      expect(problems, name).toContainEqual(
        expect.objectContaining({ code: 'not_available', message: `"${name}" is not available in this version.` }),
      );
      expect(
        problems.every((p) => p.code === 'not_available'),
        JSON.stringify(problems),
      ).toBe(true);
    }
  });

  it('[POL-NEVER] refuses rules that can never match, but not a plain deny or max 0', () => {
    for (const args of [
      { x: { in: [] } },
      { x: { gt: 3, lt: 3 } },
      { x: { gte: 4, lte: 3 } },
      { x: { eq: 5, lte: 3 } },
    ]) {
      expect(checkPolicy(block({ args }))[0]?.code).toBe('never_matches');
    }
    expect(checkPolicy(block({ args: { x: { length_gte: 3, length_lte: 2 } } }))[0]?.code).toBe('never_matches');
    expect(checkPolicy(block({ require: [{ any: [] }] }))[0]?.code).toBe('never_matches');
    expect(checkPolicy(block({ limits: [{ window: 'day', max: 3, amount: 5 }] }))[0]?.code).toBe('never_matches');
    expect(checkPolicy(block({ action: 'deny', limits: [{ window: 'day', max: 0 }] }))).toEqual([]);
    expect(checkPolicy(block({ args: { x: { gte: 3, lte: 3 } } }))).toEqual([]);
  });

  it('[POL-CONCURRENT] takes concurrent with a scope, and refuses what does not go with it, all at once', () => {
    const at = (document: object): string[] => codes(document);
    const limits = (...list: object[]) => at(block({ limits: list }));
    expect(limits({ concurrent: 3 }, { concurrent: 1, scope: 'server', name: 'n', reason: 'r' })).toEqual([]);
    expect(
      limits(
        { concurrent: 0 },
        { concurrent: 1.5, scope: 'person' },
        { concurrent: '3', window: 'day', max: 1 },
        { concurrent: 2, counter: 'c', amount: 2, when: [] },
      ),
    ).toEqual([
      'error /tools/t/limits/0/concurrent never_matches',
      'error /tools/t/limits/1/concurrent wrong_value',
      'error /tools/t/limits/1/scope wrong_value',
      'error /tools/t/limits/2/window unknown_field',
      'error /tools/t/limits/2/max unknown_field',
      'error /tools/t/limits/2/concurrent wrong_value',
      'error /tools/t/limits/3/counter unknown_field',
      'error /tools/t/limits/3/amount unknown_field',
      'error /tools/t/limits/3/when unknown_field',
    ]);
    expect(checkPolicy(block({ limits: [{ concurrent: null }] }))[0]?.message).toBe(
      '"concurrent" must be an integer of at least 1; it is null.',
    );
    expect(at(policy({ resources: { allow: ['*'], limits: [{ concurrent: 2 }] } }))).toEqual([]);
  });

  it('[POL-SHARED] refuses limits of one call that share a counter and disagree in the amount', () => {
    const limit = (amount: unknown): object => ({ counter: 'c', window: 'minute', max: 9, amount });
    const at = (document: object): string[] => codes(document);
    expect(at(block({ limits: [limit(1), limit(2)] }))).toEqual(['error /tools/t/limits/1 limits_disagree']);
    expect(at(policy({ all_tools: { limits: [limit(1)] }, tools: { t: { limits: [limit('args.n')] } } }))).toEqual([
      'error /tools/t/limits/0 limits_disagree',
    ]);
    expect(
      at(policy({ classes: { read: { limits: [limit(1)] } }, tools: { t: { limits: [limit(2)] } } })),
    ).toHaveLength(1);
    const overriding = { override_class: true, limits: [limit(2)] };
    expect(at(policy({ classes: { read: { limits: [limit(1)] } }, tools: { t: overriding } }))).toEqual([]);
    expect(at(policy({ tools: { a: { limits: [limit(1)] }, b: { limits: [limit('args.n')] } } }))).toEqual([]);
    expect(at(block({ limits: [limit('args.n'), { ...limit({ path: 'args.n' }), window: 60 }] }))).toEqual([]);
  });

  it('demands a quantifier inside groups, negate and when', () => {
    const each = { path: 'args.to[*]', op: 'eq', value: 1 };
    for (const part of [
      { require: [{ any: [each] }] },
      { deny_if: [{ not: each }] },
      { require: [{ ...each, negate: true }] },
      { limits: [{ window: 'day', max: 1, when: [each] }] },
    ]) {
      expect(checkPolicy(block(part)).map((p) => p.code)).toEqual(['quantifier_needed']);
    }
  });

  it('refuses a window that its alignment does not fit, and numbers that no double holds', () => {
    expect(codes(block({ limits: [{ window: 'month', align: 'sliding', max: 1 }] }))).toEqual([
      'error /tools/t/limits/0/align wrong_value',
    ]);
    expect(codes(block({ limits: [{ window: '30d', align: 'calendar', max: 1 }] }))).toEqual([
      'error /tools/t/limits/0/align wrong_value',
    ]);
    expect(codes(block({ args: { x: { lte: 2 ** 60 } } }))).toEqual(['error /tools/t/args/x/lte inexact_number']);
  });
});

describe('checkPolicy with the server’s tools', () => {
  const schema = {
    type: 'object',
    required: ['amount', 'items'],
    properties: {
      amount: { type: 'integer' },
      reason: { type: 'string' },
      note: { type: ['string', 'null'] },
      callback_url: { type: 'string' },
      items: {
        type: 'array',
        items: { type: 'object', required: ['id'], properties: { id: { type: 'integer' }, tag: {} } },
      },
    },
  };
  const tools = [makeTool('pay', { class: 'financial', inputSchema: schema }), makeTool('look', { class: 'read' })];
  const pay = (part: object): object =>
    policy({
      tools: {
        pay: {
          rate_limit: '5/minute',
          args: { amount: { lte: 9 }, callback_url: { url_in: ['https://a.com'] } },
          ...part,
        },
      },
    });

  it('[POL-MISSING] demands that absence of an optional argument is decided, and offers both', () => {
    const predicate = { path: 'args.reason', op: 'eq', value: 'x' };
    for (const list of ['require', 'deny_if']) {
      const problems = checkPolicy(pay({ [list]: [predicate] }), { tools });
      expect(problems).toHaveLength(1);
      expect(problems[0]).toMatchObject({
        pointer: `/tools/pay/${list}/0`,
        code: 'missing_undecided',
        severity: 'error',
      });
      expect(problems[0]?.suggestion).toContain('"missing": "fail"');
      expect(problems[0]?.suggestion).toContain('"missing": "pass"');
      expect(checkPolicy(pay({ [list]: [{ ...predicate, missing: 'pass' }] }), { tools })).toEqual([]);
      expect(checkPolicy(pay({ [list]: [{ ...predicate, path: 'args.amount', value: 1 }] }), { tools })).toEqual([]);
      expect(checkPolicy(pay({ [list]: [{ path: 'args.reason', op: 'exists', value: true }] }), { tools })).toEqual([]);
      expect(codes(pay({ [list]: [{ any: [predicate] }] }), { tools })).toEqual([
        `error /tools/pay/${list}/0/any/0 missing_undecided`,
      ]);
    }
    expect(checkPolicy(pay({ require: [{ path: 'args.items[*].id', op: 'gt', value: 1 }] }), { tools })).toEqual([]);
    expect(codes(pay({ require: [{ path: 'args.items[*].tag', op: 'eq', value: 1 }] }), { tools })).toHaveLength(1);
    expect(codes(pay({ require: [{ path: 'args.items[0].id', op: 'gt', value: 1 }] }), { tools })).toHaveLength(1);
  });

  it('[POL-UNKNOWN] T62: names the arguments and tools that the definitions do not have', () => {
    const problems = checkPolicy(pay({ require: [{ path: 'args.amuont', op: 'eq', value: 1 }] }), { tools });
    expect(problems.map((p) => `${p.severity} ${p.code}`)).toEqual([
      'error missing_undecided',
      'warning unknown_argument',
    ]);
    expect(problems[1]?.suggestion).toBe('did you mean `amount`?');
    expect(checkPolicy(policy({ hide: ['lok'], tools: { look: {}, py: {} } }), { tools })).toEqual([
      expect.objectContaining({ pointer: '/tools/py', code: 'unknown_tool', suggestion: 'did you mean `pay`?' }),
      expect.objectContaining({ pointer: '/hide/0', code: 'unknown_tool', suggestion: 'did you mean `look`?' }),
    ]);
  });

  it('[POL-LINT] warns of missing limits and bounds, and of unanchored patterns', () => {
    expect(codes(policy({ tools: { pay: {} } }), { tools })).toEqual([
      'warning /tools/pay no_limit',
      'warning /tools/pay unbounded_argument',
      'warning /tools/pay unbounded_argument',
    ]);
    expect(codes(policy({ tools: { look: {} } }), { tools })).toEqual([]);
    expect(
      codes(pay({ require: [{ path: 'args.reason', op: 'regex', value: 'a', missing: 'fail' }] }), { tools }),
    ).toEqual(['warning /tools/pay/require/0 unanchored_regex']);
    expect(
      codes(pay({ require: [{ path: 'args.reason', op: 'regex', value: '^a$', missing: 'fail' }] }), { tools }),
    ).toEqual([]);
    expect(
      codes(
        pay({
          limits: [{ counter: 'a', window: 'day', max: 9, amount: { path: 'args.reason', missing: 'schema_default' } }],
        }),
        { tools },
      ),
    ).toEqual(['error /tools/pay/limits/0/amount no_schema_default']);
  });
});
