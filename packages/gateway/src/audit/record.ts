import { escapeUnsafe } from './unsafe-text.ts';

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
  policy?: { readonly id: string; readonly version: number | string };
  limits?: readonly LimitRecord[];
  approval?: { id: string; approver?: string };
  /** The call's deadline, milliseconds since the epoch. */
  deadline?: number;
  /** Time of sliding windows at the reservation, milliseconds since the epoch; where the wall clock said another. */
  sliding?: number;
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
  /** This and `identity` and `decision.policy` may be shared by records, and are not changed once made. */
  grant?: { readonly id: string; readonly label: string };
  identity?: { readonly id: string; readonly name: string };
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
  /** JSON text, as `digestArguments` makes it. */
  arguments?: string;
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
  /** Number of the change in the store; the records of one change share it. */
  change?: number;
}

/** A string as JSON text that is safe in a line of the log. */
const text = (value: string): string => escapeUnsafe(JSON.stringify(value));

/** Texts of the objects that many records share: grant, identity, policy. They are never changed once made. */
const shared = new WeakMap<object, string>();

function sharedText(value: object): string {
  let made = shared.get(value);
  if (made === undefined) {
    made = escapeUnsafe(JSON.stringify(value));
    shared.set(value, made);
  }
  return made;
}

let lastDeadline = Number.NaN;
let lastDeadlineText = '';

/** Calls of one millisecond share their deadline. */
function deadlineText(deadline: number): string {
  if (deadline !== lastDeadline) {
    lastDeadlineText = new Date(deadline).toISOString();
    lastDeadline = deadline;
  }
  return lastDeadlineText;
}

function decisionMember(decision: DecisionRecord): string {
  let out = `,"decision":{"outcome":${text(decision.outcome)}`;
  if (decision.rule) out += `,"rule":${text(decision.rule)}`;
  if (decision.message !== undefined) out += `,"message":${text(decision.message)}`;
  if (decision.policy) out += `,"policy":${sharedText(decision.policy)}`;
  if (decision.limits && decision.limits.length > 0) out += `,"limits":${limitsText(decision.limits)}`;
  if (decision.approval) out += `,"approval":${escapeUnsafe(JSON.stringify(decision.approval))}`;
  if (decision.deadline !== undefined) out += `,"deadline":"${deadlineText(decision.deadline)}"`;
  if (decision.sliding !== undefined) out += `,"sliding":${decision.sliding}`;
  return `${out}}`;
}

function limitsText(limits: readonly LimitRecord[]): string {
  let out = '';
  for (const { key, units, slice, slot } of limits) {
    out += `${out === '' ? '[' : ','}{"key":${text(key)},"units":${units}`;
    if (slice !== undefined) out += `,"slice":${slice}`;
    out += slot === true ? ',"slot":true}' : '}';
  }
  return `${out}]`;
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
  if (record.grant) out += `,"grant":${sharedText(record.grant)}`;
  if (record.identity) out += `,"identity":${sharedText(record.identity)}`;
  if (record.server !== undefined) out += `,"server":${text(record.server)}`;
  if (record.session !== undefined) out += `,"session":${text(record.session)}`;
  if (record.client !== undefined) out += `,"client":${text(record.client)}`;
  if (record.source !== undefined) out += `,"source":${text(record.source)}`;
  if (record.method !== undefined) out += `,"method":${text(record.method)}`;
  if (record.tool !== undefined) out += `,"tool":${text(record.tool)}`;
  if (record.definition !== undefined) out += `,"definition":${text(record.definition)}`;
  if (record.arguments !== undefined) out += `,"arguments":${record.arguments}`;
  if (record.decision) out += decisionMember(record.decision);
  if (record.result) out += resultMember(record.result);
  if (record.count !== undefined) out += `,"count":${JSON.stringify(record.count)}`;
  if (record.detail) out += `,"detail":${escapeUnsafe(JSON.stringify(record.detail))}`;
  return out;
}

/**
 * As {@link callMembers}, for a record of the stream `admin`.
 * @throws TypeError when `before` or `after` cannot be written as JSON.
 */
export function adminMembers(record: AdminRecord): string {
  let out = record.requestId === undefined ? '' : `,"request_id":${text(record.requestId)}`;
  out += `,"actor":{"kind":${text(record.actor.kind)},"id":${text(record.actor.id)}}`;
  out += `,"action":${text(record.action)},"target":${text(record.target)}`;
  if (record.change !== undefined) out += `,"change":${JSON.stringify(record.change)}`;
  const before = JSON.stringify(record.before) as string | undefined;
  const after = JSON.stringify(record.after) as string | undefined;
  if (before !== undefined) out += `,"before":${before}`;
  if (after !== undefined) out += `,"after":${after}`;
  return escapeUnsafe(out);
}
