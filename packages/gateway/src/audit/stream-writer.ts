import { join } from 'node:path';
import { Chain, type HeadSigner, type SignedHead, type Tip } from './chain.ts';
import { GroupBuffer } from './group-buffer.ts';
import { type Entry, OpenSegment } from './open-segment.ts';
import type { CallRecord } from './record.ts';
import type { Timer } from './schedule.ts';
import { segmentName, streamFolder } from './segments.ts';
import { AuditUnavailableError, type Durability, type StreamWriterOptions } from './writer-options.ts';

/** Records that one write holds at most; bounds the text built at once. */
const GROUP = 512;
/** Outcomes kept while the log cannot be written; what is beyond is dropped and counted. */
const MAX_BACKLOG = 65_536;
const FIRST_RETRY_MS = 100;
const LAST_RETRY_MS = 5_000;

const isOwnHead = (entry: Entry): boolean => entry.kind === 'head' && entry.members === '';

/**
 * Writes one chain. All records that arrive in one turn of the event loop share one write, and all that ask for it one
 * sync; a record that comes alone waits for no timer.
 *
 * It never goes back over what reached the file: after a short write or a failed sync it goes on after the last whole
 * record there, in a new segment, though the callers of that group were refused. So no two records ever share a number,
 * whatever the disk kept.
 */
export class StreamWriter {
  readonly #options: StreamWriterOptions;
  readonly #chain: Chain;
  readonly #group = new GroupBuffer();
  #signer: HeadSigner;
  #queue: Entry[] = [];
  #scheduled: boolean = false;
  #segment: OpenSegment | undefined;
  #segments = 0;
  #lastHeadSeq = 0;
  #idle: Timer | undefined;
  #retry: Timer | undefined;
  #retryMs = FIRST_RETRY_MS;
  /** The group of a failed write, and the tip before it, while it is unknown how much of it reached the file. */
  #unsettled: { segment: OpenSegment; written: Entry[]; before: Tip } | undefined;
  #error: string | undefined;
  #dropped = 0;
  #opened: boolean = false;
  #stopping: boolean = false;
  #closed: boolean = false;
  #lastTime = Number.NaN;
  #lastTimeText = '';

  constructor(options: StreamWriterOptions) {
    this.#options = options;
    this.#signer = options.signer;
    this.#chain = new Chain(options.stream, options.writer);
  }

