/** Checks limits, rate limits and amounts, and that limits which share a counter agree. */
import { amountField, normalAmount } from './amount.ts';
import { checkPredicates, reportPath, type SeenPath } from './check-predicate.ts';
import { limitSources, readRate, readWindow, SCOPES } from './limits.ts';
import { hasEach, parsePath } from './path.ts';
import type { Problems } from './problems.ts';
import { isObject, kindWords, pointer } from './values.ts';

const LIMIT_FIELDS = [
  'counter',
  'window',
  'max',
  'scope',
  'amount',
  'increment',
  'increment_from',
  'align',
  'when',
  'name',
  'reason',
  'on_deny',
];
/** A slot has no window, and what a call takes of them is always one. */
const CONCURRENT_FIELDS = ['concurrent', 'scope', 'name', 'reason', 'on_deny'];
const AMOUNT_FIELDS = ['path', 'missing', 'of', 'times', 'table'];

/** An amount read from arguments without a word on what their absence counts. */
export interface SeenAmount {
  readonly pointer: string;
  readonly path: string;
}

export interface LimitContext {
  /** False for resources and prompts. */
  readonly hasArgs: boolean;
  readonly seen: SeenPath[];
  readonly amounts: SeenAmount[];
}

function checkMax(problems: Problems, at: string, value: unknown): void {
  if (value === undefined) problems.error(at, 'missing_field', 'A limit needs "max", an integer of at least 0.');
  else if (!Number.isSafeInteger(value) || (value as number) < 0) {
    const seen = typeof value === 'number' ? String(value) : kindWords(value);
    problems.error(at, 'wrong_value', `"max" must be an integer of at least 0; it is ${seen}.`);
  }
}

function checkWindow(problems: Problems, at: string, limit: Record<string, unknown>): void {
  if (limit.window === undefined) {
    problems.error(pointer(at, 'window'), 'missing_field', 'A limit needs "window", for instance "minute" or "6h".');
    return;
  }
  const read = readWindow(limit.window, limit.align);
  if (!read.ok) problems.error(pointer(at, read.field), 'wrong_value', read.message);
}

function checkConcurrent(problems: Problems, at: string, limit: Record<string, unknown>): void {
  problems.fields(at, limit, CONCURRENT_FIELDS, 'A limit with "concurrent"');
  problems.texts(at, limit);
  const { concurrent, scope } = limit;
  if (concurrent === 0) {
    problems.error(
      pointer(at, 'concurrent'),
      'never_matches',
      'No call can pass while none may be under way; to deny the tool write "action": "deny".',
    );
  } else if (!Number.isSafeInteger(concurrent) || (concurrent as number) < 1) {
    const seen = typeof concurrent === 'number' ? String(concurrent) : kindWords(concurrent);
    problems.error(
      pointer(at, 'concurrent'),
      'wrong_value',
      `"concurrent" must be an integer of at least 1; it is ${seen}.`,
    );
  }
  if (scope !== undefined) problems.choice(pointer(at, 'scope'), scope, SCOPES, '"scope"');
}

export function checkLimits(problems: Problems, at: string, value: unknown, context: LimitContext): void {
  if (!problems.array(at, value, '"limits"')) return;
  value.forEach((limit, i) => {
    const where = pointer(at, i);
    if (!problems.object(where, limit, 'A limit')) return;
    if (Object.hasOwn(limit, 'concurrent')) {
      checkConcurrent(problems, where, limit);
      return;
    }
    problems.fields(where, limit, LIMIT_FIELDS, 'A limit');
    problems.texts(where, limit);
    if (
      limit.counter !== undefined &&
      (typeof limit.counter !== 'string' || !/^[^\p{Cc}]{1,128}$/u.test(limit.counter))
    ) {
      problems.error(pointer(where, 'counter'), 'wrong_value', '"counter" must be a name of 1 to 128 characters.');
    }
    checkMax(problems, pointer(where, 'max'), limit.max);
    checkWindow(problems, where, limit);
    if (limit.scope !== undefined) problems.choice(pointer(where, 'scope'), limit.scope, SCOPES, '"scope"');
    if (limit.when !== undefined) {
      checkPredicates(problems, pointer(where, 'when'), limit.when, {
        list: 'when',
        grouped: false,
        depth: 0,
        hasArgs: context.hasArgs,
        seen: context.seen,
      });
    }
    checkAmount(problems, where, limit, context);
  });
}

