// THE choke point (P1): the one way of a message to an upstream. Read `handle` from top to bottom: it is the list of
// steps of spec: gateway §5. Whatever is refused on the way makes one record and one answer, and nothing is sent on.
import { type Decision, limitDenial } from '@gatehouse/policy';
import { CLIENT_METHODS, type Message, MODERN_VERSION, readMessage, refuseCapabilities } from '@gatehouse/wire';
import type { CallRecord } from '../audit/record.ts';
import type { Receipt } from '../limits/counters.ts';
import type { ServerEntry } from '../model.ts';
import { CODE, decisionView, deniedCall, deniedOther, errorAnswer, unknownTool } from './answers.ts';
import type { ClientExchange } from './exchange.ts';
import { durabilityOf, type Gate, gatehouseGrant, type Inbound, isGatehouse, releaseReservation } from './gate.ts';
import {
  forwardedHeaders,
  headerMismatch,
  paramMismatch,
  protocolVersionOf,
  rawSpan,
  versionMismatch,
} from './headers.ts';
import { allows, openAnswer } from './inbound.ts';
import { type Judgement, judgeMessage } from './judgement.ts';
import { baseRecord, decisionRecord, intentRecord } from './records.ts';
import { Relay } from './relay.ts';
import type { Session } from './sessions.ts';

/** One message on its way, as far as the steps have come. */
export interface CallState {
  readonly gate: Gate;
  readonly inbound: Inbound;
  readonly client: ClientExchange;
  readonly requestId: string;
  readonly message: Message;
  /** Raw id of a request. */
  readonly id: Uint8Array | undefined;
  readonly modern: boolean;
  readonly session: Session | undefined;
  readonly lane: string;
}

/**
 * Takes one message of an authenticated client from its bytes to its answer. Never rejects: an exception on the way
 * is a denial (P5).
 */
export async function handle(gate: Gate, inbound: Inbound, client: ClientExchange): Promise<void> {
  const requestId = gate.newRequestId();
  try {
    // Tokenize (P2): what is ambiguous is refused.
    const message = readMessage(inbound.body, { maxDepth: gate.limits.maxDepth });
    if (!message.ok) {
      const id = message.id === undefined ? undefined : inbound.body.subarray(message.id.start, message.id.end);
      const detail = { refused: message.reason, offset: message.offset };
      await recordRefusal(gate, inbound, requestId, '(message)', message.message, { detail });
      client.answer(400, errorAnswer(id, message.code, message.message));
      return;
    }
    const place = locate(gate, inbound, message);
    const id =
      message.kind === 'request' && message.idSpan !== undefined ? rawSpan(message, message.idSpan) : undefined;
    if ('refused' in place) {
      await recordRefusal(gate, inbound, requestId, place.rule, place.refused, methodOf(message));
      client.answer(place.status, errorAnswer(id, place.code, place.refused));
      return;
    }
    const call: CallState = { gate, inbound, client, requestId, message, id, ...place };
    if (message.kind === 'response') await answerServerRequest(call);
    else await judgeAndForward(call);
  } catch (error) {
    gate.metrics.fault(error);
    client.answer(
      500,
      errorAnswer(
        undefined,
        CODE.internal,
        `An error inside the gateway; nothing more was done. Request ${requestId}.`,
      ),
    );
  }
}

