/** The whole trace of one judgement: every step, each predicate's value, what it read. */
import type { JsonValue } from '@gatehouse/wire';
import type { CompiledPolicy, Rule } from './compile.ts';
import { internalError, run, type Tracer } from './judge.ts';
import type { Limit } from './limits.ts';
import type { Node } from './predicate.ts';
import { ABSENT, type Frame, MISFIT } from './read.ts';
import type { Call, Decision, JudgeContext, PinnedTool, Trace, TracePredicate, TraceStep } from './types.ts';
import { MISSING, truthName } from './values.ts';

const TITLES: readonly string[] = [
  'hidden or unknown',
  'frozen',
  'policy attached',
  'definition accepted',
  'listed',
  'action',
  'arguments against the pinned schema',
  'args and require',
  'deny_if',
  'limits',
];

function readingOf(node: Node, frame: Frame): TracePredicate['read'] {
  const value = node.leaf?.read(frame);
  if (value === ABSENT) return { found: false, note: 'absent' };
  if (value === MISFIT) return { found: false, note: 'a step goes through a value of another type' };
  if (!node.leaf?.many) return { found: true, value: value as JsonValue };
  const items = value as readonly unknown[];
  const partial = items.some((item) => typeof item === 'symbol');
  return {
    found: true,
    value: items.map((item) => (typeof item === 'symbol' ? null : item)) as JsonValue,
    ...(partial && { note: 'null stands for elements where the path reads nothing' }),
  };
}

function tracePredicate(node: Node, frame: Frame): TracePredicate {
  const raw = node.raw(frame);
  const value = truthName(raw === MISSING ? MISSING : node.evaluate(frame));
  const name = node.name === undefined ? {} : { name: node.name };
  if (!node.leaf) {
    const members = node.members.map((inner) => tracePredicate(inner, frame));
    return { pointer: node.pointer, ...name, kind: node.kind, value, members };
  }
  const { path, op } = node.leaf;
  return {
    pointer: node.pointer,
    ...name,
    kind: node.kind,
    path: path.source,
    op,
    read: readingOf(node, frame),
    value,
  };
}

class Recorder implements Tracer {
  reached = 0;
  readonly predicates = new Map<number, readonly TracePredicate[]>();
  readonly details = new Map<number, string>();

  step(step: number): void {
    this.reached = step;
  }

  rules(step: number, rules: readonly Rule[], frame: Frame): void {
    this.reached = step;
    this.predicates.set(
      step,
      rules.map((rule) => tracePredicate(rule.node, frame)),
    );
  }

  limits(step: number, limits: readonly Limit[], frame: Frame): void {
    this.reached = step;
    this.predicates.set(
      step,
      limits.flatMap((limit) => limit.when.map((node) => tracePredicate(node, frame))),
    );
    const words = limits.map((limit) => {
      if (limit.slot) return `${limit.pointer} takes a slot`;
      const amount = limit.amount(frame);
      return typeof amount === 'number' ? `${limit.pointer} counts ${amount}` : `${limit.pointer}: ${amount}`;
    });
    if (words.length > 0) this.details.set(step, words.join('; '));
  }
}

/** Ends with the decision that `judge` gives. Never throws. What limits have already used is the counters' to say. */
export function explain(
  policy: CompiledPolicy | undefined,
  tools: ReadonlyMap<string, PinnedTool>,
  call: Call,
  context: JudgeContext,
): Trace {
  const recorder = new Recorder();
  let decision: Decision;
  try {
    decision = run(policy, tools, call, context, recorder);
  } catch {
    decision = internalError();
  }
  const steps = TITLES.map((title, i): TraceStep => {
    const step = i + 1;
    const denied = decision.outcome === 'deny' && step === recorder.reached;
    const detail = recorder.details.get(step) ?? (denied && decision.outcome === 'deny' ? decision.reason : undefined);
    return {
      step,
      title,
      result: denied ? 'deny' : step <= recorder.reached ? 'pass' : 'not reached',
      ...(detail !== undefined && { detail }),
      predicates: recorder.predicates.get(step) ?? [],
    };
  });
  return { steps, decision };
}
