// What the figures are worth: medians, and how far they would move had other rounds been drawn.

/** A figure with its 95 % bootstrap interval. */
export interface Estimate {
  readonly value: number;
  readonly low: number;
  readonly high: number;
}

const RESAMPLES = 5_000;
const CONFIDENCE = 0.95;

/**
 * Linear interpolation between the closest ranks (type 7 of Hyndman and Fan, 1996).
 * @param share from 0 to 1
 * @throws RangeError for no values
 */
export function quantile(values: readonly number[], share: number): number {
  if (values.length === 0) throw new RangeError('there is no quantile of no values');
  const sorted = values.toSorted((a, b) => a - b);
  const rank = share * (sorted.length - 1);
  const below = Math.floor(rank);
  const low = sorted[below]!;
  const high = sorted[Math.min(below + 1, sorted.length - 1)]!;
  return low + (high - low) * (rank - below);
}

/** @throws RangeError for no values */
export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** Uniform numbers in [0, 1), the same for the same seed (mulberry32: 32 bits of state, enough for resampling). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * The median with its percentile-bootstrap interval: rounds are drawn again, with replacement. Two equal programs differ from
 * start to start by more than from round to round; where everything was started several times, starts are drawn first, and
 * then rounds of each.
 * @param starts which start each value belongs to; left out: all to one
 * @throws RangeError for no values
 */
export function bootstrapMedian(values: readonly number[], random: () => number, starts?: readonly number[]): Estimate {
  const value = median(values);
  const groups = grouped(values, starts);
  const medians = Array.from({ length: RESAMPLES }, () =>
    median(groups.length === 1 ? draw(values, random) : draw(groups, random).flatMap((group) => draw(group, random))),
  );
  return { value, ...bounds(medians) };
}

/**
 * The mean with its percentile-bootstrap interval.
 * @throws RangeError for no values
 */
export function bootstrapMean(values: readonly number[], random: () => number): Estimate {
  const value = mean(values);
  const means = Array.from({ length: RESAMPLES }, () => mean(draw(values, random)));
  return { value, ...bounds(means) };
}

function mean(values: readonly number[]): number {
  if (values.length === 0) throw new RangeError('there is no mean of no values');
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function bounds(resampled: readonly number[]): { low: number; high: number } {
  const tail = (1 - CONFIDENCE) / 2;
  return { low: quantile(resampled, tail), high: quantile(resampled, 1 - tail) };
}

function draw<T>(from: readonly T[], random: () => number): T[] {
  return from.map(() => from[Math.floor(random() * from.length)]!);
}

function grouped(values: readonly number[], starts: readonly number[] | undefined): number[][] {
  if (starts === undefined) return [[...values]];
  if (starts.length !== values.length) throw new RangeError(`${values.length} values of ${starts.length} starts`);
  const groups = new Map<number, number[]>();
  for (const [index, start] of starts.entries()) {
    const group = groups.get(start);
    if (group === undefined) groups.set(start, [values[index]!]);
    else group.push(values[index]!);
  }
  return [...groups.values()];
}

/**
 * The median of `values[i] / reference[i]`. Pairing by round takes out what made a whole round slow.
 * @throws RangeError when the two do not pair, or there is nothing
 */
export function pairedRatio(
  values: readonly number[],
  reference: readonly number[],
  random: () => number,
  starts?: readonly number[],
): Estimate {
  return bootstrapMedian(
    paired(values, reference, (a, b) => a / b),
    random,
    starts,
  );
}

/**
 * The median of `values[i] − reference[i]`.
 * @throws RangeError when the two do not pair, or there is nothing
 */
export function pairedDifference(
  values: readonly number[],
  reference: readonly number[],
  random: () => number,
  starts?: readonly number[],
): Estimate {
  return bootstrapMedian(
    paired(values, reference, (a, b) => a - b),
    random,
    starts,
  );
}

function paired(
  values: readonly number[],
  reference: readonly number[],
  combine: (a: number, b: number) => number,
): number[] {
  if (values.length !== reference.length) {
    throw new RangeError(`${values.length} rounds cannot be paired with ${reference.length}`);
  }
  return values.map((value, round) => combine(value, reference[round]!));
}
