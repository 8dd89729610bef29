import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { numberText, runs } from '../test/arbitraries.ts';
import { isExactNumber, isNumberText, readDecimal, writeDecimal } from './numbers.ts';

describe('isExactNumber', () => {
  it.each([
    '0',
    '-0',
    '0.0',
    '0e999',
    '0.1',
    '1.0',
    '1e2',
    '100',
    '9007199254740992',
    '1e23',
    '5e-324',
    '1.7976931348623157e308',
    '-1.50',
  ])('[WIRE-INEXACT] %s is exact', (text) => expect(isExactNumber(text)).toBe(true));

  it.each([
    '9007199254740993',
    '1e400',
    '-1e400',
    '1e-400',
    '0.1000000000000000055511151231257827',
    '100000000000000000000000.1',
    '4.9e-324',
    '1e99999999999999999999',
  ])('[WIRE-INEXACT] %s is inexact', (text) => expect(isExactNumber(text)).toBe(false));

  it('takes any double as it prints, in every notation', () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
        for (const text of [String(value), value.toExponential(), JSON.stringify(value)])
          expect(isExactNumber(text)).toBe(true);
      }),
      runs(300),
    );
  });
});

describe('decimals', () => {
  it('writes doubles as ECMAScript does', () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
        expect(writeDecimal(readDecimal(value.toExponential()))).toBe(String(value === 0 ? 0 : value));
      }),
      runs(500),
    );
  });

  it.each(['100000000000000000000', '1e+21', '0.000001', '1e-7', '123456789012345680000'])(
    'writes %s as it is',
    (text) => {
      expect(writeDecimal(readDecimal(text))).toBe(text);
      expect(String(Number(text))).toBe(text);
    },
  );

  it('writes one text for all texts of a number', () => {
    const texts = ['9007199254740993', '9007199254740993.0', '900719925474099.3e1', '9007199254740993000e-3'];
    expect(new Set(texts.map((text) => writeDecimal(readDecimal(text))))).toEqual(new Set(['9007199254740993']));
  });

  it('does not change what is written when it is read again', () => {
    fc.assert(
      fc.property(numberText, (text) => {
        const once = writeDecimal(readDecimal(text));
        expect(isNumberText(once)).toBe(true);
        expect(writeDecimal(readDecimal(once))).toBe(once);
      }),
      runs(300),
    );
  });

  it('reads long runs of zeros in linear time', () => {
    expect(readDecimal(`1${'0'.repeat(1_000_000)}1`).point).toBe(1_000_002);
  });
});
