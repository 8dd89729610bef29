// From samples to rows: each figure of a variant, and what it is compared with, paired by round.
import { key, type Latencies, type Sample } from './rounds.ts';
import { type Estimate, median, pairedDifference, pairedRatio } from './statistics.ts';

/** How much longer a call takes, in microseconds. */
export interface Added {
  p50: Estimate;
  p99: Estimate;
}

export interface Row {
  workload: string;
  variant: string;
  connections: number;
  /** Calls in all rounds together. */
  calls: number;
  /** Calls per second, the median of the rounds. */
  rate: number;
  /** Of all latencies, in microseconds. */
  p50: number;
  p99: number;
  /** Largest shares of one core that the load generator and the upstream used. */
  loadShare: number;
  upstreamShare: number;
  /** Over direct; absent for direct. */
  added?: Added;
  /** Over the reference; absent for it and for direct. */
  addedToReference?: Added;
  /** Microseconds of CPU per call, the median of the rounds; absent for direct. */
  cpu?: number;
  index?: number;
  behind?: number;
  /** Against the reference of the same rounds; absent for it and for direct. */
  rateRatio?: Estimate;
  cpuRatio?: Estimate;
}

export interface Roles {
  direct: string;
  reference: string;
}

/** One variant against another, paired by round; each a ratio. */
export interface Comparison {
  workload: string;
  connections: number;
  variant: string;
  /** What it is divided by. */
  against: string;
  cpu: Estimate;
  p50: Estimate;
  p99: Estimate;
  rate: Estimate;
  /** CPU for the index and after the load: what no call waited for. */
  background: Estimate;
}

/** @throws Error when a variant was not measured in every round */
export function summarize(
  samples: readonly Sample[],
  latencies: Latencies,
  { direct, reference }: Roles,
  random: () => number,
): Row[] {
  return places(samples).map((place): Row => {
    const own = measured(samples, place);
    const histogram = latencies.get(key(place));
    if (histogram === undefined) throw new Error(`no latencies of ${key(place)}`);
    const row: Row = {
      ...place,
      calls: own.reduce((sum, { calls }) => sum + calls, 0),
      rate: median(own.map(({ rate }) => rate)),
      p50: histogram.percentile(0.5),
      p99: histogram.percentile(0.99),
      loadShare: Math.max(...own.map(({ loadShare }) => loadShare)),
      upstreamShare: Math.max(...own.map(({ upstreamShare }) => upstreamShare)),
    };
    if (place.variant === direct) return row;
    row.added = added(own, measured(samples, { ...place, variant: direct }), random);
    row.cpu = median(own.map(({ cpu }) => cpu ?? 0));
    row.index = median(own.map(({ index }) => index ?? 0));
    row.behind = median(own.map(({ behind }) => behind ?? 0));
    if (place.variant === reference) return row;
    const bare = measured(samples, { ...place, variant: reference });
    row.addedToReference = added(own, bare, random);
    row.rateRatio = ratio(own, bare, 'rate', random);
    row.cpuRatio = ratio(own, bare, 'cpu', random);
    return row;
  });
}

/**
 * One variant against another, wherever both were measured.
 * @throws Error when they were not measured in the same rounds
 */
export function compare(
  samples: readonly Sample[],
  { variant, against }: { variant: string; against: string },
  random: () => number,
): Comparison[] {
  return places(samples)
    .filter((place) => place.variant === variant)
    .map((place): Comparison => {
      const own = measured(samples, place);
      const other = measured(samples, { ...place, variant: against });
      return {
        ...place,
        against,
        cpu: ratio(own, other, 'cpu', random),
        p50: ratio(own, other, 'p50', random),
        p99: ratio(own, other, 'p99', random),
        rate: ratio(own, other, 'rate', random),
        background: ratio(own, other, 'background', random),
      };
    });
}

type Place = Pick<Sample, 'workload' | 'variant' | 'connections'>;

/** In the order of the workloads, then of the numbers of connections, then of the variants. */
function places(samples: readonly Sample[]): Place[] {
  const all = new Map<string, Place>();
  for (const { workload, variant, connections } of samples) {
    const place = { workload, variant, connections };
    if (!all.has(key(place))) all.set(key(place), place);
  }
  const order = [...new Set(samples.map(({ workload }) => workload))];
  return [...all.values()].toSorted(
    (a, b) => order.indexOf(a.workload) - order.indexOf(b.workload) || a.connections - b.connections,
  );
}

function measured(samples: readonly Sample[], place: Place): Sample[] {
  const name = key(place);
  return samples.filter((sample) => key(sample) === name).toSorted((a, b) => a.round - b.round);
}

function added(own: readonly Sample[], other: readonly Sample[], random: () => number): Added {
  const over = (figure: 'p50' | 'p99') =>
    pairedDifference(
      own.map((sample) => sample[figure]),
      other.map((sample) => sample[figure]),
      random,
      own.map(({ start }) => start),
    );
  return { p50: over('p50'), p99: over('p99') };
}

function ratio(
  own: readonly Sample[],
  other: readonly Sample[],
  figure: 'cpu' | 'background' | 'p50' | 'p99' | 'rate',
  random: () => number,
): Estimate {
  const values = (from: readonly Sample[]) =>
    from.map((sample) => {
      const value = figure === 'background' ? backgroundOf(sample) : sample[figure];
      if (value === undefined) throw new Error(`no ${figure} of ${key(sample)}`);
      return value;
    });
  return pairedRatio(
    values(own),
    values(other),
    random,
    own.map(({ start }) => start),
  );
}

function backgroundOf({ index, behind }: Sample): number | undefined {
  return index === undefined || behind === undefined ? undefined : index + behind;
}
