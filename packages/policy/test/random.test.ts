import { InexactNumber, type JsonValue } from '@gatehouse/wire';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkPolicy, compilePolicy, explain, judge, toolVisibility } from '../src/index.ts';
import { naiveJudge, plainDecision } from './naive.ts';
import { makeContext, makeTools, RUNS } from './support.ts';

const tools = makeTools({
  t: {},
  r: {
    class: 'read',
    inputSchema: {
      type: 'object',
      required: ['a'],
      properties: {
        a: { type: ['integer', 'string', 'null'] },
        b: { type: 'array', items: { type: ['object', 'integer', 'null'] } },
        o: { type: 'object', properties: { c: {}, d: { type: 'string' } } },
      },
    },
  },
  n: { state: 'new' },
});

const scalar = fc.oneof(
  fc.constantFrom<JsonValue>(
    null,
    true,
    false,
    0,
    1,
    2,
    -1,
    0.5,
    5,
    '',
    'x',
    'main',
    '2026-01-01T00:00:00Z',
    '/srv/a',
    '/srv/../x',
  ),
  fc.constantFrom<JsonValue>(
    'https://a.com/x',
    'https://a.com',
    'http://b.com:81/',
    new InexactNumber('9007199254740993'),
  ),
);
const value: fc.Arbitrary<JsonValue> = fc.oneof(
  scalar,
  fc.array(scalar, { maxLength: 3 }),
  fc.dictionary(fc.constantFrom('c', 'd', '__proto__'), scalar, { maxKeys: 2 }) as fc.Arbitrary<JsonValue>,
  fc.array(fc.dictionary(fc.constantFrom('c', 'd'), scalar, { maxKeys: 2 }), {
    maxLength: 2,
  }) as fc.Arbitrary<JsonValue>,
);
const args = fc.dictionary(fc.constantFrom('a', 'b', 'o', 'z'), value, { maxKeys: 4 }) as fc.Arbitrary<JsonValue>;

const literal = fc.constantFrom<JsonValue>(1, 'x', true, null, [1], { c: 1 });
const opValue = fc.oneof(
  fc.tuple(fc.constantFrom('eq', 'neq'), literal),
  fc.tuple(fc.constantFrom('lt', 'lte', 'gt', 'gte'), fc.constantFrom<JsonValue>(0, 1, 2.5, '2026-01-01T00:00:00Z')),
  fc.tuple(fc.constantFrom('in', 'not_in'), fc.array(literal, { minLength: 1, maxLength: 3 })),
  fc.tuple(fc.constant('exists'), fc.boolean()),
  fc.tuple(fc.constantFrom('contains', 'starts_with', 'ends_with'), fc.constantFrom('x', 'ma', 'a')),
  fc.tuple(fc.constantFrom('regex', 'matches'), fc.constantFrom('x', 'm.*n', '[a-z]+')),
  fc.tuple(fc.constantFrom('length_lte', 'length_gte'), fc.nat(3)),
  fc.tuple(fc.constant('keys_within'), fc.constant(['c'])),
  fc.tuple(fc.constant('url_in'), fc.constantFrom(['https://a.com'], ['http://b.com:81/', 'https://a.com/x'])),
  fc.tuple(fc.constant('path_within'), fc.constant(['/srv'])),
) as fc.Arbitrary<[string, JsonValue]>;
const plainPath = fc.constantFrom(
  'args.a',
  'args.o.c',
  'args.b[0]',
  'args.b[1].c',
  'args.z',
  'args["a"]',
  'args',
  'identity.name',
);
const eachPath = fc.constantFrom('args.b[*]', 'args.b[*].c', 'args.z[*]');
const missing = fc.constantFrom({}, { missing: 'pass' }, { missing: 'fail' });

const inGroup = fc
  .tuple(plainPath, opValue, missing, fc.boolean())
  .map(([path, [op, v], m, negate]) => ({ path, op, value: v, ...m, negate }));
const group = fc.letrec<{ node: object }>((tie) => ({
  node: fc.oneof(
    { maxDepth: 3 },
    inGroup,
    fc.array(tie('node'), { minLength: 1, maxLength: 3 }).map((any) => ({ any })),
    fc.array(tie('node'), { minLength: 1, maxLength: 3 }).map((all) => ({ all })),
    tie('node').map((n) => ({ not: n })),
  ),
})).node;
const each = fc.tuple(eachPath, opValue, missing).map(([path, [op, v], m]) => ({ path, op, value: v, ...m }));
const predicates = fc.array(fc.oneof(group, each), { maxLength: 1 });

const argsRule = fc.dictionary(
  fc.constantFrom('a', 'o.c', 'b[*]', 'a|o.d', '["z"]', 'b[*].c'),
  fc.tuple(opValue, fc.boolean()).map(([[op, v], required]) => ({ [op]: v, ...(op === 'exists' ? {} : { required }) })),
  { maxKeys: 2 },
);
const limit = fc.record({
  counter: fc.constantFrom('c1', 'c2', 'c3'),
  max: fc.integer({ min: 0, max: 9 }),
  when: fc.array(group, { maxLength: 2 }),
});
const slot = fc.record(
  { concurrent: fc.integer({ min: 1, max: 4 }), scope: fc.constantFrom('grant', 'identity', 'server', 'session') },
  { requiredKeys: ['concurrent'] },
);
const amounts: Record<string, unknown> = { c1: 1, c2: 'args.a', c3: { path: 'args.b[*]', missing: 2 } };
const block = fc
  .record(
    {
      args: argsRule,
      require: predicates,
      deny_if: predicates,
      limits: fc.array(limit, { maxLength: 2 }),
      slots: fc.array(slot, { maxLength: 2 }),
      arguments: fc.record({ undeclared: fc.constantFrom('deny', 'warn', 'allow') }),
      action: fc.oneof({ weight: 9, arbitrary: fc.constant('allow') }, fc.constant('deny')),
    },
    { requiredKeys: [] },
  )
  .map(({ limits = [], slots = [], ...b }) => ({
    ...b,
    ...(limits.length + slots.length > 0 && {
      limits: [
        ...limits.map((l) => ({ ...l, window: 'minute', max: Math.max(l.max, 1), amount: amounts[l.counter] })),
        ...slots,
      ],
    }),
  }));