async function judgeAndForward(call: CallState): Promise<void> {
  const { gate, inbound, message, client } = call;
  const { grant } = inbound;
  const method = message.method ?? '';
  const rule = CLIENT_METHODS.get(method);
  const vendor = rule === undefined && grant.entry.vendorMethods.has(method);
  if (!vendor && (rule === undefined || rule.action === 'refuse' || method.startsWith('tasks/'))) {
    await recordRefusal(gate, inbound, call.requestId, '(unknown method)', `Unknown method ${method}.`, { method });
    if (call.id === undefined) client.accepted();
    else
      client.answer(call.modern ? 404 : 200, errorAnswer(call.id, CODE.methodNotFound, `Method not found: ${method}`));
    return;
  }

  // Judge.
  const now = gate.clock();
  const judgement = judgeMessage(grant, message, rule, call.session, now);
  const concealed = judgement.decision.outcome === 'deny' && judgement.decision.concealed;
  if (!concealed) {
    const mismatch = mismatchOf(call, judgement);
    if (mismatch !== undefined) {
      await recordRefusal(gate, inbound, call.requestId, '(headers)', mismatch, { method });
      client.answer(400, errorAnswer(call.id, CODE.headerMismatch, `Header mismatch: ${mismatch}.`));
      return;
    }
  }
  if (judgement.decision.outcome === 'deny') {
    await deny(call, judgement, judgement.decision);
    return;
  }

  // Reserve: all limits of the call in one step, all or none (P4).
  let receipt: Receipt | undefined;
  if (judgement.decision.charges.length > 0) {
    const reserved = gate.counters.reserve(judgement.decision.charges, now);
    const result = reserved instanceof Promise ? await reserved : reserved;
    if (!result.ok) {
      await deny(call, judgement, limitDenial(result.charge, result));
      return;
    }
    receipt = result.receipt;
  }

  // Store the intent (P3): no record, no call.
  const acts = vendor || rule?.canAct === true;
  const deadline = now + gate.limits.callDeadline;
  try {
    const record = acts ? intentRecord(call, judgement, receipt, deadline) : decisionRecord(call, judgement);
    await gate.audit.append(record, durabilityOf(gate, judgement.read));
  } catch {
    releaseReservation(gate, receipt);
    unavailable(call, 'The audit log cannot be written, so the call was not made. Try again later.');
    return;
  }
  gate.metrics.decision(grant.entry.server.slug, 'allow');

  // Forward: the very bytes that were judged.
  const upstream = gate.upstream(grant.entry);
  const relay = new Relay(call, { acts, receipt, deadline: method === 'subscriptions/listen' ? undefined : deadline });
  relay.start(
    upstream.send(
      {
        message: method === 'initialize' ? declared(call) : message,
        headers: forwardedHeaders(inbound.headers),
        session: call.session?.upstream,
        lane: call.lane,
      },
      relay,
    ),
  );
}

/** Where a message belongs: its era, its session and its lane; or why it belongs nowhere. */
function locate(
  gate: Gate,
  inbound: Inbound,
  message: Message,
):
  | { modern: boolean; session: Session | undefined; lane: string }
  | { refused: string; rule: string; status: number; code: number } {
  const { grant, headers } = inbound;
  const version = protocolVersionOf(message);
  const modern = version !== undefined;
  if (inbound.stdio === undefined) {
    const problem = versionMismatch(headers, version);
    if (problem !== undefined) {
      const code = problem.kind === 'version' ? CODE.unsupportedVersion : CODE.headerMismatch;
      return { refused: `${problem.detail}.`, rule: '(headers)', status: 400, code };
    }
  } else if (modern && version !== MODERN_VERSION) {
    return {
      refused: `The protocol version ${version} is not supported.`,
      rule: '(headers)',
      status: 400,
      code: CODE.unsupportedVersion,
    };
  }
  const child = grant.entry.server.transport.kind === 'stdio';
  if (modern) return { modern, session: undefined, lane: `grant:${grant.id}` };
  if (message.method === 'initialize') return { modern, session: undefined, lane: `session:${gate.newRequestId()}` };
  const sessionId = inbound.stdio === undefined ? headers.session : inbound.stdio.session;
  if (sessionId === undefined) {
    // An upstream without sessions gave none; a child belongs to one, but for what comes before it.
    if (!child || message.method === 'server/discover' || message.method === 'ping') {
      return { modern, session: undefined, lane: `grant:${grant.id}` };
    }
    return {
      refused: 'There is no session. Send initialize first.',
      rule: '(session)',
      status: 400,
      code: CODE.invalidRequest,
    };
  }
  const session = gate.sessions.open(sessionId, grant, child);
  if (session === undefined || !gate.upstream(grant.entry).knows(session.lane)) {
    return {
      refused: 'This session is not known. Send initialize to open a new one.',
      rule: '(session)',
      status: 404,
      code: -32001,
    };
  }
  return { modern, session, lane: session.lane };
}

function mismatchOf(call: CallState, judgement: Judgement): string | undefined {
  if (!call.modern || call.inbound.stdio !== undefined) return undefined;
  const problem = headerMismatch(call.message, call.inbound.headers);
  if (problem !== undefined) return problem;
  return judgement.tool === undefined
    ? undefined
    : paramMismatch(judgement.tool, judgement.arguments, call.inbound.headers);
}

/** What this gateway will refuse is not declared to the upstream. */
function declared(call: CallState): Message {
  const { settings } = call.inbound.grant.entry.server;
  const refused = (['elicitation', 'sampling', 'roots'] as const).filter((kind) => !allows(settings, kind));
  return isGatehouse(call.inbound.grant) ? call.message : refuseCapabilities(call.message, refused);
}

