import { readDecimal, writeDecimal } from './numbers.ts';
import { InexactNumber, type JsonValue } from './values.ts';

/** Deeper values are refused: nothing that the tokenizer accepts is, and a cycle ends here. */
const MAX_DEPTH = 1100;

/**
 * RFC 8785 canonical JSON: keys sorted by UTF-16 units, shortest number texts, no white space.
 *
 * RFC 8785 knows doubles only. An `InexactNumber` is written as its exact decimal in the same layout (no leading or
 * trailing zeros, exponent form from 1e21 up and below 1e-6), so that two texts of one number meet and no two numbers do.
 *
 * Throws a TypeError on what is not JSON: NaN, infinities, lone surrogates, undefined, holes, functions, symbols,
 * bigints, class instances, cycles.
 */
export function canonicalize(value: JsonValue): string {
  where.length = 0;
  return write(value, 0);
}

/** Keys and indexes from the root to the value being written, for the message of a refusal. */
const where: (string | number)[] = [];

function write(value: unknown, depth: number): string {
  switch (typeof value) {
    case 'string':
      return writeString(value);
    case 'boolean':
      return value ? 'true' : 'false';
    case 'number':
      if (!Number.isFinite(value)) throw refusal(`${value} is not a JSON number`);
      return String(value);
    case 'object':
      break;
    default:
      throw refusal(`${typeof value} is not a JSON value`);
  }
  if (value === null) return 'null';
  if (value instanceof InexactNumber) return writeDecimal(readDecimal(value.source));
  if (depth >= MAX_DEPTH) throw refusal(`nested deeper than ${MAX_DEPTH}, or a cycle`);
  if (Array.isArray(value)) {
    let items = '';
    // By index: `map` would skip holes instead of refusing them.
    for (let i = 0; i < value.length; i++) {
      where.push(i);
      items += i === 0 ? write(value[i], depth + 1) : `,${write(value[i], depth + 1)}`;
      where.pop();
    }
    return `[${items}]`;
  }
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) throw refusal('not a plain object');
  const object = value as Record<string, unknown>;
  const { keys, texts } = orderOf(Object.keys(object), depth);
  let members = '';
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i] as string;
    where.push(key);
    members += (texts[i] as string) + write(object[key], depth + 1);
    where.pop();
  }
  return `{${members}}`;
}

interface Order {
  readonly given: readonly string[];
  /** RFC 8785 §3.2.3: by UTF-16 code units, which is how ECMAScript sorts strings. */
  readonly keys: readonly string[];
  /** What stands before each value: the key with its colon, and a comma between members. */
  readonly texts: readonly string[];
}

/** The items of a list mostly have the same keys: the last order at each depth is kept, if it is short. */
const lastOrders: (Order | undefined)[] = [];
const KEPT_KEYS = 32;
const KEPT_DEPTH = 64;

function orderOf(given: readonly string[], depth: number): Order {
  const last = lastOrders[depth];
  if (last !== undefined && isSame(last.given, given)) return last;
  const keys = given.toSorted();
  const order = { given, keys, texts: keys.map((key, i) => `${i === 0 ? '' : ','}${writeString(key)}:`) };
  if (given.length <= KEPT_KEYS && depth < KEPT_DEPTH) lastOrders[depth] = order;
  return order;
}

function isSame(a: readonly string[], b: readonly string[]): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** Strings that JSON writes as they are. */
const AS_IT_IS = /^[ !#-[\]-~]*$/;

function writeString(text: string): string {
  if (text.length <= 64 && AS_IT_IS.test(text)) return `"${text}"`;
  if (!text.isWellFormed()) throw refusal('a string with a lone surrogate has no UTF-8 form');
  return JSON.stringify(text);
}

function refusal(what: string): TypeError {
  const path = where.map((step) => (typeof step === 'number' ? `[${step}]` : `.${step}`)).join('');
  return new TypeError(`cannot be written as canonical JSON at $${path.slice(0, 200)}: ${what}`);
}
