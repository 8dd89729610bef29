import { hash } from 'node:crypto';
import { closeSync, fstatSync, openSync } from 'node:fs';
import { parsePlainJson } from '@gatehouse/wire';
import type { HeadSigner, SignedHead } from './chain.ts';
import type { KeyChange } from './key-changes.ts';
import { MAX_RECORD_BYTES, type Stream } from './record.ts';
import { listSegments, readAt, type Segment } from './segments.ts';

/** Where another writer's chain ends, as found at start; the members of `chains` in a `start` record. */
export interface NamedChain {
  stream: Stream;
  writer: string;
  /** The last whole record. Absent, with its hash, when no last record could be read. */
  seq?: number;
  hash?: string;
  /** Bytes of a torn line behind it. They stay where they are: another process may be about to finish that line. */
  torn_bytes?: number;
  /** The chain's end could not be read, or its last record's hash is wrong. */
  damaged?: true;
}

interface FoundChain extends NamedChain {
  /** The last record is a head over the chain itself: nothing is left to sign. */
  headed: boolean;
  /** What this chain's own `start` record names, as `stream/writer/seq`. */
  names: string[];
}

const FIRST_READ = 64 * 1024;
/** Length of `,"hash":"<64>"}`, which ends every line. */
const HASH_MEMBER = 75;

function withFile<T>(path: string, use: (fd: number, size: number) => T): T {
  const fd = openSync(path, 'r');
  try {
    return use(fd, fstatSync(fd).size);
  } finally {
    closeSync(fd);
  }
}

/** The last line that ends in a line feed, and the bytes behind it. */
export function lastLine(path: string): { line: Buffer | undefined; torn: number } {
  return withFile(path, (fd, size) => {
    for (let length = Math.min(FIRST_READ, size); ; length = Math.min(length * 2, size)) {
      const tail = readAt(fd, size - length, length);
      const end = tail.lastIndexOf(0x0a);
      const before = end > 0 ? tail.lastIndexOf(0x0a, end - 1) : -1;
      const torn = tail.length - end - 1;
      if (end >= 0 && (before >= 0 || length === size)) return { line: tail.subarray(before + 1, end), torn };
      if (length === size || length > 2 * MAX_RECORD_BYTES) return { line: undefined, torn };
    }
  });
}

function firstLine(path: string): string | undefined {
  return withFile(path, (fd, size) => {
    for (let length = Math.min(FIRST_READ, size); ; length = Math.min(length * 2, size)) {
      const head = readAt(fd, 0, length);
      const end = head.indexOf(0x0a);
      if (end >= 0) return head.toString('utf8', 0, end);
      if (length === size || length > 2 * MAX_RECORD_BYTES) return undefined;
    }
  });
}

/** What the `start` record at the beginning of a chain names, as `stream/writer/seq`. */
export function namesOf(segment: Segment): string[] {
  try {
    const line = firstLine(segment.path);
    if (line === undefined) return [];
    const record = parsePlainJson(line) as { start?: { chains?: NamedChain[] } };
    return (record.start?.chains ?? []).map(key);
  } catch {
    // A start record that cannot be read names nothing: this start then names those chains again.
    return [];
  }
}

const key = (chain: NamedChain): string => `${chain.stream}/${chain.writer}/${chain.seq ?? 'damaged'}`;

/** The end of one chain, from its segments in order (at least one); undefined when it holds no record yet. */
export function chainEnd(segments: readonly Segment[]): FoundChain | undefined {
  const { stream, writer } = segments[0]!;
  const names = namesOf(segments[0]!);
  let torn = 0;
  const damaged: FoundChain = { stream, writer, damaged: true, headed: false, names };
  for (const segment of segments.toReversed()) {
    let found: ReturnType<typeof lastLine>;
    try {
      found = lastLine(segment.path);
    } catch {
      return damaged;
    }
    torn += found.torn;
    if (!found.line) continue;
    try {
      const record = parsePlainJson(found.line.toString()) as Record<string, unknown>;
      const body = found.line.subarray(0, found.line.length - HASH_MEMBER);
      if (record.hash !== hash('sha256', body) || record.writer !== writer || record.stream !== stream) {
        return damaged;
      }
      const head = record.head as SignedHead | undefined;
      const chain: FoundChain = {
        stream,
        writer,
        seq: record.seq as number,
        hash: record.hash,
        headed: record.kind === 'head' && head?.writer === writer && head.stream === stream,
        names,
      };
      if (torn > 0) chain.torn_bytes = torn;
      return chain;
    } catch {
      return damaged;
    }
  }
  // Torn before its first whole record: there is no record to name, and the verifier reports the torn line.
  return undefined;
}

/**
 * The ends of all chains in a log's folder. Only reads: a chain may belong to a process that is running.
 * @param streams those whose folders exist.
 */
export function surveyChains(dir: string, streams: readonly Stream[]): FoundChain[] {
  const found: FoundChain[] = [];
  for (const stream of streams) {
    const byWriter = Map.groupBy(listSegments(dir, stream), (segment) => segment.writer);
    for (const segments of byWriter.values()) {
      const chain = chainEnd(segments);
      if (chain) found.push(chain);
    }
  }
  return found;
}

/**
 * What a stream's first records say about the chains that were there before: the `start` record, with all changes of
 * the signing key, and a signed head over each end that its own writer did not sign.
 *
 * A chain whose end an earlier `start` of this stream names already is left out: it is held through that record, which
 * is itself held by the end that is named here. So a start record does not grow with the number of starts.
 */
export function firstRecords(
  stream: Stream,
  chains: readonly FoundChain[],
  signer: HeadSigner,
  time: string,
  keyChanges: readonly KeyChange[] = [],
): { records: { kind: string; members: string }[]; heads: SignedHead[] } {
  const named = new Set(chains.filter((chain) => chain.stream === stream).flatMap((chain) => chain.names));
  const fresh = chains.filter((chain) => !named.has(key(chain)));
  const list = fresh.map(({ headed: _headed, names: _names, ...chain }): NamedChain => chain);
  const start = {
    key_id: signer.keyId,
    chains: list,
    ...(keyChanges.length > 0 && { key_changes: keyChanges }),
  };
  const records = [{ kind: 'start', members: `,"start":${JSON.stringify(start)}` }];
  const heads: SignedHead[] = [];
  for (const chain of fresh) {
    if (chain.stream !== stream || chain.headed || chain.seq === undefined || chain.hash === undefined) continue;
    const head = signer.sign({ stream, writer: chain.writer, seq: chain.seq, hash: chain.hash, time });
    heads.push(head);
    records.push({ kind: 'head', members: `,"head":${JSON.stringify(head)}` });
  }
  return { records, heads };
}