function checkAmount(problems: Problems, at: string, limit: Record<string, unknown>, context: LimitContext): void {
  const written = ['amount', 'increment', 'increment_from'].filter((key) => Object.hasOwn(limit, key));
  if (written.length > 1) {
    problems.error(
      pointer(at, written[1]!),
      'conflict',
      `"${written[1]}" is another name of "${written[0]}"; write one of them.`,
    );
  }
  const field = amountField(limit);
  if (!field) return;
  const where = pointer(at, field.key);
  const { value } = field;
  if (typeof value === 'number') {
    if (!Number.isSafeInteger(value) || value < 1) {
      problems.error(where, 'wrong_value', `A fixed amount must be an integer of at least 1; it is ${value}.`);
    } else if (typeof limit.max === 'number' && limit.max > 0 && value > limit.max) {
      problems.error(
        where,
        'never_matches',
        `Each call counts ${value}, more than "max" (${limit.max}), so that none can pass; to deny the tool write "action": "deny".`,
      );
    }
    return;
  }
  if (Array.isArray(value)) {
    if (value.length === 0) problems.error(where, 'wrong_value', 'A list of amounts needs at least one path.');
    for (const [i, item] of value.entries()) checkTerm(problems, pointer(where, i), item, context);
  } else {
    checkTerm(problems, where, value, context);
  }
}

function checkTermPath(
  problems: Problems,
  at: string,
  value: unknown,
  context: LimitContext,
  single: boolean,
): string[] {
  if (typeof value !== 'string') {
    problems.error(at, 'wrong_type', `A path must be a string such as "args.count"; it is ${kindWords(value)}.`);
    return [];
  }
  const parsed = parsePath(value);
  if (!parsed.ok) {
    reportPath(problems, at, value, parsed);
    return [];
  }
  if (parsed.paths.some((p) => p.root === 'args') && !context.hasArgs) {
    problems.error(at, 'wrong_value', 'Resources and prompts have no arguments to count.');
  }
  if (single && (parsed.paths.length > 1 || hasEach(parsed.paths[0]!))) {
    problems.error(at, 'wrong_value', '"times" reads one number; "|" and "[*]" belong into "path".');
  }
  return parsed.paths.filter((p) => p.root === 'args').map((p) => p.source);
}

function checkTerm(problems: Problems, at: string, value: unknown, context: LimitContext): void {
  if (typeof value === 'string') {
    for (const path of checkTermPath(problems, at, value, context, false)) context.amounts.push({ pointer: at, path });
    return;
  }
  if (!isObject(value)) {
    problems.error(
      at,
      'wrong_type',
      `An amount is a positive integer, a path, an object with "path", or a list of these; it is ${kindWords(value)}.`,
    );
    return;
  }
  problems.fields(at, value, AMOUNT_FIELDS, 'An amount');
  if (value.path === undefined) problems.error(pointer(at, 'path'), 'missing_field', 'An amount needs "path".');
  else {
    const paths = checkTermPath(problems, pointer(at, 'path'), value.path, context, false);
    if (value.missing === undefined) for (const path of paths) context.amounts.push({ pointer: at, path });
  }
  const { missing } = value;
  const count = Number.isSafeInteger(missing) && (missing as number) >= 0;
  if (missing !== undefined && !count && missing !== 'schema_default' && missing !== 'deny') {
    problems.error(
      pointer(at, 'missing'),
      'wrong_value',
      '"missing" is an integer of at least 0, "schema_default" or "deny".',
    );
  }
  if (value.of !== undefined) problems.choice(pointer(at, 'of'), value.of, ['value', 'length'], '"of"');
  if (value.of === 'length' && value.table !== undefined) {
    problems.error(
      pointer(at, 'of'),
      'conflict',
      'A "table" looks the value up; "of": "length" cannot be combined with it.',
    );
  }
  if (value.times !== undefined) checkTermPath(problems, pointer(at, 'times'), value.times, context, true);
  if (value.table !== undefined) checkTable(problems, pointer(at, 'table'), value.table);
}

