// A record as it is read back from its line: what rows for people are made of (spec: audit, table of fields).
import type { Stream } from './record.ts';

export interface StoredRecord {
  stream: Stream;
  writer: string;
  seq: number;
  time: string;
  kind: string;
  request_id?: string;
  trace_id?: string;
  grant?: { id: string; label: string };
  identity?: { id: string; name: string };
  server?: string;
  session?: string;
  client?: string;
  source?: string;
  method?: string;
  tool?: string;
  definition?: string;
  decision?: { outcome: string; rule?: string; message?: string; policy?: { id: string; version: number | string } };
  result?: { status?: number; error_code?: number; is_error?: boolean; bytes?: number; upstream_ms?: number };
  count?: number;
  actor?: { kind: string; id: string };
  action?: string;
  target?: string;
}

/** What a decision or an outcome says happened: what it says itself, else whether its result went well. */
export function outcomeOf({ decision, result }: Pick<StoredRecord, 'decision' | 'result'>): string {
  if (decision !== undefined) return decision.outcome;
  if (result === undefined) return 'unknown';
  const failed = result.is_error === true || result.error_code !== undefined || (result.status ?? 0) >= 400;
  return failed ? 'error' : 'allow';
}
