// Definitions whose very bytes were taken in before, so that a list page that shows nothing new costs one hash an item.
import { hash } from 'node:crypto';

/** Bounds the memory that an upstream with ever-changing definitions can take. */
const MAX = 100_000;

/**
 * Holds for one state of the configuration (its epoch): once another definition of a tool was observed or accepted, the
 * one from before is news again, and must be compared with what is accepted now.
 */
export class SeenDefinitions {
  #seen = new Set<string>();
  #epoch = -1;

  has(epoch: number, server: string, bytes: Uint8Array): boolean {
    return this.#epoch === epoch && this.#seen.has(key(server, bytes));
  }

  /** @param epoch the state in which they were taken in and changed nothing */
  add(epoch: number, server: string, bytes: Uint8Array): void {
    if (this.#epoch !== epoch || this.#seen.size >= MAX) this.#seen = new Set();
    this.#epoch = epoch;
    this.#seen.add(key(server, bytes));
  }
}

function key(server: string, bytes: Uint8Array): string {
  return `${server}:${hash('sha256', bytes, 'base64')}`;
}
