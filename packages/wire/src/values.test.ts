import { describe, expect, it } from 'vitest';
import { bytesOf } from '../test/arbitraries.ts';
import { InexactNumber, isJsonObject, parseJson, readValue } from './values.ts';

describe('readValue', () => {
  it('[WIRE-INEXACT] keeps numbers that no double holds, at any depth, and rounds no others', () => {
    const value = parseJson('{"a":[9007199254740993,{"b":1e400}],"c":1.0,"d":"9007199254740993"}');
    expect(value).toEqual({
      a: [new InexactNumber('9007199254740993'), { b: new InexactNumber('1e400') }],
      c: 1,
      d: '9007199254740993',
    });
    expect(JSON.stringify(value)).toBe('{"a":[9007199254740993,{"b":1e400}],"c":1,"d":"9007199254740993"}');
  });

  it('[WIRE-PROTO] gives __proto__ as an own property, on both paths', () => {
    for (const text of ['{"__proto__":{"admin":true}}', '{"__proto__":{"admin":true},"n":9007199254740993}']) {
      const value = parseJson(text);
      expect(isJsonObject(value) && Object.hasOwn(value, '__proto__')).toBe(true);
      expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
      expect((value as { admin?: boolean }).admin).toBeUndefined();
    }
  });

  it('[WIRE-INEXACT] sees an exponent that is too large without many digits', () => {
    expect(parseJson('[1e400,1E-400,1e99]')).toEqual([new InexactNumber('1e400'), new InexactNumber('1E-400'), 1e99]);
  });

  it('reads a span', () => {
    expect(readValue(bytesOf('{"a": [1, "é"] }'), { start: 6, end: 15 })).toEqual([1, 'é']);
  });

  it('keeps a byte order mark that is part of a string', () => {
    expect(readValue(bytesOf('"\ufeffx"'), { start: 0, end: 6 })).toBe('\ufeffx');
  });

  it('throws where there is no value', () => {
    expect(() => readValue(bytesOf('{]'), { start: 0, end: 2 })).toThrow(SyntaxError);
  });
});

describe('InexactNumber', () => {
  it('refuses what is no JSON number', () => {
    for (const text of ['', '01', '1.', 'NaN', '1,"x":2'])
      expect(() => new InexactNumber(text)).toThrow('not a JSON number');
  });

  it('is no JSON object', () => {
    expect([isJsonObject(new InexactNumber('1e400')), isJsonObject([]), isJsonObject(null), isJsonObject({})]).toEqual([
      false,
      false,
      false,
      true,
    ]);
  });
});
