import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { flattenNewlines, hasNewline, LineSplitter, type OversizedLine } from './lines.ts';

const text = new TextDecoder();
const bytes = (value: string) => new TextEncoder().encode(value);

function collect(maxLineBytes?: number) {
  const lines: string[] = [];
  const oversized: OversizedLine[] = [];
  const splitter = new LineSplitter({
    ...(maxLineBytes === undefined ? {} : { maxLineBytes }),
    onLine: (line) => lines.push(text.decode(line)),
    onOversize: (line) => oversized.push(line),
  });
  return { splitter, lines, oversized };
}

describe('LineSplitter', () => {
  it('[NET-FRAMING] gives the same lines whatever the chunk borders are', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.string({ unit: 'binary', maxLength: 12 }), fc.constantFrom('\n', '\r\n', '\n\n'))),
        fc.array(fc.integer({ min: 1, max: 9 })),
        (parts, cuts) => {
          const clean = parts.map(([line, end]) => [line.replace(/[\r\n]/g, '·'), end] as const);
          const whole = bytes(clean.flat().join(''));
          const { splitter, lines } = collect();
          let at = 0;
          for (const cut of cuts) {
            splitter.push(whole.subarray(at, at + cut));
            at += cut;
          }
          splitter.push(whole.subarray(at));
          splitter.end();
          expect(lines).toEqual(clean.map(([line]) => text.decode(bytes(line))).filter((line) => line !== ''));
        },
      ),
    );
  });

  it('keeps a character whole that is split over chunks', () => {
    const { splitter, lines } = collect();
    const whole = bytes('{"a":"é漢😀"}\n');
    for (const byte of whole) splitter.push(Uint8Array.of(byte));
    expect(lines).toEqual(['{"a":"é漢😀"}']);
  });

  it('hands over a last line that has no end', () => {
    const { splitter, lines } = collect();
    splitter.push(bytes('one\ntwo'));
    expect(lines).toEqual(['one']);
    splitter.end();
    expect(lines).toEqual(['one', 'two']);
  });

  it('[NET-LINECAP] throws away a line above the cap, says so, and goes on', () => {
    for (const chunkSize of [1, 3, 100]) {
      const { splitter, lines, oversized } = collect(5);
      const whole = bytes('12345\n12345\r\n123456\nabcdefghijkl\nok\n');
      for (let i = 0; i < whole.length; i += chunkSize) splitter.push(whole.subarray(i, i + chunkSize));
      expect(lines).toEqual(['12345', '12345', 'ok']);
      expect(oversized).toHaveLength(2);
      expect(oversized[0]?.message).toMatch(/longer than 5 bytes/);
      expect(text.decode(oversized[1]?.head)).toMatch(/^abcdef/);
    }
  });

  it('[NET-LINECAP] gives up a line while it still comes, so that memory stays bounded', () => {
    const { splitter, lines, oversized } = collect(5);
    splitter.push(bytes('abcd'));
    expect(oversized).toEqual([]);
    splitter.push(bytes('efgh'));
    expect(oversized).toHaveLength(1);
    for (let i = 0; i < 100; i++) splitter.push(bytes('more'));
    expect(oversized).toHaveLength(1);
    splitter.push(bytes('\nok\n'));
    expect(lines).toEqual(['ok']);
  });

  it('refuses a cap that lets nothing through', () => {
    expect(() => collect(0)).toThrow(/maxLineBytes/);
  });
});

describe('flattenNewlines', () => {
  it('[NET-FLATTEN] makes one line, keeps the JSON value and every other byte', () => {
    fc.assert(
      fc.property(fc.json(), fc.constantFrom('\n', '\r\n', '\r'), (json, newline) => {
        const value: unknown = JSON.parse(json);
        const pretty = bytes(JSON.stringify(value, null, 2).replaceAll('\n', newline));
        const flat = flattenNewlines(pretty);
        expect(hasNewline(flat)).toBe(false);
        expect(flat.length).toBe(pretty.length);
        expect(JSON.parse(text.decode(flat))).toEqual(value);
        for (let i = 0; i < flat.length; i++) if (pretty[i] !== 10 && pretty[i] !== 13) expect(flat[i]).toBe(pretty[i]);
      }),
      { numRuns: 50 },
    );
  });

  it('gives the very same bytes back when nothing is to be changed', () => {
    const one = bytes('{"a":"\\n"}');
    expect(flattenNewlines(one)).toBe(one);
  });

  it.each([
    ['a Uint8Array', bytes('{\n}')],
    ['a Buffer, whose slice would be a view', Buffer.from('{\n}')],
  ])('does not touch its argument: %s', (_name, pretty) => {
    flattenNewlines(pretty);
    expect(text.decode(pretty)).toBe('{\n}');
  });
});
