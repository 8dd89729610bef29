import { describe, expect, it } from 'vitest';
import { Histogram } from './histogram.ts';
import { key, type Sample } from './rounds.ts';
import { seededRandom } from './statistics.ts';
import { compare, summarize } from './summary.ts';

const roles = { direct: 'direct', reference: 'bare' };

const WORKLOAD = 'json 300 B';

function sample(round: number, variant: string, factor: number): Sample {
  const slow = [1, 3, 2][round]!;
  const place = { round, start: 0, workload: WORKLOAD, variant, connections: 1 };
  return {
    ...place,
    calls: 10,
    rate: 1_000 / (slow * factor),
    p50: 100 * slow + (factor - 1) * 50,
    p99: 1_000 * slow + (factor - 1) * 70,
    ...(variant === 'direct' ? {} : { cpu: 80 * slow * factor, index: slow * factor, behind: 1 }),
    loadShare: 0.2 + round / 100,
    upstreamShare: 0.3,
  };
}

function allSamples() {
  const samples = [0, 1, 2].flatMap((round) => [
    sample(round, 'direct', 1),
    sample(round, 'bare', 2),
    sample(round, 'gateway', 3),
  ]);
  // The order of the samples is not the order of the rounds.
  [samples[2], samples[8]] = [samples[8]!, samples[2]!];
  return samples;
}

function rows() {
  const latencies = new Map(
    ['direct', 'bare', 'gateway'].map((variant) => {
      const histogram = new Histogram();
      histogram.record(120);
      return [key({ workload: WORKLOAD, variant, connections: 1 }), histogram];
    }),
  );
  return summarize(allSamples(), latencies, roles, seededRandom(1));
}

const exactly = (value: number) => ({ value, low: value, high: value });

describe('summarize', () => {
  it('compares within the rounds, so that slow rounds do not show in ratios and differences', () => {
    const [direct, bare, gateway] = rows();
    expect(direct).toEqual({
      workload: WORKLOAD,
      variant: 'direct',
      connections: 1,
      calls: 30,
      rate: 500,
      p50: 120.5,
      p99: 120.99,
      loadShare: 0.22,
      upstreamShare: 0.3,
    });
    expect(bare).toMatchObject({ variant: 'bare', added: { p50: exactly(50), p99: exactly(70) }, cpu: 320 });
    expect(bare?.rateRatio).toBeUndefined();
    expect(bare?.addedToReference).toBeUndefined();
    expect(gateway).toMatchObject({
      added: { p50: exactly(100), p99: exactly(140) },
      addedToReference: { p50: exactly(50), p99: exactly(70) },
      cpuRatio: exactly(1.5),
      index: 6,
      behind: 1,
    });
    expect(gateway?.rateRatio?.value).toBeCloseTo(2 / 3, 10);
    expect(gateway?.rateRatio?.low).toBeCloseTo(2 / 3, 10);
  });
});

describe('compare', () => {
  it('gives ratios of one variant to another, paired by round', () => {
    const [comparison, ...others] = compare(allSamples(), { variant: 'gateway', against: 'bare' }, seededRandom(1));
    expect(others).toEqual([]);
    expect(comparison).toMatchObject({
      workload: WORKLOAD,
      connections: 1,
      variant: 'gateway',
      against: 'bare',
      cpu: exactly(1.5),
    });
    expect(comparison?.rate.value).toBeCloseTo(2 / 3, 10);
    // (3s + 1) / (2s + 1) for s = 1, 3, 2: index and what was put off together.
    expect(comparison?.background.value).toBeCloseTo(7 / 5, 10);
  });

  it('says what cannot be compared', () => {
    const samples = [sample(0, 'gateway', 3), sample(0, 'direct', 1)];
    expect(() => compare(samples, { variant: 'gateway', against: 'direct' }, seededRandom(1))).toThrow(
      'no cpu of json 300 B/direct/1',
    );
    expect(() => compare(samples, { variant: 'gateway', against: 'bare' }, seededRandom(1))).toThrow(
      '1 rounds cannot be paired with 0',
    );
  });
});
