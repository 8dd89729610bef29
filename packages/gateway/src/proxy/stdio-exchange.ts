// Answers to a client on this process's own stdout: one line a message (`gatehouse run`).
import { flattenNewlines } from '@gatehouse/net';
import type { ClientExchange } from './exchange.ts';

export interface LineWriter {
  /** Writes one line. False: hold back until the listener of `onDrain` is called. */
  write(line: Uint8Array): boolean;
  /** Calls the listener once. */
  onDrain(listener: () => void): void;
  readonly closed: boolean;
}

export class StdioExchange implements ClientExchange {
  readonly #out: LineWriter;
  readonly #onSession: (id: string) => void;

  constructor(out: LineWriter, onSession: (id: string) => void) {
    this.#out = out;
    this.#onSession = onSession;
  }

  get closed(): boolean {
    return this.#out.closed;
  }

  setSession(id: string): void {
    this.#onSession(id);
  }

  answer(_status: number, message: Uint8Array): void {
    this.#out.write(flattenNewlines(message));
  }

  send(message: Uint8Array): boolean {
    return this.#out.write(flattenNewlines(message));
  }

  onDrain(listener: () => void): void {
    this.#out.onDrain(listener);
  }

  // A pipe has no heads, no statuses and no events without messages; its end is the end of the process.
  openStream(): void {}
  // One process, one client, one stream.
  holdStream(): boolean {
    return true;
  }
  event(): boolean {
    return true;
  }
  accepted(): void {}
  end(): void {}
  onClose(): void {}
}
