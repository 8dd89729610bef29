// Definitions whose very bytes were taken in before, so that a list page that shows nothing new costs one hash an item.
import { hash } from 'node:crypto';

/** Bounds the memory that an upstream with ever-changing definitions can take. */
const MAX = 100_000;

export class SeenDefinitions {
  #seen = new Set<string>();

  has(server: string, bytes: Uint8Array): boolean {
    return this.#seen.has(key(server, bytes));
  }

  add(server: string, bytes: Uint8Array): void {
    if (this.#seen.size >= MAX) this.#seen = new Set();
    this.#seen.add(key(server, bytes));
  }

  /** A definition that was accepted or removed by hand is compared anew. */
  clear(): void {
    this.#seen = new Set();
  }
}

function key(server: string, bytes: Uint8Array): string {
  return `${server}:${hash('sha256', bytes, 'base64')}`;
}
