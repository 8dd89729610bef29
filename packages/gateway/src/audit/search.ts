import type { DatabaseSync, SQLInputValue, SQLOutputValue } from 'node:sqlite';
import { crc32 } from 'node:zlib';
import { parsePlainJson } from '@gatehouse/wire';
import { NAME_COLUMN, type NameSort } from './index-names.ts';

/** What to look for. Everything given must hold. Times are milliseconds since the epoch: `from` ≤ time < `to`. */
export interface AuditQuery {
  from?: number;
  to?: number;
  server?: string;
  tool?: string;
  /** Id or label of a grant. */
  grant?: string;
  /** Id or name of an identity. */
  identity?: string;
  /** `allow`, `deny`, `approval_required`, `error` (went through, and failed), `unknown` (no outcome
   * recorded, or none that tells), `not_sent` (no byte reached the server), `refuse` (not even judged). */
  outcome?: string;
  rule?: string;
  /** Of one call, or one of those that an aggregate stands for (`<id of the aggregate>.<number>`). */
  requestId?: string;
  method?: string;
  /** Part of the method, the tool, the rule or the message; case does not matter for A–Z. */
  text?: string;
  /** Rows of a page, 1 to 1000; default 100. */
  limit?: number;
  /** `cursor` of the page before. */
  cursor?: string;
}

/** One call, its intent and its outcome in one. */
export interface AuditRow {
  /** Milliseconds since the epoch, of the intent or the decision. */
  time: number;
  requestId: string;
  kind: string;
  writer: string;
  seq: number;
  outcome: string;
  traceId?: string;
  grant?: { id: string; label: string };
  identity?: { id: string; name: string };
  server?: string;
  session?: string;
  client?: string;
  source?: string;
  method?: string;
  tool?: string;
  definition?: string;
  rule?: string;
  message?: string;
  policy?: { id: string; version: string };
  status?: number;
  errorCode?: number;
  isError?: boolean;
  bytes?: number;
  upstreamMs?: number;
  /** How many messages the row stands for; more than 1 only for aggregates. */
  count: number;
  /** The whole records, intent or decision first; only where one call is asked for by its request id. */
  records?: readonly Record<string, unknown>[];
}

export interface AuditPage {
  /** Newest first. */
  rows: AuditRow[];
  /** For the page after this one; absent on the last. */
  cursor?: string;
}

/** What to look for among the changes of state. */
export interface AdminQuery {
  from?: number;
  to?: number;
  actor?: string;
  action?: string;
  target?: string;
  requestId?: string;
  limit?: number;
  cursor?: string;
}

/** One change of state. */
export interface AdminRow {
  time: number;
  writer: string;
  seq: number;
  actor: { kind: string; id: string };
  action: string;
  target: string;
  requestId?: string;
  /** The whole record, with `before` and `after`. */
  record?: Record<string, unknown>;
}

export interface AdminPage {
  rows: AdminRow[];
  cursor?: string;
}

/** A query that cannot be answered as it was put; the message says what to change. */
export class AuditQueryError extends Error {
  override readonly name = 'AuditQueryError';
  readonly code = 'audit_query_invalid';
}

/** Where a line stands: segment row id, byte offset and length. */
export interface LinePlace {
  segment: number;
  offset: number;
  length: number;
}

type Row = Record<string, SQLOutputValue>;

const DEFAULT_LIMIT = 100;
const MAX_LIMIT = 1000;
/** Bytes of records in one page, about. A change may have megabytes of `before` and `after`. */
const MAX_PAGE_BYTES = 1024 * 1024;

/** Conditions and their values, put together. */
class Where {
  readonly #parts: string[] = [];
  readonly values: SQLInputValue[] = [];

  and(condition: string, ...values: SQLInputValue[]): void {
    this.#parts.push(condition);
    this.values.push(...values);
  }

  get sql(): string {
    return this.#parts.length > 0 ? `WHERE ${this.#parts.join(' AND ')}` : '';
  }
}

function pageLimit(limit: number | undefined): number {
  if (limit === undefined) return DEFAULT_LIMIT;
  if (!Number.isSafeInteger(limit) || limit < 1 || limit > MAX_LIMIT) {
    throw new AuditQueryError(`limit is ${limit}; it must be a whole number from 1 to ${MAX_LIMIT}.`);
  }
  return limit;
}

function timeRange(where: Where, query: { from?: number; to?: number }): void {
  for (const [name, value] of [
    ['from', query.from],
    ['to', query.to],
  ] as const) {
    if (value === undefined) continue;
    if (!Number.isFinite(value)) throw new AuditQueryError(`${name} is not a time; give milliseconds since the epoch.`);
    where.and(name === 'from' ? 'time >= ?' : 'time < ?', value);
  }
}

function encodeCursor(row: Row): string {
  return Buffer.from(`${row.time}.${row.id}`).toString('base64url');
}

