/** Checks predicates, groups and the entries of `args`. */
import { availableNames, isUnavailable } from './features.ts';
import { isPathStyle, OPERATORS, type OperatorOptions } from './operators.ts';
import { hasEach, type Path, parseArgsKey, parsePath, ROOTS } from './path.ts';
import { didYouMean, type Problems } from './problems.ts';
import { isObject, kindWords, member, pointer, TRUE } from './values.ts';

export type CheckedList = 'require' | 'deny_if' | 'when';

const PREDICATE_FIELDS = ['path', 'op', 'value', 'missing', 'negate', 'style', 'name', 'reason', 'on_deny'];
const GROUP_FIELDS = ['any', 'all', 'not', 'name', 'reason', 'on_deny'];
const MAX_DEPTH = 16;

/** What a checked predicate reads: the tools' schemas are held against it later. */
export interface SeenPath {
  readonly pointer: string;
  readonly path: Path;
  readonly op: string;
  readonly missingWritten: boolean;
  readonly list: CheckedList | 'args';
  readonly value: unknown;
}

function checkOp(problems: Problems, at: string, op: unknown): string | undefined {
  if (typeof op !== 'string') {
    problems.error(
      at,
      op === undefined ? 'missing_field' : 'wrong_type',
      'A predicate needs "op", the name of an operator.',
    );
    return undefined;
  }
  if (OPERATORS.has(op)) return op;
  if (isUnavailable('operator', op)) problems.unavailable(at, op);
  else
    problems.error(at, 'unknown_operator', `There is no operator "${op}".`, didYouMean(op, availableNames('operator')));
  return undefined;
}

function checkValue(problems: Problems, at: string, op: string, value: unknown, style: unknown): void {
  if (
    isObject(value) &&
    Object.keys(value).length === 1 &&
    Object.hasOwn(value, 'list') &&
    op !== 'eq' &&
    op !== 'neq'
  ) {
    problems.unavailable(at, 'list');
    return;
  }
  const options: OperatorOptions = isPathStyle(style) ? { style } : {};
  for (const message of OPERATORS.get(op)!.check(value, options)) {
    problems.error(at, message.includes('never match') ? 'never_matches' : 'wrong_value', message);
  }
}

function checkStyle(problems: Problems, at: string, op: string | undefined, style: unknown): void {
  if (style === undefined) return;
  if (op !== undefined && op !== 'path_within') {
    problems.error(pointer(at, 'style'), 'unknown_field', '"style" belongs to the operator "path_within".');
  } else if (!isPathStyle(style)) {
    problems.choice(pointer(at, 'style'), style, ['posix', 'windows', 'relative'], '"style"');
  }
}

export interface PredicateContext {
  readonly list: CheckedList;
  /** Inside a group, `[*]` needs a quantifier. */
  readonly grouped: boolean;
  readonly depth: number;
  /** False for resources and prompts, which have no arguments. */
  readonly hasArgs: boolean;
  readonly seen: SeenPath[];
}

export function checkPredicates(problems: Problems, at: string, list: unknown, context: PredicateContext): void {
  if (!problems.array(at, list, `"${at.slice(at.lastIndexOf('/') + 1)}"`)) return;
  for (const [i, item] of list.entries()) checkPredicate(problems, pointer(at, i), item, context);
}

export function checkPredicate(problems: Problems, at: string, value: unknown, context: PredicateContext): void {
  if (!problems.object(at, value, 'A predicate')) return;
  if (context.depth > MAX_DEPTH) {
    problems.error(at, 'too_deep', `Groups are nested deeper than ${MAX_DEPTH}.`);
    return;
  }
  problems.texts(at, value);
  const groups = ['any', 'all', 'not'].filter((key) => Object.hasOwn(value, key));
  if (groups.length > 0) {
    checkGroup(problems, at, value, groups, context);
    return;
  }
  problems.fields(at, value, PREDICATE_FIELDS, 'A predicate');
  if (Object.keys(value).some((key) => isUnavailable('quantifier', key))) return;
  const op = checkOp(problems, pointer(at, 'op'), value.op);
  checkStyle(problems, at, op, value.style);
  if (value.negate !== undefined) problems.boolean(pointer(at, 'negate'), value.negate, '"negate"');
  checkMissing(problems, at, value, op);
  if (op !== undefined) {
    if (Object.hasOwn(value, 'value')) checkValue(problems, pointer(at, 'value'), op, value.value, value.style);
    else if (!Object.hasOwn(value, 'value_from')) {
      problems.error(pointer(at, 'value'), 'missing_field', `The operator "${op}" needs a "value".`);
    }
  }
  const path = checkPath(problems, pointer(at, 'path'), value.path, value.negate === true, context);
  if (path && op !== undefined) {
    const missingWritten = value.missing !== undefined;
    context.seen.push({ pointer: at, path, op, missingWritten, list: context.list, value: value.value });
  }
}

