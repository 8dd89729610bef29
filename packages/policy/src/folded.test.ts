import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { argumentNames, foldedKeys } from './folded.ts';

describe('keys that only folding makes a named one', () => {
  it('[POL-FOLDKEY] any other spelling of a name is found, in whatever case it is written', () => {
    const names = argumentNames([{ args: { 'target.path': { exists: true } } }], {});
    fc.assert(
      fc.property(fc.array(fc.boolean(), { minLength: 4, maxLength: 4 }), (upper) => {
        const key = [...'path'].map((letter, at) => (upper[at] ? letter.toUpperCase() : letter)).join('');
        const problems = foldedKeys({ target: { [key]: 1 } }, names);
        expect(problems.map((problem) => problem.path)).toEqual(key === 'path' ? [] : [`args.target.${key}`]);
      }),
    );
  });

  it('[POL-FOLDKEY] a schema that refers to itself ends, and a hostile call makes few problems', () => {
    const schema = {
      $ref: '#/$defs/a',
      $defs: { a: { properties: { x: { $ref: '#/$defs/a' } }, allOf: [{ $ref: '#' }] } },
    };
    let deep: Record<string, unknown> = { X: 1 };
    for (let level = 0; level < 60; level++) deep = { x: deep };
    expect(foldedKeys(deep, argumentNames([], schema))).toHaveLength(1);
    const wide = Array.from({ length: 1000 }, () => ({ X: 1 }));
    expect(foldedKeys({ x: wide }, argumentNames([{ args: { 'x[*].x': {} } }], {})).length).toBeLessThanOrEqual(20);
  });

  it('a reference that leads nowhere names nothing', () => {
    for (const $ref of ['#/$defs/none', 'https://example.com/a', '#anchor', '#/%zz']) {
      expect(foldedKeys({ A: 1 }, argumentNames([], { $ref }))).toEqual([]);
    }
  });
});
