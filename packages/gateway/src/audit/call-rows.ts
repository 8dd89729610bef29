// The rows that records make, put into the tables a batch of lines at a time.
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { crc32 } from 'node:zlib';
import { type CallLine, CallLineReader, callOf, parseLine } from './call-line.ts';
import type { IndexNames } from './index-names.ts';
import type { Segment } from './segments.ts';
import type { StoredRecord } from './stored-record.ts';

const INSERT_CALL = `INSERT INTO calls (time, writer, seq, kind, request_hash, request_id, trace_id, grant_name,
  identity_name, tool_name, session, client, source, method, definition, outcome, rule, message, policy,
  policy_version, status, error_code, is_error, bytes, upstream_ms, count, segment, offset, length,
  outcome_segment, outcome_offset, outcome_length) VALUES (${Array(32).fill('?').join(', ')})`;
const JOIN_OUTCOME = `UPDATE calls SET outcome = ?, status = ?, error_code = ?, is_error = ?, bytes = ?, upstream_ms = ?,
  outcome_segment = ?, outcome_offset = ?, outcome_length = ?
  WHERE id = (SELECT max(id) FROM calls WHERE request_hash = ? AND request_id = ? AND writer = ? AND kind = 'intent')`;
const INSERT_CHANGE = `INSERT INTO changes (time, writer, seq, request_id, actor_kind, actor_id, action, target, segment,
  offset, length) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`;

/** Where a line stands: row id of its segment, byte offset and length. */
interface Place {
  segment: number;
  offset: number;
  length: number;
}

/** A row that is not in the table yet, with its outcome's place once that was met. */
interface NewRow {
  call: CallLine;
  place: Place;
  outcome: Place | undefined;
}

export interface Taken {
  lines: number;
  /** The writer's `stop` was among them: its chain has ended. */
  stopped: boolean;
}

/** Whole lines of one segment. */
export class LineBatch {
  readonly #segment: number;
  readonly #position: number;
  readonly #bytes: Buffer;

  /** @param bytes whole lines, which begin at the byte `position` of the segment with the row id `segment` */
  constructor(segment: number, position: number, bytes: Buffer) {
    this.#segment = segment;
    this.#position = position;
    this.#bytes = bytes;
  }

  /** Calls `take` with each line as a range of a text that holds them all; returns their number. */
  each(take: (text: string, start: number, end: number, place: Place) => void): number {
    const bytes = this.#bytes;
    const text = bytes.toString('utf8');
    // No sequence of bytes makes more UTF-16 units than it has bytes: with equal lengths, offsets are equal throughout.
    const sameOffsets = text.length === bytes.length;
    let lines = 0;
    let start = 0;
    let offset = 0;
    for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n', start)) {
      const byteEnd = sameOffsets ? end : bytes.indexOf(0x0a, offset);
      take(text, start, end, {
        segment: this.#segment,
        offset: this.#position + offset,
        length: byteEnd - offset,
      });
      lines += 1;
      start = end + 1;
      offset = byteEnd + 1;
    }
    return lines;
  }
}

const text = (value: unknown): string => (typeof value === 'string' ? value : '');

export class RowWriter {
  readonly #names: IndexNames;
  readonly #insertCall: StatementSync;
  readonly #joinOutcome: StatementSync;
  readonly #insertChange: StatementSync;

  constructor(db: DatabaseSync, names: IndexNames) {
    this.#names = names;
    this.#insertCall = db.prepare(INSERT_CALL);
    this.#joinOutcome = db.prepare(JOIN_OUTCOME);
    this.#insertChange = db.prepare(INSERT_CHANGE);
  }

  /** Makes the rows of a batch. To be called within a transaction. */
  take(segment: Segment, batch: LineBatch): Taken {
    return segment.stream === 'calls' ? this.#takeCalls(segment, batch) : this.#takeChanges(batch);
  }

