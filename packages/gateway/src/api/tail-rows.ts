import { parsePlainJson } from '@gatehouse/wire';
// Rows out of the records as they are stored, for those who follow live.
import type { AuditRow } from '../audit/search.ts';
import { outcomeOf, type StoredRecord } from '../audit/stored-record.ts';

export interface TailFilter {
  server?: string;
  tool?: string;
  grant?: string;
  identity?: string;
  outcome?: string;
}

function withoutGaps<T extends object>(value: T): T {
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined)) as T;
}

function measured(result: StoredRecord['result']): Partial<AuditRow> {
  return withoutGaps({
    status: result?.status,
    errorCode: result?.error_code,
    isError: result?.is_error,
    bytes: result?.bytes,
    upstreamMs: result?.upstream_ms,
  });
}

function rowOf(record: StoredRecord): AuditRow {
  const { decision } = record;
  return withoutGaps({
    time: Date.parse(record.time),
    requestId: record.request_id ?? '',
    kind: record.kind,
    writer: record.writer,
    seq: record.seq,
    outcome: outcomeOf(record),
    traceId: record.trace_id,
    grant: record.grant,
    identity: record.identity,
    server: record.server,
    session: record.session,
    client: record.client,
    source: record.source,
    method: record.method,
    tool: record.tool,
    definition: record.definition,
    rule: decision?.rule,
    message: decision?.message,
    policy: decision?.policy && { id: decision.policy.id, version: String(decision.policy.version) },
    count: record.count ?? 1,
    ...measured(record.result),
  });
}

export function matches(row: AuditRow, filter: TailFilter): boolean {
  const { server, tool, grant, identity, outcome } = filter;
  return (
    (server === undefined || row.server === server) &&
    (tool === undefined || row.tool === tool) &&
    (outcome === undefined || row.outcome === outcome) &&
    (grant === undefined || row.grant?.id === grant || row.grant?.label === grant) &&
    (identity === undefined || row.identity?.id === identity || row.identity?.name === identity)
  );
}

/** Intents that wait for their outcome; beyond it the oldest is given up and its outcome makes a row of its own. */
const MAX_OPEN = 10_000;

/** Joins each call's intent and outcome into the row that a search would show. */
export class TailRows {
  readonly #open = new Map<string, AuditRow>();

  /** The row that this line completes: of a decision, an aggregate, or an outcome with its intent. */
  take(line: string): AuditRow | undefined {
    const record = parsePlainJson(line) as StoredRecord;
    if (record.stream !== 'calls' || record.request_id === undefined) return undefined;
    const row = rowOf(record);
    if (record.kind === 'intent') {
      this.#open.set(row.requestId, row);
      if (this.#open.size > MAX_OPEN) this.#open.delete(this.#open.keys().next().value!);
      return undefined;
    }
    if (record.kind !== 'outcome') return row;
    const intent = this.#open.get(row.requestId);
    if (intent === undefined) return row;
    this.#open.delete(row.requestId);
    return { ...intent, ...measured(record.result), outcome: outcomeOf(record) };
  }
}
