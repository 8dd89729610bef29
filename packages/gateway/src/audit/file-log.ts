import { createSecretKey, randomBytes } from 'node:crypto';
import { statSync } from 'node:fs';
import { type VerifyReport, verifyAuditLog } from '@gatehouse/verify';
import type { JsonValue } from '@gatehouse/wire';
import { type HeadSigner, headSigner } from './chain.ts';
import { signCut } from './cut.ts';
import { digestArguments, Mac } from './digest.ts';
import { streamLines } from './export.ts';
import { Indexer } from './indexer.ts';
import { recordKeys } from './key-changes.ts';
import type { AuditKeys, AuditLog, AuditLogOptions, AuditMark, AuditStats, CutAccess } from './log.ts';
import {
  type AdminRecord,
  adminMembers,
  type CallRecord,
  callMembers,
  MAX_RECORD_BYTES,
  type Stream,
} from './record.ts';
import { firstRecords, surveyChains } from './recover.ts';
import { DiskReserve } from './reserve.ts';
import { unrefTimers } from './schedule.ts';
import type { AdminPage, AdminQuery, AuditPage, AuditQuery, AuditRow } from './search.ts';
import { listSegments, makeStreamFolder, nodeFiles, WRITER_ID } from './segments.ts';
import { StreamWriter } from './stream-writer.ts';
import type { Durability, StoredLine } from './writer-options.ts';

const STREAMS: readonly Stream[] = ['calls', 'admin'];
/** Ids sort by the time of start, so that files and exports come in order. */
export function newWriterId(now: number): string {
  return `${Math.max(0, Math.floor(now)).toString(36).padStart(9, '0')}-${randomBytes(4).toString('hex')}`;
}

/** True when a query names anything that leaves records out. */
function isFiltered(query: AuditQuery): boolean {
  return Object.entries(query).some(([name, value]) => value !== undefined && name !== 'limit' && name !== 'cursor');
}

/** The log as segment files in a folder, with its index beside them. */
export class FileAuditLog implements AuditLog {
  readonly #dir: string;
  readonly #calls: StreamWriter;
  readonly #admin: StreamWriter;
  readonly #clock: () => number;
  #signer: HeadSigner;
  /** Earlier ones, newest first: their heads are this log's own. */
  #previous: readonly HeadSigner[];
  #mac: Mac;
  readonly #listeners = new Set<(stored: StoredLine) => void>();
  readonly #indexer: Indexer;
  readonly #reserve: DiskReserve;
  readonly cutting: CutAccess;
  #closed: boolean = false;

