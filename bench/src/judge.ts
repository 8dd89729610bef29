// `judge` by itself: what a decision costs without a network, a log or a parser.
import { compilePolicy, judge, type PinnedTool } from '@gatehouse/policy';
import { compileSchema } from '@gatehouse/policy/ajv';
import { bootstrapMedian, type Estimate } from './statistics.ts';
import { ARGUMENTS, POLICY, TOOL_OF, TOOLS } from './workload.ts';

export interface JudgeCase {
  name: string;
  /** Microseconds per decision: the median over batches. */
  micros: Estimate;
}

const BATCH = 2_000;
const BATCHES = 150;
const WARM_UP_BATCHES = 40;

const CONTEXT = {
  caller: {
    identity: { id: 'id-1', name: 'bench', groups: [] },
    grant: { id: 'grant-1', label: 'bench', attributes: {} },
    server: { slug: 'bench' },
  },
  now: Date.UTC(2026, 0, 1),
};

const EMPTY_POLICY = {
  version: '1',
  default: 'allow',
  all_tools: { arguments: { validate: false, undeclared: 'allow' } },
};

/** @throws Error when the policy is refused or the call denied: then something else would be measured */
export function benchJudge(random: () => number): JudgeCase[] {
  const unvalidated = {
    ...POLICY,
    all_tools: { ...POLICY.all_tools, arguments: { validate: false, undeclared: 'allow' } },
  };
  return [
    { name: '20 predicates, a limit, schema validation', micros: measure(POLICY, random) },
    { name: '20 predicates, a limit, no validation', micros: measure(unvalidated, random) },
    { name: 'no rule, no validation', micros: measure(EMPTY_POLICY, random) },
  ];
}

function measure(document: unknown, random: () => number): Estimate {
  const tools = new Map([[TOOL_OF.read, pinned()]]);
  const compiled = compilePolicy(document, { tools });
  if (!compiled.ok) throw new Error(`the policy is refused: ${JSON.stringify(compiled.problems)}`);
  const call = { tool: TOOL_OF.read, arguments: ARGUMENTS };
  const decision = judge(compiled.policy, tools, call, CONTEXT);
  if (decision.outcome !== 'allow') throw new Error(`the call is denied by ${decision.rule}: ${decision.reason}`);
  const batches: number[] = [];
  let allowed = 0;
  for (let batch = 0; batch < WARM_UP_BATCHES + BATCHES; batch++) {
    const start = performance.now();
    for (let i = 0; i < BATCH; i++) {
      if (judge(compiled.policy, tools, call, CONTEXT).outcome === 'allow') allowed++;
    }
    if (batch >= WARM_UP_BATCHES) batches.push(((performance.now() - start) * 1_000) / BATCH);
  }
  if (allowed !== BATCH * (WARM_UP_BATCHES + BATCHES)) throw new Error('not every decision was the same');
  return bootstrapMedian(batches, random);
}

function pinned(): PinnedTool {
  const definition = TOOLS.find(({ name }) => name === TOOL_OF.read)!;
  const schema = compileSchema(definition.inputSchema);
  if (!schema.ok) throw new Error(`the tool's schema is refused: ${schema.reason}`);
  return {
    name: definition.name,
    class: 'read',
    digest: '0'.repeat(64),
    state: 'accepted',
    inputSchema: definition.inputSchema,
    annotations: definition.annotations,
    validator: schema.validator,
  };
}
