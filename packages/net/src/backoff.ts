export interface BackoffOptions {
  /** First delay in milliseconds, above 0. Default 100. */
  minMs?: number;
  /** Longest delay in milliseconds, at least `minMs`. Default 30,000. */
  maxMs?: number;
  /** A run at least this long (milliseconds) counts as stable and starts the series anew. Default 30,000. */
  stableMs?: number;
  /**
   * Spreads the delays of many children that died together: gives a number in [0, 1), and the delay becomes
   * 50–100 % of its nominal value. Without it the delays are exact.
   */
  random?: () => number;
}

/** Doubling delays between the restarts of something that dies; holds no clock and no timer. */
export class Backoff {
  readonly #minMs: number;
  readonly #maxMs: number;
  readonly #stableMs: number;
  readonly #random: (() => number) | undefined;
  #failures = 0;

  /** @throws RangeError when the bounds are not positive or are crossed. */
  constructor(options: BackoffOptions = {}) {
    this.#minMs = options.minMs ?? 100;
    this.#maxMs = options.maxMs ?? 30_000;
    this.#stableMs = options.stableMs ?? 30_000;
    this.#random = options.random;
    if (!(this.#minMs > 0) || !(this.#maxMs >= this.#minMs) || !(this.#stableMs >= 0)) {
      throw new RangeError('Backoff: needs 0 < minMs <= maxMs and stableMs >= 0');
    }
  }

  /** How many failures in a row have been seen. */
  get failures(): number {
    return this.#failures;
  }

  /**
   * Notes that a run ended.
   * @param ranForMs how long it had run, in milliseconds; 0 when it did not start at all.
   * @returns milliseconds to wait before the next start.
   */
  failed(ranForMs: number): number {
    if (ranForMs >= this.#stableMs) this.#failures = 0;
    // 2^53 is far above any sensible ratio of maxMs to minMs, and keeps the power finite.
    const nominal = Math.min(this.#maxMs, this.#minMs * 2 ** Math.min(this.#failures, 53));
    this.#failures += 1;
    return this.#random === undefined ? nominal : nominal * (0.5 + this.#random() / 2);
  }

  /** Starts the series anew, for instance when a person asked for the restart. */
  reset(): void {
    this.#failures = 0;
  }
}
