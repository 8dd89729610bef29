import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { jsonText, mutate, mutation, runs } from '../test/arbitraries.ts';
import { naiveValue } from '../test/naive.ts';
import { mayHaveEscapedKey, parsePlainJson, readByMember } from './json-text.ts';
import { parseJson } from './values.ts';

describe('parsePlainJson', () => {
  // nodejs/node#63785: the first text of each pair makes JSON.parse read the second one wrongly.
  it.each([
    ['{"id":1,"\\\\u0061":0,"n":"x"}', '{"id":1,"\\u0061mount":5000,"n":"x"}', { id: 1, amount: 5000, n: 'x' }],
    ['{"k":1,"\\\\":0,"c":3}', '{"k":1,"\\"":1,"c":3}', { k: 1, '"': 1, c: 3 }],
    ['{"h":[],"\\\\":0}', '{"h":1,"\\n":2}', { h: 1, '\n': 2 }],
    ['{"p":[{"q":1,"\\\\u0074":0}]}', '{"p":[{"q":1,"\\u0074o":2}]}', { p: [{ q: 1, to: 2 }] }],
  ])('[WIRE-KEYS] after %s reads %s', (before, text, expected) => {
    for (const read of [
      parsePlainJson,
      parseJson,
      (source: string) => parseJson(`${source.slice(0, -1)},"z":1e400}`),
    ]) {
      JSON.parse(before);
      read(before);
      expect(read(text)).toMatchObject(expected);
    }
  });

  it('[WIRE-KEYS] sees every escaped key', () => {
    fc.assert(
      fc.property(jsonText, (text) => {
        // A plain name of one escape only: whatever stands before it, the reader must not miss it.
        const escaped = text.replace(
          /"([a-zA-Z])([^"\\]*)"(\s*:)/g,
          (_all, first: string, rest: string, colon: string) => {
            const unit = first.charCodeAt(0).toString(16).padStart(4, '0');
            return `"\\u${unit}${rest}"${colon}`;
          },
        );
        expect(parsePlainJson(escaped)).toEqual(naiveValue(text));
        if (escaped !== text) expect(mayHaveEscapedKey(escaped)).toBe(true);
      }),
      runs(300),
    );
  });

  it('reads member by member what the naive reader reads', () => {
    fc.assert(
      fc.property(jsonText, (text) => {
        expect(readByMember(` ${text}\n`, Number)).toEqual(naiveValue(text));
      }),
      runs(300),
    );
  });

  it('throws where JSON.parse throws, and nowhere else', () => {
    const throws = (read: () => unknown): boolean => {
      try {
        read();
        return false;
      } catch (error) {
        expect(error).toBeInstanceOf(SyntaxError);
        return true;
      }
    };
    fc.assert(
      fc.property(jsonText, fc.array(mutation, { maxLength: 2 }), (text, changes) => {
        const bytes = changes.reduce(mutate, new TextEncoder().encode(text));
        const changed = new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes);
        expect(
          throws(() => readByMember(changed, Number)),
          changed,
        ).toBe(throws(() => JSON.parse(changed)));
      }),
      runs(500),
    );
  });

  it('keeps __proto__ as a key, and the last of two equal keys', () => {
    const value = parsePlainJson('{"\\u005f_proto__":{"admin":true},"a":1,"\\u0061":2}') as Record<string, unknown>;
    expect(Object.entries(value)).toEqual([
      ['__proto__', { admin: true }],
      ['a', 2],
    ]);
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
  });

  it.each([
    '',
    '{"\\u0061"',
    '{"\\u0061":1',
    '{"\\u0061":1,}',
    '{"\\u0061" 1}',
    '{"\\x":1}',
    '{"\\u0061":1}}',
    '{"\\u0061":01}',
  ])('refuses %s', (text) => expect(() => parsePlainJson(text)).toThrow(SyntaxError));
});