function checkTable(problems: Problems, at: string, table: unknown): void {
  if (!problems.object(at, table, '"table"')) return;
  if (Object.keys(table).length === 0) problems.error(at, 'wrong_value', '"table" is empty.');
  for (const [key, amount] of Object.entries(table)) {
    if (!Number.isSafeInteger(amount) || (amount as number) < 0) {
      problems.error(pointer(at, key), 'wrong_value', 'An amount in a table must be an integer of at least 0.');
    }
  }
}

export function checkRateLimit(problems: Problems, at: string, value: unknown): void {
  const list = Array.isArray(value) ? value : [value];
  if (list.length === 0) problems.error(at, 'wrong_value', 'The list of rate limits is empty.');
  list.forEach((rate, i) => {
    const where = Array.isArray(value) ? pointer(at, i) : at;
    const read = readRate(rate);
    if (!read.ok) {
      problems.error(where, 'wrong_value', read.message);
      return;
    }
    if (isObject(rate)) problems.fields(where, rate, ['max', 'window'], 'A rate limit');
    checkMax(problems, isObject(rate) ? pointer(where, 'max') : where, read.max);
    const window = readWindow(read.window, undefined);
    if (!window.ok) problems.error(isObject(rate) ? pointer(where, 'window') : where, 'wrong_value', window.message);
  });
}

export interface OwnedBlock {
  readonly at: string;
  readonly block: Record<string, unknown>;
  /** The tool's name, `@class` or `all_tools`. */
  readonly owner: string;
  /** Whether the two blocks can judge one call. */
  meets(other: OwnedBlock): boolean;
}

/** Limits of one call that share a counter charge it once, and so must agree in the amount (spec: policy §5). */
export function checkSharing(problems: Problems, blocks: readonly OwnedBlock[]): void {
  interface Shared {
    readonly pointer: string;
    readonly amount: string;
    readonly owner: OwnedBlock;
  }
  const byKey = new Map<string, Shared[]>();
  for (const owner of blocks) {
    for (const source of limitSources(owner.at, owner.block, owner.owner)) {
      const { limit } = source;
      const read = readWindow(limit.window, limit.align);
      if (!read.ok || Object.hasOwn(limit, 'concurrent')) continue;
      const scope = limit.scope ?? 'grant';
      const key = JSON.stringify([source.counter, read.window.unit ?? read.window.seconds, scope]);
      const amount = stableAmount(amountField(limit)?.value);
      const same = byKey.get(key) ?? [];
      if (!byKey.has(key)) byKey.set(key, same);
      const other = same.find((s) => s.amount !== amount && (s.owner === owner || s.owner.meets(owner)));
      if (other) {
        problems.error(
          source.pointer,
          'limits_disagree',
          `It shares the counter "${source.counter}" with ${other.pointer} but counts another amount.`,
          'give one of them another "counter", or the same "amount"',
        );
      }
      same.push({ pointer: source.pointer, amount, owner });
    }
  }
}

function stableAmount(value: unknown): string {
  try {
    return JSON.stringify(normalAmount(value), (_key, inner) =>
      isObject(inner) ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1))) : inner,
    );
  } catch {
    // An amount of the wrong shape is reported where it stands.
    return '';
  }
}