async function deny(
  call: CallState,
  judgement: Judgement,
  decision: Extract<Decision, { outcome: 'deny' }>,
): Promise<void> {
  const { gate, client } = call;
  gate.metrics.decision(call.inbound.grant.entry.server.slug, 'deny');
  const stored = await gate.audit.append(decisionRecord(call, { ...judgement, decision }), 'process').then(
    () => true,
    () => false,
  );
  if (call.id === undefined) client.accepted();
  else if (!stored) unavailable(call, 'The audit log cannot be written. The call was denied.');
  else client.answer(200, denialAnswer(call, call.id, decision));
}

function denialAnswer(call: CallState, id: Uint8Array, decision: Extract<Decision, { outcome: 'deny' }>): Uint8Array {
  const { grant } = call.inbound;
  const name = call.message.name ?? '';
  if (decision.concealed) return unknownTool(id, name);
  const view = decisionView(decision, call.requestId, grant.policyName, grant.policyVersion);
  return call.message.method === 'tools/call'
    ? deniedCall(id, decision.reason, view, call.modern)
    : deniedOther(id, decision.reason, view);
}

function unavailable(call: CallState, message: string): void {
  call.gate.metrics.decision(call.inbound.grant.entry.server.slug, 'unavailable');
  if (call.id === undefined) call.client.end(503);
  else call.client.answer(503, errorAnswer(call.id, CODE.unavailable, message));
}

function methodOf(message: Message): Pick<CallRecord, 'method'> {
  return message.method === undefined ? {} : { method: message.method };
}

async function recordRefusal(
  gate: Gate,
  inbound: Inbound,
  requestId: string,
  rule: string,
  message: string,
  more: Pick<CallRecord, 'method' | 'detail'>,
): Promise<void> {
  gate.metrics.decision(inbound.grant.entry.server.slug, 'refuse');
  // A refusal sends nothing on, so a log that cannot take it changes nothing but that.
  await gate.audit
    .append(
      { ...baseRecord(inbound, requestId), kind: 'decision', ...more, decision: { outcome: 'refuse', rule, message } },
      'process',
    )
    .catch(() => undefined);
}

/** A client's answer to a request of the server: it goes where the question came from, or nowhere. */
async function answerServerRequest(call: CallState): Promise<void> {
  const { gate, inbound, client, message } = call;
  const opened = openAnswer(gate.serverRequests, call.session, message);
  if (opened === undefined) {
    await recordRefusal(gate, inbound, call.requestId, '(unasked answer)', 'An answer to nothing that was asked.', {});
    client.accepted();
    return;
  }
  const judgement: Judgement = { decision: { outcome: 'allow', rule: '', charges: [], warnings: [] }, read: true };
  try {
    await gate.audit.append(decisionRecord(call, judgement), durabilityOf(gate, false));
  } catch {
    client.end(503);
    return;
  }
  const relay = new Relay(call, { acts: false, receipt: undefined, deadline: undefined });
  relay.start(
    gate.upstream(inbound.grant.entry).send(
      {
        message: opened,
        headers: forwardedHeaders(inbound.headers),
        session: call.session?.upstream,
        lane: call.lane,
      },
      relay,
    ),
  );
}

/**
 * The gateway's own answer to a request of an upstream that its settings do not let through. It passes the same log.
 */
export async function answerUpstream(
  gate: Gate,
  entry: ServerEntry,
  answer: { body: Uint8Array; session: string | undefined; lane: string; version: string | undefined },
): Promise<void> {
  const message = readMessage(answer.body);
  if (!message.ok) return;
  const inbound: Inbound = { grant: gatehouseGrant(entry), body: answer.body, headers: { params: {} }, source: '' };
  const requestId = gate.newRequestId();
  await gate.audit.append(
    { ...baseRecord(inbound, requestId), kind: 'decision', decision: { outcome: 'refuse', rule: '(server request)' } },
    'process',
  );
  gate.upstream(entry).send(
    {
      message,
      headers: answer.version === undefined ? {} : { 'mcp-protocol-version': answer.version },
      session: answer.session,
      lane: answer.lane,
    },
    { onHandedOver() {}, onHead() {}, onMessage: () => true, onEvent() {}, onEnd() {}, onFailure() {} },
  );
}
