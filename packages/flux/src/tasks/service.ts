import type { Logger } from 'pino';
import { FluxError, toErrorRecord } from '../errors.ts';
import { type ImageFiles, imageIdOf } from '../media/files.ts';
import type { ImageJob, ImageProvider, ProducedImage, SourceImage } from '../providers/provider.ts';
import { isAlive, type LeaseOwner, parseOwner } from './owner.ts';
import { type ImageRecord, isFinished, type TaskRecord, type TaskRequest, type TaskStore } from './store.ts';

/** An owner that does not renew within this time has lost its tasks, in milliseconds. */
const LEASE_MS = 15_000;
const RENEW_MS = 5_000;

export interface TaskServiceParts {
  store: TaskStore;
  files: ImageFiles;
  provider: ImageProvider;
  owner: LeaseOwner;
  log: Logger;
  /** Milliseconds since 1970. */
  now: () => number;
  newTaskId: () => string;
  /** 32 hexadecimal digits that nobody can guess. */
  newImageId: () => string;
  /** Reads the pictures of an edit back in after a restart. */
  loadSources: (bytes: readonly Uint8Array[], signal: AbortSignal) => Promise<SourceImage[]>;
  /** Called once for every task that ended and has a callback URL. */
  onFinished: (task: TaskRecord) => void;
}

interface Running {
  abort: AbortController;
  done: Promise<void>;
  watchers: Set<() => void>;
}

class Cancelled extends Error {}
class Stopping extends Error {}

/** Starts tasks, follows them to their end, and takes over what a process before this one left unfinished. */
export class TaskService {
  readonly #parts: TaskServiceParts;
  readonly #running = new Map<string, Running>();
  #renewal: NodeJS.Timeout | undefined;

  constructor(parts: TaskServiceParts) {
    this.#parts = parts;
  }

  /** Notes the task and begins the work. @returns at once, with the task as it was noted */
  async submit(
    caller: string,
    action: TaskRecord['action'],
    request: Omit<TaskRequest, 'sources'>,
    sources: readonly SourceImage[],
  ): Promise<TaskRecord> {
    const { store, files, provider, owner, now, newTaskId } = this.#parts;
    const id = newTaskId();
    await files.writeSources(
      id,
      sources.map(({ bytes }) => bytes),
    );
    const noted: TaskRequest = { ...request, sources: sources.length };
    store.insert({ id, caller, action, provider: provider.name, request: noted }, owner.id, now() + LEASE_MS);
    const task = this.#require(id, caller);
    this.#follow(task, () => Promise.resolve(sources));
    return task;
  }

