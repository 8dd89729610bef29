import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Histogram } from './histogram.ts';

function of(values: number[]): Histogram {
  const histogram = new Histogram();
  for (const value of values) histogram.record(value);
  return histogram;
}

describe('Histogram', () => {
  it('gives percentiles of small values to the microsecond', () => {
    const histogram = of(Array.from({ length: 100 }, (_, index) => index + 1));
    expect(histogram.total).toBe(100);
    expect(histogram.percentile(0.5)).toBe(51);
    expect(histogram.percentile(0.99)).toBe(100);
  });

  it('stays within 1/256 of the exact percentile, whatever was recorded', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 60_000_000 }), { minLength: 1, maxLength: 300 }),
        fc.constantFrom(0.01, 0.5, 0.9, 0.99, 1),
        (values, share) => {
          const sorted = values.toSorted((a, b) => a - b);
          const exact = sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)]!;
          expect(Math.abs(of(values).percentile(share) - exact)).toBeLessThanOrEqual(1 + exact / 256);
        },
      ),
    );
  });

  it('survives the way between processes and adds up when merged', () => {
    const first = of([3, 300, 70_000]);
    const second = Histogram.from(JSON.parse(JSON.stringify(of([5, 5_000]).toData())));
    first.merge(second);
    expect(first.total).toBe(5);
    expect(first.toData()).toEqual(of([3, 5, 300, 5_000, 70_000]).toData());
  });

  it('counts what is longer than its range as its end', () => {
    expect(of([1e12]).percentile(1)).toBe(2 ** 26);
  });

  it('refuses percentiles of nothing and shares that are none', () => {
    expect(() => new Histogram().percentile(0.5)).toThrow('nothing was recorded');
    expect(() => of([1]).percentile(50)).toThrow('a share from 0 to 1, not 50');
  });
});