  /** Something new may begin. */
  get writable(): boolean {
    return this.#ready && this.#options.reserve?.spent !== true;
  }
  get lastError(): string | undefined {
    return this.#error;
  }
  /** Records can be stored, of what was begun before the disk was full at least. */
  get #ready(): boolean {
    return this.#segment !== undefined && this.#error === undefined && !this.#closed;
  }
  get records(): number {
    return this.#chain.tip.seq;
  }
  get queueDepth(): number {
    return this.#queue.length + (this.#segment?.depth ?? 0);
  }
  get segments(): number {
    return this.#segments;
  }
  get lastHeadSeq(): number {
    return this.#lastHeadSeq;
  }
  /** Records that were dropped because the log could not be written for too long. */
  get dropped(): number {
    return this.#dropped;
  }

  /**
   * Opens the first segment and stores the first records, through to the disk.
   * @throws AuditUnavailableError when it cannot.
   */
  open(first: readonly { kind: string; members: string }[]): void {
    try {
      this.#openSegment();
      const time = this.#now();
      this.#writeGroup(first.map((record) => ({ time, ...record, power: false })));
      this.#segment?.syncNow();
      this.#opened = this.#ready;
    } catch (error) {
      this.#fail(error);
    }
    if (!this.#opened) {
      this.#closed = true;
      this.#release();
      throw new AuditUnavailableError(
        `The audit log in ${streamFolder(this.#options.dir, this.#options.stream)} cannot be written: ${this.#error}. ` +
          'Check that the folder belongs to this user and that the disk has room.',
      );
    }
  }

  /** Stores a record; resolves when it is stored as asked. @throws AuditUnavailableError (as a rejection). */
  append(kind: string, members: string, durability: Durability, record?: CallRecord): Promise<void> {
    if (!this.writable) return Promise.reject(this.#refusal());
    return this.#accept(kind, members, durability, record);
  }

  /** Stores a record behind those before it. While the log cannot be written it waits, within a bound. */
  enqueue(kind: string, members: string, record?: CallRecord): void {
    if (this.#closed || (this.#error !== undefined && this.#queue.length >= MAX_BACKLOG)) {
      this.#dropped += 1;
      return;
    }
    const entry: Entry = { time: this.#now(), kind, members, power: false };
    if (record !== undefined) entry.record = record;
    this.#push(entry);
  }

  /**
   * Signs with another key from now on. The record that says so, and the head of the old key over it, are stored behind
   * what waits; neither is waited for.
   */
  changeSigner(next: HeadSigner, kind: string, members: string): void {
    this.enqueue(kind, members);
    if (!this.#closed) this.#push({ ...this.#ownHead(true), signer: this.#signer });
    this.#signer = next;
  }

  /**
   * Stores what waits and a head over it.
   * @returns a signed head over the last record, for those who keep heads elsewhere
   * @throws AuditUnavailableError when they cannot be written
   */
  headNow(): SignedHead {
    this.flush();
    if (this.writable && this.#chain.tip.seq !== this.#lastHeadSeq) {
      this.#push(this.#ownHead(true));
      this.flush();
    }
    if (!this.writable) throw this.#refusal();
    const { stream, writer } = this.#options;
    return this.#signer.sign({ stream, writer, ...this.#chain.tip, time: this.#now() });
  }

  /** Writes what waits now; a sync that it asks for goes on behind. */
  flush(): void {
    this.#scheduled = false;
    while (this.#queue.length > 0 && this.#ready) {
      const segment = this.#segment!;
      if (segment.bytes >= this.#options.maxSegmentBytes && !this.#rotate(segment)) return;
      if (!this.#writeGroup(this.#queue.splice(0, GROUP))) return;
    }
    this.#writeDue();
  }

  /** Alone in its write: nothing stands before it that the follower was not told. One a turn: calls go first. */
  #writeDue(): void {
    const { follower, maxSegmentBytes } = this.#options;
    // `stop` and its head end the chain.
    if (follower === undefined || !this.writable || this.#stopping) return;
    const due = follower.due();
    if (due === undefined) return;
    const segment = this.#segment as OpenSegment;
    const ready = segment.bytes < maxSegmentBytes || this.#rotate(segment);
    if (ready && this.#writeGroup([{ time: this.#now(), kind: 'counters', ...due }])) follower.dueStored();
    else follower.dueFailed();
    this.#schedule();
  }

  /**
   * Stores a `stop` record and a head over it, and closes the segment.
   * @throws AuditUnavailableError (as a rejection) when these could not be stored.
   */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#stopping = true;
    if (this.#error !== undefined) this.#reopen();
    const last = this.#options.follower?.atStop();
    if (last !== undefined && this.#ready)
      this.#push({ time: this.#now(), kind: 'counters', members: last, power: false });
    try {
      await this.#stop();
    } finally {
      this.#closed = true;
      this.#release();
    }
  }

  async #stop(): Promise<void> {
    for (;;) {
      if (!this.#ready) throw this.#refusal();
      const stored = this.#accept('stop', '', 'power');
      this.#push(this.#ownHead(true));
      this.flush();
      try {
        await stored;
        return;
      } catch (error) {
        // The disk was full, and a slice of the reserve went: there is a new segment, with room.
        if (!this.#ready) throw error;
      }
    }
  }

  #accept(kind: string, members: string, durability: Durability, record?: CallRecord): Promise<void> {
    return new Promise((resolve, reject) => {
      const entry: Entry = { time: this.#now(), kind, members, power: durability === 'power', resolve, reject };
      if (record !== undefined) entry.record = record;
      this.#push(entry);
    });
  }

  #refusal(): AuditUnavailableError {
    return new AuditUnavailableError(
      this.#closed
        ? 'The audit log is closed.'
        : `The audit log cannot be written: ${this.#error ?? this.#options.reserve?.problem}.`,
    );
  }

  #now(): string {
    const now = this.#options.clock();
    if (now !== this.#lastTime) {
      this.#lastTimeText = new Date(now).toISOString();
      this.#lastTime = now;
    }
    return this.#lastTimeText;
  }

  #push(entry: Entry): void {
    this.#queue.push(entry);
    this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => this.flush());
  }

  #ownHead(power: boolean): Entry {
    const { onHead } = this.#options;
    const head: Entry = { time: this.#now(), kind: 'head', members: '', power };
    if (onHead === undefined) return head;
    head.power = true;
    head.resolve = () => {
      if (head.head) onHead(head.head);
    };
    return head;
  }

  #openSegment(): void {
    const { dir, stream, writer, files } = this.#options;
    const firstSeq = this.#chain.tip.seq + 1;
    const path = join(streamFolder(dir, stream), segmentName(writer, firstSeq));
    let fd: number;
    try {
      fd = files.create(path);
      this.#segments += 1;
    } catch (error) {
      // After a fault before the first whole record, the file of that name is this writer's own and holds none.
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST' || this.#segments === 0) throw error;
      fd = files.reopen(path);
      files.truncate(fd, 0);
    }
    this.#segment = new OpenSegment(files, fd, path, firstSeq, (segment, error, refused) => {
      const refusal = new AuditUnavailableError(`The audit log cannot be synced: ${error.message}.`, true);
      for (const entry of refused) entry.reject?.(refusal);
      if (segment === this.#segment) this.#fail(error);
    });
  }

  /** Ends a full segment. It is synced first: a later one that reached the disk alone would be a gap in the chain. */
  #rotate(full: OpenSegment): boolean {
    try {
      full.syncNow();
      full.retire();
      this.#segment = undefined;
      this.#openSegment();
      return true;
    } catch (error) {
      this.#fail(error);
      return false;
    }
  }

  #makeLine(entry: Entry): void {
    const { stream, writer } = this.#options;
    let { members } = entry;
    if (isOwnHead(entry)) {
      const head = (entry.signer ?? this.#signer).sign({ stream, writer, ...this.#chain.tip, time: entry.time });
      members = `,"head":${JSON.stringify(head)}`;
      entry.head = head;
    }
    entry.start = this.#group.length;
    this.#chain.add(this.#group, entry.time, entry.kind, members);
    entry.end = this.#group.length;
    entry.tip = this.#chain.tip;
  }

  #writeGroup(group: Entry[]): boolean {
    const segment = this.#segment!;
    const written: Entry[] = [];
    const before = this.#chain.tip;
    let sinceHead = before.seq - this.#lastHeadSeq;
    this.#group.clear();
    const add = (entry: Entry): void => {
      this.#makeLine(entry);
      written.push(entry);
      sinceHead = isOwnHead(entry) ? 0 : sinceHead + 1;
    };
    for (const entry of group) {
      add(entry);
      if (sinceHead >= this.#options.headEvery) {
        const head = this.#ownHead(false);
        head.time = entry.time;
        add(head);
      }
    }
    try {
      segment.write(this.#group.all());
    } catch (error) {
      this.#unsettled = { segment, written, before };
      segment.hold();
      this.#fail(error);
      return false;
    }
    this.#stored(written);
    segment.settle(written);
    return true;
  }

  /** Bookkeeping for records that stand in the file. */
  #stored(entries: readonly Entry[]): void {
    const { stream, onStored, schedule, idleHeadMs, follower } = this.#options;
    follower?.stored(entries);
    for (const entry of entries) if (isOwnHead(entry)) this.#lastHeadSeq = entry.tip!.seq;
    if (entries.length > 0) {
      onStored(entries.length, () =>
        entries.map(({ tip, start, end }) => ({ stream, seq: tip!.seq, line: this.#group.text(start!, end! - 1) })),
      );
    }
    if (this.#chain.tip.seq === this.#lastHeadSeq) return;
    if (this.#idle) this.#idle.refresh();
    else this.#idle = schedule(() => this.#idleHead(), idleHeadMs);
  }

  #idleHead(): void {
    const headed = this.#chain.tip.seq === this.#lastHeadSeq;
    if (this.#ready && !headed && this.#queue.length === 0) this.#push(this.#ownHead(true));
  }

  /** Refuses all who wait, gives up the segment and begins to try for a new one. */
  #fail(cause: unknown): void {
    this.#error = cause instanceof Error ? cause.message : String(cause);
    const segment = this.#segment;
    this.#segment = undefined;
    const refused = [...(this.#unsettled?.written ?? []), ...(segment?.takeWaiting() ?? [])];
    const kept: Entry[] = [];
    for (const entry of this.#queue) (entry.reject ? refused : kept).push(entry);
    this.#queue = kept;
    const refusal = this.#refusal();
    const written = new AuditUnavailableError(refusal.message, true);
    for (const entry of refused) entry.reject?.(entry.tip === undefined ? refusal : written);
    try {
      this.#settle();
    } catch {
      // The disk does not even tell the file's length; the next try asks again.
    }
    segment?.retire();
    if (this.#closed) return;
    if (this.#opened && this.#options.reserve?.relieve(cause)) {
      this.#reopen();
      return;
    }
    this.#retry?.cancel();
    this.#retry = this.#options.schedule(() => this.#reopen(), this.#retryMs);
    this.#retryMs = Math.min(this.#retryMs * 2, LAST_RETRY_MS);
  }

  /** Finds which records of a failed write are whole in the file, and goes on after the last of them. */
  #settle(): void {
    if (!this.#unsettled) return;
    const { segment, written, before } = this.#unsettled;
    const { files } = this.#options;
    const size = files.size(segment.fd);
    let end = segment.bytes;
    let whole = 0;
    for (const entry of written) {
      const length = entry.end! - entry.start!;
      if (end + length > size) break;
      end += length;
      whole += 1;
    }
    this.#chain.rewind(written[whole - 1]?.tip ?? before);
    segment.bytes = end;
    this.#unsettled = undefined;
    if (size > end) {
      try {
        files.truncate(segment.fd, end);
      } catch {
        // The torn line stays; readers take it for what it is, since the chain goes on in the next segment.
      }
    }
    this.#stored(written.slice(0, whole));
    // Refused records are not written later: their calls were denied. Own heads and counters are made anew.
    const again = written
      .slice(whole)
      .filter((entry) => !entry.reject && !isOwnHead(entry) && entry.kind !== 'counters');
    this.#queue = [...again, ...this.#queue];
    segment.release();
  }

  /** Tries to go on in a new segment: calls pass again once what waited and a head stand there and were synced. */
  #reopen(): void {
    this.#retry?.cancel();
    this.#retry = undefined;
    try {
      this.#settle();
      this.#openSegment();
      if (!this.#writeGroup([...this.#queue.splice(0), this.#ownHead(false)])) return;
      this.#segment?.syncNow();
      this.#error = undefined;
      this.#retryMs = FIRST_RETRY_MS;
    } catch (error) {
      this.#fail(error);
    }
  }

  #release(): void {
    this.#idle?.cancel();
    this.#retry?.cancel();
    this.#unsettled?.segment.release();
    this.#unsettled = undefined;
    this.#segment?.retire();
    this.#segment = undefined;
  }
}
