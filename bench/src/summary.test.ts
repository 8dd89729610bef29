import { describe, expect, it } from 'vitest';
import { Histogram } from './histogram.ts';
import { key, type Sample } from './rounds.ts';
import { seededRandom } from './statistics.ts';
import { summarize } from './summary.ts';

const roles = { direct: 'direct', reference: 'bare' };

function sample(round: number, variant: string, factor: number): Sample {
  const slow = [1, 3, 2][round]!;
  return {
    round,
    variant,
    connections: 1,
    calls: 10,
    rate: 1_000 / (slow * factor),
    p50: 100 * slow + (factor - 1) * 50,
    p99: 1_000,
    cpu: variant === 'direct' ? undefined : 80 * slow * factor,
    cpuBehind: variant === 'direct' ? undefined : 1,
    loadShare: 0.2,
  };
}

function rows() {
  const samples = [0, 1, 2].flatMap((round) => [
    sample(round, 'direct', 1),
    sample(round, 'bare', 2),
    sample(round, 'gateway', 3),
  ]);
  // The order of the samples is not the order of the rounds.
  [samples[2], samples[8]] = [samples[8]!, samples[2]!];
  const latencies = new Map(
    ['direct', 'bare', 'gateway'].map((variant) => {
      const histogram = new Histogram();
      histogram.record(120);
      return [key(variant, 1), histogram];
    }),
  );
  return summarize(samples, latencies, roles, seededRandom(1));
}

describe('summarize', () => {
  it('compares within the rounds, so that slow rounds do not show in ratios and differences', () => {
    const [direct, bare, gateway] = rows();
    expect(direct).toEqual({ variant: 'direct', connections: 1, calls: 30, rate: 500, p50: 120.5, p99: 120.99 });
    expect(bare).toMatchObject({ variant: 'bare', addedP50: { value: 50, low: 50, high: 50 }, cpu: 320 });
    expect(bare?.rateRatio).toBeUndefined();
    expect(gateway).toMatchObject({
      addedP50: { value: 100, low: 100, high: 100 },
      cpuRatio: { value: 1.5, low: 1.5, high: 1.5 },
      cpuBehind: 1,
    });
    expect(gateway?.rateRatio?.value).toBeCloseTo(2 / 3, 10);
    expect(gateway?.rateRatio?.low).toBeCloseTo(2 / 3, 10);
  });
});
