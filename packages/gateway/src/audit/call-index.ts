import { closeSync, existsSync, fstatSync, openSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { parsePlainJson } from '@gatehouse/wire';
import { MAX_RECORD_BYTES, type Stream } from './record.ts';
import { listSegments, parseSegmentName, readAt, type Segment } from './segments.ts';
import { outcomeOf, type StoredRecord } from './stored-record.ts';

// A change of the tables needs a new number: an index of another number is thrown away and built again.
const SCHEMA_VERSION = 1;

const SCHEMA = `
CREATE TABLE segments (
  id INTEGER PRIMARY KEY, stream TEXT NOT NULL, name TEXT NOT NULL, position INTEGER NOT NULL DEFAULT 0,
  done INTEGER NOT NULL DEFAULT 0, UNIQUE (stream, name)) STRICT;
CREATE TABLE calls (
  id INTEGER PRIMARY KEY, time INTEGER NOT NULL, writer TEXT NOT NULL, seq INTEGER NOT NULL, kind TEXT NOT NULL,
  request_id TEXT NOT NULL, trace_id TEXT, grant_id TEXT, grant_label TEXT, identity_id TEXT, identity_name TEXT,
  server TEXT, session TEXT, client TEXT, source TEXT, method TEXT, tool TEXT, definition TEXT,
  outcome TEXT NOT NULL, rule TEXT, message TEXT, policy TEXT, policy_version TEXT,
  status INTEGER, error_code INTEGER, is_error INTEGER, bytes INTEGER, upstream_ms REAL, count INTEGER NOT NULL,
  segment INTEGER NOT NULL, offset INTEGER NOT NULL, length INTEGER NOT NULL,
  outcome_segment INTEGER, outcome_offset INTEGER, outcome_length INTEGER) STRICT;
CREATE INDEX calls_time ON calls (time);
CREATE INDEX calls_request ON calls (request_id);
CREATE INDEX calls_grant ON calls (grant_id, time);
CREATE INDEX calls_identity ON calls (identity_id, time);
CREATE INDEX calls_tool ON calls (server, tool, time);
CREATE INDEX calls_outcome ON calls (outcome, time) WHERE outcome <> 'allow';
CREATE TABLE changes (
  id INTEGER PRIMARY KEY, time INTEGER NOT NULL, writer TEXT NOT NULL, seq INTEGER NOT NULL, request_id TEXT,
  actor_kind TEXT NOT NULL, actor_id TEXT NOT NULL, action TEXT NOT NULL, target TEXT NOT NULL,
  segment INTEGER NOT NULL, offset INTEGER NOT NULL, length INTEGER NOT NULL) STRICT;
CREATE INDEX changes_time ON changes (time);
CREATE INDEX changes_target ON changes (target, time);
PRAGMA user_version = ${SCHEMA_VERSION};
`;

const INSERT_CALL = `INSERT INTO calls (time, writer, seq, kind, request_id, trace_id, grant_id, grant_label, identity_id,
  identity_name, server, session, client, source, method, tool, definition, outcome, rule, message, policy,
  policy_version, status, error_code, is_error, bytes, upstream_ms, count, segment, offset, length)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`;
const JOIN_OUTCOME = `UPDATE calls SET outcome = ?, status = ?, error_code = ?, is_error = ?, bytes = ?, upstream_ms = ?,
  outcome_segment = ?, outcome_offset = ?, outcome_length = ?
  WHERE id = (SELECT max(id) FROM calls WHERE request_id = ? AND writer = ? AND kind = 'intent')`;
const INSERT_CHANGE = `INSERT INTO changes (time, writer, seq, request_id, actor_kind, actor_id, action, target, segment,
  offset, length) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`;

interface Place {
  segment: number;
  offset: number;
  length: number;
}

const CHUNK = 128 * 1024;
/** Rows looked at in one go when records are forgotten. */
const FORGET_ROWS = 2_000;

const integer = (value: number | undefined): number | null => (Number.isSafeInteger(value) ? value! : null);

/**
 * The search index: one row per call, one per change of state, in SQLite. It holds nothing that the segments do not
 * hold, is filled from them behind the calls, and is built again when its file is missing, damaged or of another
 * version. Several processes may share it: each slice of work is one transaction that begins by reading how far the
 * others came.
 */
export class CallIndex {
  readonly #dir: string;
  readonly db: DatabaseSync;
  readonly #insertCall: StatementSync;
  readonly #joinOutcome: StatementSync;
  readonly #insertChange: StatementSync;
  readonly #segmentRow: StatementSync;
  readonly #position: StatementSync;
  readonly #advance: StatementSync;

  /** @throws Error when the index can neither be opened nor built. */
  constructor(dir: string) {
    this.#dir = dir;
    this.db = openIndex(dir);
    this.#insertCall = this.db.prepare(INSERT_CALL);
    this.#joinOutcome = this.db.prepare(JOIN_OUTCOME);
    this.#insertChange = this.db.prepare(INSERT_CHANGE);
    this.#segmentRow = this.db.prepare(
      'INSERT INTO segments (stream, name) VALUES (?, ?) ON CONFLICT DO UPDATE SET position = position RETURNING id, position, done',
    );
    this.#position = this.db.prepare('SELECT position FROM segments WHERE stream = ? AND name = ?');
    this.#advance = this.db.prepare('UPDATE segments SET position = ?, done = ? WHERE id = ?');
  }

  /**
   * Takes in what the segments hold beyond what is indexed.
   * @param milliseconds how long this may take, about; Infinity for all of it.
   * @returns true when nothing is left.
   */
  catchUp(milliseconds: number): boolean {
    const until = performance.now() + milliseconds;
    for (const stream of ['calls', 'admin'] as const) {
      const finished = new Set(
        this.db
          .prepare('SELECT name FROM segments WHERE stream = ? AND done = 1')
          .all(stream)
          .map((row) => row.name),
      );
      const open = listSegments(this.#dir, stream).filter((segment) => !finished.has(segment.name));
      for (const [i, segment] of open.entries()) {
        const sealed = open[i + 1]?.writer === segment.writer;
        while (this.#takeChunk(segment, sealed)) if (performance.now() > until) return false;
      }
    }
    return true;
  }

  /**
   * Removes the rows of a chain's records up to `lastSeq`, whose segments are gone; gives way to calls now and then.
   * A call goes with its intent, as its outcome stands behind it.
   */
  async forget(stream: Stream, writer: string, lastSeq: number): Promise<void> {
    const gone = this.db
      .prepare('SELECT id, name FROM segments WHERE stream = ?')
      .all(stream)
      .map((row) => ({ id: Number(row.id), segment: parseSegmentName(String(row.name)) }))
      .filter(({ segment }) => segment?.writer === writer && segment.firstSeq <= lastSeq)
      .map(({ id }) => id);
    if (gone.length === 0) return;
    const table = stream === 'calls' ? 'calls' : 'changes';
    const bound = this.db.prepare(
      `SELECT max(id) AS last FROM (SELECT id FROM ${table} WHERE id > ? ORDER BY id LIMIT ?)`,
    );
    const remove = this.db.prepare(
      `DELETE FROM ${table} WHERE id > ? AND id <= ? AND segment IN (SELECT value FROM json_each(?))`,
    );
    const ids = JSON.stringify(gone);
    for (let from = 0; ; ) {
      const last = bound.get(from, FORGET_ROWS)?.last;
      if (typeof last !== 'number') break;
      remove.run(from, last, ids);
      from = last;
      await nextTurn();
    }
    this.db.prepare('DELETE FROM segments WHERE id IN (SELECT value FROM json_each(?))').run(ids);
  }

  close(): void {
    this.db.close();
  }

  /** Indexes one chunk of a segment; false when there was nothing more. */
  #takeChunk(segment: Segment, sealed: boolean): boolean {
    const known = this.#position.get(segment.stream, segment.name);
    if (!sealed && known && Number(known.position) >= statSync(segment.path).size) return false;
    const fd = openSync(segment.path, 'r');
    this.db.exec('BEGIN IMMEDIATE');
    try {
      const row = this.#segmentRow.get(segment.stream, segment.name)!;
      const id = Number(row.id);
      const start = Number(row.position);
      const size = fstatSync(fd).size;
      if (row.done === 1 || start >= size) {
        if (sealed) this.#advance.run(start, 1, id);
        this.db.exec('COMMIT');
        return false;
      }
      let chunk = readAt(fd, start, CHUNK);
      // A record longer than the chunk: read on until its line feed.
      for (let length = CHUNK * 4; chunk.lastIndexOf(0x0a) < 0 && chunk.length < size - start; length *= 4) {
        if (length > MAX_RECORD_BYTES * 4) break;
        chunk = readAt(fd, start, length);
      }
      let offset = 0;
      let stopped = false;
      for (let end = chunk.indexOf(0x0a); end >= 0; end = chunk.indexOf(0x0a, offset)) {
        const place = { segment: id, offset: start + offset, length: end - offset };
        stopped = this.#take(chunk.toString('utf8', offset, end), place) === 'stop' || stopped;
        offset = end + 1;
      }
      // Behind a `stop` comes its head, which has no row.
      this.#advance.run(start + offset, stopped || (sealed && offset === 0) ? 1 : 0, id);
      this.db.exec('COMMIT');
      return offset > 0;
    } catch (error) {
      this.db.exec('ROLLBACK');
      throw error;
    } finally {
      closeSync(fd);
    }
  }

  /** Indexes one line and returns the record's kind. A line that does not parse has no row; verification names it. */
  #take(line: string, place: Place): string {
    let record: StoredRecord;
    try {
      record = parsePlainJson(line) as StoredRecord;
    } catch {
      return '';
    }
    if (record.kind === 'admin' && record.stream === 'admin') this.#takeChange(record, place);
    else if (record.stream === 'calls' && record.request_id !== undefined) this.#takeCall(record, place);
    return record.kind;
  }

  #takeChange(record: StoredRecord, place: Place): void {
    const { actor, action = '', target = '' } = record;
    this.#insertChange.run(
      Date.parse(record.time),
      record.writer,
      record.seq,
      record.request_id ?? null,
      actor?.kind ?? '',
      actor?.id ?? '',
      action,
      target,
      place.segment,
      place.offset,
      place.length,
    );
  }

  #takeCall(record: StoredRecord, place: Place): void {
    const { kind, decision, result, grant, identity } = record;
    const measured: SQLInputValue[] = [
      integer(result?.status),
      integer(result?.error_code),
      result?.is_error === undefined ? null : Number(result.is_error),
      integer(result?.bytes),
      result?.upstream_ms ?? null,
    ];
    if (kind === 'outcome') {
      const where: SQLInputValue[] = [place.segment, place.offset, place.length, record.request_id!, record.writer];
      if (Number(this.#joinOutcome.run(outcomeOf(record), ...measured, ...where).changes) > 0) return;
    }
    this.#insertCall.run(
      Date.parse(record.time),
      record.writer,
      record.seq,
      kind,
      record.request_id!,
      record.trace_id ?? null,
      grant?.id ?? null,
      grant?.label ?? null,
      identity?.id ?? null,
      identity?.name ?? null,
      record.server ?? null,
      record.session ?? null,
      record.client ?? null,
      record.source ?? null,
      record.method ?? null,
      record.tool ?? null,
      record.definition ?? null,
      // Until its outcome is recorded nobody knows what an allowed call did.
      kind === 'intent' ? 'unknown' : outcomeOf(record),
      decision?.rule ?? null,
      decision?.message ?? null,
      decision?.policy?.id ?? null,
      decision?.policy ? String(decision.policy.version) : null,
      ...measured,
      integer(record.count) ?? 1,
      place.segment,
      place.offset,
      place.length,
    );
  }
}

