import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FluxError } from './errors.ts';
import { RATIO_TABLE, resolveSize, type SizeRule } from './sizes.ts';

const any: SizeRule = { min: 64, max: 4096, multiple: 1, maxPixels: 4096 * 4096, ratioStyle: 'area' };
const table: SizeRule = { ...any, ratioStyle: 'table' };
const strict: SizeRule = { min: 256, max: 1440, multiple: 32, maxPixels: 1440 * 1440, ratioStyle: 'area' };

function failure(text: string, rule: SizeRule): FluxError {
  try {
    resolveSize(text, rule);
  } catch (error) {
    if (error instanceof FluxError) return error;
  }
  throw new Error(`${text} was taken`);
}

describe('resolveSize', () => {
  it('[FLUX-SIZE] keeps pixels as they were asked for, in the spellings people use', () => {
    for (const text of ['640x480', ' 640X480 ', '640 × 480', '640*480']) {
      expect(resolveSize(text, any)).toEqual({ width: 640, height: 480 });
    }
  });

  it('[FLUX-SIZE] takes 64 and 4096 and refuses what lies beyond, naming side, bound and a size that would do', () => {
    expect(resolveSize('64x4096', any)).toEqual({ width: 64, height: 4096 });
    expect(failure('63x100', any).message).toBe('size: the width 63 is outside 64 to 4096 pixels.');
    expect(failure('100x4097', any).message).toBe('size: the height 4097 is outside 64 to 4096 pixels.');
    expect(failure('63x100', any).whatToDo).toContain('64x100');
  });

  it('[FLUX-SIZE] refuses what is neither pixels nor a ratio', () => {
    for (const text of ['', 'large', '1024', '1024x', 'x512', '-5x20', '10.5x20', '1e3x20', '1:2:3']) {
      expect(failure(text, any).code).toBe('invalid_size');
    }
  });

  it('[FLUX-SIZE] gives the kontext models the sizes of the table and the others about a megapixel', () => {
    expect(resolveSize('16:9', table)).toEqual({ width: 1360, height: 768 });
    expect(resolveSize('16:9', any)).toEqual({ width: 1360, height: 768 });
    expect(resolveSize('16:9', strict)).toEqual({ width: 1376, height: 768 });
    expect(resolveSize('21:9', strict).width).toBeLessThanOrEqual(1440);
    expect(resolveSize('7:5', table)).toEqual({ width: 1216, height: 864 });
  });

  it('refuses ratios beyond 1:4 and 4:1, and names the usual ones', () => {
    for (const text of ['5:1', '1:5', '0:1', '1:0', '0:0']) expect(failure(text, any).code).toBe('invalid_size');
    expect(failure('5:1', any).whatToDo).toContain('16:9');
  });

  it('names a size that does when a multiple or the area is missed', () => {
    expect(failure('1000x1000', strict).whatToDo).toContain('992x992');
    const small = { ...any, maxPixels: 1_000_000 };
    const offered = /Use (\S+) or smaller/.exec(failure('2000x2000', small).whatToDo)?.[1] ?? '';
    expect(resolveSize(offered, small)).toEqual({ width: 1000, height: 1000 });
  });

  it('gives every ratio a size that its own rule takes', () => {
    const ratio = fc.tuple(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 40 }));
    fc.assert(
      fc.property(ratio, fc.constantFrom(any, table, strict), ([across, down], rule) => {
        fc.pre(across / down <= 4 && down / across <= 4);
        const size = resolveSize(`${across}:${down}`, rule);
        expect(resolveSize(`${size.width}x${size.height}`, rule)).toEqual(size);
        const wanted = Math.max(256 / 1440, across / down);
        expect(Math.abs(Math.log(size.width / size.height / wanted))).toBeLessThan(0.12);
      }),
    );
  });

  it('has a table that is true to its ratios', () => {
    for (const [ratio, { width, height }] of Object.entries(RATIO_TABLE)) {
      const [across = 0, down = 0] = ratio.split(':').map(Number);
      expect(Math.abs(width / height / (across / down) - 1)).toBeLessThan(0.01);
      expect([width % 16, height % 16]).toEqual([0, 0]);
    }
  });
});
