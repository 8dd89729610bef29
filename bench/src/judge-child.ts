// Measures decisions in a process of its own, with the policy package of any checkout.
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { PinnedTool } from '@gatehouse/policy';
import { endWithParent } from './child.ts';
import { JUDGE_CASES, type JudgeCase } from './judge-cases.ts';
import { median } from './statistics.ts';

/** What the parent asks for. */
export interface JudgeRequest {
  case: number;
  batches: number;
  batch: number;
}

const CONTEXT = {
  caller: {
    identity: { id: 'id-1', name: 'bench', groups: [] },
    grant: { id: 'grant-1', label: 'bench', attributes: {} },
    server: { slug: 'bench' },
  },
  now: Date.UTC(2026, 0, 1),
};

const root = process.argv[2]!;
const load = (file: string): Promise<unknown> => import(pathToFileURL(join(root, 'packages/policy/src', file)).href);
const { compilePolicy, judge } = (await load('index.ts')) as typeof import('@gatehouse/policy');
const { compileSchema } = (await load('ajv.ts')) as typeof import('@gatehouse/policy/ajv');

/** Does it once; true when it came out as it should. */
type Step = () => boolean;

/** @throws Error when the policy is refused or the call denied: then something else would be measured */
function prepare(one: JudgeCase): Step {
  const schema = compileSchema(one.inputSchema);
  if (!schema.ok) throw new Error(`${one.name}: the tool's schema is refused: ${schema.reason}`);
  const args = one.arguments as Parameters<typeof schema.validator.validate>[0];
  if (one.kind === 'validate') return () => schema.validator.validate(args).problems.length === 0;
  const tool: PinnedTool = {
    name: one.tool,
    class: 'read',
    digest: '0'.repeat(64),
    state: 'accepted',
    inputSchema: one.inputSchema,
    validator: schema.validator,
  };
  const tools = new Map([[one.tool, tool]]);
  const compiled = compilePolicy(one.policy, { tools });
  if (!compiled.ok) throw new Error(`${one.name}: the policy is refused: ${JSON.stringify(compiled.problems)}`);
  const call = { tool: one.tool, arguments: one.arguments } as Parameters<typeof judge>[2];
  const decision = judge(compiled.policy, tools, call, CONTEXT);
  if (decision.outcome !== 'allow') {
    throw new Error(`${one.name}: the call is denied by ${decision.rule}: ${decision.reason}`);
  }
  return () => judge(compiled.policy, tools, call, CONTEXT).outcome === 'allow';
}

/** Microseconds of one: the median of the batches. */
function measure(step: Step, { batches, batch }: JudgeRequest): number {
  const times: number[] = [];
  for (let i = 0; i < batches; i++) {
    let right = 0;
    const start = performance.now();
    for (let j = 0; j < batch; j++) if (step()) right++;
    times.push(((performance.now() - start) * 1_000) / batch);
    if (right !== batch) throw new Error('not every decision was the same');
  }
  return median(times);
}

const steps = JUDGE_CASES.map(prepare);
process.on('message', (request: JudgeRequest) => {
  process.send?.({ micros: measure(steps[request.case]!, request) });
});
endWithParent();
process.send?.({ ready: true });
