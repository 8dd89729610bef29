// The gateway's own JSON-RPC answers. Rich inside, vague on the wire: what an answer says is decided here alone.
import type { Decision } from '@gatehouse/policy';

/** JSON-RPC and MCP error codes that the gateway itself answers with. */
export const CODE = {
  parse: -32700,
  invalidRequest: -32600,
  methodNotFound: -32601,
  invalidParams: -32602,
  internal: -32603,
  /** Of the range that MCP leaves to implementations: the policy denied what is no tool call. */
  denied: -32010,
  /** The upstream could not be reached, or did not answer. */
  upstream: -32011,
  /** The audit log, the counters or the store cannot take this call now. */
  unavailable: -32012,
  /** Revision 2026-07-28. */
  headerMismatch: -32020,
  unsupportedVersion: -32022,
} as const;

const encoder = new TextEncoder();
const NULL = encoder.encode('null');

/** A grant holds as many streams without an end as it may. */
export const TOO_MANY_STREAMS =
  'This grant has as many streams open as it may have (setting max_streams of the gateway). Close one and try again.';

/** `_meta` key of a decision (spec: gateway §4, denials). */
export const DECISION_META = 'dev.gatehouse/decision';

export interface DecisionView {
  outcome: 'deny';
  rule: string;
  name?: string;
  policy?: string;
  version?: number;
  retryAfterMs?: number;
  requestId: string;
}

/** @param id raw bytes of the request's id; `undefined` where it is not known (answered as `null`) */
export function errorAnswer(id: Uint8Array | undefined, code: number, message: string, data?: unknown): Uint8Array {
  const error = JSON.stringify(data === undefined ? { code, message } : { code, message, data });
  return around(id, '"error":', error);
}

/** A denied tool call is a result, so that the agent can reason about it. */
export function deniedCall(id: Uint8Array, reason: string, decision: DecisionView, modern: boolean): Uint8Array {
  const result = {
    content: [{ type: 'text', text: `[POLICY DENIED] ${reason}` }],
    isError: true,
    ...(modern ? { resultType: 'complete' } : {}),
    _meta: { [DECISION_META]: decision },
  };
  return around(id, '"result":', JSON.stringify(result));
}

/** Hidden and unknown tools: the same bytes for both, so that there is nothing to tell them apart. */
export function unknownTool(id: Uint8Array, name: string): Uint8Array {
  return errorAnswer(id, CODE.invalidParams, `Unknown tool: ${name}`);
}

export function deniedOther(id: Uint8Array, reason: string, decision: DecisionView): Uint8Array {
  return errorAnswer(id, CODE.denied, `[POLICY DENIED] ${reason}`, { [DECISION_META]: decision });
}

export function decisionView(
  decision: Extract<Decision, { outcome: 'deny' }>,
  requestId: string,
  policy: string | undefined,
  version: number | undefined,
): DecisionView {
  return {
    outcome: 'deny',
    rule: decision.rule,
    ...(decision.name === undefined ? {} : { name: decision.name }),
    ...(policy === undefined ? {} : { policy }),
    ...(version === undefined ? {} : { version }),
    ...(decision.retryAfterMs === undefined ? {} : { retryAfterMs: decision.retryAfterMs }),
    requestId,
  };
}

function around(id: Uint8Array | undefined, member: string, value: string): Uint8Array {
  const raw = id ?? NULL;
  const head = encoder.encode('{"jsonrpc":"2.0","id":');
  const tail = encoder.encode(`,${member}${value}}`);
  const bytes = new Uint8Array(head.length + raw.length + tail.length);
  bytes.set(head, 0);
  bytes.set(raw, head.length);
  bytes.set(tail, head.length + raw.length);
  return bytes;
}