  /** The task of a caller; `undefined` for an unknown and for a foreign id alike. */
  get(id: string, caller: string): TaskRecord | undefined {
    const task = this.#parts.store.get(id, caller);
    if (task && !isFinished(task.state) && !this.#running.has(id)) this.recover();
    return task;
  }

  /**
   * Waits until a task ends, the time is up, or the signal aborts.
   *
   * @param ms longest wait in milliseconds
   * @param onChange is called with every new progress
   * @returns the task as it is then; a task of another process is looked at every 250 ms
   */
  async wait(
    id: string,
    caller: string,
    ms: number,
    signal: AbortSignal,
    onChange: (task: TaskRecord) => void = () => {},
  ): Promise<TaskRecord> {
    const end = this.#parts.now() + ms;
    for (;;) {
      const task = this.#require(id, caller);
      const left = end - this.#parts.now();
      if (isFinished(task.state) || left <= 0 || signal.aborted) return task;
      onChange(task);
      await this.#nextChange(id, left, signal);
    }
  }

  /** Ends a running task of this process. @returns whether there was one to end */
  async cancel(id: string): Promise<boolean> {
    const running = this.#running.get(id);
    if (!running) return false;
    running.abort.abort(new Cancelled('the caller cancelled the call'));
    await running.done;
    return true;
  }

  /** Takes over unfinished tasks whose process has ended, and fails those that cannot go on. */
  recover(): void {
    const { store, owner, now } = this.#parts;
    for (const { task, owner: holder, leaseUntil } of store.unfinished()) {
      if (this.#running.has(task.id)) continue;
      const lost = leaseUntil < now() || (holder !== undefined && !isAlive(parseOwner(holder), owner));
      if (!lost || !store.claim(task.id, { owner: holder, leaseUntil }, owner.id, now() + LEASE_MS)) continue;
      const reason = this.#whyNotResumable(task);
      if (reason) this.#end(task, { state: 'failed', message: 'interrupted', error: reason });
      else
        this.#follow(task, async (signal) =>
          this.#parts.loadSources(await this.#parts.files.readSources(task.id, task.request.sources), signal),
        );
    }
  }

  /** Stops the work of this process; what is unfinished can be taken over at once. */
  async close(): Promise<void> {
    clearInterval(this.#renewal);
    const all = [...this.#running.values()];
    for (const { abort } of all) abort.abort(new Stopping('the server is stopping'));
    await Promise.all(all.map(({ done }) => done));
    this.#parts.store.renewLeases(this.#parts.owner.id, 0);
  }

  /** A picture of a caller by its file name `<id>.<ext>`; of anyone when `caller` is `undefined`. */
  imageByFileName(fileName: string, caller: string | undefined): ImageRecord | undefined {
    const id = imageIdOf(fileName);
    const image = id === undefined ? undefined : this.#parts.store.image(id, caller);
    return image && fileName.endsWith(`.${image.format}`) ? image : undefined;
  }

  recentImages(caller: string, limit: number): { image: ImageRecord; createdAt: number }[] {
    return this.#parts.store.recentImages(caller, limit);
  }

  #require(id: string, caller: string): TaskRecord {
    const task = this.#parts.store.get(id, caller);
    if (!task)
      throw new FluxError('unknown_task', `There is no task ${id}.`, 'Use a task id that this server gave you.');
    return task;
  }

  #whyNotResumable(task: TaskRecord): TaskRecord['error'] {
    const { provider } = this.#parts;
    if (task.provider !== provider.name) {
      return toErrorRecord(
        new FluxError(
          'provider_gone',
          `The server was started anew with the provider "${provider.name}", but this task belongs to "${task.provider}".`,
          'Start the server with that provider again, or ask for the picture anew.',
        ),
      );
    }
    if (task.handle === undefined) {
      return toErrorRecord(
        new FluxError(
          'interrupted',
          'The server stopped while it handed this task to the provider. It may have been accepted there, so it was not sent again.',
          'Ask for the picture anew.',
        ),
      );
    }
    return undefined;
  }

  #follow(task: TaskRecord, sources: (signal: AbortSignal) => Promise<readonly SourceImage[]>): void {
    const abort = new AbortController();
    const running: Running = { abort, watchers: new Set(), done: Promise.resolve() };
    this.#running.set(task.id, running);
    running.done = this.#work(task, running, sources).finally(() => {
      this.#running.delete(task.id);
      for (const watcher of running.watchers) watcher();
      if (this.#running.size === 0) {
        clearInterval(this.#renewal);
        this.#renewal = undefined;
      }
    });
    this.#renewal ??= setInterval(
      () => this.#parts.store.renewLeases(this.#parts.owner.id, this.#parts.now() + LEASE_MS),
      RENEW_MS,
    ).unref();
  }

  async #work(
    task: TaskRecord,
    running: Running,
    sources: (signal: AbortSignal) => Promise<readonly SourceImage[]>,
  ): Promise<void> {
    const { provider, store, log } = this.#parts;
    const { signal } = running.abort;
    let handle = task.handle;
    try {
      const job = toJob(task, await sources(signal));
      const onProgress = (done: number, message: string): void => {
        store.setProgress(task.id, Math.min(1, Math.max(0, done)), message);
        for (const watcher of running.watchers) watcher();
      };
      const context = { signal, onProgress };
      if (handle === undefined) {
        handle = await provider.start(job, context);
        store.setHandle(task.id, handle);
      }
      const images = await this.#save(await provider.collect(handle, job, context));
      this.#end(task, { state: 'succeeded', message: `${images.length} made`, images });
    } catch (error) {
      // What a stopping server leaves behind stays unfinished: the next one takes it over.
      if (signal.reason instanceof Stopping) return;
      if (signal.reason instanceof Cancelled) {
        const stopped = handle !== undefined && (await provider.cancel(handle).catch(() => false));
        const message = stopped
          ? 'cancelled by the caller'
          : 'cancelled by the caller; the provider may still end its work';
        this.#end(task, { state: 'cancelled', message });
        return;
      }
      const record = toErrorRecord(error);
      log.warn({ task: task.id, code: record.code, trace_id: record.trace_id }, 'task failed');
      this.#end(task, { state: 'failed', message: 'failed', error: record });
    }
  }

  async #save(produced: readonly ProducedImage[]): Promise<ImageRecord[]> {
    return Promise.all(
      produced.map(async ({ bytes, format, width, height, seed }) => {
        const id = this.#parts.newImageId();
        await this.#parts.files.writeImage({ id, format }, bytes);
        return { id, format, width, height, seed, bytes: bytes.length };
      }),
    );
  }

  #end(task: TaskRecord, end: Parameters<TaskStore['finish']>[1]): void {
    const { store, files, log, onFinished } = this.#parts;
    const first = store.finish(task.id, end);
    files.removeSources(task.id, task.request.sources).catch((error: unknown) => {
      log.warn({ task: task.id, error: String(error) }, 'the source pictures of an ended task could not be removed');
    });
    const ended = store.get(task.id, task.caller);
    if (first && ended && ended.request.callbackUrl !== undefined) onFinished(ended);
  }

  #nextChange(id: string, ms: number, signal: AbortSignal): Promise<void> {
    const watchers = this.#running.get(id)?.watchers;
    return new Promise((resolve) => {
      const over = (): void => {
        clearTimeout(timer);
        watchers?.delete(over);
        signal.removeEventListener('abort', over);
        resolve();
      };
      const timer = setTimeout(over, watchers ? ms : Math.min(ms, 250));
      watchers?.add(over);
      signal.addEventListener('abort', over, { once: true });
    });
  }
}

function toJob(task: TaskRecord, sources: readonly SourceImage[]): ImageJob {
  const { prompt, model, width, height, count, seed, format } = task.request;
  const size = width === undefined || height === undefined ? undefined : { width, height };
  return { taskId: task.id, action: task.action, prompt, model, size, count, seed, format, sources };
}
