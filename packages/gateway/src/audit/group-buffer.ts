import { hash } from 'node:crypto';

const SIZE = 256 * 1024;
/** Above this a buffer is not kept for the next group. */
const MOST_KEPT = 2 * 1024 * 1024;

/**
 * The lines of one group as they go into the file: composed, hashed and written in one place. Making each line a string
 * first and bytes twice (for its hash and for the file) cost more than the hash itself.
 */
export class GroupBuffer {
  #bytes = Buffer.allocUnsafe(SIZE);
  #length = 0;

  /** Bytes in use. */
  get length(): number {
    return this.#length;
  }

  clear(): void {
    this.#length = 0;
    if (this.#bytes.length > MOST_KEPT) this.#bytes = Buffer.allocUnsafe(SIZE);
  }

  add(text: string): void {
    // A UTF-16 unit takes at most three bytes of UTF-8.
    const most = this.#length + text.length * 3;
    if (most > this.#bytes.length) {
      const grown = Buffer.allocUnsafe(Math.max(most, this.#bytes.length * 2));
      this.#bytes.copy(grown, 0, 0, this.#length);
      this.#bytes = grown;
    }
    this.#length += this.#bytes.write(text, this.#length);
  }

  /** SHA-256, hexadecimal, of what stands from `start` on. */
  hashFrom(start: number): string {
    return hash('sha256', this.#bytes.subarray(start, this.#length));
  }

  /** What stands there; valid until the next change. */
  all(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }

  text(start: number, end: number): string {
    return this.#bytes.toString('utf8', start, end);
  }
}
