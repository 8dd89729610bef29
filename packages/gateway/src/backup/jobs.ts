import { randomUUID } from 'node:crypto';
import { GatehouseError } from '../errors.ts';
import type { Actor } from '../model.ts';
import { type BackupReport, type BackupSource, checkTarget, createBackup } from './create.ts';

/** A backup that was asked for; a large one takes longer than anybody waits for an answer. */
export interface BackupJob {
  readonly id: string;
  readonly dir: string;
  state: 'running' | 'done' | 'failed';
  /** Of the log and what lies beside it; 0 until its length is known. */
  bytes: number;
  copied: number;
  report?: BackupReport;
  problem?: { code: string; detail: string };
}

/** Backups of this process, one at a time; the last one is remembered. */
export class Backups {
  readonly #source: BackupSource;
  #last: BackupJob | undefined;
  #running: Promise<void> | undefined;
  readonly #stop = new AbortController();

  constructor(source: BackupSource) {
    this.#source = source;
  }

  /** @throws GatehouseError conflict while one is made or when the folder is not empty; invalid_input */
  async start(target: string, actor: Actor): Promise<BackupJob> {
    const dir = await checkTarget(target, this.#source.dataDir);
    if (this.#last?.state === 'running') {
      throw new GatehouseError('conflict', `A backup is being made already, to ${this.#last.dir}. Wait for its end.`);
    }
    const job: BackupJob = { id: randomUUID(), dir, state: 'running', bytes: 0, copied: 0 };
    this.#last = job;
    this.#running = this.#make(job, actor);
    return job;
  }

  /** @throws GatehouseError not_found */
  get(id: string): BackupJob {
    if (this.#last?.id === id) return this.#last;
    throw new GatehouseError('not_found', `There is no backup ${id}; only the last one of this process is remembered.`);
  }

  /** Ends one that is being made; nothing of it is left. */
  async close(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #make(job: BackupJob, actor: Actor): Promise<void> {
    const { signal } = this.#stop;
    try {
      job.report = await createBackup(this.#source, job.dir, actor, {
        signal,
        onProgress: (progress) => Object.assign(job, progress),
      });
      job.state = 'done';
    } catch (error) {
      const known = error instanceof GatehouseError ? error : undefined;
      job.problem = { code: known?.code ?? 'internal', detail: (error as Error).message };
      job.state = 'failed';
    }
  }
}
