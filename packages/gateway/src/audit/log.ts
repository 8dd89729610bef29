import { setImmediate as nextTurn } from 'node:timers/promises';
import type { VerifyReport } from '@gatehouse/verify';
import type { JsonValue } from '@gatehouse/wire';
import type { SignedHead } from './chain.ts';
import type { CutStatement, SignedCut } from './cut.ts';
import type { ArgumentsDigest } from './digest.ts';
import { FileAuditLog, newWriterId } from './file-log.ts';
import type { ChainFollower } from './follower.ts';
import type { AdminRecord, CallRecord, Stream } from './record.ts';
import type { ReserveState } from './reserve.ts';
import type { Schedule, Timer } from './schedule.ts';
import type { AdminPage, AdminQuery, AuditPage, AuditQuery, AuditRow } from './search.ts';
import type { SegmentFiles } from './segments.ts';
import { AuditUnavailableError, type Durability, type StoredLine } from './writer-options.ts';

export type { AdminRecord, CallRecord, DecisionRecord, LimitRecord, ResultRecord } from './record.ts';
export {
  type AdminPage,
  type AdminQuery,
  type AdminRow,
  type AuditPage,
  type AuditQuery,
  AuditQueryError,
  type AuditRow,
} from './search.ts';
export type { ArgumentsDigest, Durability, ReserveState, Schedule, SignedHead, StoredLine, Timer, VerifyReport };
export { AuditUnavailableError, newWriterId };

export interface AuditStats {
  /** Records of this process, both streams. */
  records: number;
  /** Records that wait to be written or synced. */
  queueDepth: number;
  /** Segment files that this process opened. */
  segments: number;
  /** Number of the last head in this process's chain of calls; 0 before the first. */
  lastHeadSeq: number;
  /** Records of this process that the index does not hold yet. */
  indexLag: number;
  /** Outcomes dropped because the log could not be written for too long. */
  dropped: number;
  /** The part of the disk that is kept for what is under way. */
  reserve: ReserveState;
  /** Why the index does not work, if it does not; calls go on. */
  indexError?: string;
}

/** How retention reaches into a log. */
export interface CutAccess {
  readonly dir: string;
  /** Id of this process's chains, whose last segments are open. */
  readonly writer: string;
  sign(cut: CutStatement): SignedCut;
  /** The search index forgets the records of segments that are gone. Never rejects: the next search does so anyway. */
  forgetCut(): Promise<void>;
}

/** The audit log of one process (spec: audit). */
export interface AuditLog {
  /**
   * Stores a record. Resolves when it is stored as asked; what it belongs to may go on only then.
   * @throws AuditUnavailableError (as a rejection) when it cannot be stored.
   * @throws RangeError (as a rejection) when the record is larger than 8 MiB.
   */
  append(record: CallRecord, durability: Durability): Promise<void>;
  /** Stores a record behind those before it, without a wait. A failure shows in `writable`. */
  enqueue(record: CallRecord): void;
  /** Stores a change of state; survives loss of power. Rejects as `append` does. */
  admin(record: AdminRecord): Promise<void>;
  /** False while records are refused. */
  readonly writable: boolean;
  /** Why they are. */
  readonly lastError?: string | undefined;
  /** What a record may say of arguments: JSON text of an {@link ArgumentsDigest}. */
  digestArguments(args: JsonValue): string;
  /**
   * Calls, newest first, those not yet indexed included.
   * @throws AuditQueryError, and AuditUnavailableError when the search index does not work (as rejections)
   */
  search(query: AuditQuery): Promise<AuditPage>;
  /** Changes of state, newest first; a page of long records may end before its limit. Rejects as `search` does. */
  searchAdmin(query: AdminQuery): Promise<AdminPage>;
  /** The calls of a request id with their whole records. Rejects as `search` does. */
  byRequestId(id: string): Promise<AuditRow[]>;
  /** Calls `listener` with each record that this process stores from now on; returns what ends it. */
  tail(listener: (stored: StoredLine) => void): () => void;
  /**
   * Records as JSON Lines, without line feeds. Without any condition it is both streams whole, as they stand in their
   * segments: such an export can be verified. With conditions it is the records of the calls found, oldest first.
   */
  exportLines(query: AuditQuery): AsyncIterable<string>;
  /** The calls found as CSV, names first, without line ends; cells neutralised against formulas. */
  exportCsv(query: AuditQuery): AsyncIterable<string>;
  /** Verifies the whole folder with this log's public key. */
  verify(): Promise<VerifyReport>;
  /** Public key that heads are signed under, PEM. */
  publicKey(): string;
  /** What retention works with. */
  readonly cutting: CutAccess;
  /**
   * Goes on under other keys: the next records are digested and signed with them, and both streams say so in a record
   * that the old key signs too. Never waits; while the log cannot be written the record waits with the others.
   * @throws AuditUnavailableError when `keys.json` cannot be written; the keys are then the old ones
   */
  changeKeys(next: AuditKeys): void;
  /**
   * Ends both chains with a signed head and says how far every segment is written: what a copy of the log may hold.
   * @throws AuditUnavailableError when they cannot be written
   */
  mark(): AuditMark;
  /** Stores `stop` and a last head in both streams. Rejects when these could not be stored; resources are freed. */
  close(): Promise<void>;
  stats(): AuditStats;
}