  #takeCalls({ writer }: Segment, batch: LineBatch): Taken {
    const reader = new CallLineReader(writer);
    let rows: NewRow[] = [];
    /** The latest intent of a request id among `rows`. */
    const intents = new Map<string, NewRow>();
    let stopped = false;
    const store = (): void => {
      for (const row of rows) this.#insert(row);
      rows = [];
      intents.clear();
    };
    const count = batch.each((lines, start, end, place) => {
      let call = reader.read(lines, start, end);
      if (call === undefined) {
        const record = parseLine(lines.slice(start, end));
        stopped ||= record?.kind === 'stop';
        call = record && callOf(record);
        if (call === undefined) return;
        // A line that another writer's name stands in: what it belongs to is looked up in the table alone.
        if (call.writer !== writer) store();
      }
      if (call.kind === 'outcome') {
        const intent = intents.get(call.requestId);
        if (intent !== undefined && intent.call.writer === call.writer) {
          takeOutcome(intent, call, place);
          return;
        }
        if (intent !== undefined) store();
        if (this.#join(call, place)) return;
      }
      const row: NewRow = { call, place, outcome: undefined };
      if (call.kind === 'intent') {
        // Until its outcome is recorded nobody knows what an allowed call did.
        call.outcome = 'unknown';
        intents.set(call.requestId, row);
      }
      rows.push(row);
    });
    store();
    return { lines: count, stopped };
  }

  #takeChanges(batch: LineBatch): Taken {
    let stopped = false;
    const count = batch.each((lines, start, end, place) => {
      const record = parseLine(lines.slice(start, end));
      stopped ||= record?.kind === 'stop';
      if (record?.kind === 'admin' && record.stream === 'admin') this.#insertRecord(record, place);
    });
    return { lines: count, stopped };
  }

  #insertRecord(record: StoredRecord, place: Place): void {
    const { actor, action, target } = record;
    const time = Date.parse(record.time);
    if (Number.isNaN(time) || !Number.isSafeInteger(record.seq)) return;
    this.#insertChange.run(
      time,
      text(record.writer),
      record.seq,
      text(record.request_id) || null,
      text(actor?.kind),
      text(actor?.id),
      text(action),
      text(target),
      place.segment,
      place.offset,
      place.length,
    );
  }

  /** Gives a row of the table its outcome; false when there is none that waits for it. */
  #join(call: CallLine, { segment, offset, length }: Place): boolean {
    const { changes } = this.#joinOutcome.run(
      call.outcome,
      call.status,
      call.errorCode,
      call.isError,
      call.bytes,
      call.upstreamMs,
      segment,
      offset,
      length,
      crc32(call.requestId),
      call.requestId,
      call.writer,
    );
    return Number(changes) > 0;
  }

  #insert({ call, place, outcome }: NewRow): void {
    this.#insertCall.run(
      call.time,
      call.writer,
      call.seq,
      call.kind,
      crc32(call.requestId),
      call.requestId,
      call.traceId,
      this.#names.numberOf('grant', call.grantId, call.grantLabel),
      this.#names.numberOf('identity', call.identityId, call.identityName),
      this.#names.numberOf('tool', call.server, call.tool),
      call.session,
      call.client,
      call.source,
      call.method,
      call.definition,
      call.outcome,
      call.rule,
      call.message,
      call.policy,
      call.policyVersion,
      call.status,
      call.errorCode,
      call.isError,
      call.bytes,
      call.upstreamMs,
      call.count,
      place.segment,
      place.offset,
      place.length,
      outcome?.segment ?? null,
      outcome?.offset ?? null,
      outcome?.length ?? null,
    );
  }
}

/** What {@link JOIN_OUTCOME} does, for a row that is not in the table yet. */
function takeOutcome(intent: NewRow, outcome: CallLine, place: Place): void {
  const { call } = intent;
  call.outcome = outcome.outcome;
  call.status = outcome.status;
  call.errorCode = outcome.errorCode;
  call.isError = outcome.isError;
  call.bytes = outcome.bytes;
  call.upstreamMs = outcome.upstreamMs;
  intent.outcome = place;
}
