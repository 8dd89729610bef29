// Latencies as counts per bucket: linear below 256 µs, then 256 buckets for each doubling, so that no bucket is wider than 1/256 of its values.
const PER_OCTAVE = 256;
const OCTAVE_BITS = 8;
const OCTAVES = 18;
const BUCKETS = PER_OCTAVE * (OCTAVES + 1);

/** Sparse, for the way between processes: pairs of bucket and count. */
export type HistogramData = [bucket: number, count: number][];

/** Counts of durations in microseconds, from 0 to 67 s; what is longer counts as 67 s. */
export class Histogram {
  readonly #counts = new Float64Array(BUCKETS);
  #total = 0;

  static from(data: HistogramData): Histogram {
    const histogram = new Histogram();
    for (const [bucket, count] of data) histogram.#add(bucket, count);
    return histogram;
  }

  /** Number of recorded durations. */
  get total(): number {
    return this.#total;
  }

  /** @param micros microseconds, at least 0; fractions are dropped */
  record(micros: number): void {
    this.#add(bucketOf(micros), 1);
  }

  merge(other: Histogram): void {
    for (const [bucket, count] of other.toData()) this.#add(bucket, count);
  }

  /**
   * The duration that the given share of the recorded ones does not exceed, in microseconds, interpolated inside its bucket.
   * @param share from 0 to 1
   * @throws RangeError when nothing was recorded or the share is outside its range
   */
  percentile(share: number): number {
    if (!(share >= 0 && share <= 1)) throw new RangeError(`a share from 0 to 1, not ${share}`);
    if (this.#total === 0) throw new RangeError('nothing was recorded, so there are no percentiles');
    const wanted = share * this.#total;
    let below = 0;
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      const count = this.#counts[bucket]!;
      if (count > 0 && below + count >= wanted) {
        const [from, width] = rangeOf(bucket);
        return from + (width * (wanted - below)) / count;
      }
      below += count;
    }
    throw new RangeError('the counts do not add up to their total');
  }

  toData(): HistogramData {
    const data: HistogramData = [];
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      const count = this.#counts[bucket]!;
      if (count > 0) data.push([bucket, count]);
    }
    return data;
  }

  #add(bucket: number, count: number): void {
    this.#counts[bucket]! += count;
    this.#total += count;
  }
}

function bucketOf(micros: number): number {
  const value = Math.floor(micros);
  if (value < PER_OCTAVE) return Math.max(0, value);
  const octave = Math.floor(Math.log2(value)) - OCTAVE_BITS;
  // Above the first octave each bucket is 2^octave wide; the leading bit is implied by the octave.
  const bucket = PER_OCTAVE * (octave + 1) + Math.floor(value / 2 ** octave) - PER_OCTAVE;
  return Math.min(bucket, BUCKETS - 1);
}

function rangeOf(bucket: number): [from: number, width: number] {
  if (bucket < PER_OCTAVE) return [bucket, 1];
  const octave = Math.floor(bucket / PER_OCTAVE) - 1;
  return [(PER_OCTAVE + (bucket % PER_OCTAVE)) * 2 ** octave, 2 ** octave];
}
