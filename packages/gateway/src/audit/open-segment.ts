import type { HeadSigner, SignedHead, Tip } from './chain.ts';
import type { CallRecord } from './record.ts';
import type { SegmentFiles } from './segments.ts';

/** A record on its way to the file. */
export interface Entry {
  time: string;
  kind: string;
  /** JSON members; empty for an own head, whose members are made when its place in the chain is known. */
  members: string;
  /** Of an own head: who signs it, where that is not the present signer. */
  signer?: HeadSigner;
  /** It must survive loss of power. */
  power: boolean;
  /** What the members were made of, for a follower of the chain. */
  record?: CallRecord;
  resolve?: () => void;
  reject?: (error: Error) => void;
  /** Where its line stands in the group that was composed last, in bytes, the line feed included. */
  start?: number;
  end?: number;
  /** The chain's tip with it, once its line was made. */
  tip?: Tip;
  /** Of an own head, once it is made. */
  head?: SignedHead;
}

/** Milliseconds between two looks whether the file is still where it was; each look is two calls to the system. */
const LOOK_EVERY_MS = 100;

/** A segment that is being written, and who waits for its next sync. */
export class OpenSegment {
  readonly fd: number;
  readonly path: string;
  readonly firstSeq: number;
  /** Bytes of whole records in the file. */
  bytes = 0;
  readonly #files: SegmentFiles;
  readonly #onSyncFailed: (segment: OpenSegment, error: Error, refused: readonly Entry[]) => void;
  #syncing: readonly Entry[] | undefined;
  #waiting: Entry[] = [];
  #retired: boolean = false;
  #held: boolean = false;
  #closed: boolean = false;
  #lookedAt = Number.NEGATIVE_INFINITY;

  constructor(
    files: SegmentFiles,
    fd: number,
    path: string,
    firstSeq: number,
    onSyncFailed: (segment: OpenSegment, error: Error, refused: readonly Entry[]) => void,
  ) {
    this.#files = files;
    this.fd = fd;
    this.path = path;
    this.firstSeq = firstSeq;
    this.#onSyncFailed = onSyncFailed;
  }

  /** Entries that wait for a sync. */
  get depth(): number {
    return this.#waiting.length + (this.#syncing?.length ?? 0);
  }

  /** @throws Error when not all bytes were written; `bytes` is then what it was. */
  write(data: Buffer): void {
    const now = performance.now();
    if (now - this.#lookedAt >= LOOK_EVERY_MS) {
      this.#look();
      this.#lookedAt = now;
    }
    const count = this.#files.write(this.fd, data);
    if (count !== data.length) {
      const reason = `only ${count} of ${data.length} bytes were written, as when there is no space left`;
      throw Object.assign(new Error(reason), { short: true });
    }
    this.bytes += data.length;
  }

  /** Resolves what was written: at once, or after a sync that all who wait by then share. */
  settle(written: readonly Entry[]): void {
    for (const entry of written) {
      if (entry.power) this.#waiting.push(entry);
      else entry.resolve?.();
    }
    this.#sync();
  }

  /** Waits for the disk; for what is rare. @throws Error when the sync fails. */
  syncNow(): void {
    this.#files.syncNow(this.fd);
    this.#look();
    for (const entry of this.#waiting.splice(0)) entry.resolve?.();
  }

  /** Gives back those whose sync has not begun. */
  takeWaiting(): Entry[] {
    return this.#waiting.splice(0);
  }

  /** Keeps the file open, retired or not, until `release`: its length is still to be asked. */
  hold(): void {
    this.#held = true;
  }

  release(): void {
    this.#held = false;
    this.#closeWhenDone();
  }

  /** Nothing more is written here. */
  retire(): void {
    this.#retired = true;
    this.#closeWhenDone();
  }

  #sync(): void {
    if (this.#syncing || this.#waiting.length === 0) return;
    const entries = this.#waiting.splice(0);
    this.#syncing = entries;
    this.#files.sync(this.fd, (failure) => {
      const error = failure ?? this.#missing();
      this.#syncing = undefined;
      if (error) this.#onSyncFailed(this, error, entries);
      else for (const entry of entries) entry.resolve?.();
      this.#sync();
      this.#closeWhenDone();
    });
  }

  /** A file that was deleted or moved away still takes every write, and all of it would be lost. */
  #missing(): Error | undefined {
    return this.#files.inPlace(this.fd, this.path) ? undefined : new Error(`${this.path} was deleted or moved away`);
  }

  #look(): void {
    const missing = this.#missing();
    if (missing) throw missing;
  }

  #closeWhenDone(): void {
    // A descriptor closed under a running sync could be given to another file meanwhile.
    if (!this.#retired || this.#held || this.#syncing || this.#closed) return;
    // Once: the number may be another file's, or a connection's, by the next time.
    this.#closed = true;
    try {
      this.#files.close(this.fd);
    } catch {
      // Nothing depends on it: what must be durable was synced or refused before.
    }
  }
}
