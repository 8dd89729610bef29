import { closeSync, openSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import { MAX_RECORD_BYTES, type Stream } from './record.ts';
import { type AuditQuery, type AuditRow, callsInOrder, type LinePlace } from './search.ts';
import { listSegments, readAt } from './segments.ts';

/** Lines at their places, one by one. A line that is gone (its segment was cut away) is left out. */
export function* readLines(dir: string, db: DatabaseSync, places: Iterable<LinePlace>): Generator<string, void> {
  const open = new Map<number, number | undefined>();
  try {
    for (const place of places) {
      if (!open.has(place.segment)) open.set(place.segment, openSegment(dir, db, place.segment));
      const fd = open.get(place.segment);
      if (fd !== undefined) yield readAt(fd, place.offset, place.length).toString();
    }
  } finally {
    for (const fd of open.values()) if (fd !== undefined) closeSync(fd);
  }
}

function openSegment(dir: string, db: DatabaseSync, id: number): number | undefined {
  const row = db.prepare('SELECT stream, name FROM segments WHERE id = ?').get(id);
  if (!row) return undefined;
  try {
    return openSync(join(dir, String(row.stream), String(row.name)), 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

const CHUNK = 128 * 1024;

/**
 * Every whole line of a stream as it stands in its segments, chain by chain: what a verifier needs. It needs no index,
 * and no thread of ours: the reads wait in the thread pool, and cutting a chunk into lines takes a fraction of a
 * millisecond, after which calls go first.
 */
export async function* streamLines(dir: string, stream: Stream): AsyncGenerator<string> {
  for (const segment of listSegments(dir, stream)) {
    let file: FileHandle;
    try {
      file = await open(segment.path);
    } catch (error) {
      // Retention cut it since.
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') continue;
      throw error;
    }
    try {
      let rest: Buffer = Buffer.alloc(0);
      for (;;) {
        const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(CHUNK), 0, CHUNK);
        if (bytesRead === 0 || rest.length > 2 * MAX_RECORD_BYTES) break;
        const read = buffer.subarray(0, bytesRead);
        const chunk = rest.length > 0 ? Buffer.concat([rest, read]) : read;
        let start = 0;
        for (let end = chunk.indexOf(0x0a); end >= 0; end = chunk.indexOf(0x0a, start)) {
          yield chunk.toString('utf8', start, end);
          start = end + 1;
        }
        rest = chunk.subarray(start);
      }
    } finally {
      await file.close();
    }
  }
}

/** The records of the calls found, oldest call first, each call's intent before its outcome. */
export function* foundLines(dir: string, db: DatabaseSync, query: AuditQuery): Generator<string, void> {
  for (const found of callsInOrder(db, query)) {
    yield* readLines(
      dir,
      db,
      found.flatMap((call) => call.places),
    );
  }
}

const COLUMNS: [string, (row: AuditRow) => string | number | boolean | undefined][] = [
  ['time', (row) => new Date(row.time).toISOString()],
  ['request_id', (row) => row.requestId],
  ['kind', (row) => row.kind],
  ['outcome', (row) => row.outcome],
  ['rule', (row) => row.rule],
  ['message', (row) => row.message],
  ['identity', (row) => row.identity?.id],
  ['identity_name', (row) => row.identity?.name],
  ['grant', (row) => row.grant?.id],
  ['grant_label', (row) => row.grant?.label],
  ['server', (row) => row.server],
  ['method', (row) => row.method],
  ['tool', (row) => row.tool],
  ['definition', (row) => row.definition],
  ['policy', (row) => row.policy?.id],
  ['policy_version', (row) => row.policy?.version],
  ['session', (row) => row.session],
  ['client', (row) => row.client],
  ['source', (row) => row.source],
  ['trace_id', (row) => row.traceId],
  ['status', (row) => row.status],
  ['error_code', (row) => row.errorCode],
  ['is_error', (row) => row.isError],
  ['bytes', (row) => row.bytes],
  ['upstream_ms', (row) => row.upstreamMs],
  ['count', (row) => row.count],
  ['writer', (row) => row.writer],
  ['seq', (row) => row.seq],
];

/**
 * One CSV cell (RFC 4180). A spreadsheet takes a text for a formula when it begins with one of = + - @, their
 * full-width forms, a tab or a carriage return; such a text gets an apostrophe before it. Numbers are ours and stay.
 */
export function csvCell(value: string | number | boolean | undefined): string {
  if (value === undefined) return '';
  if (typeof value !== 'string') return String(value);
  const safe = /^[\s\u0000-\u001f]*[=+\-@＝＋－＠]|^[\t\r\n]/.test(value) ? `'${value}` : value;
  return /[",;\r\n\t]|^\s|\s$/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** The calls found as CSV with a line of names: one call a line, oldest first, without line ends. */
export function* foundCsv(db: DatabaseSync, query: AuditQuery): Generator<string, void> {
  yield COLUMNS.map(([name]) => name).join(',');
  for (const found of callsInOrder(db, query)) {
    for (const { row } of found) yield COLUMNS.map(([, read]) => csvCell(read(row))).join(',');
  }
}