function checkMissing(problems: Problems, at: string, value: Record<string, unknown>, op: string | undefined): void {
  if (value.missing === undefined) return;
  const where = pointer(at, 'missing');
  problems.choice(where, value.missing, ['fail', 'pass'], '"missing"');
  if (op === 'exists')
    problems.warn(where, 'no_effect', '"exists" judges absence itself; "missing" has no effect on it.');
}

function checkGroup(
  problems: Problems,
  at: string,
  value: Record<string, unknown>,
  groups: readonly string[],
  context: PredicateContext,
): void {
  problems.fields(at, value, GROUP_FIELDS, 'A group');
  if (groups.length > 1) {
    problems.error(at, 'conflict', `A group is one of "any", "all" and "not"; this one is ${groups.join(' and ')}.`);
  }
  const inner = { ...context, grouped: true, depth: context.depth + 1 };
  for (const key of groups) {
    const where = pointer(at, key);
    if (key === 'not') {
      checkPredicate(problems, where, value.not, inner);
    } else if (problems.array(where, value[key], `"${key}"`)) {
      const list = value[key] as unknown[];
      if (list.length === 0)
        problems.error(where, 'never_matches', `"${key}" is empty, so that the rule can never match anything else.`);
      for (const [i, item] of list.entries()) checkPredicate(problems, pointer(where, i), item, inner);
    }
  }
}

function checkPath(
  problems: Problems,
  at: string,
  value: unknown,
  negate: boolean,
  context: PredicateContext,
): Path | undefined {
  if (typeof value !== 'string') {
    problems.error(
      at,
      value === undefined ? 'missing_field' : 'wrong_type',
      `A predicate needs "path", a string such as "args.count"${value === undefined ? '' : `; it is ${kindWords(value)}`}.`,
    );
    return undefined;
  }
  const parsed = parsePath(value);
  if (!parsed.ok) {
    reportPath(problems, at, value, parsed);
    return undefined;
  }
  if (parsed.paths.length > 1) {
    problems.error(at, 'wrong_value', 'A predicate reads one path; several joined by "|" belong into "args".');
    return undefined;
  }
  const path = parsed.paths[0]!;
  if (path.root === 'args' && !context.hasArgs) {
    problems.error(at, 'wrong_value', 'Resources and prompts are judged by their name; "args" cannot be read here.');
  }
  if (path.root === 'client') {
    problems.warn(at, 'unproven', 'What a client says of itself is not proven; do not rest a rule on it alone.');
  }
  if (hasEach(path) && (context.grouped || negate || context.list === 'when')) {
    const place = context.list === 'when' ? '"when"' : negate ? 'a predicate with "negate"' : 'a group';
    problems.error(
      at,
      'quantifier_needed',
      `In ${place} it must be written whether every element or some element is meant, which is not available in this version; use "[*]" directly in "args", "require" or "deny_if".`,
    );
  }
  return path;
}

