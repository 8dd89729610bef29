import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { runs } from '../test/arbitraries.ts';
import { naiveValue } from '../test/naive.ts';
import { canonicalize } from './canonical.ts';
import { InexactNumber, type JsonValue, parseJson } from './values.ts';

describe('canonicalize', () => {
  it('[WIRE-CANON] sorts by UTF-16 units, at every depth', () => {
    // U+1F600 is two units that begin with D83D: before U+FB33, behind U+20AC.
    const value = {
      '\u20ac': 1,
      '\r': 2,
      '\ufb33': 3,
      '1': 4,
      '\u{1f600}': 5,
      '\u0080': 6,
      ö: { b: 1, a: [{ d: 1, c: 2 }] },
    };
    expect(canonicalize(value)).toBe(
      '{"\\r":2,"1":4,"\u0080":6,"ö":{"a":[{"c":2,"d":1}],"b":1},"\u20ac":1,"\u{1f600}":5,"\ufb33":3}',
    );
  });

  it.each([
    [-0, '0'],
    [1e21, '1e+21'],
    [1e-7, '1e-7'],
    [333333333.3333333, '333333333.3333333'],
    [4.5, '4.5'],
    [0.002, '0.002'],
    [5e-324, '5e-324'],
  ])('[WIRE-CANON] writes %d as ECMAScript does', (value, text) => expect(canonicalize(value)).toBe(text));

  it('[WIRE-CANON] writes inexact numbers by their exact value', () => {
    const write = (source: string): string => canonicalize(new InexactNumber(source));
    expect(write('9007199254740993')).toBe('9007199254740993');
    expect(write('9007199254740993.0')).toBe('9007199254740993');
    expect(write('1e400')).toBe('1e+400');
    expect(write('10e399')).toBe('1e+400');
    expect(write('9007199254740993')).not.toBe(write('9007199254740992.9'));
  });

  it('escapes as JSON.stringify does', () => {
    expect(canonicalize('\u0000\b\t\n\f\r"\\/\u007f\u2028é')).toBe('"\\u0000\\b\\t\\n\\f\\r\\"\\\\/\u007f\u2028é"');
  });

  it('[WIRE-CANON] does not depend on order and reads back as the same value', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const plain = naiveValue(JSON.stringify(value)) as JsonValue;
        const text = canonicalize(plain);
        expect(naiveValue(text)).toEqual(plain);
        expect(canonicalize(parseJson(text))).toBe(text);
        expect(canonicalize(reversed(plain))).toBe(text);
      }),
      runs(300),
    );
  });

  it.each([
    ['undefined', undefined],
    ['a member undefined', { a: undefined }],
    ['NaN', Number.NaN],
    ['Infinity', [Number.POSITIVE_INFINITY]],
    ['a bigint', 1n],
    ['a function', () => 1],
    ['a date', new Date(0)],
    ['a map', new Map()],
    ['a hole', new Array(1)],
    ['a lone surrogate', ['\ud800']],
    ['a lone surrogate in a key', { '\udc00': 1 }],
  ])('refuses %s', (_title, value) => {
    expect(() => canonicalize(value as JsonValue)).toThrow(/cannot be written as canonical JSON at \$/);
  });

  it('refuses a cycle', () => {
    const cycle: JsonValue[] = [];
    cycle.push(cycle);
    expect(() => canonicalize(cycle)).toThrow('or a cycle');
  });
});

function reversed(value: JsonValue): JsonValue {
  if (Array.isArray(value)) return value.map(reversed);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .reverse()
      .map(([key, inner]) => [key, reversed(inner)]),
  );
}
