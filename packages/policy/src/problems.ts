/** Collects what is wrong with a document, all of it, with suggestions. */
import { isUnavailable } from './features.ts';
import type { PolicyProblem } from './types.ts';
import { isObject, kindWords, pointer } from './values.ts';

/** Optimal string alignment distance; more than `limit` is reported as `limit + 1`. */
export function editDistance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) > limit) return limit + 1;
  let older: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      let cost = Math.min(previous[j]! + 1, row[j - 1]! + 1, previous[j - 1]! + (same ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) cost = Math.min(cost, older[j - 2]! + 1);
      row.push(cost);
    }
    older = previous;
    previous = row;
  }
  return Math.min(previous[b.length]!, limit + 1);
}

const DISTANT = 4096;

/** The candidate nearest to a word, when it is near enough to have been meant. */
export function nearest(word: string, candidates: Iterable<string>): string | undefined {
  let best: string | undefined;
  const limit = word.length <= 3 ? 1 : word.length <= 7 ? 2 : 3;
  let distance = limit + 1;
  const lower = word.toLowerCase();
  let looked = 0;
  for (const candidate of candidates) {
    // Lists of names come from outside; the search must stay small.
    if (++looked > DISTANT) break;
    if (candidate === word) continue;
    const d = candidate.toLowerCase() === lower ? 0 : editDistance(lower, candidate.toLowerCase(), limit);
    if (d < distance) {
      distance = d;
      best = candidate;
    }
  }
  return best;
}

export function didYouMean(word: string, candidates: Iterable<string>): string | undefined {
  const found = nearest(word, candidates);
  return found === undefined ? undefined : `did you mean \`${found}\`?`;
}

export class Problems {
  readonly list: PolicyProblem[] = [];

  error(at: string, code: string, message: string, suggestion?: string): void {
    this.list.push({ pointer: at, message, severity: 'error', code, ...(suggestion !== undefined && { suggestion }) });
  }

  warn(at: string, code: string, message: string, suggestion?: string): void {
    this.list.push({
      pointer: at,
      message,
      severity: 'warning',
      code,
      ...(suggestion !== undefined && { suggestion }),
    });
  }

  unavailable(at: string, name: string): void {
    this.error(at, 'not_available', `"${name}" is not available in this version.`);
  }

  /** Refuses members that are not listed; those of a later version by name. */
  fields(at: string, object: Record<string, unknown>, allowed: readonly string[], what: string): void {
    for (const key of Object.keys(object)) {
      if (allowed.includes(key)) continue;
      const where = pointer(at, key);
      if (isUnavailable('field', key) || isUnavailable('quantifier', key)) this.unavailable(where, key);
      else this.error(where, 'unknown_field', `${what} has no field "${key}".`, didYouMean(key, allowed));
    }
  }

  /** True when the value is an object; else an error is noted. */
  object(at: string, value: unknown, what: string): value is Record<string, unknown> {
    if (isObject(value)) return true;
    this.error(at, 'wrong_type', `${what} must be an object; it is ${kindWords(value)}.`);
    return false;
  }

  array(at: string, value: unknown, what: string): value is unknown[] {
    if (Array.isArray(value)) return true;
    this.error(at, 'wrong_type', `${what} must be a list; it is ${kindWords(value)}.`);
    return false;
  }

  boolean(at: string, value: unknown, what: string): void {
    if (typeof value !== 'boolean') {
      this.error(at, 'wrong_type', `${what} must be true or false; it is ${kindWords(value)}.`);
    }
  }

  /** `name`, `reason` and `on_deny`, which stand in many places. */
  texts(at: string, object: Record<string, unknown>): void {
    for (const key of ['name', 'reason', 'on_deny', 'description']) {
      const value = Object.hasOwn(object, key) ? object[key] : undefined;
      if (value === undefined) continue;
      if (typeof value !== 'string') {
        this.error(pointer(at, key), 'wrong_type', `"${key}" must be a string; it is ${kindWords(value)}.`);
      } else if (value.length > 2000) {
        this.error(pointer(at, key), 'too_long', `"${key}" has at most 2000 characters.`);
      }
    }
    if (object.reason !== undefined && object.on_deny !== undefined) {
      this.error(pointer(at, 'on_deny'), 'conflict', '"on_deny" is another name of "reason"; write one of them.');
    }
  }

  choice(at: string, value: unknown, choices: readonly string[], what: string): void {
    if (typeof value === 'string' && choices.includes(value)) return;
    const list = choices.map((c) => `"${c}"`).join(', ');
    this.error(
      at,
      'wrong_value',
      `${what} must be one of ${list}.`,
      typeof value === 'string' ? didYouMean(value, choices) : undefined,
    );
  }
}
