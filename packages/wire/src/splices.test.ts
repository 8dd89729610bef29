import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bytesOf, jsonText, runs } from '../test/arbitraries.ts';
import { arrayItems } from './members.ts';
import { applySplices, cutElements } from './splices.ts';

const decode = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

describe('applySplices', () => {
  it('replaces, inserts and cuts', () => {
    const splices = [
      { start: 6, end: 6, insert: bytesOf('+') },
      { start: 0, end: 1, insert: bytesOf('XY') },
      { start: 2, end: 4, insert: bytesOf('') },
    ];
    expect(decode(applySplices(bytesOf('abcdef'), splices))).toBe('XYbef+');
  });

  it.each([
    [
      [
        { start: 0, end: 3 },
        { start: 2, end: 4 },
      ],
    ],
    [[{ start: 5, end: 9 }]],
    [[{ start: 3, end: 2 }]],
  ])('refuses misplaced splices', (spans) => {
    expect(() =>
      applySplices(
        bytesOf('abcdef'),
        spans.map((span) => ({ ...span, insert: bytesOf('') })),
      ),
    ).toThrow(RangeError);
  });
});

describe('cutElements', () => {
  it('[P2] leaves the kept items, all else of the bytes and exact commas', () => {
    const item = fc.tuple(jsonText, fc.boolean());
    fc.assert(
      fc.property(
        fc.array(item, { maxLength: 7 }),
        fc.constantFrom('', ' ', '\r\n  '),
        fc.constantFrom('', '\t'),
        (items, before, after) => {
          const text = `[${before}${items.map(([value]) => value).join(`${after},${before}`)}${after}]`;
          const bytes = bytesOf(text);
          const spans = arrayItems(bytes, { start: 0, end: bytes.length });
          const cut = decode(
            applySplices(
              bytes,
              cutElements(spans, (index) => items[index]?.[1] === true),
            ),
          );
          const kept = items.filter(([, drop]) => !drop).map(([value]) => value);
          // An array of all cut items keeps the white space that was around them.
          const expected =
            items.length === 0 || kept.length > 0
              ? `[${before}${kept.join(`${after},${before}`)}${after}]`
              : `[${before}${after}]`;
          expect(cut).toBe(expected);
        },
      ),
      runs(500),
    );
  });
});
