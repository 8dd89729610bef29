import type { Worker } from 'node:worker_threads';
import type { ExportFormat, Job, JobName, JobValue } from './index-jobs.ts';
import { IndexThread, startIndexThread } from './index-thread.ts';
import type { Schedule, Timer } from './schedule.ts';
import {
  type AdminPage,
  type AdminQuery,
  type AuditPage,
  type AuditQuery,
  AuditQueryError,
  type AuditRow,
} from './search.ts';
import { AuditUnavailableError } from './writer-options.ts';

/** How often it is looked whether the index should take in what was stored. */
const LOOK_MS = 1_000;
/** Records between two looks up to which the load is low (spec: audit). Above it only closed segments are taken in. */
const LOW_LOAD = 1_000;
const AFTER_ERROR_MS = 5_000;

export interface IndexerOptions {
  /** Folder of the log. */
  dir: string;
  /** The writer whose records this process stores. */
  writer: string;
  schedule: Schedule;
  /** Segments that this process opened so far: when there are more, one was closed. */
  segments: () => number;
  /** False: only searches fill the index, and without one no thread is started. */
  behindCalls: boolean;
  /** Default: the real thread. */
  startThread?: () => Worker;
}

/**
 * The search index, filled behind the calls and asked in a thread of its own, so that neither holds a call up. What
 * fails here fails a search, never a call (spec: gateway §9).
 */
export class Indexer {
  readonly #options: IndexerOptions;
  readonly #thread: IndexThread;
  #error: string | undefined;
  #timer: Timer | undefined;
  #building: boolean = false;
  /** Records stored since the last look, and whether the last building was told of all. */
  #sinceLook = 0;
  #isBehind: boolean = false;
  #segmentsSeen = 0;
  #lastReader = 0;
  #closed: boolean = false;

  constructor(options: IndexerOptions) {
    const { dir, writer, startThread = () => startIndexThread({ dir, writer }) } = options;
    this.#options = options;
    this.#thread = new IndexThread(startThread);
  }

  /** Records of this process, of both streams, that the index holds. */
  get indexed(): number {
    return this.#thread.indexed;
  }

  /** Why the index does not work, if it does not. */
  get error(): string | undefined {
    return this.#error;
  }

  /** Says that so many records were stored. */
  stored(count: number): void {
    this.#sinceLook += count;
    this.#isBehind = true;
    if (this.#timer === undefined && !this.#building) this.#lookIn(LOOK_MS);
  }

  /**
   * A page of calls, with all that is stored; as all that follow.
   * @throws AuditQueryError, AuditUnavailableError (as rejections)
   */
  search(query: AuditQuery): Promise<AuditPage> {
    return this.#ask('search', { query });
  }

  changes(query: AdminQuery): Promise<AdminPage> {
    return this.#ask('changes', { query });
  }

  request(requestId: string): Promise<AuditRow[]> {
    return this.#ask('request', { requestId });
  }

  /** Removes the rows of segments that were cut, as each building does. Never rejects: the next search tries again. */
  async forgetCut(): Promise<void> {
    if (this.#options.behindCalls) await this.#ask('build', { which: 'all' }).catch(() => undefined);
  }

  /** The lines of an export, read only as fast as they are taken. */
  async *export(query: AuditQuery, format: ExportFormat): AsyncGenerator<string> {
    this.#lastReader += 1;
    const reader = this.#lastReader;
    await this.#ask('export', { reader, query, format });
    let hasEnded = false;
    try {
      for (;;) {
        const lines = await this.#ask('read', { reader });
        hasEnded = lines.length === 0;
        if (hasEnded) return;
        yield* lines;
      }
    } finally {
      // A reader who leaves early does not wait for it.
      if (!hasEnded && !this.#closed) this.#thread.run('end', { reader }, false).catch(() => undefined);
    }
  }

  /** Ends the thread; see {@link IndexThread.close}. Rejects whoever waits. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#timer?.cancel();
    await this.#thread.close();
  }

  async #ask<N extends JobName>(name: N, job: Job<N>): Promise<JobValue<N>> {
    if (this.#closed) throw new AuditUnavailableError('The audit log is closed.');
    try {
      const value = await this.#thread.run(name, job, true);
      this.#error = undefined;
      return value;
    } catch (error) {
      if (error instanceof AuditQueryError) {
        this.#error = undefined;
        throw error;
      }
      if (this.#closed) throw new AuditUnavailableError('The audit log is closed.');
      this.#error = (error as Error).message;
      throw new AuditUnavailableError(
        `The audit log's search index in ${this.#options.dir} cannot be used: ${this.#error}. ` +
          'The records are safe; delete index.db and its -wal and -shm files to have it built again.',
      );
    }
  }

  #lookIn(milliseconds: number): void {
    if (this.#closed || !this.#options.behindCalls) return;
    this.#timer = this.#options.schedule(() => this.#look(), milliseconds);
  }

  #look(): void {
    this.#timer = undefined;
    if (this.#closed) return;
    const isLow = this.#sinceLook <= LOW_LOAD;
    const segments = this.#options.segments();
    const hasClosed = segments !== this.#segmentsSeen;
    this.#sinceLook = 0;
    this.#segmentsSeen = segments;
    if (isLow || hasClosed) void this.#build(isLow ? 'all' : 'closed');
    else this.#lookIn(LOOK_MS);
  }

  async #build(which: 'all' | 'closed'): Promise<void> {
    this.#building = true;
    if (which === 'all') this.#isBehind = false;
    let pause = LOOK_MS;
    try {
      await this.#thread.run('build', { which }, false);
      this.#error = undefined;
    } catch (error) {
      this.#error = (error as Error).message;
      this.#isBehind = true;
      pause = AFTER_ERROR_MS;
    }
    this.#building = false;
    if (this.#isBehind) this.#lookIn(pause);
  }
}
