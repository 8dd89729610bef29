import { Worker } from 'node:worker_threads';
import type { MediaJob, MediaReply, MediaRequest, MediaResult } from './jobs.ts';

interface Waiting {
  job: MediaJob;
  resolve: (result: MediaResult) => void;
  reject: (error: Error) => void;
  signal: AbortSignal | undefined;
  onAbort: () => void;
}

interface Slot {
  worker: Worker;
  busy: { id: number; waiting: Waiting } | undefined;
}

/** Published as JavaScript, run from source as TypeScript: the worker stands beside this file in either form. */
const WORKER_URL = new URL(`./worker${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url);

/**
 * Runs drawing, decoding and encoding off the main thread. Threads start with the first job that needs them and stay.
 * A thread that dies fails its job alone; the next job gets a new one.
 */
export class MediaPool {
  readonly #size: number;
  readonly #slots: Slot[] = [];
  readonly #queue: Waiting[] = [];
  #lastId = 0;
  readonly #closing = new AbortController();

  /** @param size most threads at a time, at least 1 */
  constructor(size: number) {
    this.#size = Math.max(1, size);
  }

  /**
   * @throws Error with the worker's reason, or the signal's reason when it is aborted. A job that is already being drawn is
   *   left to end in its thread and its result is dropped.
   */
  run(job: MediaJob, signal?: AbortSignal): Promise<MediaResult> {
    if (this.#closing.signal.aborted) return Promise.reject(new Error('the media pool is closed'));
    if (signal?.aborted) return Promise.reject(signal.reason as Error);
    return new Promise((resolve, reject) => {
      const waiting: Waiting = {
        job,
        resolve,
        reject,
        signal,
        onAbort: () => {
          const place = this.#queue.indexOf(waiting);
          if (place !== -1) this.#queue.splice(place, 1);
          reject(signal?.reason as Error);
        },
      };
      signal?.addEventListener('abort', waiting.onAbort, { once: true });
      this.#queue.push(waiting);
      this.#dispatch();
    });
  }

  async close(): Promise<void> {
    this.#closing.abort();
    for (const waiting of this.#queue.splice(0)) settle(waiting, new Error('the server is stopping'));
    await Promise.all(this.#slots.splice(0).map(({ worker }) => worker.terminate()));
  }

  #dispatch(): void {
    while (this.#queue.length > 0) {
      const slot = this.#slots.find(({ busy }) => busy === undefined) ?? this.#grow();
      const waiting = slot && this.#queue.shift();
      if (!waiting) return;
      this.#lastId += 1;
      slot.busy = { id: this.#lastId, waiting };
      // Only a busy thread keeps the process alive: an idle one must not stop it from ending with its input.
      slot.worker.ref();
      slot.worker.postMessage({ id: this.#lastId, job: waiting.job } satisfies MediaRequest);
    }
  }

  #grow(): Slot | undefined {
    if (this.#slots.length >= this.#size) return undefined;
    const slot: Slot = { worker: new Worker(WORKER_URL), busy: undefined };
    slot.worker.on('message', (reply: MediaReply) => {
      if (slot.busy?.id !== reply.id) return;
      this.#free(slot, 'result' in reply ? reply.result : new Error(reply.error));
    });
    const gone = (error: Error): void => {
      const place = this.#slots.indexOf(slot);
      if (place !== -1) this.#slots.splice(place, 1);
      this.#free(slot, error);
    };
    slot.worker.on('error', gone);
    slot.worker.on('exit', (code) => gone(new Error(`the drawing thread ended with code ${code}`)));
    this.#slots.push(slot);
    return slot;
  }

  #free(slot: Slot, outcome: MediaResult | Error): void {
    const waiting = slot.busy?.waiting;
    slot.busy = undefined;
    slot.worker.unref();
    if (waiting) settle(waiting, outcome);
    if (!this.#closing.signal.aborted) this.#dispatch();
  }
}

function settle(waiting: Waiting, outcome: MediaResult | Error): void {
  waiting.signal?.removeEventListener('abort', waiting.onAbort);
  if (outcome instanceof Error) waiting.reject(outcome);
  else waiting.resolve(outcome);
}
