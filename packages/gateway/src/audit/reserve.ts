import { randomFillSync } from 'node:crypto';
import { closeSync, fsyncSync, ftruncateSync, openSync, rmSync, statfsSync, statSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import type { Schedule, Timer } from './schedule.ts';

/** Name of the reserve in the log's folder. Holds nothing; it may be deleted, and is then made again. */
export const RESERVE_FILE = 'reserve';

const CHUNK = 1024 * 1024;
/** Parts that it is let go in: who else fills the disk gets one of them at most before the log has written. */
const SLICES = 8;
const LOOK_MS = 5_000;
/** What the reserve asks of the file system; a test puts faults here. */
export interface ReserveFiles {
  /** Bytes that the file really holds on the disk; 0 when there is none. */
  allocated(path: string): number;
  /** Bytes that this user may still write there. */
  free(dir: string): number;
  /** Gives back to the disk what the file holds beyond `bytes`. */
  shrink(path: string, bytes: number): void;
  /** Makes the file hold `bytes`, of which it has `from`; stops early once `wanted` says no. */
  grow(path: string, from: number, bytes: number, wanted: () => boolean): Promise<void>;
}

export const reserveFiles: ReserveFiles = {
  allocated(path) {
    const stats = statSync(path, { throwIfNoEntry: false });
    // A file with holes is as long as it says, and holds less.
    return stats === undefined ? 0 : Math.min(stats.size, stats.blocks * 512);
  },
  free(dir) {
    const { bavail, bsize } = statfsSync(dir);
    return bavail * bsize;
  },
  shrink(path, bytes) {
    if (bytes === 0) {
      rmSync(path, { force: true });
      return;
    }
    const fd = openSync(path, 'r+');
    try {
      ftruncateSync(fd, bytes);
      // A journalling file system gives blocks away only once the change that freed them is stored.
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
  },
  async grow(path, from, bytes, wanted) {
    // Chance, since a file system that compresses would keep no room for zeros.
    const chunk = randomFillSync(Buffer.allocUnsafe(Math.min(CHUNK, bytes)));
    let file: FileHandle;
    try {
      file = await open(path, 'r+');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      file = await open(path, 'wx', 0o600);
    }
    try {
      for (let at = from; at < bytes && wanted(); ) {
        at += (await file.write(chunk, 0, Math.min(chunk.length, bytes - at), at)).bytesWritten;
      }
      if (wanted()) await file.sync();
    } finally {
      await file.close();
    }
  },
};

/**
 * True for errors that mean that there is no room: the disk, or what this user may use of it. A short write names no
 * cause, and has hardly another one; what is free cannot be asked where it is a quota that is used up.
 */
function meansFull(error: unknown): boolean {
  const { code, short } = error as NodeJS.ErrnoException & { short?: boolean };
  return code === 'ENOSPC' || code === 'EDQUOT' || short === true;
}

export interface ReserveOptions {
  /** The log's folder. */
  dir: string;
  /** Bytes to keep; 0 keeps none. */
  bytes: number;
  schedule: Schedule;
  files?: ReserveFiles;
}

export interface ReserveState {
  /** Bytes to keep, as set. */
  bytes: number;
  /** Bytes kept now. */
  held: number;
  /** The disk was full: nothing new is begun until the reserve is whole again. */
  spent: boolean;
  /** Why it is not whole, where it is not. */
  problem?: string;
}

/**
 * A part of the disk kept for the log (spec: gateway §9). While the disk is full it is let go, a slice at a failed write,
 * so that the outcomes of calls under way, a head and the `stop` record find room; whoever would begin something new asks
 * `spent` first. When the disk has twice its size free again it is made anew, and what is new may begin.
 *
 * Several processes on one log share it: each notices a full disk by itself.
 */
export class DiskReserve {
  readonly #options: ReserveOptions;
  readonly #path: string;
  readonly #files: ReserveFiles;
  #held = 0;
  #spent: boolean = false;
  #problem: string | undefined;
  #timer: Timer | undefined;
  #growing: Promise<void> | undefined;
  /** Grows with each slice let go: who was making the reserve stops. */
  #releases = 0;
  #closed: boolean = false;

  constructor(options: ReserveOptions) {
    this.#options = options;
    this.#path = join(options.dir, RESERVE_FILE);
    this.#files = options.files ?? reserveFiles;
  }

  /** Looks for the reserve of an earlier process; makes what is missing of it, behind the caller, and lets go what is too much. */
  open(): void {
    const { bytes } = this.#options;
    try {
      const found = this.#files.allocated(this.#path);
      // The setting was lowered.
      if (found > bytes) this.#files.shrink(this.#path, bytes);
      this.#held = Math.min(bytes, found);
    } catch (error) {
      this.#problem = messageOf(error);
    }
    if (this.#held < bytes) this.#look();
  }

  /** The disk was full, and the reserve is not whole since. */
  get spent(): boolean {
    return this.#spent;
  }

  get state(): ReserveState {
    const { bytes } = this.#options;
    const state: ReserveState = { bytes, held: this.#held, spent: this.#spent };
    const problem = this.problem;
    if (problem !== undefined) state.problem = problem;
    return state;
  }

  /** A sentence's part, for people. */
  get problem(): string | undefined {
    const { bytes, dir } = this.#options;
    if (this.#held >= bytes && !this.#spent) return undefined;
    const room = `${mebibytes(bytes * 2 - this.#held)} must be free`;
    if (this.#spent) {
      return `the disk of ${dir} is full; ${room} before anything new is recorded (${mebibytes(this.#held)} are left for what is under way)`;
    }
    return this.#problem;
  }

  /**
   * Lets a slice go when a write failed for want of room.
   * @returns true when there is more room now: the write is worth another try at once.
   */
  relieve(error: unknown): boolean {
    if (this.#options.bytes === 0 || this.#closed || !meansFull(error)) return false;
    this.#spent = true;
    this.#releases += 1;
    this.#arm();
    if (this.#held === 0) return false;
    const rest = Math.max(0, this.#held - Math.ceil(this.#options.bytes / SLICES));
    try {
      this.#files.shrink(this.#path, rest);
    } catch (failure) {
      // Gone with it: whoever deleted it made the same room.
      this.#held = 0;
      this.#problem = messageOf(failure);
      return false;
    }
    this.#held = rest;
    return true;
  }

  /** Resolves when nothing is written any more; what is held stays for the next process. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#timer?.cancel();
    await this.#growing;
  }

  #arm(): void {
    if (this.#closed) return;
    this.#timer?.cancel();
    this.#timer = this.#options.schedule(() => this.#look(), LOOK_MS);
  }

  #look(): void {
    if (this.#closed || this.#growing !== undefined) return;
    const { bytes, dir } = this.#options;
    let free: number;
    try {
      free = this.#files.free(dir);
    } catch (error) {
      this.#problem = messageOf(error);
      this.#arm();
      return;
    }
    if (free + this.#held < bytes * 2) {
      this.#problem = `the disk has ${mebibytes(free)} free, too little to keep a reserve of ${mebibytes(bytes)}`;
      this.#arm();
      return;
    }
    this.#growing = this.#grow().finally(() => {
      this.#growing = undefined;
      if (this.#held < bytes) this.#arm();
    });
  }

  async #grow(): Promise<void> {
    const { bytes } = this.#options;
    const begun = this.#releases;
    const wanted = (): boolean => this.#releases === begun && !this.#closed;
    let failure: unknown;
    try {
      await this.#files.grow(this.#path, this.#held, bytes, wanted);
    } catch (error) {
      failure = error;
    }
    if (failure === undefined && wanted()) {
      this.#held = bytes;
      this.#spent = false;
      this.#problem = undefined;
      return;
    }
    if (failure !== undefined) this.#problem = messageOf(failure);
    try {
      // What was written before it failed is no reserve, and others need the room.
      if (this.#held === 0 || this.#files.allocated(this.#path) > this.#held) {
        this.#files.shrink(this.#path, this.#held);
      }
    } catch (error) {
      this.#problem = messageOf(error);
    }
  }
}

const mebibytes = (bytes: number): string => `${(Math.max(0, bytes) / 1024 ** 2).toFixed(1)} MiB`;

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
