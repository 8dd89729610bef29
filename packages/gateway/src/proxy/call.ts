// THE choke point (P1): the one way of a message to an upstream. Read `handle` from top to bottom: it is the list of
// steps of spec: gateway §5. Whatever is refused on the way makes one record and one answer, and nothing is sent on.
import { type Decision, limitDenial } from '@gatehouse/policy';
import {
  CLIENT_METHODS,
  type ClientMethod,
  LEGACY_VERSIONS,
  META,
  type Message,
  MODERN_VERSION,
  readMessage,
  refuseCapabilities,
} from '@gatehouse/wire';
import { AuditUnavailableError } from '../audit/log.ts';
import type { DecisionRecord } from '../audit/record.ts';
import type { Receipt } from '../limits/counters.ts';
import type { ServerEntry } from '../model.ts';
import { hasLanes, sessionLane } from '../upstreams/upstream.ts';
import { CODE, decisionView, deniedCall, deniedOther, errorAnswer, TOO_MANY_STREAMS, unknownTool } from './answers.ts';
import type { ClientExchange } from './exchange.ts';
import {
  durabilityOf,
  type Gate,
  gatehouseGrant,
  type Inbound,
  isGatehouse,
  releaseReservation,
  reserveLimits,
  transportOf,
} from './gate.ts';
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
import {
  baseRecord,
  clipped,
  decisionRecord,
  intentRecord,
  methodOf,
  outcomeRecord,
  recordDenial,
  recordRefusal,
} from './records.ts';
import { Relay } from './relay.ts';
import type { Opened } from './request-state.ts';
import type { Session } from './sessions.ts';
import { openAnswered, openTasks, UNKNOWN_TASK } from './task-messages.ts';

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
  let id: Uint8Array | undefined;
  try {
    // Tokenize (P2): what is ambiguous is refused.
    const message = readMessage(inbound.body, { maxDepth: gate.limits.maxDepth });
    if (!message.ok) {
      id = message.id === undefined ? undefined : inbound.body.subarray(message.id.start, message.id.end);
      const detail = { refused: message.reason, offset: message.offset };
      await recordRefusal(gate, inbound, requestId, '(message)', message.message, { detail });
      client.answer(400, errorAnswer(id, message.code, message.message));
      return;
    }
    if (message.kind === 'request' && message.idSpan !== undefined) id = rawSpan(message, message.idSpan);
    const place = locate(gate, inbound, message);
    if ('refused' in place) {
      await recordRefusal(gate, inbound, requestId, place.rule, place.refused, methodOf(message));
      client.answer(place.status, errorAnswer(id, place.code, place.refused, place.data));
      return;
    }
    const call: CallState = { gate, inbound, client, requestId, message, id, ...place };
    if (message.kind === 'response') await answerServerRequest(call);
    else await judgeAndForward(call);
  } catch (error) {
    await faulted(gate, inbound, client, { requestId, id, error });
  }
}

/** The end of every exception: a record, an answer, and nothing that goes on. Holds even if these fail as well. */
async function faulted(
  gate: Gate,
  inbound: Inbound,
  client: ClientExchange,
  { requestId, id, error }: { requestId: string; id: Uint8Array | undefined; error: unknown },
): Promise<void> {
  try {
    gate.metrics.fault(error);
    const message = `An error inside the gateway; nothing more was done. Request ${requestId}.`;
    await recordRefusal(gate, inbound, requestId, '(internal error)', 'An error inside the gateway.', {});
    client.answer(500, errorAnswer(id, CODE.internal, message));
  } catch (second) {
    gate.metrics.fault(second);
    client.end(500);
  }
}

/** A method is unknown to the revisions that do not have it (spec: gateway §4, methods). */
function inEra(rule: ClientMethod, modern: boolean): boolean {
  return rule.action !== 'refuse' && (rule.eras === 'both' || rule.eras === (modern ? 'modern' : 'legacy'));
}

/** How often a call is judged anew when the configuration changes under it. */
const MAX_JUDGEMENTS = 3;

