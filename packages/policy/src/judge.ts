/** The order of judgement (spec: policy §7). `judge`, `explain` and the list filter run the one function below. */
import type { CompiledPolicy, Plan, Rule } from './compile.ts';
import { foldedKeys } from './folded.ts';
import { applies, type Limit } from './limits.ts';
import { formatSteps } from './path.ts';
import { failureMessage } from './predicate.ts';
import type { Frame } from './read.ts';
import type {
  ArgumentProblem,
  Call,
  Decision,
  DenyDecision,
  JudgeContext,
  LimitCharge,
  PinnedTool,
  RuleFailure,
} from './types.ts';
import { FALSE, INDETERMINATE, isObject, literal, MISSING, TRUE, truthName } from './values.ts';

/** Told of every step that a call reaches; only `explain` listens. */
export interface Tracer {
  step(step: number, detail?: string): void;
  rules(step: number, rules: readonly Rule[], frame: Frame): void;
  limits(step: number, limits: readonly Limit[], frame: Frame): void;
}

const NONE: readonly never[] = [];

export function deny(rule: string, reason: string, more: Partial<Omit<DenyDecision, 'outcome'>> = {}): DenyDecision {
  return { outcome: 'deny', rule, reason, concealed: false, failures: NONE, ...more };
}

/** Hidden and unknown tools are one answer to the caller; only the record knows which. */
function conceal(rule: '(hidden)' | '(unknown tool)', tool: string): DenyDecision {
  return deny(rule, `Unknown tool: ${literal(tool)}.`, { concealed: true });
}

/** Never throws: whatever goes wrong inside is a denial. */
export function judge(
  policy: CompiledPolicy | undefined,
  tools: ReadonlyMap<string, PinnedTool>,
  call: Call,
  context: JudgeContext,
): Decision {
  try {
    return run(policy, tools, call, context);
  } catch {
    return internalError();
  }
}

export function internalError(): DenyDecision {
  return deny('(internal error)', 'The call could not be judged, and is therefore denied.');
}

export function run(
  policy: CompiledPolicy | undefined,
  tools: ReadonlyMap<string, PinnedTool>,
  call: Call,
  context: JudgeContext,
  tracer?: Tracer,
): Decision {
  const tool = tools.get(call.tool);
  const early = untilListed(policy, tool, call.tool, context, tracer);
  if (early) return early;
  const plan = policy!.plan(tool!);
  tracer?.step(6);
  const outright = deniedOutright(plan, call.tool);
  if (outright) return outright;
  tracer?.step(7);
  const warnings: string[] = [];
  const refusal = validate(plan, call, context, warnings);
  if (refusal) return refusal;
  const frame: Frame = { args: call.arguments, context, tool, zone: policy!.zone };
  tracer?.rules(8, plan.needed, frame);
  const needed = judgeRules(plan.needed, frame, TRUE);
  if (needed) return needed;
  tracer?.rules(9, plan.refused, frame);
  const refused = judgeRules(plan.refused, frame, FALSE);
  if (refused) return refused;
  tracer?.limits(10, plan.limits, frame);
  const charges = chargesOf(plan.limits, frame);
  if (!Array.isArray(charges)) return charges as DenyDecision;
  return { outcome: 'allow', charges: charges as LimitCharge[], warnings, rule: '' };
}

/** Steps 1 to 5, which need no arguments: the list filter stops after them. */
function untilListed(
  policy: CompiledPolicy | undefined,
  tool: PinnedTool | undefined,
  name: string,
  context: JudgeContext,
  tracer?: Tracer,
): DenyDecision | undefined {
  tracer?.step(1);
  if (!tool) return conceal('(unknown tool)', name);
  if (policy?.plan(tool).hidden) return conceal('(hidden)', name);
  tracer?.step(2);
  if (context.frozen && tool.class !== 'read') {
    return deny('(frozen)', 'The server is frozen: only tools that read may be called.');
  }
  tracer?.step(3);
  if (!policy) return deny('(no policy)', 'No policy is attached to this grant, so that nothing is allowed.');
  tracer?.step(4);
  if (tool.state === 'new') {
    return deny('(new tool)', `No person has accepted ${literal(name)} yet; ask the server's owner to look at it.`);
  }
  if (tool.state !== 'accepted') {
    return deny(
      '(definition changed)',
      `The definition of ${literal(name)} changed; the server's owner must look at it first.`,
    );
  }
  tracer?.step(5);
  if (policy.defaultAction !== 'allow' && !policy.plan(tool).listed) {
    return deny('(default deny)', `The policy does not list ${literal(name)}, and denies what it does not list.`);
  }
  return undefined;
}

function deniedOutright(plan: Plan, tool: string): DenyDecision | undefined {
  if (!plan.denied) return undefined;
  const { pointer, name, reason } = plan.denied;
  return deny(pointer, reason ?? `The policy denies ${literal(tool)}.`, name === undefined ? {} : { name });
}

