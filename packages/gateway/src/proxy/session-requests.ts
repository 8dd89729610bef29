// GET and DELETE of a session: the stream of messages that belong to no call, and the end of the session. Same
// identity, same session check, same log and same way back as `call.ts`; neither can act on the upstream.
import type { Message } from '@gatehouse/wire';
import { hasLanes } from '../upstreams/upstream.ts';
import { CODE, errorAnswer, TOO_MANY_STREAMS } from './answers.ts';
import type { CallState } from './call.ts';
import type { ClientExchange } from './exchange.ts';
import { type Gate, type Inbound, transportOf } from './gate.ts';
import { forwardedHeaders } from './headers.ts';
import { baseRecord, recordRefusal, sessionLabel } from './records.ts';
import { Relay } from './relay.ts';
import type { Session } from './sessions.ts';

/** A GET has no message; the way back only asks it for its id and method. */
const NO_MESSAGE: Message = {
  ok: true,
  side: 'client',
  kind: 'notification',
  inexactNumbers: false,
  bytes: new Uint8Array(0),
  maxDepth: 0,
};

export async function openStream(gate: Gate, inbound: Inbound, client: ClientExchange): Promise<void> {
  const session = sessionOf(gate, inbound);
  const child = hasLanes(inbound.grant.entry);
  // An upstream without sessions may still have a stream; a child's stream belongs to a session.
  if (session === undefined && (child || inbound.headers.session !== undefined)) {
    client.end(inbound.headers.session === undefined ? 405 : 404);
    return;
  }
  if (!client.holdStream()) {
    await recordRefusal(gate, inbound, gate.newRequestId(), '(streams)', TOO_MANY_STREAMS, { method: 'GET' });
    client.answer(429, errorAnswer(undefined, CODE.unavailable, TOO_MANY_STREAMS));
    return;
  }
  if (!(await recorded(gate, inbound, session, 'GET'))) {
    client.end(503);
    return;
  }
  const lane = session?.lane ?? `grant:${inbound.grant.id}`;
  const call: CallState = {
    gate,
    inbound,
    client,
    requestId: gate.newRequestId(),
    message: NO_MESSAGE,
    id: undefined,
    modern: false,
    session,
    lane,
  };
  const resumed = session !== undefined && inbound.headers.lastEventId !== undefined;
  const relay = new Relay(call, { acts: false, receipt: undefined, deadline: undefined, listening: true, resumed });
  try {
    relay.start(
      transportOf(gate, inbound.grant.entry).listen(session?.upstream, lane, forwardedHeaders(inbound.headers), relay),
    );
  } catch (error) {
    relay.fault(error);
  }
}

export async function endSession(gate: Gate, inbound: Inbound, client: ClientExchange): Promise<void> {
  const session = sessionOf(gate, inbound);
  if (session === undefined) {
    client.end(inbound.headers.session === undefined ? 400 : 404);
    return;
  }
  if (!(await recorded(gate, inbound, session, 'DELETE'))) {
    client.end(503);
    return;
  }
  gate.sessions.end(session);
  gate.listChanges.forget(session.id);
  await transportOf(gate, inbound.grant.entry).endSession(session.upstream, session.lane);
  client.end(200);
}

function sessionOf(gate: Gate, inbound: Inbound): Session | undefined {
  const { session: id } = inbound.headers;
  if (id === undefined) return undefined;
  const session = gate.sessions.open(id, inbound.grant, hasLanes(inbound.grant.entry));
  return session !== undefined && gate.upstream(inbound.grant.entry).knows(session.lane) ? session : undefined;
}

/** Whether the log has it that a stream was opened or a session ended. */
export function recorded(gate: Gate, inbound: Inbound, session: Session | undefined, method: string): Promise<boolean> {
  return gate.audit
    .append(
      {
        ...baseRecord(inbound, gate.newRequestId()),
        kind: 'decision',
        method,
        ...(session === undefined ? {} : { session: sessionLabel(session) }),
        decision: { outcome: 'allow' },
      },
      'process',
    )
    .then(
      () => true,
      () => false,
    );
}
