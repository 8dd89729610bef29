import type { HeadSigner, SignedHead } from './chain.ts';
import type { ChainFollower } from './follower.ts';
import type { Stream } from './record.ts';
import type { DiskReserve } from './reserve.ts';
import type { Schedule } from './schedule.ts';
import type { SegmentFiles } from './segments.ts';

/** What a record survives once `append` has resolved: the death of the process, or loss of power as well. */
export type Durability = 'process' | 'power';

/** A record could not be stored; the call that it belongs to must not go on. */
export class AuditUnavailableError extends Error {
  override readonly name = 'AuditUnavailableError';
  readonly code = 'audit_unavailable';
  /** The record may stand in the log all the same: it was written, and then could not be made to last. */
  readonly mayStand: boolean;

  constructor(message: string, mayStand = false) {
    super(message);
    this.mayStand = mayStand;
  }
}

/** A record as written: for those that follow the log. */
export interface StoredLine {
  stream: Stream;
  seq: number;
  /** The line without its line feed. */
  line: string;
}

export interface StreamWriterOptions {
  dir: string;
  stream: Stream;
  writer: string;
  clock: () => number;
  signer: HeadSigner;
  files: SegmentFiles;
  schedule: Schedule;
  maxSegmentBytes: number;
  headEvery: number;
  idleHeadMs: number;
  /** Records were stored; `lines` makes them for those who want them. */
  onStored: (count: number, lines: () => StoredLine[]) => void;
  /** Told of each head of this chain that survives loss of power: one that is kept elsewhere must be found again. */
  onHead?: (head: SignedHead) => void;
  /** Room on the disk for what was begun; while it is spent, `append` refuses. */
  reserve?: DiskReserve;
  follower?: ChainFollower | undefined;
}
