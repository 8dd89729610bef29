/** Compiles predicates, groups and the entries of `args` to closures over a frame (spec: policy §2, §3). */
import { OPERATORS, type Operator, type OperatorOptions, type Test } from './operators.ts';
import { hasEach, type Path, parsePath } from './path.ts';
import { ABSENT, compileReadMany, compileReadOne, type Frame, MISFIT, type ReadMany, type ReadOne } from './read.ts';
import type { PinnedTool } from './types.ts';
import {
  FALSE,
  INDETERMINATE,
  type Kleene,
  kindOf,
  MISSING,
  not,
  pointer,
  preview,
  TRUE,
  type Truth,
} from './values.ts';

/** Which list a predicate stands in: it decides what absence means and how `[*]` adds up. */
export type ListKind = 'args' | 'require' | 'deny_if' | 'when';

export interface Node {
  readonly pointer: string;
  readonly name: string | undefined;
  readonly reason: string | undefined;
  readonly kind: 'predicate' | 'any' | 'all' | 'not';
  /** With absence decided. */
  evaluate(frame: Frame): Kleene;
  /** As the predicate itself sees it: absence is `MISSING`. */
  raw(frame: Frame): Truth;
  /** What must hold, for sentences: "count is at most 4". */
  readonly clause: string;
  readonly members: readonly Node[];
  readonly leaf: Leaf | undefined;
}

export interface Leaf {
  readonly path: Path;
  readonly op: string;
  readonly value: unknown;
  readonly operator: Operator;
  readonly negate: boolean;
  readonly read: ReadOne | ReadMany;
  readonly many: boolean;
}

export interface NodeContext {
  readonly list: ListKind;
  readonly tool: PinnedTool | undefined;
  /** True under an odd number of `not`. */
  readonly inverted: boolean;
}

/** The value with which an absent argument lets its list pass, where it stands. */
function passing(context: NodeContext): Kleene {
  const lean = context.list === 'args' || context.list === 'require' ? TRUE : FALSE;
  return context.inverted ? not(lean) : lean;
}

/**
 * What absence is worth. "fail" is indeterminate: in strong Kleene logic that denies exactly where the worse of true and
 * false would, under any nesting of `not`. In `when` absence is a match, which leans the other way from passing.
 */
function absence(missing: unknown, context: NodeContext): Kleene {
  if (context.list === 'args') return TRUE;
  if (missing === 'pass') return passing(context);
  if (context.list === 'when') return not(passing(context));
  if (missing === 'fail' || context.list === 'require') return INDETERMINATE;
  return passing(context);
}

/** Strong Kleene conjunction (`all`) or disjunction over readings. */
function fold(values: readonly Kleene[], all: boolean): Kleene {
  const decisive = all ? FALSE : TRUE;
  let result: Kleene = all ? TRUE : FALSE;
  for (const value of values) {
    if (value === decisive) return decisive;
    if (value === INDETERMINATE) result = INDETERMINATE;
  }
  return result;
}

interface LeafParts {
  readonly raw: (frame: Frame) => Truth;
  readonly read: ReadOne | ReadMany;
}

function existence(path: Path, tool: PinnedTool | undefined, wanted: boolean, all: boolean): LeafParts {
  const there: Kleene = wanted ? TRUE : FALSE;
  const gone: Kleene = wanted ? FALSE : TRUE;
  const judge = (value: unknown): Kleene => (value === ABSENT ? gone : value === MISFIT ? INDETERMINATE : there);
  if (!hasEach(path)) {
    const read = compileReadOne(path, tool);
    return { read, raw: (frame) => judge(read(frame)) };
  }
  const read = compileReadMany(path, tool);
  return {
    read,
    raw: (frame) => {
      const values = read(frame);
      return typeof values === 'symbol' ? judge(values) : fold(values.map(judge), all);
    },
  };
}

function comparison(path: Path, tool: PinnedTool | undefined, test: Test, absent: Kleene, all: boolean): LeafParts {
  if (!hasEach(path)) {
    const read = compileReadOne(path, tool);
    return {
      read,
      raw: (frame) => {
        const value = read(frame);
        if (value === ABSENT) return MISSING;
        return value === MISFIT ? INDETERMINATE : test(value);
      },
    };
  }
  const read = compileReadMany(path, tool);
  const judge = (value: unknown): Kleene =>
    value === ABSENT ? absent : value === MISFIT ? INDETERMINATE : test(value);
  return {
    read,
    raw: (frame) => {
      const values = read(frame);
      if (values === ABSENT) return MISSING;
      return values === MISFIT ? INDETERMINATE : fold((values as readonly unknown[]).map(judge), all);
    },
  };
}

export interface LeafSource {
  readonly path: Path;
  readonly op: string;
  readonly value: unknown;
  readonly options: OperatorOptions;
  readonly missing?: unknown;
  readonly negate?: boolean;
  readonly name?: string | undefined;
  readonly reason?: string | undefined;
}

