import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeBase62, randomBase62 } from './base62.ts';
import { hashToken, isTokenForm, makeToken, tokenHint } from './token-format.ts';

const secret = fc.uint8Array({ minLength: 32, maxLength: 32 });

describe('tokens', () => {
  it('[TOK-FORM] are gh_, 32 bytes in base 62 at a fixed width, and a checksum', () => {
    fc.assert(
      fc.property(secret, (bytes) => {
        const token = makeToken(() => bytes);
        expect(token).toMatch(/^gh_[0-9A-Za-z]{49}$/);
        expect(isTokenForm(token)).toBe(true);
      }),
    );
    expect(makeToken(() => new Uint8Array(32))).toMatch(/^gh_0{43}/);
    expect(makeToken(() => new Uint8Array(32).fill(255))).toMatch(/^gh_[0-9A-Za-z]{49}$/);
  });

  it('[TOK-FORM] differ when their bytes differ', () => {
    fc.assert(
      fc.property(secret, secret, (a, b) => {
        fc.pre(!Buffer.from(a).equals(Buffer.from(b)));
        expect(makeToken(() => a)).not.toBe(makeToken(() => b));
      }),
    );
  });

  it('[TOK-FORM] show a mistyped, cut or lengthened token by its checksum', () => {
    const token = makeToken(randomBytes);
    let passed = 0;
    for (let at = 3; at < token.length; at++) {
      const typo = token.slice(0, at) + (token[at] === 'x' ? 'y' : 'x') + token.slice(at + 1);
      if (isTokenForm(typo)) passed += 1;
    }
    expect(passed).toBe(0);
    for (const wrong of [
      token.slice(0, -1),
      `${token}0`,
      ` ${token}`,
      token.toLowerCase(),
      `ghx${token.slice(2)}`,
      '',
    ]) {
      expect(isTokenForm(wrong)).toBe(false);
    }
  });

  it('are kept as SHA-256, and are recognised by their first nine characters', () => {
    expect(hashToken('gh_abc')).toBe('121be4654ed4cb54c8a1b714b2048bec1eafb8d2cc27eb5a145ad536494ed8ba');
    expect(tokenHint('gh_0123456789')).toBe('gh_012345');
  });
});

describe('base 62', () => {
  it('keeps numbers apart and in order at a fixed width', () => {
    fc.assert(
      fc.property(secret, secret, (a, b) => {
        const order = Math.sign(Buffer.compare(a, b));
        const [x, y] = [encodeBase62(a, 43), encodeBase62(b, 43)];
        expect(x < y ? -1 : x > y ? 1 : 0).toBe(order);
      }),
    );
  });

  it('refuses a width that is too small', () => {
    expect(() => encodeBase62(new Uint8Array([255, 255]), 2)).toThrow(RangeError);
  });

  it('gives each of the 62 characters the same chance', () => {
    const counts = new Map<string, number>();
    for (const letter of randomBase62(62_000, randomBytes)) counts.set(letter, (counts.get(letter) ?? 0) + 1);
    expect(counts.size).toBe(62);
    // 1000 expected of each; 8 standard deviations.
    for (const count of counts.values()) expect(Math.abs(count - 1000)).toBeLessThan(256);
  });
});
