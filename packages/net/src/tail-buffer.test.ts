import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TailBuffer } from './tail-buffer.ts';

describe('TailBuffer', () => {
  it('holds exactly the last bytes', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 20 }), fc.array(fc.uint8Array({ maxLength: 30 })), (capacity, chunks) => {
        const tail = new TailBuffer(capacity);
        for (const chunk of chunks) tail.push(chunk);
        const all = Buffer.concat(chunks);
        expect(Buffer.from(tail.bytes())).toEqual(all.subarray(Math.max(0, all.length - capacity)));
        expect(tail.total).toBe(all.length);
      }),
    );
  });

  it('gives lines, and leaves out a first line that lost its beginning', () => {
    const tail = new TailBuffer(12);
    tail.push(Buffer.from('one\r\ntwo\n'));
    expect(tail.lines()).toEqual(['one', 'two']);
    tail.push(Buffer.from('three\n'));
    expect(tail.lines()).toEqual(['two', 'three']);
    tail.push(Buffer.from('a very long line\n'));
    expect(tail.lines()).toEqual(['y long line']);
  });

  it('refuses a capacity below one', () => {
    expect(() => new TailBuffer(0)).toThrow(/capacity/);
  });
});
