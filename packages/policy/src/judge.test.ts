import { describe, expect, it } from 'vitest';
import { makeContext, makeTools } from '../test/support.ts';
import { compilePolicy } from './compile.ts';
import { explain } from './explain.ts';
import { judge, toolVisibility } from './judge.ts';
import { limitDenial } from './limit-denial.ts';
import { judgeResourceTemplate } from './resources.ts';
import { chargeWindow, emptyWindow } from './window.ts';

const tools = makeTools({ s: { inputSchema: { type: 'object', required: ['a'], properties: { a: {}, b: {} } } } });
const policy = (part: object) => {
  const result = compilePolicy({ version: '1', default: 'deny', ...part }, { tools });
  if (!result.ok) throw new Error(JSON.stringify(result.problems));
  return result.policy;
};
const call = { tool: 't', arguments: { a: 8 } };

describe('judge', () => {
  it('[POL-CONCEALED] hidden and unknown tools are the same bytes to the caller', () => {
    const hiding = judge(policy({ hide: ['t'] }), tools, call, makeContext());
    const unknown = judge(policy({}), new Map(), call, makeContext());
    const seen = (d: typeof hiding) => (d.outcome === 'deny' ? { ...d, rule: '' } : d);
    expect(seen(hiding)).toEqual(seen(unknown));
  });

  it('[POL-CONCURRENT] slots are shared by the limits of one block with one scope, and by nothing else', () => {
    const scopes = ['grant', 'identity', 'server', 'session'] as const;
    const charges = (part: object, context = makeContext()) => {
      const decision = judge(policy(part), tools, call, context);
      return decision.outcome === 'allow' ? decision.charges : [];
    };
    const each = { limits: scopes.map((scope) => ({ concurrent: 2, scope })) };
    const keys = charges({ all_tools: each, tools: { t: each } }).map(({ key }) => key);
    expect(new Set(keys).size).toBe(8);
    expect(charges({ tools: { t: { limits: [{ concurrent: 3 }, { concurrent: 2, scope: 'grant' }] } } })).toEqual([
      {
        kind: 'slot',
        key: '["t_concurrent","concurrent","grant"]["g1"]',
        counter: 't_concurrent',
        max: 2,
        amount: 1,
        pointer: '/tools/t/limits/1',
        scope: 'grant',
      },
    ]);
    const other = makeContext({ grant: { id: 'g2' } });
    const part = { tools: { t: { limits: [{ concurrent: 3 }, { concurrent: 3, scope: 'server' }] } } };
    const [own, shared] = charges(part);
    const [theirs, sharedByThem] = charges(part, other);
    expect(theirs?.key).not.toBe(own?.key);
    expect(sharedByThem?.key).toBe(shared?.key);
  });

  it('[POL-COUNTER] keys name counter, window, scope and whose; sessions fall back to the grant', () => {
    const limits = ['grant', 'identity', 'server', 'session'].map((scope) => ({
      counter: 'c',
      window: 'minute',
      max: 1,
      scope,
    }));
    const engine = policy({ tools: { t: { limits } } });
    const keys = (context: Parameters<typeof makeContext>[0]) => {
      const decision = judge(engine, tools, call, makeContext(context));
      return decision.outcome === 'allow' ? decision.charges.map((c) => c.key) : [];
    };
    const base = keys({});
    expect(new Set(base).size).toBe(4);
    const changed = (context: Parameters<typeof makeContext>[0]) => keys(context).map((key, i) => key !== base[i]);
    expect(changed({ grant: { id: 'g2' } })).toEqual([true, false, false, true]);
    expect(changed({ identity: { id: 'i2' } })).toEqual([false, true, false, false]);
    expect(changed({ server: { slug: 'x' } })).toEqual([false, true, true, false]);
    expect(changed({ session: 's' })).toEqual([false, false, false, true]);
    expect(changed({ identity: { name: 'other' }, client: { name: 'x', version: '1' } })).toEqual([
      false,
      false,
      false,
      false,
    ]);
  });

  it('[POL-COUNTER] editing a policy resets nothing, but a calendar counter belongs to its zone', () => {
    const key = (part: object, limit: object) => {
      const decision = judge(
        policy({ tools: { t: { limits: [{ counter: 'c', window: 'day', max: 3, ...limit }] } }, ...part }),
        tools,
        call,
        makeContext(),
      );
      return decision.outcome === 'allow' ? decision.charges[0]!.key : '';
    };
    expect(key({}, {})).toBe(key({ description: 'x' }, { max: 9, reason: 'r', name: 'n' }));
    expect(key({}, {})).not.toBe(key({ timezone: 'Europe/Berlin' }, {}));
    expect(key({}, {})).not.toBe(key({}, { align: 'sliding' }));
    expect(key({}, { align: 'sliding' })).toBe(key({ timezone: 'Europe/Berlin' }, { window: 86_400 }));
    expect(key({}, {})).toBe(key({}, { window: '1d', align: 'calendar' }));
  });

  it('[POL-REPIN] a new definition of a tool is judged by its own schema', () => {
    const engine = policy({ tools: { s: { args: { b: { eq: 1 } } } } });
    const args = { tool: 's', arguments: { a: 1, b: null } };
    expect(judge(engine, tools, args, makeContext()).outcome).toBe('allow');
    const strict = makeTools({
      s: { inputSchema: { type: 'object', required: ['a', 'b'], properties: { a: {}, b: {} } } },
    });
    expect(judge(engine, strict, args, makeContext())).toMatchObject({ outcome: 'deny', rule: '/tools/s/args/b/eq' });
  });

  it('[POL-STORED] a definition that changes does not take a stored policy out of force', () => {
    const part = { version: '1', default: 'deny', tools: { s: { require: [{ path: 'args.b', op: 'eq', value: 1 }] } } };
    const result = compilePolicy(part, { tools });
    expect(result.ok && result.warnings.map((w) => `${w.severity} ${w.code}`)).toContain('warning missing_undecided');
    const decision = result.ok && judge(result.policy, tools, { tool: 's', arguments: { a: 1 } }, makeContext());
    expect(decision).toMatchObject({ outcome: 'deny', rule: '/tools/s/require/0' });
  });

  it('changing the document after compilation changes nothing', () => {
    const document = { version: '1', default: 'deny', tools: { t: { args: { a: { in: [1] } } } } };
    const result = compilePolicy(document, { tools });
    document.tools.t.args.a.in.push(8);
    expect(result.ok && judge(result.policy, tools, call, makeContext()).outcome).toBe('deny');
  });

  it('[POL-SPEED] the cost does not grow with the number of tools', () => {
    const many = new Map(tools);
    const listed: Record<string, object> = { t: { args: { a: { lte: 9 } } } };
    for (let i = 0; i < 3000; i++) {
      many.set(`x${i}`, { ...tools.get('t')!, name: `x${i}` });
      listed[`x${i}`] = {};
    }
    const result = compilePolicy({ version: '1', default: 'deny', tools: listed }, { tools: many });
    if (!result.ok) throw new Error('policy');
    const context = makeContext();
    const time = (engine: typeof result.policy, map: typeof many): number => {
      let best = Number.POSITIVE_INFINITY;
      for (let round = 0; round < 15; round++) {
        const start = performance.now();
        for (let i = 0; i < 2000; i++) judge(engine, map, call, context);
        best = Math.min(best, performance.now() - start);
      }
      return best;
    };
    const small = policy({ tools: { t: { args: { a: { lte: 9 } } } } });
    time(small, tools);
    expect(time(result.policy, many)).toBeLessThan(time(small, tools) * 10);
  });
});