function decodeCursor(cursor: string): [number, number] {
  const match = /^(-?\d{1,16})\.(\d{1,16})$/.exec(Buffer.from(cursor, 'base64url').toString());
  if (!match) throw new AuditQueryError('The cursor is not one that a page of this log gave; begin without a cursor.');
  return [Number(match[1]), Number(match[2])];
}

/** A request id of its own, or one of those that an aggregate stands for: its id, a full stop, a number up to its count. */
function requestIs(where: Where, requestId: string): void {
  const own = 'request_hash = ? AND request_id = ?';
  const [, series, number] = /^(.+)\.([1-9]\d{0,14})$/.exec(requestId) ?? [];
  if (series === undefined) where.and(own, crc32(requestId), requestId);
  else {
    const values = [crc32(requestId), requestId, crc32(series), series, Number(number)];
    where.and(`((${own}) OR (${own} AND kind = 'aggregate' AND count >= ?))`, ...values);
  }
}

/** Rows and what their names say. */
const SELECT_CALLS = `SELECT calls.*, g.key AS grant_id, g.label AS grant_label, i.key AS identity_id,
  i.label AS identity_label, t.key AS server, t.label AS tool FROM calls
  LEFT JOIN names AS g ON g.name_id = grant_name LEFT JOIN names AS i ON i.name_id = identity_name
  LEFT JOIN names AS t ON t.name_id = tool_name`;

/** The numbers of the names for which `condition` holds. They are few, and one alone is looked up in its index. */
function nameIs(db: DatabaseSync, where: Where, sort: NameSort, condition: string, ...values: string[]): void {
  const found = db
    .prepare(`SELECT name_id FROM names WHERE sort = ? AND ${condition}`)
    .all(sort, ...values)
    .map((row) => Number(row.name_id));
  const column = NAME_COLUMN[sort];
  where.and(found.length === 1 ? `${column} = ${found[0]}` : `${column} IN (${found.join(', ')})`);
}

function callConditions(db: DatabaseSync, query: AuditQuery): Where {
  const where = new Where();
  timeRange(where, query);
  const equal: [string, string | undefined][] = [
    ['outcome', query.outcome],
    ['rule', query.rule],
    ['method', query.method],
  ];
  for (const [column, value] of equal) if (value !== undefined) where.and(`${column} = ?`, value);
  if (query.requestId !== undefined) requestIs(where, query.requestId);
  const { grant, identity, server, tool, text } = query;
  if (grant !== undefined) nameIs(db, where, 'grant', '(key = ? OR label = ?)', grant, grant);
  if (identity !== undefined) nameIs(db, where, 'identity', '(key = ? OR label = ?)', identity, identity);
  if (server !== undefined && tool !== undefined) nameIs(db, where, 'tool', 'key = ? AND label = ?', server, tool);
  else if (server !== undefined) nameIs(db, where, 'tool', 'key = ?', server);
  else if (tool !== undefined) nameIs(db, where, 'tool', 'label = ?', tool);
  if (text !== undefined && text !== '') {
    const pattern = `%${text.replace(/[\\%_]/g, '\\$&')}%`;
    const like = (column: string): string => `${column} LIKE ? ESCAPE '\\'`;
    const tools = `tool_name IN (SELECT name_id FROM names WHERE sort = 'tool' AND ${like('label')})`;
    const parts = [like('method'), tools, like('rule'), like('message')];
    where.and(`(${parts.join(' OR ')})`, ...parts.map(() => pattern));
  }
  return where;
}

const optional = <T>(value: SQLOutputValue | undefined, read: (value: SQLOutputValue) => T): T | undefined =>
  value === null || value === undefined ? undefined : read(value);

function callRow(row: Row): AuditRow {
  const string = (name: string): string | undefined => optional(row[name], String);
  const number = (name: string): number | undefined => optional(row[name], Number);
  const pair = (id: string, other: string): [string, string] | undefined =>
    row[id] === null ? undefined : [String(row[id]), String(row[other] ?? '')];
  const grant = pair('grant_id', 'grant_label');
  const identity = pair('identity_id', 'identity_label');
  const policy = pair('policy', 'policy_version');
  const made: AuditRow = {
    time: Number(row.time),
    requestId: String(row.request_id),
    kind: String(row.kind),
    writer: String(row.writer),
    seq: Number(row.seq),
    outcome: String(row.outcome),
    traceId: string('trace_id'),
    grant: grant && { id: grant[0], label: grant[1] },
    identity: identity && { id: identity[0], name: identity[1] },
    server: string('server'),
    session: string('session'),
    client: string('client'),
    source: string('source'),
    method: string('method'),
    tool: string('tool'),
    definition: string('definition'),
    rule: string('rule'),
    message: string('message'),
    policy: policy && { id: policy[0], version: policy[1] },
    status: number('status'),
    errorCode: number('error_code'),
    isError: optional(row.is_error, (value) => value === 1),
    bytes: number('bytes'),
    upstreamMs: number('upstream_ms'),
    count: Number(row.count),
  };
  return Object.fromEntries(Object.entries(made).filter(([, value]) => value !== undefined)) as unknown as AuditRow;
}