function validate(plan: Plan, call: Call, context: JudgeContext, warnings: string[]): DenyDecision | undefined {
  if (!isObject(call.arguments)) {
    return deny('(arguments)', 'The arguments must be an object.', {
      failures: [
        { pointer: '(arguments)', path: 'args', value: 'indeterminate', message: 'The arguments must be an object.' },
      ],
    });
  }
  const failing: ArgumentProblem[] = [...foldedKeys(call.arguments, plan.names)];
  if (plan.validate === false && plan.undeclared === 'allow') return invalid(failing);
  const report = plan.tool.validator.validate(call.arguments, call.plain);
  if (plan.validate === true) failing.push(...report.problems);
  else if (plan.validate === 'warn') warnings.push(...report.problems.map((p) => p.message));
  if (plan.undeclared !== 'allow' && report.undeclared.length > 0) {
    const counted = untolerated(report.undeclared, context.toleratedArguments);
    if (plan.undeclared === 'deny') failing.push(...counted);
    else warnings.push(...counted.map((p) => p.message));
  }
  return invalid(failing);
}

function invalid(failing: readonly ArgumentProblem[]): DenyDecision | undefined {
  if (failing.length === 0) return undefined;
  return deny('(arguments)', sentences(failing.map((p) => p.message)), {
    failures: failing.map((p) => ({ pointer: '(arguments)', path: p.path, value: 'false', message: p.message })),
  });
}

function untolerated(
  problems: readonly ArgumentProblem[],
  tolerated: ReadonlySet<string> | undefined,
): readonly ArgumentProblem[] {
  if (!tolerated || tolerated.size === 0) return problems;
  const paths = new Set([...tolerated].map((key) => formatSteps('args', [{ kind: 'key', key }])));
  return problems.filter((problem) => !paths.has(problem.path));
}

/** Rules must all have `wanted`; every one that has not is named, the first is the decision's. */
function judgeRules(
  rules: readonly Rule[],
  frame: Frame,
  wanted: typeof TRUE | typeof FALSE,
): DenyDecision | undefined {
  for (let i = 0; i < rules.length; i++) {
    if (rules[i]!.node.evaluate(frame) !== wanted) return failed(rules.slice(i), frame, wanted);
  }
  return undefined;
}

function failed(rules: readonly Rule[], frame: Frame, wanted: typeof TRUE | typeof FALSE): DenyDecision {
  const failures: RuleFailure[] = [];
  for (const rule of rules) {
    const { node } = rule;
    const value = node.evaluate(frame);
    if (value === wanted) continue;
    // A quantified reading may be missing as a whole; its elements' absence shows as what it was decided to be.
    const raw = node.raw(frame);
    const truth = raw === MISSING ? MISSING : value;
    failures.push({
      pointer: rule.pointer,
      ...(rule.name !== undefined && { name: rule.name }),
      ...(node.leaf && { path: node.leaf.path.source }),
      value: truthName(truth),
      message: rule.reason ?? failureMessage(node, truth, frame, rule.list),
    });
  }
  const first = failures[0]!;
  return deny(first.pointer, sentences(failures.map((f) => f.message)), {
    ...(first.name !== undefined && { name: first.name }),
    failures,
  });
}

/** Each sentence once, in order. */
function sentences(messages: readonly string[]): string {
  return [...new Set(messages)].join(' ');
}

/** What the limits would charge. Limits that share a counter charge it once; the smallest `max` decides. */
export function chargesOf(limits: readonly Limit[], frame: Frame): LimitCharge[] | DenyDecision {
  if (limits.length === 0) return [];
  const charges: LimitCharge[] = [];
  const failures: RuleFailure[] = [];
  for (const limit of limits) {
    const applicable = applies(limit, frame);
    if (applicable === FALSE) continue;
    const amount =
      applicable === INDETERMINATE ? 'It cannot be judged whether the limit applies.' : limit.amount(frame);
    if (typeof amount === 'string') {
      const message = limit.reason ?? amount;
      const name = limit.name === undefined ? {} : { name: limit.name };
      failures.push({ pointer: limit.pointer, ...name, value: 'indeterminate', message });
      continue;
    }
    const charge = limit.charge(amount, frame.context);
    const at = charges.findIndex((c) => c.key === charge.key);
    if (at < 0) charges.push(charge);
    else if (charge.max < charges[at]!.max) charges[at] = charge;
  }
  const first = failures[0];
  if (!first) return charges;
  return deny(first.pointer, sentences(failures.map((f) => f.message)), {
    ...(first.name !== undefined && { name: first.name }),
    failures,
  });
}

/** Steps 1 to 6, which need no arguments: the denial of whatever call of the tool, if there is one. Never throws. */
export function judgeWithoutArguments(
  policy: CompiledPolicy | undefined,
  tools: ReadonlyMap<string, PinnedTool>,
  toolName: string,
  context: JudgeContext,
): DenyDecision | undefined {
  try {
    const tool = tools.get(toolName);
    return untilListed(policy, tool, toolName, context) ?? deniedOutright(policy!.plan(tool!), toolName);
  } catch {
    return internalError();
  }
}

/**
 * Whether `tools/list` shows a tool. Hidden, unknown and new tools never; without a policy none. Under `list: "allowed"`
 * only tools on which some call could be allowed: steps 1 to 5, and no plain `action: deny`.
 */
export function toolVisibility(
  policy: CompiledPolicy | undefined,
  tools: ReadonlyMap<string, PinnedTool>,
  toolName: string,
  context: JudgeContext,
): 'visible' | 'hidden' {
  try {
    const tool = tools.get(toolName);
    const early = untilListed(policy, tool, toolName, context);
    if (!policy || !tool || early?.concealed || tool.state === 'new') return 'hidden';
    if (policy.list === 'all') return 'visible';
    return early || policy.plan(tool).denied ? 'hidden' : 'visible';
  } catch {
    return 'hidden';
  }
}
