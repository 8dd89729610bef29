import { ChainState, type Reference } from './chain-state.ts';
import { checkCut, cutReport, isCutRecord, readCut } from './cuts.ts';
import { keyChangesOf } from './key-changes.ts';
import { type Keys, readHead } from './keys.ts';
import { type LogRecord, readRecord } from './record.ts';
import type { InputFile, InputLine } from './source.ts';
import type { CutReport, Problem, ProblemCode, SignedHead, TornLine } from './types.ts';

const MAX_LISTED = 100;

/** A chain that a start record names, as far as it can be looked up. */
function namedChains(record: LogRecord): { stream: string; writer: string; seq: number; hash: string }[] {
  const chains = (record.start as { chains?: unknown } | undefined)?.chains;
  if (!Array.isArray(chains)) return [];
  return (chains as Record<string, unknown>[]).flatMap((chain) => {
    const { stream, writer, seq, hash } = chain ?? {};
    return typeof stream === 'string' &&
      typeof writer === 'string' &&
      typeof seq === 'number' &&
      typeof hash === 'string'
      ? [{ stream, writer, seq, hash }]
      : [];
  });
}

/** What a record says of other chains: start records, and heads over a tail that its own writer did not sign. */
export function referencesOf(record: LogRecord, keys: Keys): Omit<Reference, 'file' | 'line'>[] {
  const place = `record ${record.seq} of ${record.stream}/${record.writer}`;
  if (record.kind === 'start') {
    return namedChains(record).map((chain) => ({ ...chain, signed: false, by: `the start record, ${place},` }));
  }
  const head = record.kind === 'head' ? readHead(record.head) : undefined;
  if (!head || (head.stream === record.stream && head.writer === record.writer)) return [];
  const { stream, writer, seq, hash } = head;
  return keys.check(head) === 'valid' ? [{ stream, writer, seq, hash, signed: true, by: `the head, ${place},` }] : [];
}

/** Checks records one by one, in the order of the input. Keeps a bounded amount per chain. */
export class Checker {
  readonly chains = new Map<string, ChainState>();
  readonly problems: Problem[] = [];
  problemCount = 0;
  readonly torn: TornLine[] = [];
  unchecked = 0;
  readonly external = { given: 0, held: 0, cut: 0 };
  readonly cuts: CutReport[] = [];
  cutCount = 0;
  cutRecords = 0;
  readonly #keys: Keys;
  /** References were collected before the first record; else each is looked up when its record passes by. */
  readonly #collected: boolean;
  #file: InputFile | undefined;
  #fileBegins: boolean = false;
  #current: ChainState | undefined;
  /** A line that does not read and may turn out to be the last. */
  #doubtful: { problem: () => void; torn: TornLine } | undefined;

  constructor(keys: Keys, collected: boolean) {
    this.#keys = keys;
    this.#collected = collected;
  }

  /** The chain of that name, made when it is new. */
  chain(stream: string, writer: string): ChainState {
    const name = `${stream}/${writer}`;
    let chain = this.chains.get(name);
    if (!chain) {
      chain = new ChainState(stream, writer);
      this.chains.set(name, chain);
    }
    return chain;
  }

  /** Registers a record that must be there; looks it up when it has passed by already. */
  refer(reference: Reference): void {
    if (reference.seq === 0) return;
    const chain = this.chain(reference.stream, reference.writer);
    if (reference.seq > chain.lastSeq) {
      const others = chain.awaited.get(reference.seq);
      if (others) others.push(reference);
      else chain.awaited.set(reference.seq, [reference]);
      return;
    }
    const hash = chain.passedHash(reference.seq);
    if (hash === undefined) this.unchecked += 1;
    else this.#meet(chain, reference, hash);
  }