/** True when every segment is there and is as long as what was indexed of it. After a loss of power it may not be. */
function matchesSegments(dir: string, db: DatabaseSync): boolean {
  return db
    .prepare('SELECT stream, name, position FROM segments')
    .all()
    .every((row) => {
      const file = statSync(join(dir, String(row.stream), String(row.name)), { throwIfNoEntry: false });
      return file !== undefined && file.size >= Number(row.position);
    });
}

function openIndex(dir: string): DatabaseSync {
  const path = join(dir, 'index.db');
  if (existsSync(path)) {
    try {
      const db = configured(path);
      const version = db.prepare('PRAGMA user_version').get()!.user_version;
      if (version === SCHEMA_VERSION && matchesSegments(dir, db)) return db;
      db.close();
    } catch (error) {
      // SQLITE_CORRUPT and SQLITE_NOTADB: the segments hold all that it held. Any other error is not the file's fault.
      const code = (error as { errcode?: number }).errcode;
      if (code !== 11 && code !== 26) throw error;
    }
    for (const suffix of ['', '-wal', '-shm']) rmSync(path + suffix, { force: true });
  }
  const db = configured(path);
  db.exec('BEGIN IMMEDIATE');
  // Another process may have built it since.
  if (db.prepare('PRAGMA user_version').get()!.user_version !== SCHEMA_VERSION) db.exec(SCHEMA);
  db.exec('COMMIT');
  return db;
}

function configured(path: string): DatabaseSync {
  // SQLite would make it readable for all; its -wal and -shm files take over the mode.
  closeSync(openSync(path, 'a', 0o600));
  const db = new DatabaseSync(path, { timeout: 2_000 });
  try {
    // The index can always be built again: it needs no sync of its own.
    db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF');
    db.prepare('SELECT count(*) FROM sqlite_schema').get();
  } catch (error) {
    db.close();
    throw error;
  }
  return db;
}
