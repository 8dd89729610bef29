import type { ArgumentsDigest } from './digest.ts';

/** The two streams of the log (spec: audit). */
export type Stream = 'calls' | 'admin';

/** Format version, the member `v` of every record. */
export const FORMAT_VERSION = 1;

/** The longest line the writer makes, in bytes. A larger record is refused, so that a reader may bound its memory. */
export const MAX_RECORD_BYTES = 8 * 1024 * 1024;

/** One limit that a call reserved from or looked at. */
export interface LimitRecord {
  /** The whole counter key: counter, window, alignment, scope, scope id. */
  key: string;
  /** Units that this call charged; 0 when it was only looked at. */
  units: number;
  /** Index of the window's slice that holds the charge. */
  slice?: number;
  /** It is a slot of a `concurrent` limit, held until the call is over, at most until its deadline. */
  slot?: true;
}

/** What was decided, and by what. */
export interface DecisionRecord {
  /** `allow`, `deny`, `approval_required` … */
  outcome: string;
  /** JSON Pointer into the policy, or a name in brackets; empty or absent for a plain allow. */
  rule?: string;
  message?: string;
  policy?: { id: string; version: number | string };
  limits?: readonly LimitRecord[];
  approval?: { id: string; approver?: string };
  /** The call's deadline, milliseconds since the epoch. */
  deadline?: number;
}

/** What the upstream answered. */
export interface ResultRecord {
  /** HTTP status. */
  status?: number;
  /** JSON-RPC error code. */
  errorCode?: number;
  /** `isError` of a tool's result. */
  isError?: boolean;
  /** Bytes of the answer's body. */
  bytes?: number;
  /** Milliseconds from the first byte sent to the last received. */
  upstreamMs?: number;
}

/**
 * A record of the stream `calls`. A call that can act makes an `intent` before it is forwarded and an `outcome` with
 * the same `requestId` after; everything else makes one `decision` (spec: gateway §5).
 */
export interface CallRecord {
  kind: 'decision' | 'intent' | 'outcome' | 'aggregate';
  requestId: string;
  /** W3C trace id. */
  traceId?: string;
  grant?: { id: string; label: string };
  identity?: { id: string; name: string };
  /** Slug of the server. */
  server?: string;
  session?: string;
  client?: string;
  /** Source address, as configured. */
  source?: string;
  /** JSON-RPC method. */
  method?: string;
  tool?: string;
  /** Digest of the pinned definition. */
  definition?: string;
  arguments?: ArgumentsDigest;
  decision?: DecisionRecord;
  result?: ResultRecord;
  /** Exact number of events that an `aggregate` stands for. */
  count?: number;
  /** Anything else worth keeping. Never a secret and never an argument's value. */
  detail?: Record<string, unknown>;
}

/** A record of the stream `admin`: a change of state. `before` and `after` never hold a secret. */
export interface AdminRecord {
  actor: { kind: 'local-admin' | 'identity' | 'gatehouse'; id: string };
  /** Such as `grant.create`. */
  action: string;
  /** Id of what was changed. */
  target: string;
  before?: unknown;
  after?: unknown;
  requestId?: string;
}

// JSON leaves DEL, C1 controls, line separators, bidirectional controls and zero-width characters as they are; a
// terminal, a pager or a log shipper may act on them, so they are escaped: one record is one line, and reads as it is.
const UNSAFE = /[\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/;
const UNSAFE_ALL = new RegExp(UNSAFE.source, 'g');

/** JSON text with every character escaped that could break a line or deceive a terminal. Such characters stand only
 * inside JSON strings, so the escape is valid anywhere it is applied. */
export function escapeUnsafe(json: string): string {
  return UNSAFE.test(json)
    ? json.replace(UNSAFE_ALL, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`)
    : json;
}

const text = (value: string): string => JSON.stringify(value);

function decisionMember(decision: DecisionRecord): string {
  let out = `,"decision":{"outcome":${text(decision.outcome)}`;
  if (decision.rule) out += `,"rule":${text(decision.rule)}`;
  if (decision.message !== undefined) out += `,"message":${text(decision.message)}`;
  if (decision.policy) {
    out += `,"policy":{"id":${text(decision.policy.id)},"version":${JSON.stringify(decision.policy.version)}}`;
  }
  if (decision.limits && decision.limits.length > 0) out += `,"limits":${JSON.stringify(decision.limits)}`;
  if (decision.approval) out += `,"approval":${JSON.stringify(decision.approval)}`;
  if (decision.deadline !== undefined) out += `,"deadline":"${new Date(decision.deadline).toISOString()}"`;
  return `${out}}`;
}

function resultMember(result: ResultRecord): string {
  let out = '';
  if (result.status !== undefined) out += `,"status":${JSON.stringify(result.status)}`;
  if (result.errorCode !== undefined) out += `,"error_code":${JSON.stringify(result.errorCode)}`;
  if (result.isError !== undefined) out += `,"is_error":${result.isError}`;
  if (result.bytes !== undefined) out += `,"bytes":${JSON.stringify(result.bytes)}`;
  if (result.upstreamMs !== undefined)
    out += `,"upstream_ms":${JSON.stringify(Math.round(result.upstreamMs * 1000) / 1000)}`;
  return `,"result":{${out.slice(1)}}`;
}

/**
 * The members of a call record that say what happened: everything between `kind` and `prev`, each with its leading
 * comma. Written by hand because it is on the path of every call.
 * @throws TypeError when `detail` cannot be written as JSON.
 */
export function callMembers(record: CallRecord): string {
  let out = `,"request_id":${text(record.requestId)}`;
  if (record.traceId !== undefined) out += `,"trace_id":${text(record.traceId)}`;
  if (record.grant) out += `,"grant":{"id":${text(record.grant.id)},"label":${text(record.grant.label)}}`;
  if (record.identity) out += `,"identity":{"id":${text(record.identity.id)},"name":${text(record.identity.name)}}`;
  if (record.server !== undefined) out += `,"server":${text(record.server)}`;
  if (record.session !== undefined) out += `,"session":${text(record.session)}`;
  if (record.client !== undefined) out += `,"client":${text(record.client)}`;
  if (record.source !== undefined) out += `,"source":${text(record.source)}`;
  if (record.method !== undefined) out += `,"method":${text(record.method)}`;
  if (record.tool !== undefined) out += `,"tool":${text(record.tool)}`;
  if (record.definition !== undefined) out += `,"definition":${text(record.definition)}`;
  if (record.arguments) out += `,"arguments":${JSON.stringify(record.arguments)}`;
  if (record.decision) out += decisionMember(record.decision);
  if (record.result) out += resultMember(record.result);
  if (record.count !== undefined) out += `,"count":${JSON.stringify(record.count)}`;
  if (record.detail) out += `,"detail":${JSON.stringify(record.detail)}`;
  return escapeUnsafe(out);
}

/**
 * As {@link callMembers}, for a record of the stream `admin`.
 * @throws TypeError when `before` or `after` cannot be written as JSON.
 */
export function adminMembers(record: AdminRecord): string {
  let out = record.requestId === undefined ? '' : `,"request_id":${text(record.requestId)}`;
  out += `,"actor":{"kind":${text(record.actor.kind)},"id":${text(record.actor.id)}}`;
  out += `,"action":${text(record.action)},"target":${text(record.target)}`;
  const before = JSON.stringify(record.before) as string | undefined;
  const after = JSON.stringify(record.after) as string | undefined;
  if (before !== undefined) out += `,"before":${before}`;
  if (after !== undefined) out += `,"after":${after}`;
  return escapeUnsafe(out);
}
