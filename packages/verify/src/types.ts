/** What can be wrong with a log. Each is found by comparing records with each other, with heads, or with a head from outside. */
export type ProblemCode =
  /** The line is not a record of this format. */
  | 'malformed'
  /** The line is longer than any that a writer makes. */
  | 'line_too_long'
  /** The record's bytes do not have the hash that it carries. */
  | 'hash_mismatch'
  /** The record does not follow the one before it: another `prev`. */
  | 'chain_broken'
  /** Records are missing between two records of one file. */
  | 'sequence_gap'
  /** Records are missing at the beginning of a file or of a chain. */
  | 'missing_segment'
  /** A record stands before one that belongs before it. */
  | 'reordered'
  /** A record stands here a second time. */
  | 'duplicate'
  /** A record of another chain stands in this chain's file. */
  | 'foreign_record'
  /** A head's signature does not fit what it says. */
  | 'signature_invalid'
  /** A head is signed under a key that was not given. */
  | 'unknown_key'
  /** A head says something else than the chain that it stands in. */
  | 'head_mismatch'
  /** A head or start record elsewhere names a record that is different here. */
  | 'reference_mismatch'
  /** A head or start record elsewhere names a record behind this chain's end. */
  | 'truncated'
  /** A head or start record elsewhere names a chain that is not here. */
  | 'missing_chain'
  /** A record tells of a cut and is not signed as one, so that nothing is excused by it. */
  | 'cut_invalid'
  /** The head from outside is not a head, or not signed under a key that was given. */
  | 'external_head_invalid';

/** One thing that is wrong, and where. */
export interface Problem {
  code: ProblemCode;
  stream?: string;
  writer?: string;
  /** The record that should stand at this place. */
  seq?: number;
  file?: string;
  /** Line of the file or of the input, from 1. */
  line?: number;
  /** A plain sentence. */
  message: string;
}

/** A line that was being written when its process or the machine stopped. Not tampering. */
export interface TornLine {
  stream?: string;
  writer?: string;
  /** The last whole record before it. */
  afterSeq?: number;
  file?: string;
  line: number;
  bytes: number;
}

/** An intent without an outcome: the call may have had its effect. */
export interface OpenIntent {
  writer: string;
  seq: number;
  requestId: string;
}

/** What was found of one chain. */
export interface ChainReport {
  stream: string;
  writer: string;
  files: number;
  records: number;
  /** What was before it was cut by retention; 1 where nothing was. */
  firstSeq: number;
  lastSeq: number;
  /** Everything up to here, in unbroken order from `firstSeq`, is held by a signed head. */
  provenSeq: number;
  /** Records that no head holds. */
  unproven: number;
  heads: number;
  /** The chain ends as a process ends that was stopped in order. */
  stopped: boolean;
  lastHead?: { seq: number; hash: string; time: string; keyId: string };
}

/** A signed head as a writer makes it: a member `head` of a record, or kept outside the store. */
export interface SignedHead {
  stream: string;
  writer: string;
  seq: number;
  hash: string;
  time: string;
  key_id: string;
  signature: string;
}

/** What retention cut from a chain, as the record in the stream admin tells it in its member `after`. */
export interface SignedCut {
  stream: string;
  writer: string;
  first_seq: number;
  last_seq: number;
  hash: string;
  first_time: string;
  last_time: string;
  time: string;
  key_id: string;
  signature: string;
}

/** Records that retention removed, as a signed record tells. */
export interface CutReport {
  stream: string;
  writer: string;
  firstSeq: number;
  lastSeq: number;
  /** Times of the first and the last of them. */
  firstTime: string;
  lastTime: string;
  /** When they were cut. */
  time: string;
}

/** A public key that heads may be signed under. */
export interface PublicKeyInput {
  /** Only heads that name this key are checked with it; absent: any head. */
  keyId?: string;
  /** Ed25519 public key, PEM (SPKI) or JWK text. */
  publicKey: string;
}

/** A key that heads were checked with. */
export interface KeyReport {
  /** Absent for a key that was given without a name and that nothing names. */
  keyId?: string;
  /** Given; or tied to a given one by what the log says: as its successor, or as a predecessor that it vouches for. */
  source: 'given' | 'successor' | 'predecessor';
  /** Heads that are signed under it. */
  heads: number;
}

export interface VerifyInput {
  /** Folder of a log, with the folders `calls` and `admin`. */
  dir?: string;
  /** Files of JSON Lines: segments, or exports. Segments must keep their names. */
  files?: readonly string[];
  /** Lines of an export, without line feeds. */
  lines?: AsyncIterable<string> | Iterable<string>;
  /** Without any, chains and numbers are checked and everything is unproven. */
  publicKeys: readonly PublicKeyInput[];
  /** A head that was kept outside the store. */
  externalHead?: SignedHead;
  /** As many of them as were kept. */
  externalHeads?: readonly SignedHead[];
}

export interface VerifyReport {
  /** Nothing is wrong. Torn lines, unproven records and open intents are no fault of the log. */
  ok: boolean;
  records: number;
  proven: number;
  unproven: number;
  heads: number;
  chains: ChainReport[];
  /** In the order of the input; the first 100. */
  problems: Problem[];
  problemCount: number;
  torn: TornLine[];
  intentsWithoutOutcome: { count: number /** The first 100. */; examples: OpenIntent[] };
  /** Names of records that could not be looked up, since the input holds only part of the log. */
  unchecked: number;
  signaturesChecked: boolean;
  /** What retention cut, as far as signed records tell; the first 100. */
  cuts: CutReport[];
  cutCount: number;
  /** Records that were cut, by what these tell. */
  cutRecords: number;
  /**
   * Whether every head from outside was found as it says, those apart that name records which were cut; false when all of
   * them do. Absent when none was given.
   */
  keys: KeyReport[];
  /** Whether the head from outside was found as it says; absent when none was given. */
  externalHeadHeld?: boolean;
  /** How many heads from outside were given, found as they say, and name records that were cut. */
  externalHeads?: { given: number; held: number; cut: number };
  /** Plain sentences: what this result does not say. */
  cannotProve: string[];
}
