/** The operators (spec: policy §3): what a literal must be, how it compiles, how people read it. */

import { type FsBound, fsWithin, PATH_STYLES, type PathStyle, parseFsBound, parseFsPath } from './fs-path.ts';
import { compilePattern } from './regex.ts';
import { compareInstants, parseInstant } from './times.ts';
import { parseStrictUrl, parseUrlPrefix, type UrlPrefix, urlUnder } from './url-grammar.ts';
import {
  codePoints,
  equals,
  FALSE,
  INDETERMINATE,
  isObject,
  type Kleene,
  kindOf,
  kindWords,
  listWords,
  literal,
  not,
  TRUE,
} from './values.ts';

/** Judges a value that is there. `exists` is judged by presence and never reaches this. */
export type Test = (value: unknown) => Kleene;

export interface OperatorOptions {
  readonly style?: PathStyle;
}

export interface Operator {
  /** What is wrong with a literal, as whole sentences; empty when it is right. */
  check(value: unknown, options: OperatorOptions): string[];
  /** Only for literals that `check` accepted. */
  compile(value: unknown, options: OperatorOptions): Test;
  /** "count is at most 4" for the label "count". */
  clause(label: string, value: unknown): string;
  /** For numbers: "at most 4 is allowed". */
  bound?(value: unknown): string;
  /** What an argument must be to be judged at all. */
  readonly expects: string;
}

const bool = (value: boolean): Kleene => (value ? TRUE : FALSE);

function jsonProblems(value: unknown): string[] {
  return value === undefined ? ['A value is needed.'] : [];
}

// --- order -----------------------------------------------------------------------------------------------------------

function order(
  words: string,
  bound: string,
  numbers: (a: number, b: number) => boolean,
  sign: (c: number) => boolean,
): Operator {
  return {
    check(value) {
      if (kindOf(value) === 'number') return [];
      if (typeof value === 'string' && parseInstant(value)) return [];
      return [
        `The value must be a number or an RFC 3339 time such as "2026-01-31T12:00:00Z"; it is ${kindWords(value)}.`,
      ];
    },
    compile(value) {
      if (typeof value === 'number') {
        return (actual) => (typeof actual === 'number' ? bool(numbers(actual, value)) : INDETERMINATE);
      }
      const limit = parseInstant(value as string)!;
      return (actual) => {
        const time = typeof actual === 'string' ? parseInstant(actual) : undefined;
        return time ? bool(sign(compareInstants(time, limit))) : INDETERMINATE;
      };
    },
    clause: (label, value) => `${label} is ${words} ${literal(value)}`,
    bound: (value) => `${bound} ${literal(value)} is allowed`,
    expects: 'a number (or an RFC 3339 time where the rule has one)',
  };
}

// --- equality --------------------------------------------------------------------------------------------------------

function compileEq(value: unknown): Test {
  if (typeof value === 'object' && value !== null) return (actual) => equals(actual, value);
  return (actual) => (typeof actual !== 'object' || actual === null ? bool(actual === value) : equals(actual, value));
}

function compileIn(values: readonly unknown[]): Test {
  const scalars = new Set(values.filter((v) => typeof v !== 'object' || v === null));
  const others = values.filter((v) => typeof v === 'object' && v !== null);
  return (actual) => {
    if (typeof actual !== 'object' || actual === null) return bool(scalars.has(actual));
    if (kindOf(actual) === 'inexact') return INDETERMINATE;
    let result: Kleene = FALSE;
    for (const other of others) {
      const one = equals(actual, other);
      if (one === TRUE) return TRUE;
      if (one === INDETERMINATE) result = INDETERMINATE;
    }
    return result;
  };
}

function checkArray(value: unknown): string[] {
  return Array.isArray(value) ? [] : [`The value must be a list; it is ${kindWords(value)}.`];
}

function checkNever(value: unknown): string[] {
  const problems = checkArray(value);
  return problems.length === 0 && (value as unknown[]).length === 0
    ? ['The list is empty, so that the rule can never match; to deny the tool write "action": "deny".']
    : problems;
}

function compileContains(value: unknown): Test {
  return (actual) => {
    if (typeof actual === 'string') return typeof value === 'string' ? bool(actual.includes(value)) : INDETERMINATE;
    if (!Array.isArray(actual)) return INDETERMINATE;
    let result: Kleene = FALSE;
    for (const element of actual) {
      const one = equals(element, value);
      if (one === TRUE) return TRUE;
      if (one === INDETERMINATE) result = INDETERMINATE;
    }
    return result;
  };
}

