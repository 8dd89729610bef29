import { CallIndex } from './call-index.ts';
import type { Stream } from './record.ts';
import type { Schedule, Timer } from './schedule.ts';
import { AuditUnavailableError } from './stream-writer.ts';

/** Quiet time before the index takes in what was stored, and how long one slice may hold the thread. */
const QUIET_MS = 250;
const SLICE_MS = 4;
/**
 * Records behind which the index gives up waiting for quiet: some seconds of full load, so that the index stays off the
 * path of a burst, and a search still has little to catch up.
 */
const MAX_LAG = 32_768;
const AFTER_ERROR_MS = 5_000;

/** Fills the search index behind the calls. What fails here fails a search, never a call (spec: gateway §9). */
export class Indexer {
  readonly #dir: string;
  readonly #schedule: Schedule;
  #index: CallIndex | undefined;
  #error: string | undefined;
  #timer: Timer | undefined;
  #lag = 0;
  #lagSeen = 0;
  #closed: boolean = false;

  constructor(dir: string, schedule: Schedule) {
    this.#dir = dir;
    this.#schedule = schedule;
  }

  /** Records of this process that the index does not hold yet. */
  get lag(): number {
    return this.#lag;
  }

  /** Why the index does not work, if it does not. */
  get error(): string | undefined {
    return this.#error;
  }

  /** Says that so many records were stored. */
  stored(count: number): void {
    this.#lag += count;
    if (this.#timer || this.#closed) return;
    this.#lagSeen = this.#lag;
    this.#timer = this.#schedule(() => this.#slice(), QUIET_MS);
  }

  /** The index with all that the segments hold. @throws AuditUnavailableError when it cannot be used. */
  caughtUp(): CallIndex {
    if (this.#closed) throw new AuditUnavailableError('The audit log is closed.');
    try {
      const index = this.#open();
      index.catchUp(Number.POSITIVE_INFINITY);
      this.#lag = 0;
      return index;
    } catch (error) {
      this.#fail(error);
      throw new AuditUnavailableError(
        `The audit log's search index in ${this.#dir} cannot be used: ${this.#error}. ` +
          'The records are safe; delete index.db and its -wal and -shm files to have it built again.',
      );
    }
  }

  /** Removes what it holds of a chain up to `lastSeq`. Until it can, rows may lead to records that are gone. */
  async forget(stream: Stream, writer: string, lastSeq: number): Promise<void> {
    if (this.#closed) return;
    try {
      await this.#open().forget(stream, writer, lastSeq);
    } catch (error) {
      // Opened anew, it finds that segments are missing and is built again.
      this.#fail(error);
    }
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
    this.#index?.close();
    this.#index = undefined;
  }

  #slice(): void {
    this.#timer = undefined;
    if (this.#closed) return;
    let again = QUIET_MS;
    const quiet = this.#lag === this.#lagSeen;
    if (quiet || this.#lag >= MAX_LAG) {
      try {
        if (this.#open().catchUp(SLICE_MS)) {
          this.#lag = 0;
          return;
        }
        again = quiet ? 1 : 20;
      } catch (error) {
        this.#fail(error);
        again = AFTER_ERROR_MS;
      }
    }
    this.#lagSeen = this.#lag;
    this.#timer = this.#schedule(() => this.#slice(), again);
  }

  #open(): CallIndex {
    this.#index ??= new CallIndex(this.#dir);
    this.#error = undefined;
    return this.#index;
  }

  #fail(error: unknown): void {
    this.#error = error instanceof Error ? error.message : String(error);
    try {
      this.#index?.close();
    } catch {
      // It is opened anew, and built again if need be.
    }
    this.#index = undefined;
  }
}
