// Cuts off what is older than the log is kept: whole closed segments, each cut told before by a signed record (spec: audit).
import { rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { parsePlainJson } from '@gatehouse/wire';
import { CUT_ACTION, type SignedCut } from './cut.ts';
import { streamLines } from './export.ts';
import { tryLock } from './folder-lock.ts';
import type { AuditLog } from './log.ts';
import { segmentsNeeded } from './needed.ts';
import type { AdminRecord, Stream } from './record.ts';
import { namesOf } from './recover.ts';
import { type Schedule, type Timer, unrefTimers } from './schedule.ts';
import { type SegmentEnds, segmentEnds } from './segment-ends.ts';
import { listSegments, type Segment, streamFolder, syncFolder } from './segments.ts';

const STREAMS: readonly Stream[] = ['calls', 'admin'];
/** A start has more urgent things to do. */
const FIRST_MS = 10_000;
const EVERY_MS = 3_600_000;
const LOCK_FILE = 'retention.lock';

/** One chain's part of what is, or was, cut. */
export interface Cut {
  stream: Stream;
  writer: string;
  firstSeq: number;
  lastSeq: number;
  /** Of the first and the last record cut, RFC 3339. */
  firstTime: string;
  lastTime: string;
  segments: number;
  bytes: number;
}

export interface RetentionView {
  /** Milliseconds that records are kept at least; null: nothing is cut. */
  age: number | null;
  /** Closed segments whose last record is older than this are cut, RFC 3339; absent where nothing is. */
  before?: string;
  /** What is old enough now. */
  due: Cut[];
  /** Segments that are old enough and stay all the same, and why. */
  kept: { stream: Stream; writer: string; name: string; reason: string }[];
}

export interface RetentionState {
  age: number | null;
  /** When it last ran to its end, RFC 3339. */
  lastRun?: string;
  /** Why the last try did not. */
  lastError?: string;
  /** Of this process. */
  cutSegments: number;
  cutRecords: number;
}

export interface RetentionOptions {
  audit: Pick<AuditLog, 'admin' | 'cutting'>;
  /** Milliseconds; null keeps everything. */
  age: number | null;
  /** Milliseconds since the epoch. */
  clock: () => number;
  /** Several processes write to this folder: the open segment of another one is not cut. */
  shared: boolean;
  schedule?: Schedule;
  /** Paths of segments that are needed whatever their age. Default: those that counters are rebuilt from. */
  needed?: (dir: string, now: number) => Promise<Set<string>>;
  /** Removes a segment; for fault tests. */
  remove?: (path: string) => Promise<void>;
  /** Told of every run that failed and of what was cut. */
  onRun?: (result: { cuts: readonly Cut[] } | { error: unknown }) => void;
}

interface Due {
  cut: Cut;
  hash: string;
  segments: Segment[];
}

const GATEHOUSE: AdminRecord['actor'] = { kind: 'gatehouse', id: 'retention' };

const chainOf = ({ stream, writer }: { stream: Stream; writer: string }): string => `${stream}/${writer}`;

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/**
 * The retention of one log. A cut is first recorded in the stream `admin`, signed and synced, then the files go, oldest
 * first; whatever ends the process in between leaves a log that verifies, and the next run does the rest.
 */
export class Retention {
  readonly #options: RetentionOptions;
  readonly #schedule: Schedule;
  #timer: Timer | undefined;
  #running: Promise<unknown> = Promise.resolve();
  #closed: boolean = false;
  readonly #state: RetentionState;

  constructor(options: RetentionOptions) {
    this.#options = options;
    this.#schedule = options.schedule ?? unrefTimers;
    this.#state = { age: options.age, cutSegments: 0, cutRecords: 0 };
  }

  get state(): RetentionState {
    return { ...this.#state };
  }

  /** Runs soon, and then every hour. */
  start(): void {
    if (this.#options.age === null) return;
    this.#timer = this.#schedule(() => void this.#hourly(), FIRST_MS);
  }

  /** What would be cut now; changes nothing. */
  async view(): Promise<RetentionView> {
    const { age } = this.#options;
    const { due, kept, before } = await this.#survey();
    return {
      age,
      ...(before === undefined ? {} : { before: new Date(before).toISOString() }),
      due: due.map(({ cut }) => cut),
      kept,
    };
  }

  /**
   * Cuts what is due, after whatever run is under way.
   * @param actor who asked; default: the gateway itself
   * @returns what was cut; nothing while another process does it
   * @throws AuditUnavailableError when it cannot be recorded, and then nothing was removed
   */
  run(actor: AdminRecord['actor'] = GATEHOUSE): Promise<Cut[]> {
    const done = this.#running.then(() => this.#run(actor));
    this.#running = done.catch(() => undefined);
    return done;
  }

  /** Resolves when nothing runs any more. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#timer?.cancel();
    await this.#running;
  }

  async #hourly(): Promise<void> {
    try {
      await this.run();
    } catch {
      // The state says it, and the next hour tries again.
    }
    if (!this.#closed) this.#timer = this.#schedule(() => void this.#hourly(), EVERY_MS);
  }

  async #run(actor: AdminRecord['actor']): Promise<Cut[]> {
    const { audit, clock, onRun } = this.#options;
    if (this.#closed || this.#options.age === null) return [];
    let unlock: (() => void) | undefined;
    try {
      unlock = tryLock(join(audit.cutting.dir, LOCK_FILE));
      if (unlock === undefined) return [];
      const cuts = await this.#cut(actor);
      this.#state.lastRun = new Date(clock()).toISOString();
      delete this.#state.lastError;
      onRun?.({ cuts });
      return cuts;
    } catch (error) {
      this.#state.lastError = messageOf(error);
      onRun?.({ error });
      throw error;
    } finally {
      unlock?.();
    }
  }

  async #cut(actor: AdminRecord['actor']): Promise<Cut[]> {
    const { audit } = this.#options;
    const { dir } = audit.cutting;
    const { due } = await this.#survey();
    if (due.length === 0) return [];
    const told = await this.#told();
    const state = { told, after: this.#segmentsAfter(due) };
    for (const signed of this.#retold(due, state)) await this.#record(signed, actor);
    for (const one of due) {
      const last = told.get(chainOf(one.cut))?.signed.last_seq ?? 0;
      if (one.cut.lastSeq > last) await this.#record(this.#sign(one, last), actor);
    }
    const remove = this.#options.remove ?? ((path: string) => rm(path, { force: true }));
    for (const { cut, segments } of due) {
      for (const segment of segments) await remove(segment.path);
      this.#state.cutSegments += segments.length;
      this.#state.cutRecords += cut.lastSeq - cut.firstSeq + 1;
    }
    for (const stream of STREAMS) syncFolder(streamFolder(dir, stream));
    await audit.cutting.forgetCut();
    return due.map(({ cut }) => cut);
  }

  #sign({ cut, hash }: Due, alreadyTold: number): SignedCut {
    const { audit, clock } = this.#options;
    return audit.cutting.sign({
      stream: cut.stream,
      writer: cut.writer,
      first_seq: Math.max(cut.firstSeq, alreadyTold + 1),
      last_seq: cut.lastSeq,
      hash,
      first_time: cut.firstTime,
      last_time: cut.lastTime,
      time: new Date(clock()).toISOString(),
    });
  }

  async #record(signed: SignedCut, actor: AdminRecord['actor']): Promise<void> {
    await this.#options.audit.admin({ actor, action: CUT_ACTION, target: chainOf(signed), after: signed });
  }

  /** The last cut told of each chain, and the segment where it stands. */
  async #told(): Promise<Map<string, { signed: SignedCut; writer: string; seq: number }>> {
    const told = new Map<string, { signed: SignedCut; writer: string; seq: number }>();
    for await (const line of streamLines(this.#options.audit.cutting.dir, 'admin')) {
      if (!line.includes(`"action":"${CUT_ACTION}"`)) continue;
      let record: { action?: unknown; after?: SignedCut; writer: string; seq: number };
      try {
        record = parsePlainJson(line) as typeof record;
      } catch {
        // Damaged: the verifier names it, and the chain that it cut is told of again.
        continue;
      }
      const { action, after, writer, seq } = record;
      if (action !== CUT_ACTION || after === undefined) continue;
      const known = told.get(chainOf(after));
      if (known === undefined || after.last_seq >= known.signed.last_seq) {
        told.set(chainOf(after), { signed: after, writer, seq });
      }
    }
    return told;
  }

  #segmentsAfter(due: readonly Due[]): Segment[] {
    const gone = new Set(due.flatMap(({ segments }) => segments.map((segment) => segment.path)));
    const { dir } = this.#options.audit.cutting;
    return STREAMS.flatMap((stream) => listSegments(dir, stream)).filter((segment) => !gone.has(segment.path));
  }

  /** Cuts whose records are themselves about to be cut, while something that stays still points to what they tell of. */
  #retold(
    due: readonly Due[],
    {
      told,
      after,
    }: { told: ReadonlyMap<string, { signed: SignedCut; writer: string; seq: number }>; after: readonly Segment[] },
  ): SignedCut[] {
    const going = [...told.values()].filter(({ writer, seq }) =>
      due.some(({ cut }) => cut.stream === 'admin' && cut.writer === writer && seq <= cut.lastSeq),
    );
    if (going.length === 0) return [];
    const pointedTo = new Set(after.map(chainOf));
    for (const segment of after) {
      if (segment.firstSeq !== 1) continue;
      for (const name of namesOf(segment)) pointedTo.add(name.slice(0, name.lastIndexOf('/')));
    }
    return going
      .map(({ signed }) => signed)
      .filter((signed) => {
        const again = due.find(({ cut }) => chainOf(cut) === chainOf(signed));
        return pointedTo.has(chainOf(signed)) && (again === undefined || again.cut.lastSeq <= signed.last_seq);
      });
  }

  async #survey(): Promise<{ due: Due[]; kept: RetentionView['kept']; before?: number }> {
    const { age, clock, audit, needed = segmentsNeeded } = this.#options;
    if (age === null) return { due: [], kept: [] };
    const { dir } = audit.cutting;
    const before = clock() - age;
    const due: Due[] = [];
    const kept: RetentionView['kept'] = [];
    const neededPaths = await needed(dir, clock());
    for (const stream of STREAMS) {
      const chains = Map.groupBy(listSegments(dir, stream), (segment) => segment.writer);
      for (const segments of chains.values()) {
        const found = await this.#dueOf(segments, { before, neededPaths, kept });
        if (found) due.push(found);
        await nextTurn();
      }
    }
    return { due, kept, before };
  }

  /** The oldest segments of a chain that may go: without a gap from its beginning, so that what stays is one piece. */
  async #dueOf(
    segments: readonly Segment[],
    { before, neededPaths, kept }: { before: number; neededPaths: ReadonlySet<string>; kept: RetentionView['kept'] },
  ): Promise<Due | undefined> {
    const { audit, shared } = this.#options;
    const going: { segment: Segment; ends: SegmentEnds }[] = [];
    for (const [i, segment] of segments.entries()) {
      const next = segments[i + 1];
      if (next === undefined && segment.writer === audit.cutting.writer) break;
      const ends = await segmentEnds(segment);
      const old = ends ? Date.parse(ends.last.time) : (await stat(segment.path)).mtimeMs;
      if (old >= before) break;
      const reason = reasonToKeep(segment, next, ends, { shared, needed: neededPaths.has(segment.path) });
      if (reason !== undefined) {
        const { stream, writer, name } = segment;
        kept.push({ stream, writer, name, reason });
        break;
      }
      going.push({ segment, ends: ends! });
    }
    const [first, last] = [going[0], going.at(-1)];
    if (first === undefined || last === undefined) return undefined;
    const { stream, writer } = first.segment;
    return {
      cut: {
        stream,
        writer,
        firstSeq: first.ends.first.seq,
        lastSeq: last.ends.last.seq,
        firstTime: first.ends.first.time,
        lastTime: last.ends.last.time,
        segments: going.length,
        bytes: going.reduce((sum, { ends }) => sum + ends.bytes, 0),
      },
      hash: last.ends.last.hash,
      segments: going.map(({ segment }) => segment),
    };
  }
}

/** Why a segment that is old enough stays; undefined when it may go. */
function reasonToKeep(
  segment: Segment,
  next: Segment | undefined,
  ends: SegmentEnds | undefined,
  { shared, needed }: { shared: boolean; needed: boolean },
): string | undefined {
  if (needed) return 'limits are rebuilt from it';
  if (ends === undefined) return 'it has no whole record at one of its ends; see gatehouse audit verify';
  if (ends.first.seq !== segment.firstSeq) return 'it does not begin with the record that its name says';
  if (next !== undefined && next.firstSeq !== ends.last.seq + 1) return 'records are missing behind it';
  // Its process may still be there, and write on when it is used again.
  if (next === undefined && shared && !ends.stopped) return 'its process did not stop in order, and may still run';
  return undefined;
}
