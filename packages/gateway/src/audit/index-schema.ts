import { closeSync, existsSync, openSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

// A change of the tables needs a new number: an index of another number is thrown away and built again.
const SCHEMA_VERSION = 2;

// `names` holds each pair of an id and its label once: grants, identities, and tools by server. Their index entries are
// whole numbers, which took a third off the time of a building. Rows of a segment lie among those from `first_row` to `last_row`. AUTOINCREMENT: a place in a segment that was cut
// must never point into a later one.
const SCHEMA = `
CREATE TABLE segments (
  id INTEGER PRIMARY KEY AUTOINCREMENT, stream TEXT NOT NULL, name TEXT NOT NULL, writer TEXT NOT NULL,
  first_seq INTEGER NOT NULL, position INTEGER NOT NULL DEFAULT 0, records INTEGER NOT NULL DEFAULT 0,
  first_row INTEGER, last_row INTEGER, done INTEGER NOT NULL DEFAULT 0, UNIQUE (stream, name)) STRICT;
CREATE INDEX segments_writer ON segments (writer);
CREATE TABLE names (
  name_id INTEGER PRIMARY KEY, sort TEXT NOT NULL, key TEXT, label TEXT) STRICT;
CREATE INDEX names_key ON names (sort, key, label);
CREATE TABLE calls (
  id INTEGER PRIMARY KEY, time INTEGER NOT NULL, writer TEXT NOT NULL, seq INTEGER NOT NULL, kind TEXT NOT NULL,
  request_hash INTEGER NOT NULL, request_id TEXT NOT NULL, trace_id TEXT, grant_name INTEGER, identity_name INTEGER,
  tool_name INTEGER, session TEXT, client TEXT, source TEXT, method TEXT, definition TEXT, outcome TEXT NOT NULL, rule TEXT, message TEXT, policy TEXT, policy_version TEXT,
  status INTEGER, error_code INTEGER, is_error INTEGER, bytes INTEGER, upstream_ms REAL, count INTEGER NOT NULL,
  segment INTEGER NOT NULL, offset INTEGER NOT NULL, length INTEGER NOT NULL,
  outcome_segment INTEGER, outcome_offset INTEGER, outcome_length INTEGER) STRICT;
CREATE INDEX calls_time ON calls (time);
CREATE INDEX calls_request ON calls (request_hash);
CREATE INDEX calls_grant ON calls (grant_name, time);
CREATE INDEX calls_identity ON calls (identity_name, time);
CREATE INDEX calls_tool ON calls (tool_name, time);
CREATE INDEX calls_outcome ON calls (outcome, time) WHERE outcome <> 'allow';
CREATE TABLE changes (
  id INTEGER PRIMARY KEY, time INTEGER NOT NULL, writer TEXT NOT NULL, seq INTEGER NOT NULL, request_id TEXT,
  actor_kind TEXT NOT NULL, actor_id TEXT NOT NULL, action TEXT NOT NULL, target TEXT NOT NULL,
  segment INTEGER NOT NULL, offset INTEGER NOT NULL, length INTEGER NOT NULL) STRICT;
CREATE INDEX changes_time ON changes (time);
CREATE INDEX changes_target ON changes (target, time);
PRAGMA user_version = ${SCHEMA_VERSION};
`;

export const INDEX_FILE = 'index.db';

/** SQLite's result codes, without the detail in their upper bits. */
const SQLITE_CORRUPT = 11;
const SQLITE_NOTADB = 26;

/** True for an error that a new index would not have: the segments hold all that it held. */
export function isDamage(error: unknown): boolean {
  const code = (error as { errcode?: number }).errcode;
  return code !== undefined && [SQLITE_CORRUPT, SQLITE_NOTADB].includes(code & 0xff);
}

/** Deletes the index of a log's folder. */
export function removeIndex(dir: string): void {
  for (const suffix of ['', '-wal', '-shm']) rmSync(join(dir, INDEX_FILE) + suffix, { force: true });
}

/** Opens the index of a log's folder, or begins a new one. @throws Error when it can do neither. */
export function openIndex(dir: string): DatabaseSync {
  const path = join(dir, INDEX_FILE);
  if (existsSync(path)) {
    try {
      const db = configured(path);
      const version = db.prepare('PRAGMA user_version').get()!.user_version;
      if (version === SCHEMA_VERSION && matchesSegments(dir, db)) return db;
      db.close();
    } catch (error) {
      if (!isDamage(error)) throw error;
    }
    removeIndex(dir);
  }
  const db = configured(path);
  db.exec('BEGIN IMMEDIATE');
  // Another process may have built it since.
  if (db.prepare('PRAGMA user_version').get()!.user_version !== SCHEMA_VERSION) db.exec(SCHEMA);
  db.exec('COMMIT');
  return db;
}

/** False when a segment is shorter than what was indexed of it, as it may be after a loss of power. */
function matchesSegments(dir: string, db: DatabaseSync): boolean {
  return db
    .prepare('SELECT stream, name, position FROM segments')
    .all()
    .every((row) => {
      const file = statSync(join(dir, String(row.stream), String(row.name)), { throwIfNoEntry: false });
      return file === undefined || file.size >= Number(row.position);
    });
}

function configured(path: string): DatabaseSync {
  // SQLite would make it readable for all; its -wal and -shm files take over the mode.
  closeSync(openSync(path, 'a', 0o600));
  const db = new DatabaseSync(path, { timeout: 2_000 });
  try {
    // The index can always be built again: it needs no sync of its own. Pages: 32 MiB kept in memory, and as many in the
    // -wal file before they are moved, since a building touches the same ones again and again.
    db.exec(
      'PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; PRAGMA cache_size = -32768; PRAGMA wal_autocheckpoint = 8192',
    );
    db.prepare('SELECT count(*) FROM sqlite_schema').get();
  } catch (error) {
    db.close();
    throw error;
  }
  return db;
}
