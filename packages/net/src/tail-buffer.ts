/** Keeps the last bytes of a stream, such as the stderr of a child. */
export class TailBuffer {
  readonly #bytes: Uint8Array;
  #next = 0;
  #total = 0;

  /** @param capacity bytes to keep, at least 1. @throws RangeError when it is not. */
  constructor(capacity = 64 * 1024) {
    if (!(Number.isInteger(capacity) && capacity >= 1)) throw new RangeError('TailBuffer: capacity must be at least 1');
    this.#bytes = new Uint8Array(capacity);
  }

  /** All bytes ever pushed, kept or not. */
  get total(): number {
    return this.#total;
  }

  push(chunk: Uint8Array): void {
    const capacity = this.#bytes.length;
    this.#total += chunk.length;
    const tail = chunk.length > capacity ? chunk.subarray(chunk.length - capacity) : chunk;
    const first = Math.min(tail.length, capacity - this.#next);
    this.#bytes.set(tail.subarray(0, first), this.#next);
    this.#bytes.set(tail.subarray(first), 0);
    this.#next = (this.#next + tail.length) % capacity;
  }

  /** The kept bytes, oldest first. */
  bytes(): Uint8Array {
    if (this.#total < this.#bytes.length) return this.#bytes.slice(0, this.#total);
    return Buffer.concat([this.#bytes.subarray(this.#next), this.#bytes.subarray(0, this.#next)]);
  }

  /**
   * The kept text by lines, oldest first; bytes that are not UTF-8 come as U+FFFD. When older bytes were dropped, the
   * first line is left out unless it is the only one, because its beginning is missing.
   */
  lines(): string[] {
    const lines = new TextDecoder().decode(this.bytes()).split(/\r?\n/);
    if (lines.at(-1) === '') lines.pop();
    if (this.#total > this.#bytes.length && lines.length > 1) lines.shift();
    return lines;
  }
}