export function compileLeaf(at: string, source: LeafSource, context: NodeContext): Node {
  const { path, op, value } = source;
  const operator = OPERATORS.get(op)!;
  const negate = source.negate === true;
  // Every element must satisfy in `args` and `require`; one suffices in `deny_if`.
  const all = context.list !== 'deny_if';
  const absent = absence(source.missing, context);
  const parts =
    op === 'exists'
      ? existence(path, context.tool, value === true, all)
      : comparison(path, context.tool, operator.compile(value, source.options), absent, all);
  const raw: Node['raw'] = negate
    ? (frame) => {
        const truth = parts.raw(frame);
        return truth === MISSING ? MISSING : not(truth);
      }
    : parts.raw;
  const clause = operator.clause(path.label, value);
  return {
    pointer: at,
    name: source.name,
    reason: source.reason,
    kind: 'predicate',
    raw,
    evaluate: (frame) => {
      const truth = raw(frame);
      return truth === MISSING ? absent : truth;
    },
    clause: negate ? `not: ${clause}` : clause,
    members: [],
    leaf: { path, op, value, operator, negate, read: parts.read, many: hasEach(path) },
  };
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

/** The reason of a block, predicate or limit, by either of its names. */
export function reasonOf(source: Record<string, unknown>): string | undefined {
  return text(source.reason) ?? text(source.on_deny);
}

/** Compiles one item of `require`, `deny_if` or `when`; only for documents that passed the check. */
export function compilePredicate(at: string, source: Record<string, unknown>, context: NodeContext): Node {
  const name = text(source.name);
  const reason = reasonOf(source);
  for (const kind of ['any', 'all'] as const) {
    const list = source[kind];
    if (!Array.isArray(list)) continue;
    const members = list.map((item, i) =>
      compilePredicate(pointer(at, kind, i), item as Record<string, unknown>, context),
    );
    return group(at, kind, name, reason, members);
  }
  if (source.not !== undefined) {
    const inner = compilePredicate(pointer(at, 'not'), source.not as Record<string, unknown>, {
      ...context,
      inverted: !context.inverted,
    });
    const evaluate = (frame: Frame): Kleene => not(inner.evaluate(frame));
    const clause = `not (${inner.clause})`;
    return {
      pointer: at,
      name,
      reason,
      kind: 'not',
      evaluate,
      raw: evaluate,
      clause,
      members: [inner],
      leaf: undefined,
    };
  }
  const parsed = parsePath(source.path as string);
  if (!parsed.ok) throw new Error(parsed.message);
  const style = source.style as OperatorOptions['style'];
  return compileLeaf(
    at,
    {
      path: parsed.paths[0]!,
      op: source.op as string,
      value: source.value,
      options: style === undefined ? {} : { style },
      missing: source.missing,
      negate: source.negate === true,
      name,
      reason,
    },
    context,
  );
}

function group(
  at: string,
  kind: 'any' | 'all',
  name: string | undefined,
  reason: string | undefined,
  members: readonly Node[],
): Node {
  const evaluate = (frame: Frame): Kleene =>
    fold(
      members.map((member) => member.evaluate(frame)),
      kind === 'all',
    );
  const clause = members
    .map((m) => (m.members.length > 1 ? `(${m.clause})` : m.clause))
    .join(kind === 'all' ? ' and ' : ' or ');
  return { pointer: at, name, reason, kind, evaluate, raw: evaluate, clause, members, leaf: undefined };
}

/** A sentence for a rule that did not let a call pass. */
export function failureMessage(node: Node, truth: Truth, frame: Frame, list: ListKind): string {
  const { leaf } = node;
  if (!leaf) {
    if (truth === INDETERMINATE) return `It cannot be judged whether ${node.clause}.`;
    return list === 'deny_if' ? `Denied when ${node.clause}.` : `Needed: ${node.clause}.`;
  }
  const { label } = leaf.path;
  if (truth === MISSING) return `${label} is missing; it is needed.`;
  const actual = leaf.many ? undefined : leaf.read(frame);
  if (truth === INDETERMINATE) {
    if (actual !== undefined && kindOf(actual) === 'inexact') {
      return `${label} is a number that cannot be held exactly; write it with fewer digits.`;
    }
    return `${label} cannot be judged; ${leaf.op === 'exists' ? 'its path must fit' : leaf.operator.expects}${leaf.op === 'exists' ? ' the arguments' : ' is needed'}.`;
  }
  if (list === 'deny_if') return `Denied when ${node.clause}.`;
  const seen = typeof actual === 'symbol' ? undefined : preview(actual);
  const bound = leaf.operator.bound;
  if (seen !== undefined && bound && !leaf.negate && leaf.op !== 'exists') {
    return `${label} is ${seen}; ${bound(leaf.value)}.`;
  }
  return `Needed: ${node.clause}.`;
}