/** The keys of a log, as the secret key gives them. */
export type AuditKeys = Pick<AuditLogOptions, 'hmacKey' | 'signingSeed' | 'keyId'>;

/** A point that the whole log had reached. */
export interface AuditMark {
  /** Of this process's chains; to be kept with the copy, or elsewhere. */
  heads: SignedHead[];
  /** Every segment, with its bytes then; of those that are written, whole records only. */
  segments: { stream: Stream; name: string; path: string; bytes: number }[];
}

export interface AuditLogOptions {
  /** Folder of the log; made (mode 700) when it is missing. */
  dir: string;
  /** Milliseconds since the epoch. */
  clock: () => number;
  /** Log key for the digests of arguments; at least 32 bytes. */
  hmacKey: Buffer;
  /** Ed25519 seed, 32 bytes. */
  signingSeed: Buffer;
  /** Name of the signing key. */
  keyId: string;
  /** Earlier signing keys that are at hand, newest first: each is tied to the present one by a statement of both. */
  previousKeys?: readonly Pick<AuditLogOptions, 'signingSeed' | 'keyId'>[];
  /** Id of this process's chains, never used before in this folder; default: one from the time and chance. */
  writer?: string;
  /** A segment that reached this is closed. Bytes; default 64 MiB. */
  maxSegmentBytes?: number;
  /** Records between heads; default 10,000. */
  headEvery?: number;
  /** Milliseconds without a record before a head is made; default 1000. */
  idleHeadMs?: number;
  /** The index takes in what is stored while calls come; false: only when it is searched. Default true. */
  indexBehindCalls?: boolean;
  /** Bytes of disk kept for what is under way when the disk is full; default 0, none. */
  reserveBytes?: number;
  /** Told of each signed head once it survives loss of power. */
  onHead?: (head: SignedHead) => void;
  /** Told of each record of the chain of calls that is stored; adds the `counters` records. */
  follower?: ChainFollower;
  /** File operations, for fault tests. */
  fs?: Partial<SegmentFiles>;
  /** Timers, for tests. */
  schedule?: Schedule;
}

/**
 * Opens the audit log: makes the folders, signs what earlier processes left unsigned, stores the `start` records.
 * @throws AuditUnavailableError when the folder cannot be written.
 * @throws RangeError for keys, ids or numbers out of range.
 */
export async function openAuditLog(options: AuditLogOptions): Promise<AuditLog> {
  const log = new FileAuditLog(options);
  // Whoever serves the first call should not pay for the start.
  await nextTurn();
  return log;
}
