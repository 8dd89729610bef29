import { parsePlainJson } from '@gatehouse/wire';
// Values of the command line: durations, times, KEY=VALUE pairs, JSON.
import { usageError } from './errors.ts';

const UNIT_SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 };
const DURATION = /^(\d{1,9})(s|m|h|d|w)$/;
const TIME = /^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}:\d{2}))?$/;

/** Seconds of `90s`, `15m`, `24h`, `30d`, `2w`. */
export function parseDuration(text: string, option: string): number {
  const match = DURATION.exec(text);
  if (!match)
    throw usageError(
      `${option}: "${text}" is not a duration. Write a number and a unit, such as 90s, 15m, 24h, 30d or 2w.`,
    );
  return Number(match[1]) * UNIT_SECONDS[match[2]!]!;
}

/** A time as RFC 3339 in UTC: written so (a date alone is its midnight in UTC), or as a duration from now. */
export function parseTime(text: string, option: string, now: number, direction: 'ahead' | 'ago'): string {
  if (DURATION.test(text)) {
    const milliseconds = parseDuration(text, option) * 1000;
    const time = new Date(direction === 'ahead' ? now + milliseconds : now - milliseconds);
    if (Number.isNaN(time.getTime())) throw usageError(`${option}: "${text}" is too long.`);
    return time.toISOString();
  }
  const time = TIME.test(text) ? new Date(text) : undefined;
  if (!time || Number.isNaN(time.getTime())) {
    throw usageError(
      `${option}: "${text}" is not a time. Write RFC 3339 such as 2026-05-01T08:00:00Z, a date, or a duration such as 30d (${direction === 'ahead' ? 'from now' : 'ago'}).`,
    );
  }
  return time.toISOString();
}

/** `KEY=VALUE`, split at the first `=`. */
export function parsePair(text: string, option: string): [string, string] {
  const at = text.indexOf('=');
  if (at < 1) throw usageError(`${option}: "${text}" is not KEY=VALUE.`);
  return [text.slice(0, at), text.slice(at + 1)];
}

export function parsePairs(texts: readonly string[], option: string): Record<string, string> {
  const pairs: [string, string][] = [];
  for (const text of texts) {
    const [key, value] = parsePair(text, option);
    if (pairs.some(([other]) => other === key)) throw usageError(`${option}: "${key}" is given twice.`);
    pairs.push([key, value]);
  }
  return Object.fromEntries(pairs);
}

/** For commander: collects an option that may be repeated. */
export function collect(value: string, before: string[] | undefined): string[] {
  return [...(before ?? []), value];
}

export function parseInteger(text: string, option: string, min: number, max: number): number {
  const number = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
  if (!(number >= min && number <= max))
    throw usageError(`${option}: "${text}" is not a whole number from ${min} to ${max}.`);
  return number;
}

/**
 * Checks that a text is a JSON object and returns it unchanged: it is sent as it was written, because reading and writing it
 * again would round numbers that have no exact double, and so judge another call than the one asked about.
 */
export function checkJsonObject(text: string, option: string): string {
  let value: unknown;
  try {
    value = parsePlainJson(text);
  } catch (error) {
    throw usageError(`${option}: not JSON (${(error as Error).message}). In a shell, put it in single quotes.`);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw usageError(`${option}: must be a JSON object such as '{"count": 2}'.`);
  }
  return text;
}

/** A path of the API; every part is percent-encoded. */
export function apiPath(strings: TemplateStringsArray, ...parts: string[]): string {
  return strings.reduce((path, piece, i) => path + encodeURIComponent(parts[i - 1]!) + piece);
}

/** `?a=b` of what is set; an empty text when nothing is. */
export function queryOf(values: Readonly<Record<string, string | number | undefined>>): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(values)) if (value !== undefined) query.set(name, String(value));
  const text = query.toString();
  return text === '' ? '' : `?${text}`;
}

const PLAIN_WORD = /^[A-Za-z0-9_@%+=:,./-]+$/;

/** A command as it could be typed in a POSIX shell; what is shown before a stdio server is saved. */
export function shellWords(words: readonly string[]): string {
  return words.map((word) => (PLAIN_WORD.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`)).join(' ');
}