const policy = fc.record(
  {
    version: fc.constant('1'),
    default: fc.constantFrom('deny', 'allow'),
    hide: fc.oneof({ weight: 4, arbitrary: fc.constant([]) }, fc.subarray(['r', '@write', '!t'])),
    all_tools: block,
    classes: fc.dictionary(fc.constantFrom('read', 'write'), block, { maxKeys: 1 }),
    tools: fc.dictionary(fc.constantFrom('t', 'r'), block, { maxKeys: 2 }),
  },
  { requiredKeys: ['version', 'default', 'tools'] },
);
const call = fc.record({
  tool: fc.oneof(
    { weight: 6, arbitrary: fc.constant('t') },
    { weight: 3, arbitrary: fc.constant('r') },
    fc.constantFrom('n', 'unknown'),
  ),
  arguments: args,
});

function compiled(document: unknown) {
  const result = compilePolicy(document, { tools });
  return result.ok ? result.policy : undefined;
}

/** Every object with its keys in the opposite order; lists stay. */
function reversed(v: unknown): unknown {
  if (Array.isArray(v)) return v.map(reversed);
  if (typeof v !== 'object' || v === null || v instanceof InexactNumber) return v;
  return Object.fromEntries(
    Object.entries(v)
      .reverse()
      .map(([k, inner]) => [k, reversed(inner)]),
  );
}

describe('random policies and calls', () => {
  it('[POL-NAIVE] a second, naive evaluator agrees, and explain ends with the same decision', () => {
    let judged = 0;
    let allowed = 0;
    fc.assert(
      fc.property(
        policy,
        fc.array(call, { minLength: 3, maxLength: 6 }),
        fc.oneof({ weight: 5, arbitrary: fc.constant(false) }, fc.boolean()),
        (document, calls, frozen) => {
          const engine = compiled(document);
          if (!engine) return;
          const context = { ...makeContext(), frozen };
          for (const one of calls) {
            const decision = judge(engine, tools, one, context);
            judged++;
            if (decision.outcome === 'allow') allowed++;
            expect(plainDecision(decision)).toEqual(naiveJudge(document, tools, one, context));
            expect(explain(engine, tools, one, context).decision).toEqual(decision);
          }
        },
      ),
      { numRuns: 1500 * RUNS },
    );
    // Most documents must compile and both outcomes occur, else the agreement says little.
    expect(judged).toBeGreaterThan(2000);
    expect(allowed).toBeGreaterThan(judged / 50);
  });

  it('[POL-KEYORDER] the order of keys never changes the decision', () => {
    fc.assert(
      fc.property(policy, call, (document, one) => {
        const engine = compiled(document);
        if (!engine) return;
        const other = compiled(reversed(document))!;
        const context = makeContext();
        const a = judge(engine, tools, one, context);
        const b = judge(other, tools, { ...one, arguments: reversed(one.arguments) as JsonValue }, context);
        expect(b.outcome).toBe(a.outcome);
        if (a.outcome === 'deny' && b.outcome === 'deny') {
          expect(b.failures.map((f) => f.pointer).sort()).toEqual(a.failures.map((f) => f.pointer).sort());
        } else if (a.outcome === 'allow') expect(plainDecision(b)).toEqual(plainDecision(a));
      }),
      { numRuns: 400 * RUNS },
    );
  });

  it('[P5] no JSON makes check, compile or judge throw', () => {
    const engine = compiled({ version: '1', default: 'allow', all_tools: { args: { 'a[0].b': { lte: 1 } } } })!;
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 4 }), fc.string(), (v, name) => {
        checkPolicy(v, { tools: [...tools.values()] });
        compilePolicy({ version: '1', default: 'deny', tools: { t: v } }, { tools });
        compilePolicy(
          { version: '1', default: 'deny', hide: v, all_tools: { require: v, args: v, limits: v } },
          { tools },
        );
        for (const tool of ['t', name]) {
          judge(engine, tools, { tool, arguments: v as JsonValue }, makeContext());
          toolVisibility(engine, tools, tool, makeContext());
        }
      }),
      { numRuns: 400 * RUNS },
    );
  });

  it('[P5] an exception inside the decision is a denial', () => {
    const broken = {
      ...tools.get('t')!,
      validator: {
        validate: () => {
          throw new Error('fault');
        },
      },
    };
    const faulty = new Map([['t', broken]]);
    const engine = compiled({ version: '1', default: 'allow' })!;
    expect(judge(engine, faulty, { tool: 't', arguments: {} }, makeContext())).toMatchObject({
      outcome: 'deny',
      rule: '(internal error)',
    });
  });
});
