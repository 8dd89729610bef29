import { describe, expect, it } from 'vitest';
import { foldKey, hashKey } from './fold.ts';

describe('foldKey', () => {
  it.each([
    ['name', 'NAME'],
    ['paramſ', 'params'],
    ['\u212aind', 'kind'],
    ['straße', 'STRASSE'],
    ['STRAẞE', 'strasse'],
    ['σς', 'ΣΣ'],
    ['ﬁle', 'FILE'],
    ['\u2126', 'ω'],
    ['İ', 'i\u0307'],
  ])('[WIRE-FOLD] %s meets %s', (a, b) => {
    expect(foldKey(a)).toBe(foldKey(b));
    expect(hashKey(a)).toBe(hashKey(b));
  });

  it('keeps different keys apart', () => {
    expect(new Set(['name', 'names', 'nam', 'näme', 'nаme', ''].map(foldKey)).size).toBe(6);
  });

  it('[WIRE-FOLD] meets every pair that simple folding of the regular expression engine meets', () => {
    // Patterns with `iu` compare by CaseFolding.txt (simple); every code point with a case partner is looked at.
    for (let code = 0; code <= 0x1ffff; code++) {
      if (code >= 0xd800 && code <= 0xdfff) continue;
      const character = String.fromCodePoint(code);
      const others = new Set([character.toLowerCase(), character.toUpperCase()]);
      others.delete(character);
      for (const other of others) {
        if ([...other].length !== 1) continue;
        const same = new RegExp(`^\\u{${code.toString(16)}}$`, 'iu').test(other);
        if (same) expect(foldKey(character), `U+${code.toString(16)}`).toBe(foldKey(other));
      }
    }
  });
});