  /** Takes in what a record tells of a cut. @returns why it counts for nothing, if it does. */
  #learnCut(record: LogRecord): string | undefined {
    const cut = readCut(record.after);
    if (!cut) return 'its statement has other members than a cut has';
    const checked = this.#keys.some ? checkCut(cut, this.#keys) : 'valid';
    if (checked === 'unknown_key') return `it names the key ${cut.key_id}, which was not given`;
    if (checked !== 'valid') return `it is not signed under the key ${cut.key_id}`;
    const chain = this.chain(cut.stream, cut.writer);
    // Told of again when the record that told of it was cut itself.
    if (chain.cut && chain.cut.last_seq >= cut.last_seq) return undefined;
    this.cutRecords += cut.last_seq - (chain.cut?.last_seq ?? 0);
    chain.cut = cut;
    this.cutCount += 1;
    if (this.cuts.length < MAX_LISTED) this.cuts.push(cutReport(cut));
    return undefined;
  }

  beginFile(file: InputFile): void {
    this.#file = file;
    this.#fileBegins = true;
    this.#current = undefined;
    if (file.segment) {
      this.#current = this.chain(file.segment.stream, file.segment.writer);
      this.#current.files += 1;
    }
  }

  take(input: InputLine): void {
    this.#settleDoubt();
    if (input.terminated === false) {
      const after = this.#current;
      this.torn.push({
        ...(after && { stream: after.stream, writer: after.writer, afterSeq: after.lastSeq }),
        ...this.#where(input),
        line: input.line,
        bytes: input.bytes.length,
      });
      return;
    }
    if (input.tooLong) {
      this.#unreadable(input, 'line_too_long', 'it is longer than 16 MiB', undefined);
      return;
    }
    const read = readRecord(input.bytes);
    if (read.ok) this.#record(read.record, input);
    else this.#unreadable(input, read.code, read.reason, read.hash);
    this.#fileBegins = false;
  }

  /** What can be said only when all has passed by. `streams`: those that the input holds, where it is only a part. */
  end(partial: boolean): void {
    if (this.#doubtful) {
      this.torn.push(this.#doubtful.torn);
      this.#doubtful = undefined;
    }
    const chains = [...this.chains.values()];
    const held = new Set(chains.filter((chain) => chain.records > 0).map((chain) => chain.stream));
    const cutUpTo = chains.map(({ cut }) => cut?.last_time ?? '').reduce((a, b) => (a > b ? a : b), '');
    for (const chain of chains) {
      this.#settleLate(chain);
      for (const reference of [...chain.awaited.values()].flat()) {
        if (partial && !reference.outside && (!held.has(chain.stream) || chain.records === 0)) {
          // An export may hold a part of the log: a chain that is wholly outside it cannot be looked up.
          this.unchecked += 1;
          continue;
        }
        this.#miss(chain, reference, cutUpTo);
      }
      this.external.held += chain.held;
    }
  }

  #where(input: { line: number }): { file?: string; line: number } {
    return this.#file ? { file: this.#file.path, line: input.line } : { line: input.line };
  }

  #problem(
    code: ProblemCode,
    chain: ChainState | undefined,
    seq: number | undefined,
    place: { file?: string; line?: number },
    message: string,
  ): Problem {
    const problem: Problem = { code, ...(chain && { stream: chain.stream, writer: chain.writer }), ...place, message };
    if (seq !== undefined) problem.seq = seq;
    this.problemCount += 1;
    if (this.problems.length < MAX_LISTED) this.problems.push(problem);
    if (chain) chain.broken = true;
    return problem;
  }

  #settleDoubt(): void {
    const doubtful = this.#doubtful;
    this.#doubtful = undefined;
    doubtful?.problem();
  }

  #unreadable(
    input: InputLine,
    code: 'malformed' | 'hash_mismatch' | 'line_too_long',
    reason: string,
    hash: string | undefined,
  ): void {
    const chain = this.#current;
    const where = this.#where(input);
    const seq = chain && chain.lastSeq + 1;
    const tell = (): void => {
      this.#problem(code, chain, seq, where, `The line that should be record ${seq ?? '?'} is wrong: ${reason}.`);
      if (!chain) return;
      chain.advance(seq!, hash);
      this.#meetAwaited(chain, seq!, hash);
    };
    // Without line feeds, only what follows tells a torn last line from a damaged one.
    if (input.terminated === undefined && code === 'malformed') {
      const torn = {
        ...(chain && { stream: chain.stream, writer: chain.writer, afterSeq: chain.lastSeq }),
        ...where,
        bytes: input.bytes.length,
      };
      this.#doubtful = { problem: tell, torn };
    } else tell();
  }

  #record(record: LogRecord, input: InputLine): void {
    const where = this.#where(input);
    const segment = this.#file?.segment;
    if (segment && (segment.stream !== record.stream || segment.writer !== record.writer)) {
      const own = this.#current!;
      const found = `record ${record.seq} of ${record.stream}/${record.writer}`;
      this.#problem(
        'foreign_record',
        own,
        own.lastSeq + 1,
        where,
        `Here stands ${found}, which belongs to another chain.`,
      );
      return;
    }
    const chain = this.chain(record.stream, record.writer);
    this.#current = chain;
    if (chain.lastSeq === 0 && record.seq > 1) this.#beginLate(chain, record, where);
    const expected = chain.lastSeq + 1;
    if (record.seq < expected) {
      this.#earlier(chain, record, where);
      return;
    }
    if (record.seq > expected) this.#gap(chain, expected, record.seq, where);
    else if (chain.lastHash !== undefined && record.prev !== chain.lastHash) {
      this.#problem(
        'chain_broken',
        chain,
        record.seq,
        where,
        `Record ${record.seq} does not follow the record before it: one of the two was changed.`,
      );
    }
    chain.advance(record.seq, record.hash);
    if (record.kind === 'start' || record.kind === 'key') this.#keys.learn(keyChangesOf(record));
    if (record.kind === 'head') this.#head(chain, record, where);
    else if (isCutRecord(record)) this.#cut(chain, record, where);
    else if (record.kind === 'intent' || record.kind === 'outcome') chain.noteCall(record);
    chain.stopped = record.kind === 'stop' || (chain.stopped && record.kind === 'head');
    this.#meetAwaited(chain, record.seq, record.hash);
    if (!this.#collected)
      for (const reference of referencesOf(record, this.#keys)) this.refer({ ...reference, ...where });
  }

  /** Whether a cut explains that the first records are missing is known when all has passed by: it is told elsewhere. */
  #beginLate(chain: ChainState, record: LogRecord, where: { file?: string; line: number }): void {
    const problem = this.#gap(chain, 1, record.seq, where);
    chain.broken = false;
    chain.beginBehind(record.seq - 1);
    chain.late = { problem, prev: record.prev };
  }

  /** A retention that was ended between its record and its work leaves more than was told of, never less. */
  #settleLate(chain: ChainState): void {
    if (!chain.late) return;
    const { problem, prev } = chain.late;
    const { cut, base } = chain;
    const isMissing = problem.code === 'missing_segment' || problem.code === 'sequence_gap';
    if (isMissing && cut && (cut.last_seq > base || (cut.last_seq === base && cut.hash === prev))) {
      this.problemCount -= 1;
      const listed = this.problems.indexOf(problem);
      if (listed >= 0) this.problems.splice(listed, 1);
      return;
    }
    if (isMissing && cut?.last_seq === base) {
      problem.code = 'chain_broken';
      problem.seq = base + 1;
      problem.message = `Record ${base + 1} does not follow the records that were cut before it: it was changed.`;
    } else if (isMissing && cut) {
      problem.seq = cut.last_seq + 1;
      problem.message = `Records up to ${cut.last_seq} were cut, as is told; but ${cut.last_seq + 1} to ${base} are missing as well.`;
    }
    chain.broken = true;
    chain.provenSeq = base;
    chain.held = 0;
  }

  #cut(chain: ChainState, record: LogRecord, where: { file?: string; line: number }): void {
    const wrong = this.#learnCut(record);
    if (wrong === undefined) return;
    this.#problem(
      'cut_invalid',
      chain,
      record.seq,
      where,
      `Record ${record.seq} tells of a cut, and counts for nothing: ${wrong}.`,
    );
  }

  #earlier(chain: ChainState, record: LogRecord, where: { file?: string; line: number }): void {
    const gap = chain.gapOf(record.seq);
    if (gap) {
      gap.code = 'reordered';
      gap.message = `Record ${gap.seq} stands later than it should: records were put in another order.`;
      return;
    }
    this.#problem(
      'duplicate',
      chain,
      record.seq,
      where,
      `Record ${record.seq} stands here a second time; after record ${chain.lastSeq} comes ${chain.lastSeq + 1}.`,
    );
  }

  #gap(chain: ChainState, from: number, found: number, where: { file?: string; line: number }): Problem {
    const range = from === found - 1 ? `Record ${from} is` : `Records ${from} to ${found - 1} are`;
    const atStart = this.#fileBegins ? this.#file?.segment?.firstSeq === found : chain.records === 0;
    const problem = atStart
      ? this.#problem('missing_segment', chain, from, where, `${range} missing: this file begins with record ${found}.`)
      : this.#problem('sequence_gap', chain, from, where, `${range} missing: here stands record ${found}.`);
    chain.noteGap(from, found - 1, problem);
    return problem;
  }

  #head(chain: ChainState, record: LogRecord, where: { file?: string; line: number }): void {
    const head = readHead(record.head);
    if (!head) {
      this.#problem(
        'head_mismatch',
        chain,
        record.seq,
        where,
        `Record ${record.seq} is a head without a readable signature.`,
      );
      return;
    }
    const own = head.stream === record.stream && head.writer === record.writer;
    if (own && !this.#saysWhatStandsHere(head, record)) {
      this.#problem(
        'head_mismatch',
        chain,
        record.seq,
        where,
        `The head, record ${record.seq}, says something else than the chain that it stands in.`,
      );
      return;
    }
    if (!this.#keys.some) return;
    const checked = this.#keys.count(head);
    if (checked === 'unknown_key') {
      this.#problem(
        'unknown_key',
        chain,
        record.seq,
        where,
        `The head, record ${record.seq}, names the key ${head.key_id}, which was not given.`,
      );
    } else if (checked === 'signature_invalid') {
      const from = chain.provenSeq + 1;
      this.#problem(
        'signature_invalid',
        chain,
        record.seq,
        where,
        `The head, record ${record.seq}, is not signed under the key ${head.key_id}: a record from ${from} to ${record.seq} was changed.`,
      );
    } else if (own) {
      chain.noteHead(record, head);
      if (!chain.broken) chain.provenSeq = record.seq;
    }
  }

  /** Everything in an own head's record follows from what is signed, so that the head holds its own record as well. */
  #saysWhatStandsHere(head: SignedHead, record: LogRecord): boolean {
    return (
      head.seq === record.seq - 1 &&
      head.hash === record.prev &&
      head.time === record.time &&
      Object.keys(record).join() === 'v,stream,writer,seq,time,kind,head,prev,hash'
    );
  }

  #meetAwaited(chain: ChainState, seq: number, hash: string | undefined): void {
    const awaited = chain.awaited.get(seq);
    if (!awaited) return;
    chain.awaited.delete(seq);
    for (const reference of awaited) {
      if (hash !== undefined) this.#meet(chain, reference, hash);
    }
  }

  #meet(chain: ChainState, reference: Reference, hash: string): void {
    const { seq, by, file, line } = reference;
    const same = hash === reference.hash;
    if (reference.outside && same && !chain.broken) chain.held += 1;
    if (!same) {
      const place = { ...(file !== undefined && { file }), ...(line !== undefined && { line }) };
      this.#problem(
        'reference_mismatch',
        chain,
        seq,
        place,
        `Record ${seq} is not the one that ${by} names: this chain was rewritten.`,
      );
    } else if (reference.signed && !chain.broken && seq > chain.provenSeq) chain.provenSeq = seq;
  }

  #miss(chain: ChainState, reference: Reference, cutUpTo: string): void {
    const { seq, by, outside, file, line } = reference;
    if (chain.cut && seq <= (chain.records === 0 ? chain.cut.last_seq : chain.base)) {
      if (seq === chain.cut.last_seq) this.#meet(chain, reference, chain.cut.hash);
      else if (outside) this.external.cut += 1;
      return;
    }
    // Its cut was told by a record that has been cut since; all of that time was due.
    if (outside && chain.records === 0 && reference.time !== undefined && reference.time <= cutUpTo) {
      this.external.cut += 1;
      return;
    }
    const place = { ...(file !== undefined && { file }), ...(line !== undefined && { line }) };
    // A number that was passed without its record is a gap, reported where it is.
    if (seq <= chain.lastSeq) return;
    if (chain.records === 0) {
      this.#problem('missing_chain', chain, 1, place, `The chain is missing; ${by} names its record ${seq}.`);
    } else {
      this.#problem(
        'truncated',
        chain,
        chain.lastSeq + 1,
        place,
        `The chain ends with record ${chain.lastSeq}; ${by} names its record ${seq}, so the records behind were cut off.`,
      );
    }
  }
}
