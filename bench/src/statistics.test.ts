import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  bootstrapMean,
  bootstrapMedian,
  median,
  pairedDifference,
  pairedRatio,
  quantile,
  seededRandom,
} from './statistics.ts';

const samples = fc.array(fc.double({ min: 0.01, max: 1e6, noNaN: true }), { minLength: 1, maxLength: 20 });

describe('quantile', () => {
  it.each([
    [[1, 2, 3, 4], 0.5, 2.5],
    [[3, 1, 2], 0.5, 2],
    [[10, 20, 30, 40, 50], 0.25, 20],
    [[10, 20], 0.9, 19],
    [[7], 0.99, 7],
  ])('of %j at %d is %d', (values, share, expected) => {
    expect(quantile(values, share)).toBeCloseTo(expected, 12);
  });

  it('refuses no values', () => {
    expect(() => median([])).toThrow('no values');
  });
});

describe('seededRandom', () => {
  it('gives the same numbers for the same seed, others for another, all in [0, 1)', () => {
    const draw = (seed: number) => Array.from({ length: 1_000 }, seededRandom(seed));
    expect(draw(7)).toEqual(draw(7));
    expect(draw(7)).not.toEqual(draw(8));
    expect(draw(7).every((value) => value >= 0 && value < 1)).toBe(true);
    expect(draw(7).reduce((sum, value) => sum + value, 0) / 1_000).toBeCloseTo(0.5, 1);
  });
});

describe('bootstrapMedian', () => {
  it('gives the median inside an interval that lies inside the sample', () => {
    fc.assert(
      fc.property(samples, fc.integer(), (values, seed) => {
        const { value, low, high } = bootstrapMedian(values, seededRandom(seed));
        expect(value).toBe(median(values));
        expect(low).toBeLessThanOrEqual(value);
        expect(high).toBeGreaterThanOrEqual(value);
        expect(low).toBeGreaterThanOrEqual(Math.min(...values));
        expect(high).toBeLessThanOrEqual(Math.max(...values));
      }),
      { numRuns: 15 },
    );
  });

  it('covers the true median about as often as it says', () => {
    const random = seededRandom(1);
    let covered = 0;
    const trials = 60;
    for (let trial = 0; trial < trials; trial++) {
      const { low, high } = bootstrapMedian(Array.from({ length: 15 }, random), random);
      if (low <= 0.5 && high >= 0.5) covered++;
    }
    expect(covered / trials).toBeGreaterThan(0.85);
    expect(covered / trials).toBeLessThan(1);
  });

  it('is narrower with more rounds', () => {
    const random = seededRandom(3);
    const width = (rounds: number) => {
      const { low, high } = bootstrapMedian(Array.from({ length: rounds }, random), random);
      return high - low;
    };
    expect(width(200)).toBeLessThan(width(8) / 2);
  });

  it('takes starts as a whole, so that rounds of one lucky start do not narrow it', () => {
    // Ten rounds each of two starts: within a start they agree, between the starts they do not.
    const values = [...Array.from({ length: 10 }, () => 1), ...Array.from({ length: 10 }, () => 2)];
    const starts = values.map((value) => value - 1);
    expect(bootstrapMedian(values, seededRandom(1), starts)).toEqual({ value: 1.5, low: 1, high: 2 });
    const pooled = bootstrapMedian(
      Array.from({ length: 20 }, (_, i) => i),
      seededRandom(1),
    );
    const apart = bootstrapMedian(
      Array.from({ length: 20 }, (_, i) => i),
      seededRandom(1),
      starts,
    );
    expect(apart.high - apart.low).toBeGreaterThan(pooled.high - pooled.low);
    expect(() => bootstrapMedian([1, 2], seededRandom(1), [0])).toThrow('2 values of 1 starts');
  });

  it('is reproducible', () => {
    const values = [1.1, 0.9, 1.4, 1.0, 1.2];
    expect(bootstrapMedian(values, seededRandom(5))).toEqual(bootstrapMedian(values, seededRandom(5)));
  });
});

describe('bootstrapMean', () => {
  it('gives the mean inside its interval, which a single leap moves', () => {
    const { value, low, high } = bootstrapMean([0, 0, 0, 0, 0, 0, 0, 80], seededRandom(1));
    expect(value).toBe(10);
    expect(low).toBe(0);
    expect(high).toBeGreaterThanOrEqual(20);
  });

  it('refuses no values', () => {
    expect(() => bootstrapMean([], seededRandom(1))).toThrow('no values');
  });
});

describe('paired figures', () => {
  it('take out what a whole round shares', () => {
    const reference = [100, 10, 1_000, 50];
    const tripled = reference.map((value) => value * 3);
    expect(pairedRatio(tripled, reference, seededRandom(1))).toEqual({ value: 3, low: 3, high: 3 });
    const later = reference.map((value) => value + 20);
    expect(pairedDifference(later, reference, seededRandom(1))).toEqual({ value: 20, low: 20, high: 20 });
  });

  it('refuse rounds that do not pair', () => {
    expect(() => pairedRatio([1, 2], [1], seededRandom(1))).toThrow('2 rounds cannot be paired with 1');
  });
});