  constructor(options: AuditLogOptions) {
    const { dir, clock, hmacKey, signingSeed, keyId } = options;
    if (hmacKey.length < 32) {
      throw new RangeError(`The audit log's HMAC key has ${hmacKey.length} bytes; it needs at least 32.`);
    }
    const writer = options.writer ?? newWriterId(clock());
    if (!WRITER_ID.test(writer)) {
      throw new RangeError(`The writer id ${JSON.stringify(writer)} must be 1 to 64 of A–Z a–z 0–9 _ -`);
    }
    this.#dir = dir;
    this.#clock = clock;
    this.#signer = headSigner(signingSeed, keyId);
    this.#previous = (options.previousKeys ?? []).map((key) => headSigner(key.signingSeed, key.keyId));
    this.#mac = new Mac(createSecretKey(hmacKey));
    const schedule = options.schedule ?? unrefTimers;
    this.#indexer = new Indexer({
      dir,
      writer,
      schedule,
      segments: () => this.#calls.segments + this.#admin.segments,
      behindCalls: options.indexBehindCalls ?? true,
    });
    this.cutting = {
      dir,
      writer,
      sign: (cut) => signCut(this.#signer, cut),
      forgetCut: () => this.#indexer.forgetCut(),
    };
    this.#reserve = new DiskReserve({ dir, bytes: options.reserveBytes ?? 0, schedule });
    for (const stream of STREAMS) {
      makeStreamFolder(dir, stream);
      if (listSegments(dir, stream).some((segment) => segment.writer === writer)) {
        throw new RangeError(
          `The audit log already has a chain of the writer ${writer}; every process needs its own id.`,
        );
      }
    }
    const before = surveyChains(dir, STREAMS);
    const time = new Date(clock()).toISOString();
    const keyChanges = recordKeys(dir, this.#signer, this.#previous, time);
    const make = (stream: Stream): StreamWriter => {
      const made = new StreamWriter({
        dir,
        stream,
        writer,
        clock,
        signer: this.#signer,
        files: { ...nodeFiles, ...options.fs },
        schedule,
        maxSegmentBytes: options.maxSegmentBytes ?? 64 * 1024 * 1024,
        headEvery: options.headEvery ?? 10_000,
        idleHeadMs: options.idleHeadMs ?? 1000,
        onStored: (count, lines) => this.#onStored(count, lines),
        reserve: this.#reserve,
        ...(options.onHead && { onHead: options.onHead }),
        ...(stream === 'calls' ? { follower: options.follower } : {}),
      });
      const { records, heads } = firstRecords(stream, before, this.#signer, time, keyChanges);
      made.open(records);
      if (options.onHead) heads.forEach(options.onHead);
      return made;
    };
    this.#calls = make('calls');
    try {
      this.#admin = make('admin');
    } catch (error) {
      void this.#calls.close().catch(() => undefined);
      throw error;
    }
    this.#reserve.open();
  }

  get writable(): boolean {
    return this.#calls.writable && this.#admin.writable;
  }

  get lastError(): string | undefined {
    const error = this.#calls.lastError ?? this.#admin.lastError;
    return error ?? (this.#reserve.spent ? this.#reserve.problem : undefined);
  }

  // Not `async`: that would add a turn of the microtask queue to every call.
  append(record: CallRecord, durability: Durability): Promise<void> {
    try {
      return this.#calls.append(record.kind, checkedSize(callMembers(record)), durability, record);
    } catch (error) {
      return Promise.reject(error as Error);
    }
  }

  enqueue(record: CallRecord): void {
    let members: string;
    try {
      members = checkedSize(callMembers(record));
    } catch (error) {
      // The outcome of a call that has happened is stored in any case, without what cannot be written of it.
      const { detail: _detail, arguments: _arguments, ...rest } = record;
      members = callMembers({
        ...rest,
        detail: { not_recorded: error instanceof Error ? error.message : String(error) },
      });
    }
    this.#calls.enqueue(record.kind, members, record);
  }

  async admin(record: AdminRecord): Promise<void> {
    await this.#admin.append('admin', checkedSize(adminMembers(record)), 'power');
  }

  digestArguments(args: JsonValue): string {
    return digestArguments(this.#mac, args);
  }

  search(query: AuditQuery): Promise<AuditPage> {
    this.#flush();
    return this.#indexer.search(query);
  }

  searchAdmin(query: AdminQuery): Promise<AdminPage> {
    this.#flush();
    return this.#indexer.changes(query);
  }

  byRequestId(id: string): Promise<AuditRow[]> {
    this.#flush();
    return this.#indexer.request(id);
  }

  tail(listener: (stored: StoredLine) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async *exportLines(query: AuditQuery): AsyncGenerator<string> {
    this.#flush();
    if (isFiltered(query)) {
      yield* this.#indexer.export(query, 'jsonl');
      return;
    }
    for (const stream of STREAMS) yield* streamLines(this.#dir, stream);
  }

  async *exportCsv(query: AuditQuery): AsyncGenerator<string> {
    this.#flush();
    yield* this.#indexer.export(query, 'csv');
  }

  async verify(): Promise<VerifyReport> {
    this.#flush();
    const publicKeys = [this.#signer, ...this.#previous].map(({ keyId, publicKey }) => ({ keyId, publicKey }));
    return verifyAuditLog({ dir: this.#dir, publicKeys });
  }

  publicKey(): string {
    return this.#signer.publicKey;
  }

  changeKeys({ hmacKey, signingSeed, keyId }: AuditKeys): void {
    const [before, next] = [this.#signer, headSigner(signingSeed, keyId)];
    const previous = [before, ...this.#previous];
    const changes = recordKeys(this.#dir, next, previous, new Date(this.#clock()).toISOString());
    const members = `,"key_changes":${JSON.stringify(changes)}`;
    for (const writer of [this.#calls, this.#admin]) writer.changeSigner(next, 'key', members);
    this.#previous = previous.filter((signer) => signer.keyId !== keyId);
    this.#signer = next;
    this.#mac = new Mac(createSecretKey(hmacKey));
  }

  mark(): AuditMark {
    const heads = [this.#calls, this.#admin].map((writer) => writer.headNow());
    // The length of a segment that is open is one of whole records: nothing is written between these two statements.
    const segments = STREAMS.flatMap((stream) =>
      listSegments(this.#dir, stream).map(({ name, path }) => ({ stream, name, path, bytes: statSync(path).size })),
    );
    return { heads, segments };
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    const closed = await Promise.allSettled([this.#calls.close(), this.#admin.close()]);
    await this.#indexer.close();
    await this.#reserve.close();
    for (const result of closed) if (result.status === 'rejected') throw result.reason;
  }

  stats(): AuditStats {
    const records = this.#calls.records + this.#admin.records;
    const made: AuditStats = {
      records,
      queueDepth: this.#calls.queueDepth + this.#admin.queueDepth,
      segments: this.#calls.segments + this.#admin.segments,
      lastHeadSeq: this.#calls.lastHeadSeq,
      indexLag: Math.max(0, records - this.#indexer.indexed),
      dropped: this.#calls.dropped + this.#admin.dropped,
      reserve: this.#reserve.state,
    };
    if (this.#indexer.error !== undefined) made.indexError = this.#indexer.error;
    return made;
  }

  #onStored(count: number, lines: () => StoredLine[]): void {
    this.#indexer.stored(count);
    if (this.#listeners.size === 0) return;
    const stored = lines();
    for (const listener of this.#listeners) {
      for (const line of stored) {
        try {
          listener(line);
        } catch {
          // One who only looks on cannot stop a call.
          this.#listeners.delete(listener);
          break;
        }
      }
    }
  }

  #flush(): void {
    for (const writer of [this.#calls, this.#admin]) writer.flush();
  }
}

function checkedSize(members: string): string {
  // A UTF-16 unit is at most three bytes of UTF-8; 1 KiB is left for the members around.
  if (members.length * 3 > MAX_RECORD_BYTES - 1024 && Buffer.byteLength(members) > MAX_RECORD_BYTES - 1024) {
    throw new RangeError(`An audit record would have more than ${MAX_RECORD_BYTES} bytes; keep less in it.`);
  }
  return members;
}