async function judgeAndForward(call: CallState, judgements = 1): Promise<void> {
  const { gate, inbound, message, client } = call;
  const { grant } = inbound;
  const { epoch } = gate.directory;
  const method = message.method ?? '';
  const rule = CLIENT_METHODS.get(method);
  const vendor = rule === undefined && grant.entry.vendorMethods.has(method);
  if (!vendor && (rule === undefined || !inEra(rule, call.modern))) {
    const shown = clipped(method);
    await recordRefusal(
      gate,
      inbound,
      call.requestId,
      '(unknown method)',
      `Unknown method ${shown}.`,
      methodOf(message),
    );
    if (call.id === undefined) client.accepted();
    else
      client.answer(call.modern ? 404 : 200, errorAnswer(call.id, CODE.methodNotFound, `Method not found: ${shown}`));
    return;
  }

  // Judge. What is asked of a task is judged by the tool that made it.
  const now = gate.clock();
  const tasks = openTasks(gate, call);
  const task = tasks !== undefined && 'message' in tasks ? tasks.task : undefined;
  const judgement = judgeMessage(grant, message, { rule, task, session: call.session, now }, (error) =>
    gate.metrics.fault(error),
  );
  const concealed = judgement.decision.outcome === 'deny' && judgement.decision.concealed;
  if (!concealed) {
    const mismatch = mismatchOf(call, judgement);
    if (mismatch !== undefined) {
      await recordRefusal(gate, inbound, call.requestId, '(headers)', mismatch, methodOf(message));
      client.answer(400, errorAnswer(call.id, CODE.headerMismatch, `Header mismatch: ${mismatch}.`));
      return;
    }
  }
  if (judgement.decision.outcome === 'deny') {
    await deny(call, judgement, judgement.decision);
    return;
  }

  // Open what only the gateway can read, once nothing could be learnt from it of what is hidden.
  if (tasks !== undefined && 'refused' in tasks) {
    await recordRefusal(gate, inbound, call.requestId, '(unknown task)', tasks.refused, methodOf(message));
    if (call.id === undefined) client.accepted();
    else client.answer(200, errorAnswer(call.id, CODE.invalidParams, tasks.refused));
    return;
  }
  const opened = gate.requestStates.open(grant, tasks?.message ?? message);
  if (opened !== undefined && 'refused' in opened) {
    await recordRefusal(gate, inbound, call.requestId, '(request state)', opened.refused, methodOf(message));
    client.answer(200, errorAnswer(call.id, CODE.invalidParams, opened.refused));
    return;
  }

  if (method === 'subscriptions/listen' && !client.holdStream()) {
    await recordRefusal(gate, inbound, call.requestId, '(streams)', TOO_MANY_STREAMS, methodOf(message));
    client.answer(429, errorAnswer(call.id, CODE.unavailable, TOO_MANY_STREAMS));
    return;
  }

  // Reserve: all limits of the call in one step, all or none (P4).
  let receipt: Receipt | undefined;
  const deadline = now + gate.limits.callDeadline;
  if (judgement.decision.charges.length > 0) {
    const reserved = reserveLimits(gate, judgement.decision.charges, now, { id: call.requestId, deadline });
    // Counters in memory answer at once, and then nothing waits from the judgement to the intent.
    const result = reserved instanceof Promise ? await reserved : reserved;
    if ('unavailable' in result) {
      const message = `The limits of this call cannot be counted${result.unavailable}, so the call was not made. Try again later.`;
      await recordRefusal(gate, inbound, call.requestId, '(limits unavailable)', message, methodOf(call.message));
      unavailable(call, message);
      return;
    }
    if (!result.ok) {
      await deny(call, judgement, limitDenial(result.charge, result));
      return;
    }
    receipt = result.receipt;
    // What was judged by must still hold where the intent is stored (spec: gateway §5); nothing waits from here to there.
    if (gate.directory.epoch !== epoch) {
      releaseReservation(gate, receipt);
      await judgeAgain(call, judgements);
      return;
    }
  }

  // Store the intent (P3): no record, no call.
  // What reserved makes an intent in any case: the log is what the counters are rebuilt from.
  const acts = vendor || rule?.canAct === true || receipt !== undefined;
  try {
    const record = acts ? intentRecord(call, judgement, receipt, deadline) : decisionRecord(call, judgement);
    if (opened !== undefined) record.detail = { ...record.detail, retry: retryDetail(opened) };
    await gate.audit.append(record, durabilityOf(gate, judgement.read));
  } catch (error) {
    releaseReservation(gate, receipt);
    const reason = 'The audit log cannot be written, so the call was not made. Try again later.';
    // An intent that stands all the same needs its end: a release is a record, and this call is not unknown.
    if (acts && error instanceof AuditUnavailableError && error.mayStand) {
      gate.audit.enqueue(outcomeRecord(call, 'not_sent', {}, reason));
    }
    unavailable(call, reason);
    return;
  }

  // Forward: the very bytes that were judged.
  const outgoing = opened?.message ?? tasks?.message ?? message;
  const relay = new Relay(call, {
    acts,
    receipt,
    task,
    deadline: method === 'subscriptions/listen' ? undefined : deadline,
  });
  try {
    gate.metrics.decision(grant.entry.server.slug, 'allow');
    relay.start(
      transportOf(gate, grant.entry).send(
        {
          message: method === 'initialize' || call.modern ? declared(call, outgoing) : outgoing,
          headers: forwardedHeaders(inbound.headers, call.modern ? message : undefined, task?.id),
          session: call.session?.upstream,
          lane: call.lane,
        },
        relay,
      ),
    );
  } catch (error) {
    // The intent stands in the log: the relay gives it its outcome, and the reservation back if nothing was sent.
    relay.fault(error);
  }
}

