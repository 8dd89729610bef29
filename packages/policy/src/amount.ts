/** What a call charges to a limit (spec: policy §5): a number, paths that add up, or the object form. */
import { hasEach, type Path, parsePath } from './path.ts';
import { ABSENT, compileReadMany, compileReadOne, type Frame, MISFIT } from './read.ts';
import { pathFacts } from './schema-facts.ts';
import type { PinnedTool } from './types.ts';
import { codePoints, isObject, kindOf, kindWords, member } from './values.ts';

/** An amount, or a whole sentence that says why there is none: the call is then denied. */
export type Amount = (frame: Frame) => number | string;

export interface AmountTerm {
  readonly path: string;
  readonly missing?: number | 'schema_default' | 'deny';
  readonly of?: 'value' | 'length';
  readonly times?: string;
  readonly table?: Readonly<Record<string, number>>;
}

/** The amount of a limit under its own name or an alias; `undefined` where it is not written. */
export function amountField(limit: Record<string, unknown>): { key: string; value: unknown } | undefined {
  for (const key of ['amount', 'increment', 'increment_from']) {
    if (Object.hasOwn(limit, key)) return { key, value: limit[key] };
  }
  return undefined;
}

/** One spelling per meaning, so that limits that share a counter can be compared. */
export function normalAmount(value: unknown): number | AmountTerm[] {
  if (value === undefined) return 1;
  if (typeof value === 'number') return value;
  const list = Array.isArray(value) ? value : [value];
  return list.flatMap((item): AmountTerm[] => {
    const term = typeof item === 'string' ? { path: item } : (item as AmountTerm);
    const parsed = parsePath(term.path);
    return parsed.ok ? parsed.paths.map((path) => ({ ...term, path: path.source })) : [];
  });
}

export function compileAmount(value: unknown, tool: PinnedTool | undefined): Amount {
  const normal = normalAmount(value);
  if (typeof normal === 'number') return () => normal;
  const terms = normal.map((term) => compileTerm(term, tool));
  return (frame) => {
    let total = 0;
    for (const term of terms) {
      const one = term(frame);
      if (typeof one === 'string') return one;
      total += one;
    }
    return Number.isSafeInteger(total) ? total : 'The amounts add up to more than can be counted.';
  };
}

function pathOf(source: string): Path {
  const parsed = parsePath(source);
  if (!parsed.ok) throw new Error(parsed.message);
  return parsed.paths[0]!;
}

function readList(path: Path, tool: PinnedTool | undefined): (frame: Frame) => readonly unknown[] {
  if (!hasEach(path)) {
    const read = compileReadOne(path, tool);
    return (frame) => [read(frame)];
  }
  const read = compileReadMany(path, tool);
  return (frame) => {
    const values = read(frame);
    return typeof values === 'symbol' ? [values] : values;
  };
}

function compileTerm(term: AmountTerm, tool: PinnedTool | undefined): Amount {
  const path = pathOf(term.path);
  const read = readList(path, tool);
  const measure = compileMeasure(term, path);
  const absent = compileAbsent(term, path, tool, measure);
  const factor = term.times === undefined ? undefined : compileFactor(pathOf(term.times), tool);
  return (frame) => {
    let total = 0;
    for (const value of read(frame)) {
      const one =
        value === ABSENT ? absent : value === MISFIT ? `${path.label} does not fit the arguments.` : measure(value);
      if (typeof one === 'string') return one;
      total += one;
    }
    if (factor) {
      const times = factor(frame);
      if (typeof times === 'string') return times;
      total *= times;
    }
    return Number.isSafeInteger(total) ? total : `${path.label} is more than can be counted.`;
  };
}

/** The amount of a value that is there. */
function compileMeasure(term: AmountTerm, path: Path): (value: unknown) => number | string {
  const { table } = term;
  if (table) {
    return (value) => {
      const found = typeof value === 'string' && value !== 'else' ? member(table, value) : undefined;
      const amount = found ?? member(table, 'else');
      if (typeof value !== 'string') return `${path.label} must be a string to be counted; it is ${kindWords(value)}.`;
      return typeof amount === 'number' ? amount : `${path.label} has a value that the limit's table does not list.`;
    };
  }
  if (term.of === 'length') {
    return (value) => {
      if (typeof value === 'string') return codePoints(value);
      if (Array.isArray(value)) return value.length;
      if (isObject(value)) return Object.keys(value).length;
      return `${path.label} has no length to be counted; it is ${kindWords(value)}.`;
    };
  }
  return (value) => whole(value, path);
}

function whole(value: unknown, path: Path): number | string {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value;
  const seen = kindOf(value) === 'number' ? String(value) : kindWords(value);
  return `${path.label} is ${seen}; a whole number of at least 0 is needed, since it is counted.`;
}

function compileAbsent(
  term: AmountTerm,
  path: Path,
  tool: PinnedTool | undefined,
  measure: (value: unknown) => number | string,
): number | string {
  if (typeof term.missing === 'number') return term.missing;
  const sentence = `${path.label} is missing; it is needed, since it is counted.`;
  if (term.missing !== 'schema_default' || path.root !== 'args') return sentence;
  const known = pathFacts(tool?.inputSchema, path.steps).default;
  return known ? measure(known.value) : `${path.label} is missing and the tool's schema names no default for it.`;
}

function compileFactor(path: Path, tool: PinnedTool | undefined): Amount {
  const read = compileReadOne(path, tool);
  return (frame) => {
    const value = read(frame);
    if (value === ABSENT) return `${path.label} is missing; it is needed, since it is counted.`;
    return value === MISFIT ? `${path.label} does not fit the arguments.` : whole(value, path);
  };
}
