import { GENESIS, type LogRecord } from './record.ts';
import type { ChainReport, OpenIntent, Problem, SignedCut } from './types.ts';

/** A record that something else names: a start record, a head in another chain, or a head from outside. */
export interface Reference {
  stream: string;
  writer: string;
  seq: number;
  hash: string;
  /** A valid signature stands behind it, so that it proves the chain up to there. */
  signed: boolean;
  /** Who names it, for the message. */
  by: string;
  outside?: boolean;
  /** When a head from outside was made. */
  time?: string;
  file?: string;
  line?: number;
}

/** Heads and intents kept of one chain; a bound for the memory, not for the log. */
const MAX_HEADS = 65_536;
const MAX_INTENTS = 200_000;
const MAX_GAPS = 1_000;
const MAX_EXAMPLES = 100;

/** What is known of one chain while its records pass by. */
export class ChainState {
  readonly stream: string;
  readonly writer: string;
  lastSeq = 0;
  /** Undefined when the record before was so damaged that its hash is not known. */
  lastHash: string | undefined = GENESIS;
  records = 0;
  files = 0;
  heads = 0;
  provenSeq = 0;
  /** The record before the first one that is here. */
  base = 0;
  /** That the first records are missing, until a cut explains it; and `prev` of the first that is here. */
  late: { problem: Problem; prev: string } | undefined;
  /** Heads from outside that were found as they say. */
  held = 0;
  /** The longest cut that a signed record tells of. */
  cut: SignedCut | undefined;
  stopped: boolean = false;
  /** Something was wrong: from there on no head proves an unbroken chain. */
  broken: boolean = false;
  lastHead: ChainReport['lastHead'];
  /** References not met yet, by the record's number. */
  readonly awaited = new Map<number, Reference[]>();
  openIntents = 0;
  readonly #intents = new Map<string, number>();
  readonly #evicted: OpenIntent[] = [];
  readonly #headHashes = new Map<number, string>();
  readonly #gaps: { from: number; to: number; problem: Problem }[] = [];

  constructor(stream: string, writer: string) {
    this.stream = stream;
    this.writer = writer;
  }

  /** Begins behind record `seq`, which is not here. */
  beginBehind(seq: number): void {
    this.base = seq;
    this.lastSeq = seq;
    this.lastHash = undefined;
    this.provenSeq = seq;
  }

  /** Goes on to a record; what it should be was checked before. */
  advance(seq: number, hash: string | undefined): void {
    this.lastSeq = seq;
    this.lastHash = hash;
    this.records += 1;
  }

  noteHead(record: LogRecord, head: { time: string; key_id: string }): void {
    this.heads += 1;
    this.lastHead = { seq: record.seq, hash: record.hash, time: head.time, keyId: head.key_id };
    this.#headHashes.set(record.seq, record.hash);
    if (this.#headHashes.size > MAX_HEADS) this.#headHashes.delete(this.#headHashes.keys().next().value!);
  }

  /** Hash of a record that passed by, where it is still known. */
  passedHash(seq: number): string | undefined {
    return seq === this.lastSeq ? this.lastHash : this.#headHashes.get(seq);
  }

  noteGap(from: number, to: number, problem: Problem): void {
    if (this.#gaps.length < MAX_GAPS) this.#gaps.push({ from, to, problem });
  }

  /** The gap that a late record belongs to. */
  gapOf(seq: number): Problem | undefined {
    return this.#gaps.find((gap) => gap.from <= seq && seq <= gap.to)?.problem;
  }

  noteCall(record: LogRecord): void {
    if (typeof record.request_id !== 'string') return;
    if (record.kind === 'outcome') {
      if (this.#intents.delete(record.request_id)) this.openIntents -= 1;
      return;
    }
    this.#intents.set(record.request_id, record.seq);
    this.openIntents += 1;
    if (this.#intents.size > MAX_INTENTS) {
      const [requestId, seq] = this.#intents.entries().next().value!;
      this.#intents.delete(requestId);
      if (this.#evicted.length < MAX_EXAMPLES) this.#evicted.push({ writer: this.writer, seq, requestId });
    }
  }

  openExamples(limit: number): OpenIntent[] {
    const examples = this.#evicted.slice(0, limit);
    for (const [requestId, seq] of this.#intents) {
      if (examples.length >= limit) break;
      examples.push({ writer: this.writer, seq, requestId });
    }
    return examples;
  }

  report(): ChainReport {
    const made: ChainReport = {
      stream: this.stream,
      writer: this.writer,
      files: this.files,
      records: this.records,
      firstSeq: this.base + 1,
      lastSeq: this.lastSeq,
      provenSeq: this.provenSeq,
      unproven: Math.max(0, this.records - (this.provenSeq - this.base)),
      heads: this.heads,
      stopped: this.stopped,
    };
    if (this.lastHead) made.lastHead = this.lastHead;
    return made;
  }
}