/** The configuration changed while the call waited: it is judged again, from authentication on. */
async function judgeAgain(call: CallState, judgements: number): Promise<void> {
  const { gate, inbound, message } = call;
  const grant =
    inbound.reauthenticate === undefined ? gate.directory.grant(inbound.grant.id) : inbound.reauthenticate();
  const again = grant === undefined ? undefined : { ...inbound, grant };
  const place = again === undefined ? undefined : locate(gate, again, message);
  if (again === undefined || place === undefined || 'refused' in place) {
    const reason = 'The grant, the session or the server of this call ended while it waited.';
    await recordRefusal(gate, inbound, call.requestId, '(changed meanwhile)', reason, methodOf(message));
    if (call.id === undefined) call.client.end(404);
    else call.client.answer(404, errorAnswer(call.id, -32001, reason));
  } else if (judgements >= MAX_JUDGEMENTS) {
    const reason = 'The configuration keeps changing, so the call was not made. Try again.';
    await recordRefusal(gate, inbound, call.requestId, '(changed meanwhile)', reason, methodOf(message));
    unavailable(call, reason);
  } else {
    await judgeAndForward({ ...call, inbound: again, ...place }, judgements + 1);
  }
}

/** Where a message belongs: its era, its session and its lane; or why it belongs nowhere. */
function locate(
  gate: Gate,
  inbound: Inbound,
  message: Message,
):
  | { modern: boolean; session: Session | undefined; lane: string }
  | { refused: string; rule: string; status: number; code: number; data?: unknown } {
  const { grant, headers } = inbound;
  const version = protocolVersionOf(message);
  const modern = version !== undefined;
  if (inbound.stdio === undefined) {
    const problem = versionMismatch(headers, version);
    if (problem !== undefined) {
      const refusal = { refused: `${problem.detail}.`, rule: '(headers)', status: 400 };
      if (problem.kind === 'version') return { ...refusal, ...unsupported(version ?? headers.version ?? '', modern) };
      return { ...refusal, code: problem.kind === 'meta' ? CODE.invalidParams : CODE.headerMismatch };
    }
  } else if (modern && version !== MODERN_VERSION) {
    return {
      refused: `The protocol version ${version} is not supported.`,
      rule: '(headers)',
      status: 400,
      ...unsupported(version, modern),
    };
  }
  const child = hasLanes(grant.entry);
  // A child knows no status codes: what HTTP wants of a request is checked for it here.
  if (modern && child && inbound.stdio === undefined && lacksCapabilities(message)) {
    const refused = `params._meta has no ${META.clientCapabilities}.`;
    return { refused, rule: '(headers)', status: 400, code: CODE.invalidParams };
  }
  if (modern) return { modern, session: undefined, lane: `grant:${grant.id}` };
  if (message.method === 'initialize') {
    // A child counts as its grant's (upstreams/stdio.ts); other lanes only have to be told apart.
    return { modern, session: undefined, lane: sessionLane(child ? grant.id : '', gate.newRequestId()) };
  }
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

/** What revision 2026-07-28 says of a version that is not spoken: those that are, and the one that was asked for. */
function unsupported(requested: string, modern: boolean): { code: number; data: unknown } {
  const supported = modern ? [MODERN_VERSION] : [...LEGACY_VERSIONS, MODERN_VERSION];
  return { code: CODE.unsupportedVersion, data: { supported, requested: clipped(requested) } };
}

function lacksCapabilities(message: Message): boolean {
  const declared = message.meta?.get(META.clientCapabilities);
  return message.kind === 'request' && (declared === undefined || message.bytes[declared.start] !== 0x7b);
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
function declared(call: CallState, message: Message): Message {
  const { settings } = call.inbound.grant.entry.server;
  const kinds = (['elicitation', 'sampling', 'roots'] as const).filter((kind) => !allows(settings, kind));
  // Tasks that a client runs are no kind that passes; the name stands in `initialize` alone (2025-11-25).
  const refused = message.method === 'initialize' ? [...kinds, 'tasks'] : kinds;
  return isGatehouse(call.inbound.grant) ? message : refuseCapabilities(message, refused);
}

/** How many answers of a retry went on, and how many answered nothing that was asked. */
function retryDetail({ answers, dropped }: Exclude<Opened, { refused: string }>): Record<string, number> {
  return { answers, dropped };
}

async function deny(
  call: CallState,
  judgement: Judgement,
  decision: Extract<Decision, { outcome: 'deny' }>,
): Promise<void> {
  const { gate, client } = call;
  gate.metrics.decision(call.inbound.grant.entry.server.slug, 'deny');
  const requestId = await recordDenial(call, { ...judgement, decision });
  if (call.id === undefined) client.accepted();
  else if (requestId === undefined) unavailable(call, 'The audit log cannot be written. The call was denied.');
  else client.answer(200, denialAnswer(call, call.id, decision, requestId));
}

function denialAnswer(
  call: CallState,
  id: Uint8Array,
  decision: Extract<Decision, { outcome: 'deny' }>,
  requestId: string,
): Uint8Array {
  const { grant } = call.inbound;
  const name = call.message.name ?? '';
  if (decision.concealed) {
    return call.message.method === 'tools/call'
      ? unknownTool(id, name)
      : errorAnswer(id, CODE.invalidParams, UNKNOWN_TASK);
  }
  const view = decisionView(decision, requestId, grant.policyName, grant.policyVersion);
  return call.message.method === 'tools/call'
    ? deniedCall(id, decision.reason, view, call.modern)
    : deniedOther(id, decision.reason, view);
}

function unavailable(call: CallState, message: string): void {
  call.gate.metrics.decision(call.inbound.grant.entry.server.slug, 'unavailable');
  if (call.id === undefined) call.client.end(503);
  else call.client.answer(503, errorAnswer(call.id, CODE.unavailable, message));
}

/** A client's answer to a request of the server: it goes where the question came from, or nowhere. */
async function answerServerRequest(call: CallState): Promise<void> {
  const { gate, inbound, client, message } = call;
  const answer = openAnswer(gate.serverRequests, call.session, message);
  const opened = answer === undefined ? undefined : openAnswered(gate, call, answer);
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
  const deadline = gate.clock() + gate.limits.callDeadline;
  const relay = new Relay(call, { acts: false, receipt: undefined, deadline });
  try {
    relay.start(
      transportOf(gate, inbound.grant.entry).send(
        {
          message: opened,
          headers: forwardedHeaders(inbound.headers),
          session: call.session?.upstream,
          lane: call.lane,
        },
        relay,
      ),
    );
  } catch (error) {
    relay.fault(error);
  }
}

/** A server that refuses to take a message of the gateway may not keep a connection for it. */
const OWN_TIMEOUT_MS = 10_000;

/** A message that the gateway itself writes, with the record that it makes. */
interface OwnMessage {
  body: Uint8Array;
  session: string | undefined;
  lane: string;
  version: string | undefined;
  decision: DecisionRecord;
}

/** The gateway's own answer to a request of an upstream that its settings do not let through. */
export function answerUpstream(gate: Gate, entry: ServerEntry, answer: Omit<OwnMessage, 'decision'>): Promise<void> {
  return sendOwn(gate, entry, { ...answer, decision: { outcome: 'refuse', rule: '(server request)' } });
}

/**
 * Tells a child that nobody waits for a request any more. Over HTTP the end of the stream says it.
 * @param id raw, as the child knows it
 */
export function cancelUpstream(gate: Gate, entry: ServerEntry, { id, lane }: { id: string; lane: string }) {
  const text = `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":${id}}}`;
  const body = new TextEncoder().encode(text);
  const decision = { outcome: 'allow', rule: '(cancelled)' };
  return sendOwn(gate, entry, { body, session: undefined, lane, version: undefined, decision });
}

/** The gateway's own messages pass the same reader, the same log and the same transport (P1). */
async function sendOwn(gate: Gate, entry: ServerEntry, own: OwnMessage): Promise<void> {
  const message = readMessage(own.body);
  if (!message.ok) return;
  const inbound: Inbound = { grant: gatehouseGrant(entry), body: own.body, headers: { params: {} }, source: '' };
  const requestId = gate.newRequestId();
  await gate.audit.append(
    { ...baseRecord(inbound, requestId), kind: 'decision', ...methodOf(message), decision: own.decision },
    'process',
  );
  let timer: NodeJS.Timeout | undefined;
  let over = false;
  const end = (): void => {
    over = true;
    clearTimeout(timer);
  };
  const exchange = transportOf(gate, entry).send(
    {
      message,
      headers: own.version === undefined ? {} : { 'mcp-protocol-version': own.version },
      session: own.session,
      lane: own.lane,
      own: true,
    },
    { onHandedOver() {}, onHead() {}, onMessage: () => true, onEvent: () => true, onEnd: end, onFailure: end },
  );
  if (!over) timer = setTimeout(() => exchange.abort(), OWN_TIMEOUT_MS).unref();
}
