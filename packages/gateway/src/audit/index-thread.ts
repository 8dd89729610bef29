import { Worker } from 'node:worker_threads';
import type { IndexReply, IndexRequest, IndexThreadData, Job, JobName, JobValue } from './index-jobs.ts';
import { AuditQueryError } from './search.ts';

/** How long the thread may take to close the index, before it is ended where it stands. */
const CLOSE_MS = 1_000;
/** A thread that needs more dies alone. Building needs a batch of lines and of rows, searching a page of them. */
const MAX_HEAP_MIB = 512;

/** Published as JavaScript, run from source as TypeScript: the worker stands beside this file in either form. */
const WORKER_URL = new URL(`./index-worker${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url);

/** Starts the thread of the index; it is named `audit-index` for the operating system too. */
export function startIndexThread(data: IndexThreadData): Worker {
  return new Worker(WORKER_URL, {
    name: 'audit-index',
    workerData: data,
    // Node refuses this option for a thread that runs a file.
    execArgv: process.execArgv.filter((option) => !option.startsWith('--input-type')),
    resourceLimits: { maxOldGenerationSizeMb: MAX_HEAP_MIB },
  });
}

interface Waiting {
  /** Somebody waits for the answer, so the process must not end before it. */
  isAsked: boolean;
  resolve: (value: unknown) => void;
  reject: (error: Error) => void;
}

/** The thread that keeps the index, as the main thread sees it: started with the first job, and anew once it died. */
export class IndexThread {
  readonly #start: () => Worker;
  readonly #waiting = new Map<number, Waiting>();
  #worker: Worker | undefined;
  #asked = 0;
  #lastId = 0;
  #indexed = 0;
  #closed: boolean = false;

  constructor(start: () => Worker) {
    this.#start = start;
  }

  /** Records of the writer that the index was last known to hold. */
  get indexed(): number {
    return this.#indexed;
  }

  /**
   * Gives the thread a job.
   * @param isAsked false for what nobody waits for: it does not keep the process alive.
   * @throws AuditQueryError (as a rejection) for a wrong question, Error with the reason when the index or its thread fails.
   */
  run<N extends JobName>(name: N, job: Job<N>, isAsked: boolean): Promise<JobValue<N>> {
    if (this.#closed) return Promise.reject(new Error('the audit log was closed'));
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    try {
      this.#worker ??= this.#launch();
    } catch (error) {
      return Promise.reject(error as Error);
    }
    this.#lastId += 1;
    this.#waiting.set(this.#lastId, { isAsked, resolve, reject });
    if (isAsked) {
      this.#asked += 1;
      this.#worker.ref();
    }
    this.#worker.postMessage({ id: this.#lastId, name, ...job } as IndexRequest);
    return promise as Promise<JobValue<N>>;
  }

  /**
   * Has the thread close the index, and ends it. Takes a second at most, and two more where SQLite waits for a lock.
   * Whoever waits for an answer is refused.
   */
  async close(): Promise<void> {
    const worker = this.#worker;
    const closed = worker && this.run('close', {}, true).catch(() => undefined);
    this.#closed = true;
    if (worker === undefined) return;
    const last = this.#lastId;
    for (const id of [...this.#waiting.keys()]) {
      if (id !== last) this.#settle(id, new Error('the audit log was closed'));
    }
    let timer: NodeJS.Timeout | undefined;
    const tooLong = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, CLOSE_MS);
    });
    await Promise.race([closed, tooLong]);
    clearTimeout(timer);
    await worker.terminate();
  }

  #launch(): Worker {
    const worker = this.#start();
    worker.unref();
    worker.on('message', ({ id, indexed, value, error }: IndexReply) => {
      if (indexed !== undefined) this.#indexed = indexed;
      if (error === undefined) this.#settle(id, undefined, value);
      else this.#settle(id, error.kind === 'query' ? new AuditQueryError(error.message) : new Error(error.message));
    });
    const gone = (reason: string): void => {
      if (this.#worker !== worker) return;
      this.#worker = undefined;
      for (const id of [...this.#waiting.keys()]) this.#settle(id, new Error(reason));
    };
    worker.on('error', (error: unknown) =>
      gone(`its thread failed: ${error instanceof Error ? error.message : String(error)}`),
    );
    worker.on('exit', (code) => gone(`its thread ended with code ${code}`));
    return worker;
  }

  #settle(id: number, error: Error | undefined, value?: unknown): void {
    const waiting = this.#waiting.get(id);
    if (waiting === undefined) return;
    this.#waiting.delete(id);
    if (waiting.isAsked) {
      this.#asked -= 1;
      if (this.#asked === 0) this.#worker?.unref();
    }
    if (error === undefined) waiting.resolve(value);
    else waiting.reject(error);
  }
}
