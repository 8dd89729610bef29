// From samples to rows: each figure of a variant, and what it is compared with, paired by round.
import type { Histogram } from './histogram.ts';
import { key, type Sample } from './rounds.ts';
import { type Estimate, median, pairedDifference, pairedRatio } from './statistics.ts';

export interface Row {
  variant: string;
  connections: number;
  /** Calls in all rounds together. */
  calls: number;
  /** Calls per second, the median of the rounds. */
  rate: number;
  /** Of all latencies, in microseconds. */
  p50: number;
  p99: number;
  /** Microseconds that the median call takes longer than direct; absent for direct. */
  addedP50?: Estimate;
  /** Microseconds of CPU per call, the median of the rounds; absent for direct. */
  cpu?: number;
  cpuBehind?: number;
  /** Against the bare pass-through of the same rounds; absent for it and for direct. */
  rateRatio?: Estimate;
  cpuRatio?: Estimate;
}

export interface Roles {
  direct: string;
  reference: string;
}

/** @throws Error when a variant was not measured in every round */
export function summarize(
  samples: readonly Sample[],
  latencies: ReadonlyMap<string, Histogram>,
  { direct, reference }: Roles,
  random: () => number,
): Row[] {
  const order = [...new Map(samples.map((sample) => [key(sample.variant, sample.connections), sample])).values()];
  return order
    .toSorted((a, b) => a.connections - b.connections)
    .map(({ variant, connections }): Row => {
      const of = (name: string) =>
        samples
          .filter((sample) => sample.variant === name && sample.connections === connections)
          .toSorted((a, b) => a.round - b.round);
      const own = of(variant);
      const histogram = latencies.get(key(variant, connections));
      if (histogram === undefined) throw new Error(`no latencies of ${variant} at ${connections} connections`);
      const rates = own.map(({ rate }) => rate);
      const row: Row = {
        variant,
        connections,
        calls: own.reduce((sum, { calls }) => sum + calls, 0),
        rate: median(rates),
        p50: histogram.percentile(0.5),
        p99: histogram.percentile(0.99),
      };
      if (variant === direct) return row;
      row.addedP50 = pairedDifference(p50s(own), p50s(of(direct)), random);
      row.cpu = median(cpus(own));
      row.cpuBehind = median(own.map(({ cpuBehind }) => cpuBehind ?? 0));
      if (variant === reference) return row;
      const bare = of(reference);
      row.rateRatio = pairedRatio(
        rates,
        bare.map(({ rate }) => rate),
        random,
      );
      row.cpuRatio = pairedRatio(cpus(own), cpus(bare), random);
      return row;
    });
}

function p50s(samples: readonly Sample[]): number[] {
  return samples.map(({ p50 }) => p50);
}

function cpus(samples: readonly Sample[]): number[] {
  return samples.map(({ cpu, variant }) => {
    if (cpu === undefined) throw new Error(`no CPU time of ${variant}`);
    return cpu;
  });
}
