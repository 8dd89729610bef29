import { parseJson } from '@gatehouse/wire';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, it } from 'vitest';
import {
  checkPolicy,
  compilePolicy,
  type Decision,
  explain,
  judge,
  judgePrompt,
  judgeResource,
  toolVisibility,
} from '../src/index.ts';
import { naiveJudge, plainDecision } from './naive.ts';
import {
  type Case,
  type CaseFile,
  callOf,
  caseFiles,
  caseSchema,
  makeContext,
  makeTools,
  policyOf,
  type Row,
} from './support.ts';

const files = caseFiles();

function compiled(document: unknown, tools: ReturnType<typeof makeTools>) {
  if (document === null || document === undefined) return undefined;
  const result = compilePolicy(document, { tools });
  if (!result.ok) throw new Error(JSON.stringify(result.problems));
  return result.policy;
}

function decide(one: Case, file: CaseFile): { decision: Decision; visible: boolean } {
  const document = policyOf(one, file);
  const tools = makeTools(file.definitions, one.definitions);
  const policy = compiled(document, tools);
  const context = makeContext(one.context);
  if (one.resource !== undefined) return { decision: judgeResource(policy, one.resource, context), visible: false };
  if (one.prompt !== undefined) return { decision: judgePrompt(policy, one.prompt, context), visible: false };
  const call = callOf(one);
  const decision = judge(policy, tools, call, context);
  expect(explain(policy, tools, call, context).decision, 'explain ends with the same decision').toEqual(decision);
  expect(naiveJudge(document, tools, call, context), 'the naive evaluator agrees').toEqual(plainDecision(decision));
  return { decision, visible: toolVisibility(policy, tools, call.tool, context) === 'visible' };
}

function verify(one: Case, file: CaseFile): void {
  const { decision, visible } = decide(one, file);
  const { expect: wanted } = one;
  if (wanted.visible !== undefined) expect(visible).toBe(wanted.visible);
  if (decision.outcome === 'deny') {
    expect(wanted.deny, JSON.stringify(decision)).toBe(decision.rule);
    if (wanted.reason !== undefined) expect(decision.reason).toBe(wanted.reason);
    if (wanted.concealed !== undefined) expect(decision.concealed).toBe(wanted.concealed);
    if (wanted.also) expect(decision.failures.slice(1).map((f) => f.pointer)).toEqual(wanted.also);
    return;
  }
  expect(wanted.allow, 'allowed').toBe(true);
  if (wanted.warnings) expect(decision.warnings).toEqual(wanted.warnings);
  const plain = plainDecision(decision);
  if (wanted.charges || wanted.slots)
    expect(plain).toEqual({ outcome: 'allow', charges: wanted.charges ?? {}, slots: wanted.slots ?? {} });
}

/** What each list must answer to a predicate's value (spec: policy §3). */
function verifyRow(op: string, value: unknown, style: string | undefined, row: Row): void {
  const extra = style === undefined ? {} : { style };
  const args: Record<string, unknown> = {};
  if (row.json !== undefined) args.x = parseJson(row.json);
  else if (Object.hasOwn(row, 'arg')) args.x = row.arg;
  const tools = makeTools();
  const outcome = (block: object): boolean => {
    const document = { version: '1', default: 'deny', tools: { t: block } };
    const call = { tool: 't', arguments: args as never };
    const context = makeContext();
    const decision = judge(compiled(document, tools), tools, call, context);
    expect(naiveJudge(document, tools, call, context).outcome).toBe(decision.outcome);
    return decision.outcome === 'allow';
  };
  const predicate = { path: 'args.x', op, value, ...extra };
  const { is } = row;
  const at = {
    args: outcome({ args: { x: { [op]: value, ...extra } } }),
    require: outcome({ require: [predicate] }),
    requirePass: outcome({ require: [{ ...predicate, missing: 'pass' }] }),
    requireNegated: outcome({ require: [{ ...predicate, negate: true }] }),
    denyIf: outcome({ deny_if: [predicate] }),
    denyIfFail: outcome({ deny_if: [{ ...predicate, missing: 'fail' }] }),
    denyIfNegated: outcome({ deny_if: [{ ...predicate, negate: true }] }),
  };
  const missing = is === 'missing';
  expect(at).toEqual({
    args: is === true || missing,
    require: is === true,
    requirePass: is === true || missing,
    requireNegated: is === false,
    denyIf: is === false || missing,
    denyIfFail: is === false,
    denyIfNegated: is === true || missing,
  });
}

describe('[POL-CASES] semantics as data', () => {
  it('every file fits case.schema.json', () => {
    const validate = new Ajv2020({ strict: false }).compile(caseSchema() as object);
    for (const { file, content } of files)
      expect(validate(content), `${file}: ${JSON.stringify(validate.errors)}`).toBe(true);
  });

  it('there are at least 150 cases', () => {
    const count = files.reduce(
      (sum, { content }) =>
        sum + (content.cases?.length ?? 0) + (content.tables ?? []).reduce((n, t) => n + t.rows.length, 0),
      0,
    );
    expect(count).toBeGreaterThanOrEqual(150);
  });

  it('names do not repeat within a file', () => {
    for (const { content } of files) {
      const names = (content.cases ?? []).map((c) => c.name);
      expect(new Set(names).size).toBe(names.length);
    }
  });
});

const IDS: Readonly<Record<string, string>> = {
  'operators.yaml': '[POL-OPERATORS]',
  'urls-and-paths.yaml': '[POL-GRAMMAR]',
  'groups-and-paths.yaml': '[POL-KLEENE]',
  'order-and-blocks.yaml': '[POL-ORDER]',
  'limits.yaml': '[POL-AMOUNT]',
  'concurrent.yaml': '[POL-CONCURRENT]',
};

for (const { file, content } of files) {
  describe(`${IDS[file] ?? '[POL-CASES]'} ${content.title}`, () => {
    for (const one of content.cases ?? []) it(one.name, () => verify(one, content));
    for (const { op, value, style, rows } of content.tables ?? []) {
      for (const row of rows) {
        const shown = row.json ?? (Object.hasOwn(row, 'arg') ? JSON.stringify(row.arg) : 'nothing');
        it(`${op} ${JSON.stringify(value)} on ${shown} is ${row.is}${row.why ? ` (${row.why})` : ''}`, () => {
          verifyRow(op, value, style, row);
        });
      }
    }
  });
}

describe('[P5] an empty or broken policy', () => {
  it('[POL-CHECK] never compiles when it has errors', () => {
    for (const document of [
      null,
      [],
      'x',
      {},
      { version: '2', default: 'allow' },
      { version: '1', default: 'allow', x: 1 },
    ]) {
      expect(checkPolicy(document).some((p) => p.severity === 'error')).toBe(true);
      expect(compilePolicy(document, { tools: new Map() }).ok).toBe(false);
    }
  });
});
