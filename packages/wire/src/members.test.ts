import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bytesOf, jsonText, runs } from '../test/arbitraries.ts';
import { arrayItems, knownKeys, objectMembers } from './members.ts';

const whole = (bytes: Uint8Array) => ({ start: 0, end: bytes.length });
const textAt = (bytes: Uint8Array, span: { start: number; end: number } | undefined): string | undefined =>
  span && new TextDecoder().decode(bytes.subarray(span.start, span.end));

describe('arrayItems', () => {
  it('[P2] finds the items of any array', () => {
    fc.assert(
      fc.property(fc.array(jsonText, { maxLength: 6 }), fc.constantFrom('', ' ', '\n\t'), (items, gap) => {
        const bytes = bytesOf(`[${gap}${items.join(`${gap},${gap}`)}${gap}]`);
        expect(arrayItems(bytes, whole(bytes)).map((span) => textAt(bytes, span))).toEqual(items);
      }),
      runs(300),
    );
  });

  it('is not misled by brackets and quotes in strings', () => {
    const bytes = bytesOf('["]","\\"],[","\\\\",{"a}":"[{"}]');
    expect(arrayItems(bytes, whole(bytes)).map((span) => textAt(bytes, span))).toEqual([
      '"]"',
      '"\\"],["',
      '"\\\\"',
      '{"a}":"[{"}',
    ]);
  });

  it('throws where there is no array', () => {
    expect(() => arrayItems(bytesOf('{}'), { start: 0, end: 2 })).toThrow('no array');
  });
});

describe('objectMembers', () => {
  it('[P2] finds the members of any object', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.string({ maxLength: 5 }), { maxLength: 40 }), jsonText, (keys, value) => {
        const bytes = bytesOf(`{ ${keys.map((key) => `${JSON.stringify(key)} : ${value}`).join(' , ')} }`);
        const table = objectMembers(bytes, whole(bytes));
        expect(table.keys()).toEqual(keys);
        expect(table.size).toBe(keys.length);
        for (const key of keys) expect(textAt(bytes, table.get(key))).toBe(value);
        expect(table.has('not there')).toBe(false);
      }),
      runs(200),
    );
  });

  it('finds escaped keys by what they mean', () => {
    const bytes = bytesOf('{"n\\u0061me":1,"é":2,"\\u00e9x":3}');
    const table = objectMembers(bytes, whole(bytes));
    expect(['name', 'é', 'éx'].map((key) => textAt(bytes, table.get(key)))).toEqual(['1', '2', '3']);
    expect(table.get('n\\u0061me')).toBeUndefined();
  });

  it('finds the first of two equal keys, in small and large objects', () => {
    for (const more of ['', Array.from({ length: 20 }, (_, i) => `,"k${i}":0`).join('')]) {
      const bytes = bytesOf(`{"a":1,"a":2${more}}`);
      expect(textAt(bytes, objectMembers(bytes, whole(bytes)).get('a'))).toBe('1');
    }
  });

  it('throws where there is no object', () => {
    expect(() => objectMembers(bytesOf('[]'), { start: 0, end: 2 })).toThrow('no object');
  });
});

describe('knownKeys', () => {
  it('refuses a list in which two keys fold to one', () => {
    expect(() => knownKeys(['name', 'Name'])).toThrow('known keys with one hash');
  });
});
