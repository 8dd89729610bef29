// Which part of the log the counters are rebuilt from: the last complete set of `counters` records, and what no set
// takes in (spec: audit). Found from the ends of the chains, so that a start costs the same however long the log is.
import { close, fsync, open } from 'node:fs';
import { promisify } from 'node:util';
import { MAX_WINDOW_SECONDS } from '@gatehouse/policy';
import { isCounters, type PartPlace, readCounters, readPartPlace, seqOf } from './counters-record.ts';
import { lastLine } from './recover.ts';
import { segmentEnds } from './segment-ends.ts';
import { segmentLines } from './segment-lines.ts';
import { listSegments, type Segment } from './segments.ts';

/** No window reaches further back: a sliding one counts for 61/60 of its length; a day more covers clocks. */
export const WINDOW_HORIZON_MS = ((MAX_WINDOW_SECONDS * 61) / 60 + 86_400) * 1000;

/** A complete set of `counters` records. */
export interface CountersSet {
  readonly writer: string;
  /** Number of the set within its chain. */
  readonly set: number;
  /** Its first and its last record. */
  readonly first: number;
  readonly last: number;
  /** The last record of each other chain that it takes in, by writer. */
  readonly covers: ReadonlyMap<string, number>;
}

/** What must be read of one chain. */
export interface NeededChain {
  readonly writer: string;
  /** Records up to this one are taken in by the set. */
  readonly after: number;
  /** Segments with what comes after; empty where nothing does. */
  readonly segments: readonly Segment[];
}

export interface RecoveryPlan {
  /** Undefined: no complete set, so that everything is needed. */
  readonly base: CountersSet | undefined;
  /** Every chain of calls, that of the set first: what others add comes on top of it. */
  readonly chains: readonly NeededChain[];
}

/**
 * Paths of the segments of the stream `calls` that rebuilding the counters still reads. Whoever cuts old segments away
 * keeps these. The set that the others are not needed for is on the disk when this resolves, so that a loss of power
 * cannot take it after what it stands for was cut. May be asked while the log is being written: what is written later
 * only makes less needed.
 * @param dir folder of the log
 * @param now milliseconds since the epoch
 * @throws Error when a segment cannot be read or synced: then nothing may be cut
 */
export async function segmentsNeeded(dir: string, now: number): Promise<Set<string>> {
  const { base, chains } = await planRecovery(dir);
  const [own] = chains;
  if (base !== undefined && own !== undefined) {
    for (const segment of own.segments) if (segment.firstSeq <= base.last) await synced(segment.path);
  }
  const needed = new Set<string>();
  for (const segment of chains.flatMap((chain) => chain.segments)) {
    // The set itself is read whatever its age; beside it, what no window reaches any more is passed over.
    const ofSet = segment.writer === base?.writer;
    const ends = ofSet ? undefined : await segmentEnds(segment);
    if (ends === undefined || Date.parse(ends.last.time) >= now - WINDOW_HORIZON_MS) needed.add(segment.path);
  }
  return needed;
}

/** @throws Error when a segment cannot be read */
export async function planRecovery(dir: string): Promise<RecoveryPlan> {
  // Ids sort by the time of start. A clock that was set back only makes the search longer: nothing depends on the order.
  const chains = [...Map.groupBy(segmentsOf(dir), (segment) => segment.writer)].toReversed();
  const ends = new Map(chains.map(([writer, segments]) => [writer, endOf(segments)]));
  let base: CountersSet | undefined;
  const after = (writer: string): number => {
    if (base === undefined) return 0;
    return base.writer === writer ? base.first - 1 : (base.covers.get(writer) ?? 0);
  };
  const isTakenIn = (writer: string): boolean => after(writer) >= (ends.get(writer) as number);
  for (const [writer, segments] of chains) {
    if (isTakenIn(writer)) continue;
    const found = await lastSet(segments, after(writer));
    // Two sets of which neither takes in the other: one is as good as the other, since the rest is read in any case.
    if (found !== undefined && (base === undefined || (found.covers.get(base.writer) ?? 0) >= base.last)) base = found;
  }
  const needed = chains.map(([writer, segments]): NeededChain => {
    const from = after(writer);
    const rest = segments.filter((_, i) => (segments[i + 1]?.firstSeq ?? Number.POSITIVE_INFINITY) > from + 1);
    return { writer, after: from, segments: isTakenIn(writer) ? [] : rest };
  });
  const first = base?.writer;
  return { base, chains: needed.sort((a, b) => Number(b.writer === first) - Number(a.writer === first)) };
}

function segmentsOf(dir: string): Segment[] {
  try {
    return listSegments(dir, 'calls');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

/** Number of a chain's last record; Infinity where it cannot be read, so that the chain is read. */
function endOf(segments: readonly Segment[]): number {
  for (const segment of segments.toReversed()) {
    const { line } = lastLine(segment.path);
    if (line !== undefined) return seqOf(line) ?? Number.POSITIVE_INFINITY;
  }
  return 0;
}

/** The last complete set of a chain behind a record, looked for from its end. */
async function lastSet(segments: readonly Segment[], after: number): Promise<CountersSet | undefined> {
  let parts: (PartPlace & { segment: Segment })[] = [];
  for (const [i, segment] of [...segments.entries()].toReversed()) {
    const next = segments[i + 1]?.firstSeq ?? Number.POSITIVE_INFINITY;
    if (next <= after + 1) return undefined;
    const here: typeof parts = [];
    for await (const lines of segmentLines(segment.path)) {
      for (const line of lines) {
        const place = isCounters(line) ? readPartPlace(line) : undefined;
        if (place !== undefined && place.seq > after) here.push({ ...place, segment });
      }
    }
    parts = [...here, ...parts];
    const complete = completeSet(parts);
    if (complete !== undefined) return withCovers(complete);
  }
  return undefined;
}

/** A set is complete with all of its parts up to the one that is marked as its last; the newest counts. */
function completeSet<T extends PartPlace>(parts: readonly T[]): T[] | undefined {
  for (const last of parts.toReversed()) {
    if (!last.last) continue;
    const own = parts.filter((part) => part.set === last.set);
    if (own.every((part, i) => part.part === i)) return own;
  }
  return undefined;
}

async function withCovers(parts: readonly (PartPlace & { segment: Segment })[]): Promise<CountersSet> {
  const first = parts[0] as (typeof parts)[number];
  const { writer } = first.segment;
  return { writer, set: first.set, first: first.seq, last: parts.at(-1)?.seq ?? 0, covers: await coversOf(parts) };
}

async function coversOf(parts: readonly (PartPlace & { segment: Segment })[]): Promise<Map<string, number>> {
  const covers = new Map<string, number>();
  for (const [segment, own] of Map.groupBy(parts, (part) => part.segment)) {
    const wanted = new Set(own.map((part) => part.seq));
    for await (const lines of segmentLines(segment.path)) {
      for (const line of lines) {
        if (!isCounters(line) || !wanted.has(seqOf(line) ?? 0)) continue;
        const { covers: more } = readCounters(line);
        // They come before all else of a set.
        if (more === undefined) return covers;
        for (const [other, seq] of more) covers.set(other, seq);
      }
    }
  }
  return covers;
}

async function synced(path: string): Promise<void> {
  const fd = await promisify(open)(path, 'r+');
  try {
    await promisify(fsync)(fd);
  } finally {
    await promisify(close)(fd);
  }
}