/** How many rows, one at least, have records that fit into a page. */
function fitting(rows: readonly Row[]): number {
  let bytes = 0;
  const over = rows.findIndex((row) => {
    bytes += Number(row.length);
    return bytes > MAX_PAGE_BYTES;
  });
  return over < 0 ? rows.length : Math.max(1, over);
}

/** Rows of a table, newest first, and the cursor behind them. */
function page(
  db: DatabaseSync,
  table: 'calls' | 'changes',
  where: Where,
  query: { limit?: number; cursor?: string },
): { rows: Row[]; cursor?: string } {
  const limit = pageLimit(query.limit);
  if (query.cursor !== undefined) {
    const [time, id] = decodeCursor(query.cursor);
    where.and('(time, id) < (?, ?)', time, id);
  }
  const rows = db
    .prepare(
      `${table === 'calls' ? SELECT_CALLS : 'SELECT * FROM changes'} ${where.sql} ORDER BY time DESC, id DESC LIMIT ?`,
    )
    .all(...where.values, limit + 1);
  const shown = rows.slice(0, Math.min(limit, table === 'changes' ? fitting(rows) : limit));
  return shown.length === rows.length ? { rows } : { rows: shown, cursor: encodeCursor(shown.at(-1)!) };
}

const place = (row: Row, prefix = ''): LinePlace | undefined =>
  row[`${prefix}segment`] === null
    ? undefined
    : {
        segment: Number(row[`${prefix}segment`]),
        offset: Number(row[`${prefix}offset`]),
        length: Number(row[`${prefix}length`]),
      };

const places = (row: Row): LinePlace[] => [place(row), place(row, 'outcome_')].filter((found) => found !== undefined);

/** A page of calls. @throws AuditQueryError */
export function searchCalls(db: DatabaseSync, query: AuditQuery): AuditPage {
  const found = page(db, 'calls', callConditions(db, query), query);
  const rows = found.rows.map(callRow);
  return found.cursor === undefined ? { rows } : { rows, cursor: found.cursor };
}

/** A page of changes. @throws AuditQueryError */
export function searchChanges(
  db: DatabaseSync,
  query: AdminQuery,
  read: (places: readonly LinePlace[]) => readonly string[],
): AdminPage {
  const where = new Where();
  timeRange(where, query);
  const equal: [string, string | undefined][] = [
    ['actor_id', query.actor],
    ['action', query.action],
    ['target', query.target],
    ['request_id', query.requestId],
  ];
  for (const [column, value] of equal) if (value !== undefined) where.and(`${column} = ?`, value);
  const found = page(db, 'changes', where, query);
  const rows = found.rows.map((row): AdminRow => {
    const [line] = read([place(row)!]);
    const made: AdminRow = {
      time: Number(row.time),
      writer: String(row.writer),
      seq: Number(row.seq),
      actor: { kind: String(row.actor_kind), id: String(row.actor_id) },
      action: String(row.action),
      target: String(row.target),
    };
    if (row.request_id !== null) made.requestId = String(row.request_id);
    if (line !== undefined) made.record = parsePlainJson(line) as Record<string, unknown>;
    return made;
  });
  return found.cursor === undefined ? { rows } : { rows, cursor: found.cursor };
}

/** The calls of one request id with their whole records, oldest first. */
export function callsByRequestId(
  db: DatabaseSync,
  requestId: string,
  read: (places: readonly LinePlace[]) => readonly string[],
): AuditRow[] {
  const where = new Where();
  requestIs(where, requestId);
  return db
    .prepare(`${SELECT_CALLS} ${where.sql} ORDER BY time, id LIMIT ?`)
    .all(...where.values, MAX_LIMIT)
    .map((row) => ({
      ...callRow(row),
      records: read(places(row)).map((line) => parsePlainJson(line) as Record<string, unknown>),
    }));
}

/** Calls oldest first in steps of one page, for an export of any length. @throws AuditQueryError */
export function* callsInOrder(
  db: DatabaseSync,
  query: AuditQuery,
): Generator<{ row: AuditRow; places: LinePlace[] }[]> {
  let after: [number, number] = [Number.MIN_SAFE_INTEGER, 0];
  for (;;) {
    const where = callConditions(db, query);
    where.and('(time, id) > (?, ?)', ...after);
    const rows = db.prepare(`${SELECT_CALLS} ${where.sql} ORDER BY time, id LIMIT ?`).all(...where.values, MAX_LIMIT);
    if (rows.length === 0) return;
    yield rows.map((row) => ({ row: callRow(row), places: places(row) }));
    const last = rows.at(-1)!;
    after = [Number(last.time), Number(last.id)];
  }
}