describe('explain', () => {
  it('[POL-EXPLAIN] tells every step, each predicate’s value and what it read', () => {
    const engine = policy({
      tools: {
        t: {
          args: { 'b[*]': { lte: 3 } },
          require: [
            {
              any: [
                { path: 'args.a', op: 'lt', value: 5 },
                { path: 'args.z', op: 'eq', value: 1 },
              ],
            },
          ],
        },
      },
    });
    const trace = explain(engine, tools, { tool: 't', arguments: { a: 8, b: [1, 2] } }, makeContext());
    expect(trace.steps.map((s) => s.result)).toEqual([...Array(7).fill('pass'), 'deny', 'not reached', 'not reached']);
    expect(trace.steps[7]?.predicates).toMatchObject([
      { pointer: '/tools/t/args/b[*]/lte', read: { found: true, value: [1, 2] }, value: 'true' },
      {
        kind: 'any',
        value: 'indeterminate',
        members: [
          { path: 'args.a', op: 'lt', read: { found: true, value: 8 }, value: 'false' },
          { path: 'args.z', read: { found: false, note: 'absent' }, value: 'missing' },
        ],
      },
    ]);
  });
});

describe('limitDenial', () => {
  it('[POL-LIMITDENIAL] names the limit, the use, max and the wait', () => {
    const engine = policy({
      tools: {
        t: {
          limits: [
            { counter: 'images', window: 'minute', max: 10, amount: 'args.a', name: 'cap', reason: 'Slow down.' },
          ],
        },
      },
    });
    const decision = judge(engine, tools, call, makeContext());
    if (decision.outcome !== 'allow') throw new Error(decision.reason);
    const [charge] = decision.charges;
    if (charge === undefined || charge.kind === 'slot') throw new Error('no window');
    const state = emptyWindow();
    expect(chargeWindow(charge, state, 1_000_000).ok).toBe(true);
    const second = chargeWindow(charge, state, 1_030_000);
    if (second.ok) throw new Error('not denied');
    expect(limitDenial(charge, second)).toMatchObject({
      outcome: 'deny',
      rule: '/tools/t/limits/0',
      name: 'cap',
      reason:
        'Slow down. The limit "images" has used 8 of 10 in 60 seconds. This call counts 8. Retry in 31 seconds, not before.',
      retryAfterMs: 31_000,
    });
    expect(limitDenial(charge, { used: 0, retryAfterMs: Number.POSITIVE_INFINITY }).retryAfterMs).toBeUndefined();
  });

  it('[POL-CONCURRENT, POL-LIMITDENIAL] says how many run, and that a retry can pass when one ends', () => {
    const denied = (concurrent: number, more: object = {}) => {
      const engine = policy({ tools: { t: { limits: [{ concurrent, ...more }] } } });
      const decision = judge(engine, tools, call, makeContext());
      if (decision.outcome !== 'allow') throw new Error(decision.reason);
      return limitDenial(decision.charges[0]!, { used: concurrent, retryAfterMs: 1000, freeWithinMs: 90_000 });
    };
    expect(denied(3, { name: 'cap', reason: 'One by one.' })).toMatchObject({
      outcome: 'deny',
      rule: '/tools/t/limits/0',
      name: 'cap',
      reason:
        'One by one. The limit "t_concurrent" lets 3 calls run at once, and 3 are under way. A retry can pass when one of them ends, at the latest in 90 seconds.',
      retryAfterMs: 1000,
    });
    expect(denied(1).reason).toBe(
      'The limit "t_concurrent" lets one call run at once, and one is under way. A retry can pass when one of them ends, at the latest in 90 seconds.',
    );
  });
});

describe('lists', () => {
  it('[POL-TEMPLATE] a template is listed only if its literal prefix is allowed', () => {
    const engine = policy({ resources: { allow: ['file:///srv/data'] } });
    const outcome = (template: string) => judgeResourceTemplate(engine, template, makeContext()).outcome;
    expect(outcome('file:///srv/data/{path}')).toBe('allow');
    expect(outcome('file:///srv/{path}')).toBe('deny');
    expect(outcome('{+uri}')).toBe('deny');
    expect(toolVisibility(engine, tools, 't', makeContext())).toBe('visible');
  });
});
