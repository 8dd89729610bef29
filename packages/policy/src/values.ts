import { InexactNumber, type JsonValue } from '@gatehouse/wire';

/** Truth values of spec policy §3 as small integers: the hot path compares them, names are for people. */
export const FALSE = 0;
export const TRUE = 1;
export const INDETERMINATE = 2;
export const MISSING = 3;
export type Truth = 0 | 1 | 2 | 3;
/** A truth after `missing` has been decided. */
export type Kleene = 0 | 1 | 2;

const NAMES = ['false', 'true', 'indeterminate', 'missing'] as const;

export function truthName(truth: Truth): (typeof NAMES)[number] {
  return NAMES[truth];
}

export function not(value: Kleene): Kleene {
  return value === INDETERMINATE ? INDETERMINATE : value === TRUE ? FALSE : TRUE;
}

export type Kind = 'null' | 'boolean' | 'number' | 'string' | 'array' | 'object' | 'inexact';

/** The kind of a JSON value; a number that no double holds exactly is a kind of its own. */
export function kindOf(value: unknown): Kind {
  switch (typeof value) {
    case 'string':
      return 'string';
    case 'number':
      return 'number';
    case 'boolean':
      return 'boolean';
    default:
      if (value === null || value === undefined) return 'null';
      if (Array.isArray(value)) return 'array';
      return value instanceof InexactNumber ? 'inexact' : 'object';
  }
}

const KIND_WORDS: Readonly<Record<Kind, string>> = {
  null: 'null',
  boolean: 'a boolean',
  number: 'a number',
  string: 'a string',
  array: 'a list',
  object: 'an object',
  inexact: 'a number that cannot be held exactly',
};

export function kindWords(value: unknown): string {
  return KIND_WORDS[kindOf(value)];
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return kindOf(value) === 'object';
}

/** An own member, never one of a prototype: `__proto__` and `constructor` are plain data. */
export function member(object: Record<string, unknown>, key: string): unknown {
  return Object.hasOwn(object, key) ? object[key] : undefined;
}

/**
 * Deep equality of JSON values, numbers by value, order of keys without meaning. Indeterminate when an inexact number
 * takes part and nothing else already differs.
 */
export function equals(a: unknown, b: unknown): Kleene {
  if (a === b) return TRUE;
  if (typeof a !== 'object' && typeof b !== 'object') return FALSE;
  const kind = kindOf(a);
  const other = kindOf(b);
  if (kind === 'inexact' || other === 'inexact') return INDETERMINATE;
  if (kind !== other) return FALSE;
  if (kind === 'array') return equalArrays(a as unknown[], b as unknown[]);
  if (kind === 'object') return equalObjects(a as Record<string, unknown>, b as Record<string, unknown>);
  return FALSE;
}

function equalArrays(a: readonly unknown[], b: readonly unknown[]): Kleene {
  if (a.length !== b.length) return FALSE;
  let result: Kleene = TRUE;
  for (let i = 0; i < a.length; i++) {
    const one = equals(a[i], b[i]);
    if (one === FALSE) return FALSE;
    if (one === INDETERMINATE) result = INDETERMINATE;
  }
  return result;
}

function equalObjects(a: Record<string, unknown>, b: Record<string, unknown>): Kleene {
  const keys = Object.keys(a);
  if (keys.length !== Object.keys(b).length) return FALSE;
  let result: Kleene = TRUE;
  for (const key of keys) {
    if (!Object.hasOwn(b, key)) return FALSE;
    const one = equals(a[key], b[key]);
    if (one === FALSE) return FALSE;
    if (one === INDETERMINATE) result = INDETERMINATE;
  }
  return result;
}

/** Code points, not UTF-16 units. */
export function codePoints(text: string): number {
  let count = text.length;
  for (let i = 0; i + 1 < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit >= 0xd800 && unit <= 0xdbff) {
      const next = text.charCodeAt(i + 1);
      if (next >= 0xdc00 && next <= 0xdfff) {
        count--;
        i++;
      }
    }
  }
  return count;
}

/** One reference token of a JSON Pointer (RFC 6901 §3). */
export function escapeToken(token: string): string {
  return token.includes('~') || token.includes('/') ? token.replaceAll('~', '~0').replaceAll('/', '~1') : token;
}

export function pointer(base: string, ...tokens: readonly (string | number)[]): string {
  let result = base;
  for (const token of tokens) result += `/${escapeToken(String(token))}`;
  return result;
}

/** A literal of the policy for a sentence: JSON, at most 120 characters, without control characters. */
export function literal(value: unknown): string {
  const text = String(JSON.stringify(value));
  // A policy may hold bidirectional or invisible characters; a sentence that people read must not.
  const plain = text.replace(
    /[\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]|\u{e0000}|[\u{e0001}-\u{e007f}]/gu,
    (c) => `\\u{${c.codePointAt(0)?.toString(16)}}`,
  );
  return plain.length > 120 ? `${plain.slice(0, 117)}…` : plain;
}

/** "a, b or c", at most six items. */
export function listWords(values: readonly unknown[], last = 'or'): string {
  const shown = values.slice(0, 6).map((v) => literal(v));
  if (values.length > 6) return `${shown.join(', ')} and ${values.length - 6} more`;
  if (shown.length <= 1) return shown.join('');
  return `${shown.slice(0, -1).join(', ')} ${last} ${shown.at(-1)}`;
}

/**
 * What a sentence may repeat of an argument: numbers, booleans and null. Strings stay out, since denials are recorded
 * and a string may be a secret.
 */
export function preview(value: unknown): string | undefined {
  const kind = kindOf(value);
  return kind === 'number' || kind === 'boolean' || kind === 'null' ? String(value) : undefined;
}

export type { JsonValue };