export function reportPath(
  problems: Problems,
  at: string,
  text: string,
  parsed: { message: string; unavailable?: string },
): void {
  if (parsed.unavailable !== undefined) {
    problems.unavailable(at, parsed.unavailable);
    return;
  }
  const word = /^[^.[|]*/.exec(text)?.[0] ?? '';
  const known = (ROOTS as readonly string[]).includes(word);
  const near = known ? undefined : didYouMean(word, ROOTS);
  problems.error(
    at,
    'bad_path',
    `${parsed.message.charAt(0).toUpperCase()}${parsed.message.slice(1)}.`,
    near ?? (known || text === '' ? undefined : `did you mean \`args.${text}\`?`),
  );
}

const ARGS_FIELDS = ['required', 'style', 'name', 'reason', 'on_deny'];

export function checkArgs(problems: Problems, at: string, value: unknown, seen: SeenPath[]): void {
  if (!problems.object(at, value, '"args"')) return;
  for (const [key, entry] of Object.entries(value)) {
    const where = pointer(at, key);
    const parsed = parseArgsKey(key);
    if (!parsed.ok) {
      if (parsed.unavailable !== undefined) problems.unavailable(where, parsed.unavailable);
      else problems.error(where, 'bad_path', `${parsed.message.charAt(0).toUpperCase()}${parsed.message.slice(1)}.`);
    } else if (parsed.paths.some((p) => p.source.startsWith('args.args.'))) {
      problems.warn(where, 'doubtful', `Keys of "args" begin below the arguments; this one reads the argument "args".`);
    }
    if (!problems.object(where, entry, `The rule for "${key}"`)) continue;
    checkArgsEntry(problems, where, entry);
    if (!parsed.ok) continue;
    for (const path of parsed.paths) {
      for (const op of Object.keys(entry)) {
        if (!OPERATORS.has(op)) continue;
        seen.push({ pointer: pointer(where, op), path, op, missingWritten: true, list: 'args', value: entry[op] });
      }
    }
  }
}

function checkArgsEntry(problems: Problems, at: string, entry: Record<string, unknown>): void {
  problems.texts(at, entry);
  if (entry.required !== undefined) problems.boolean(pointer(at, 'required'), entry.required, '"required"');
  checkStyle(
    problems,
    at,
    entry.style === undefined || Object.hasOwn(entry, 'path_within') ? undefined : 'other',
    entry.style,
  );
  const before = problems.list.length;
  for (const [key, value] of Object.entries(entry)) {
    if (ARGS_FIELDS.includes(key)) continue;
    const where = pointer(at, key);
    if (OPERATORS.has(key)) checkValue(problems, where, key, value, entry.style);
    else if (isUnavailable('operator', key) || isUnavailable('field', key)) problems.unavailable(where, key);
    else if (key === 'missing' || key === 'negate') {
      problems.error(
        where,
        'unknown_field',
        `"${key}" belongs to predicates; in "args" an absent argument passes unless "required" is true.`,
      );
    } else {
      const names = [...availableNames('operator'), ...ARGS_FIELDS];
      problems.error(where, 'unknown_operator', `There is no operator "${key}".`, didYouMean(key, names));
    }
  }
  if (problems.list.length === before) checkContradiction(problems, at, entry);
}

/** Bounds of one entry that no value can meet. */
function checkContradiction(problems: Problems, at: string, entry: Record<string, unknown>): void {
  const low = Math.max(...bounds(entry, ['gt', 'gte']));
  const high = Math.min(...bounds(entry, ['lt', 'lte']));
  const strict = (Object.hasOwn(entry, 'gt') && entry.gt === low) || (Object.hasOwn(entry, 'lt') && entry.lt === high);
  const shortest = Math.max(...bounds(entry, ['length_gte']));
  const longest = Math.min(...bounds(entry, ['length_lte']));
  const candidates = Object.hasOwn(entry, 'eq') ? [entry.eq] : (member(entry, 'in') as unknown[] | undefined);
  const tests = Object.entries(entry)
    .filter(([key]) => OPERATORS.has(key) && key !== 'exists')
    .map(([key, value]) => OPERATORS.get(key)!.compile(value, isPathStyle(entry.style) ? { style: entry.style } : {}));
  const impossible = candidates !== undefined && !candidates.some((c) => tests.every((test) => test(c) === TRUE));
  const absent = entry.exists === false && entry.required === true;
  if (low > high || (low === high && strict) || shortest > longest || impossible || absent) {
    problems.error(at, 'never_matches', 'No value meets all of these bounds, so that the rule can never match.');
  }
}

function bounds(entry: Record<string, unknown>, keys: readonly string[]): number[] {
  return keys.map((key) => member(entry, key)).filter((value): value is number => typeof value === 'number');
}