// --- strings ---------------------------------------------------------------------------------------------------------

function checkString(value: unknown): string[] {
  if (typeof value !== 'string') return [`The value must be a string; it is ${kindWords(value)}.`];
  return value === '' ? ['The value is the empty string, which every string has.'] : [];
}

const onString =
  (test: (text: string) => boolean): Test =>
  (actual) =>
    typeof actual === 'string' ? bool(test(actual)) : INDETERMINATE;

function checkPattern(value: unknown): string[] {
  if (typeof value !== 'string') return [`The value must be an RE2 pattern, a string; it is ${kindWords(value)}.`];
  const result = compilePattern(value);
  return result.ok ? [] : [`RE2 refuses the pattern: ${result.reason}.`];
}

function pattern(value: unknown, whole: boolean): Test {
  const result = compilePattern(value as string);
  if (!result.ok) throw new Error(`unchecked pattern: ${result.reason}`);
  const { find, whole: all } = result.pattern;
  return onString(whole ? all : find);
}

// --- sizes -----------------------------------------------------------------------------------------------------------

function sizeOf(value: unknown): number | undefined {
  if (typeof value === 'string') return codePoints(value);
  if (Array.isArray(value)) return value.length;
  return isObject(value) ? Object.keys(value).length : undefined;
}

function size(words: string, compare: (size: number, bound: number) => boolean): Operator {
  return {
    check: (value) =>
      Number.isSafeInteger(value) && (value as number) >= 0
        ? []
        : ['The value must be an integer of at least 0: characters of a string, items of a list or keys of an object.'],
    compile: (value) => (actual) => {
      const length = sizeOf(actual);
      return length === undefined ? INDETERMINATE : bool(compare(length, value as number));
    },
    clause: (label, value) => `${label} has ${words} ${literal(value)} characters, items or keys`,
    expects: 'a string, a list or an object',
  };
}

function checkStrings(value: unknown): string[] {
  const problems = checkArray(value);
  if (problems.length > 0) return problems;
  const wrong = (value as unknown[]).findIndex((v) => typeof v !== 'string');
  return wrong < 0 ? [] : [`Item ${wrong} must be a string; it is ${kindWords((value as unknown[])[wrong])}.`];
}

// --- URLs and paths --------------------------------------------------------------------------------------------------

const urlIn: Operator = {
  check(value) {
    const problems = checkNever(value);
    if (problems.length > 0) return problems;
    return (value as unknown[]).flatMap((item, i) =>
      typeof item === 'string' && parseUrlPrefix(item)
        ? []
        : [
            `Item ${i} must be an http(s) origin such as "https://hooks.example.com", or one with a path, in canonical spelling, without a query, fragment or user name.`,
          ],
    );
  },
  compile(value) {
    const prefixes = (value as string[]).map((item) => parseUrlPrefix(item) as UrlPrefix);
    return (actual) => {
      const url = typeof actual === 'string' ? parseStrictUrl(actual) : undefined;
      return url ? bool(prefixes.some((prefix) => urlUnder(url, prefix))) : INDETERMINATE;
    };
  },
  clause: (label, value) => `${label} is under ${listWords(value as unknown[])}`,
  expects: 'a plain http(s) URL in canonical spelling, without user name, spaces, backslashes or encoded separators',
};

const BOUND_EXAMPLE: Readonly<Record<PathStyle, string>> = {
  posix: 'an absolute directory or glob such as "/srv/data" or "/srv/data/**"',
  windows: 'a directory or glob with a drive such as "C:\\\\data"',
  relative: 'a relative directory or glob such as "src" or "docs/**"',
};

const pathWithin: Operator = {
  check(value, options) {
    const problems = checkNever(value);
    if (problems.length > 0) return problems;
    const style = options.style ?? 'posix';
    return (value as unknown[]).flatMap((item, i) =>
      typeof item === 'string' && parseFsBound(item, style) ? [] : [`Item ${i} must be ${BOUND_EXAMPLE[style]}.`],
    );
  },
  compile(value, options) {
    const style = options.style ?? 'posix';
    const bounds = (value as string[]).map((item) => parseFsBound(item, style) as FsBound);
    return (actual) => {
      const path = typeof actual === 'string' ? parseFsPath(actual, style) : undefined;
      return path ? bool(bounds.some((bound) => fsWithin(path, bound))) : INDETERMINATE;
    };
  },
  clause: (label, value) => `${label} lies within ${listWords(value as unknown[])}`,
  expects: 'a plain file path of the style that the rule names, without NUL, percent-encoding or a leading "~"',
};

