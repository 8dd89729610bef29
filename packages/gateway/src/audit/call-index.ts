import { closeSync, fstatSync, openSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { LineBatch, RowWriter } from './call-rows.ts';
import { IndexNames } from './index-names.ts';
import { INDEX_FILE, openIndex } from './index-schema.ts';
import { MAX_RECORD_BYTES, type Stream } from './record.ts';
import { listSegments, type Segment } from './segments.ts';

const STREAMS: readonly Stream[] = ['calls', 'admin'];
const TABLE = { calls: 'calls', admin: 'changes' } as const;

/** Bytes of a segment taken in one transaction: some thousand records, some tens of milliseconds. */
const BATCH_BYTES = 4 * 1024 * 1024;
/** Rows deleted in one transaction. */
const FORGET_ROWS = 10_000;

interface SegmentRow {
  id: number;
  position: number;
  records: number;
  first_row: number | null;
  done: number;
}

/** What one step of the building did. */
type Step = 'took' | 'nothing';

/**
 * The search index: one row per call, one per change of state, in SQLite. It holds nothing that the segments do not
 * hold, is filled from them behind the calls, and is built again when its file is missing, damaged or of another
 * version. Several processes may share it: each batch is one transaction that begins by reading how far the others came.
 */
export class CallIndex {
  readonly #dir: string;
  readonly #inode: number;
  readonly db: DatabaseSync;
  readonly #names: IndexNames;
  readonly #rows: RowWriter;
  readonly #segmentRow: StatementSync;
  readonly #advance: StatementSync;
  readonly #lastRow: { [S in Stream]: StatementSync };
  /** Segments that the index knows, as `stream/name`, with how far it came; Infinity for those taken whole. */
  readonly #known: Map<string, number>;
  #buffer: Buffer | undefined;

  /** @throws Error when the index can neither be opened nor built. */
  constructor(dir: string) {
    this.#dir = dir;
    this.db = openIndex(dir);
    this.#inode = statSync(join(dir, INDEX_FILE)).ino;
    this.#names = new IndexNames(this.db);
    this.#rows = new RowWriter(this.db, this.#names);
    this.#segmentRow = this.db.prepare(
      `INSERT INTO segments (stream, name, writer, first_seq) VALUES (?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET position = position RETURNING id, position, records, first_row, done`,
    );
    this.#advance = this.db.prepare(
      'UPDATE segments SET position = ?, records = ?, first_row = ?, last_row = ?, done = ? WHERE id = ?',
    );
    this.#lastRow = {
      calls: this.db.prepare('SELECT max(id) AS id FROM calls'),
      admin: this.db.prepare('SELECT max(id) AS id FROM changes'),
    };
    this.#known = new Map(
      this.db
        .prepare('SELECT stream, name, position, done FROM segments')
        .all()
        .map((row) => [`${row.stream}/${row.name}`, row.done === 1 ? Number.POSITIVE_INFINITY : Number(row.position)]),
    );
  }

  /** False once its file was deleted or replaced. */
  get isCurrent(): boolean {
    return statSync(join(this.#dir, INDEX_FILE), { throwIfNoEntry: false })?.ino === this.#inode;
  }

  /**
   * Takes in what the segments hold beyond what is indexed, one batch with each step, and removes the rows of segments
   * that are gone: retention cut them.
   * @param which all segments, or those alone to which no record will be added.
   */
  *build(which: 'all' | 'closed'): Generator<void> {
    for (const stream of STREAMS) {
      const segments = listSegments(this.#dir, stream);
      yield* this.#forgetMissing(stream, segments);
      for (const [i, segment] of segments.entries()) {
        if (this.#known.get(keyOf(segment)) === Number.POSITIVE_INFINITY) continue;
        const closed = segments[i + 1]?.writer === segment.writer;
        if (!closed && which === 'closed') continue;
        // What is added while this goes on belongs to the next time: a building never runs after a busy writer.
        const size = statSync(segment.path, { throwIfNoEntry: false })?.size;
        // Cut since; its rows are removed the next time.
        if (size === undefined) continue;
        while (this.#takeBatch(segment, closed, size) === 'took') yield;
      }
    }
  }

  /** Takes in all that the segments hold now. */
  catchUp(): void {
    for (const _step of this.build('all'));
  }

  /** Records of a writer, of both streams, that the index holds or has passed. */
  recordsOf(writer: string): number {
    return this.db
      .prepare('SELECT max(first_seq + records) - 1 AS last FROM segments WHERE writer = ? GROUP BY stream')
      .all(writer)
      .reduce((sum, row) => sum + Number(row.last), 0);
  }

  close(): void {
    this.db.close();
  }

  *#forgetMissing(stream: Stream, present: readonly Segment[]): Generator<void> {
    const there = new Set(present.map(keyOf));
    for (const key of [...this.#known.keys()]) {
      const name = key.slice(stream.length + 1);
      if (there.has(key) || key !== `${stream}/${name}`) continue;
      if (statSync(join(this.#dir, stream, name), { throwIfNoEntry: false }) !== undefined) continue;
      while (!this.#forget(stream, name)) yield;
      this.#known.delete(key);
    }
  }

  /** Deletes some rows of a segment, or at last the segment's; true when nothing of it is left. */
  #forget(stream: Stream, name: string): boolean {
    return this.#transaction(() => {
      const row = this.db
        .prepare('SELECT id, first_row, last_row FROM segments WHERE stream = ? AND name = ?')
        .get(stream, name);
      if (!row) return true;
      const first = Number(row.first_row ?? 0);
      const last = Number(row.last_row ?? -1);
      if (first > last) {
        this.db.prepare('DELETE FROM segments WHERE id = ?').run(row.id!);
        this.#names.removeUnused();
        return true;
      }
      const next = first + FORGET_ROWS;
      this.db
        .prepare(`DELETE FROM ${TABLE[stream]} WHERE id >= ? AND id < ? AND segment = ?`)
        .run(first, next, row.id!);
      this.db.prepare('UPDATE segments SET first_row = ? WHERE id = ?').run(next, row.id!);
      return false;
    });
  }

  #transaction<T>(work: () => T): T {
    this.db.exec('BEGIN IMMEDIATE');
    try {
      this.#names.begin();
      const value = work();
      this.db.exec('COMMIT');
      return value;
    } catch (error) {
      // SQLite has rolled back itself after some errors.
      if (this.db.isTransaction) this.db.exec('ROLLBACK');
      this.#names.drop();
      throw error;
    }
  }

  /** @param until size of the segment up to which lines are wanted */
  #takeBatch(segment: Segment, closed: boolean, until: number): Step {
    const key = keyOf(segment);
    const known = this.#known.get(key);
    if (!closed && known !== undefined && known >= until) return 'nothing';
    const fd = openSync(segment.path, 'r');
    try {
      return this.#transaction(() => {
        const { stream, name, writer, firstSeq } = segment;
        const row = this.#segmentRow.get(stream, name, writer, firstSeq) as unknown as SegmentRow;
        const chunk = row.done === 1 ? undefined : this.#readLines(fd, row.position);
        if (chunk === undefined) {
          const done = row.done === 1 || closed;
          if (closed && row.done === 0) this.db.prepare('UPDATE segments SET done = 1 WHERE id = ?').run(row.id);
          this.#known.set(key, done ? Number.POSITIVE_INFINITY : row.position);
          return 'nothing';
        }
        const before = Number(this.#lastRow[stream].get()!.id ?? 0);
        const { lines, stopped } = this.#rows.take(segment, new LineBatch(row.id, row.position, chunk));
        const after = Number(this.#lastRow[stream].get()!.id ?? 0);
        const position = row.position + chunk.length;
        const firstRow = row.first_row ?? (after > before ? before + 1 : null);
        this.#advance.run(position, row.records + lines, firstRow, firstRow && after, stopped ? 1 : 0, row.id);
        // Behind a `stop` comes its head, which has no row.
        this.#known.set(key, stopped ? Number.POSITIVE_INFINITY : position);
        return 'took';
      });
    } finally {
      closeSync(fd);
    }
  }

  /** The next whole lines of a segment; undefined when there is none. */
  #readLines(fd: number, position: number): Buffer | undefined {
    const size = fstatSync(fd).size;
    this.#buffer ??= Buffer.allocUnsafe(BATCH_BYTES);
    let buffer = this.#buffer;
    for (;;) {
      let length = 0;
      while (length < buffer.length) {
        const n = readSync(fd, buffer, length, buffer.length - length, position + length);
        if (n === 0) break;
        length += n;
      }
      const end = buffer.lastIndexOf(0x0a, length - 1);
      if (length > 0 && end >= 0 && end < length) return buffer.subarray(0, end + 1);
      if (position + length >= size || length > 2 * MAX_RECORD_BYTES) return undefined;
      // A record longer than the buffer: read on until its line feed.
      buffer = Buffer.allocUnsafe(buffer.length * 2);
    }
  }
}

const keyOf = ({ stream, name }: Segment): string => `${stream}/${name}`;
