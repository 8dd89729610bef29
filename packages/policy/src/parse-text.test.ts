import { describe, expect, it } from 'vitest';
import { parsePolicyText } from './parse-text.ts';

function codes(text: string): string[] {
  const result = parsePolicyText(text);
  return result.ok ? [] : result.problems.map((p) => p.code);
}

describe('parsePolicyText', () => {
  it('[POL-TEXT] reads JSON and YAML 1.2 the same', () => {
    const json = '{"version":"1","default":"deny","tools":{"a\\u00e9":{"args":{"n":{"lte":4.5e2}}}}}';
    const yaml = 'version: "1"\ndefault: deny\ntools:\n  aé:\n    args: { n: { lte: 450 } }\n';
    expect(parsePolicyText(json)).toEqual({ ok: true, document: JSON.parse(json) });
    expect(parsePolicyText(yaml)).toEqual({ ok: true, document: JSON.parse(json) });
  });

  it('reads YAML 1.2, not 1.1: yes and no are strings', () => {
    expect(parsePolicyText('a: yes\nb: 012\nc: 2026-01-01')).toEqual({
      ok: true,
      document: { a: 'yes', b: 12, c: '2026-01-01' },
    });
  });

  it('[POL-DUPKEY] refuses duplicate keys at any depth, however they are spelt', () => {
    expect(codes('{"a": {"b": 1, "b": 2}}')).toEqual(['duplicate_key']);
    expect(codes('{"a": 1, "\\u0061": 2}')).toEqual(['duplicate_key']);
    expect(codes('a: 1\nb: 2\na: 3\n')).toEqual(['duplicate_key']);
  });

  it('[POL-NUMBERS] refuses numbers that no double holds, and aliases', () => {
    expect(codes('{"a": 9007199254740993}')).toEqual(['inexact_number']);
    expect(codes('{"a": 1e400}')).toEqual(['inexact_number']);
    expect(codes('a: .inf')).toEqual(['inexact_number']);
    expect(codes('a: 0.1\nb: 1.0\nc: 0x1f\nd: +1')).toEqual([]);
    expect(codes('a: &x [1]\nb: *x')).toEqual(['syntax']);
  });

  it('says where the text is broken', () => {
    const result = parsePolicyText('{\n  "a": ]\n}');
    expect(result.ok ? '' : result.problems[0]?.message).toMatch(/^At line 2, column \d+: /);
    expect(codes('')).toEqual(['syntax']);
    expect(codes('a: 1\n---\nb: 2')).toEqual(['syntax']);
    expect(codes('a: !!js/function x')).not.toEqual([]);
  });

  it('T7 keeps __proto__ as a plain key', () => {
    const result = parsePolicyText('{"__proto__": {"x": 1}}');
    expect(result.ok && Object.hasOwn(result.document as object, '__proto__')).toBe(true);
  });
});