export function isPathStyle(value: unknown): value is PathStyle {
  return (PATH_STYLES as readonly unknown[]).includes(value);
}

const ANY_JSON = 'a value without numbers that cannot be held exactly';

export const OPERATORS: ReadonlyMap<string, Operator> = new Map<string, Operator>([
  [
    'eq',
    {
      check: jsonProblems,
      compile: compileEq,
      clause: (label, value) => `${label} is ${literal(value)}`,
      bound: (value) => `only ${literal(value)} is allowed`,
      expects: ANY_JSON,
    },
  ],
  [
    'neq',
    {
      check: jsonProblems,
      compile: (value) => {
        const eq = compileEq(value);
        return (actual) => not(eq(actual));
      },
      clause: (label, value) => `${label} is other than ${literal(value)}`,
      expects: ANY_JSON,
    },
  ],
  [
    'lt',
    order(
      'less than',
      'less than',
      (a, b) => a < b,
      (c) => c < 0,
    ),
  ],
  [
    'lte',
    order(
      'at most',
      'at most',
      (a, b) => a <= b,
      (c) => c <= 0,
    ),
  ],
  [
    'gt',
    order(
      'more than',
      'more than',
      (a, b) => a > b,
      (c) => c > 0,
    ),
  ],
  [
    'gte',
    order(
      'at least',
      'at least',
      (a, b) => a >= b,
      (c) => c >= 0,
    ),
  ],
  [
    'in',
    {
      check: checkNever,
      compile: (value) => compileIn(value as unknown[]),
      clause: (label, value) => `${label} is one of ${listWords(value as unknown[])}`,
      bound: (value) => `${listWords(value as unknown[])} is allowed`,
      expects: ANY_JSON,
    },
  ],
  [
    'not_in',
    {
      check: checkArray,
      compile: (value) => {
        const one = compileIn(value as unknown[]);
        return (actual) => not(one(actual));
      },
      clause: (label, value) => `${label} is none of ${listWords(value as unknown[])}`,
      expects: ANY_JSON,
    },
  ],
  [
    'exists',
    {
      check: (value) =>
        typeof value === 'boolean' ? [] : [`The value must be true or false; it is ${kindWords(value)}.`],
      compile: (value) => () => bool(value === true),
      clause: (label, value) => (value === true ? `${label} is there` : `${label} is not there`),
      expects: 'a path whose steps fit the arguments',
    },
  ],
  [
    'contains',
    {
      check: (value) =>
        value === '' ? ['The value is the empty string, which every string has.'] : jsonProblems(value),
      compile: compileContains,
      clause: (label, value) => `${label} contains ${literal(value)}`,
      expects: 'a string or a list',
    },
  ],
  [
    'starts_with',
    {
      check: checkString,
      compile: (value) => onString((text) => text.startsWith(value as string)),
      clause: (label, value) => `${label} starts with ${literal(value)}`,
      expects: 'a string',
    },
  ],
  [
    'ends_with',
    {
      check: checkString,
      compile: (value) => onString((text) => text.endsWith(value as string)),
      clause: (label, value) => `${label} ends with ${literal(value)}`,
      expects: 'a string',
    },
  ],
  [
    'regex',
    {
      check: checkPattern,
      compile: (value) => pattern(value, false),
      clause: (label, value) => `${label} has a match of the pattern ${literal(value)}`,
      expects: 'a string',
    },
  ],
  [
    'matches',
    {
      check: checkPattern,
      compile: (value) => pattern(value, true),
      clause: (label, value) => `the whole of ${label} matches the pattern ${literal(value)}`,
      expects: 'a string',
    },
  ],
  ['length_lte', size('at most', (length, bound) => length <= bound)],
  ['length_gte', size('at least', (length, bound) => length >= bound)],
  [
    'keys_within',
    {
      check: checkStrings,
      compile: (value) => {
        const keys = new Set(value as string[]);
        return (actual) => (isObject(actual) ? bool(Object.keys(actual).every((key) => keys.has(key))) : INDETERMINATE);
      },
      clause: (label, value) => `${label} has no keys besides ${listWords(value as unknown[], 'and')}`,
      expects: 'an object',
    },
  ],
  ['url_in', urlIn],
  ['path_within', pathWithin],
]);
