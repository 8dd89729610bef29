// The way back: one exchange with the upstream, from the first byte handed over to the client's answer and the outcome.
import { type Reply, readReply, readString, readValue } from '@gatehouse/wire';
import type { ResultRecord } from '../audit/record.ts';
import type { Receipt } from '../limits/counters.ts';
import {
  type EventMeta,
  hasLanes,
  type UpstreamExchange,
  type UpstreamFailure,
  type UpstreamSink,
} from '../upstreams/upstream.ts';
import { CODE, errorAnswer } from './answers.ts';
import type { CallState } from './call.ts';
import { freeSlots, isGatehouse, releaseReservation } from './gate.ts';
import { admit, refusedInput } from './inbound.ts';
import { mayWatch } from './judgement.ts';
import { type ListKind, listChanged, subscribedKinds } from './list-changes.ts';
import { carriesList, type Filtered, filterLists } from './lists.ts';
import { outcomeRecord } from './records.ts';
import type { Session } from './sessions.ts';
import { sealAnswer, sealNotice } from './task-messages.ts';
import type { KnownTask } from './tasks.ts';

export interface RelayOptions {
  /** An outcome is recorded beside the intent. */
  acts: boolean;
  receipt: Receipt | undefined;
  /** The task that the message is about. */
  task?: KnownTask | undefined;
  /** Milliseconds since 1970; undefined: as long as the stream lives. */
  deadline: number | undefined;
  /** The answer to nothing: a stream that the client opened (GET). */
  listening?: boolean;
  /** The stream goes on where one broke that was opened by a call, so that the answer to that call may come on it. */
  resumed?: boolean;
}

/** Requests of a server that one exchange may have refused: each costs a record and a message, and a server may never tire. */
const MAX_REFUSALS = 64;
/** Members of a result that reach the client sealed to the call. */
const BOUND = ['task', 'taskId', 'tasks', 'requestState', 'inputRequests', 'resultType'] as const;
/** How long a stream may stay open after the answer that it was opened for, so that a server can end it in order. */
const LINGER_MS = 1_000;

export class Relay implements UpstreamSink {
  readonly #call: CallState;
  readonly #options: RelayOptions;
  #exchange: UpstreamExchange | undefined;
  #timer: NodeJS.Timeout | undefined;
  #handedOver = false;
  /** Nothing of the call can run at the upstream any more: it gave its final answer, or the deadline came. */
  #over = false;
  #done = false;
  #status = 200;
  #stream = false;
  #session: Session | undefined;
  #startedAt = 0;
  /** The call made a task, which holds its slots (spec: policy §5). */
  #runsOn = false;
  #refusals = 0;
  #held = false;
  /** The upstream gave its events ids, so that a client can ask for what followed the last one. */
  #resumable = false;
  #linger: NodeJS.Timeout | undefined;
  /** While a list waits for its definitions to be stored, what follows waits behind it, in order. */
  #queue: (() => void)[] | undefined;
  /** Ends the watch for changed lists, of which a stream without an answer is told. */
  #unwatch: (() => void) | undefined;

  constructor(call: CallState, options: RelayOptions) {
    this.#call = call;
    this.#options = options;
    this.#session = call.session;
  }

  start(exchange: UpstreamExchange): void {
    if (this.#done) return;
    this.#exchange = exchange;
    const { client, modern, gate } = this.#call;
    if (this.#options.deadline !== undefined) {
      this.#timer = setTimeout(() => {
        if (this.#done) return;
        this.#giveUp(exchange);
        this.#over = true;
        this.#fail('The server did not answer before the deadline of the call.', 504, this.#unanswered());
      }, this.#options.deadline - gate.clock());
    }
    client.onClose(() => {
      if (this.#done) return;
      // Revision 2026-07-28: leaving cancels. Before it, a client may come back for the answer, so the call goes on.
      if (modern || this.#options.listening === true) {
        this.#giveUp(exchange);
        this.#finish(this.#unanswered(), {}, 'The client left before the answer.');
      } else {
        // Whoever would have read on is gone, and with it the `drain` that an upstream held back waits for.
        exchange.resume();
      }
    });
  }

  /** Nobody waits for the answer any more: a child that other calls share has to be told. */
  #giveUp(exchange: UpstreamExchange): void {
    exchange.abort();
    const { gate, inbound, lane, message } = this.#call;
    if (exchange.sharedId === undefined || !this.#handedOver || message.method === 'initialize') return;
    try {
      gate.cancelUpstream(inbound.grant.entry, { id: exchange.sharedId, lane });
    } catch (error) {
      // The call ends all the same.
      gate.metrics.fault(error);
    }
  }

  /** An exception on the way: the exchange is over, the call is answered, and nothing goes on (P5). */
  fault(error: unknown): void {
    this.#call.gate.metrics.fault(error);
    this.#exchange?.abort();
    try {
      if (this.#done) this.#call.client.end(500);
      else this.#fail('An error inside the gateway ended the call.', 500, this.#unanswered());
    } catch (second) {
      this.#call.gate.metrics.fault(second);
    }
  }

  #guard<T>(step: () => T, otherwise: T): T {
    try {
      return step();
    } catch (error) {
      this.fault(error);
      return otherwise;
    }
  }

  /** What is known of a call without an answer. */
  #unanswered(): 'unknown' | 'not_sent' {
    return this.#handedOver ? 'unknown' : 'not_sent';
  }

  onHandedOver(): void {
    this.#handedOver = true;
    this.#startedAt = performance.now();
  }

  onHead(status: number, session: string | undefined, stream: boolean): void {
    this.#guard(() => this.#head(status, session, stream), undefined);
  }

  onMessage(bytes: Uint8Array, meta: EventMeta | undefined): boolean {
    return this.#guard(() => this.#message(bytes, meta), true);
  }

  onEvent(meta: EventMeta): boolean {
    return this.#guard(() => this.#event(meta), true);
  }

  onEnd(): void {
    this.#guard(() => this.#end(), undefined);
  }

  onFailure(failure: UpstreamFailure): void {
    this.#guard(() => this.#failure(failure), undefined);
  }

  #head(status: number, session: string | undefined, stream: boolean): void {
    if (this.#done) return;
    this.#status = status;
    this.#stream = stream;
    // The session stands in the head of the reply to `initialize`, before anything of the reply is known.
    if (session !== undefined && status < 300 && this.#call.message.method === 'initialize') this.#openSession(session);
    if (stream && status < 300) this.#call.client.openStream();
    if (stream && status < 300 && this.#options.listening === true) {
      const { gate, inbound, session } = this.#call;
      this.#watchLists(() => gate.listChanges.declared(session?.id ?? inbound.grant.id), undefined);
    }
  }

  /** @param subscription raw id of the request that asked for the notifications (2026-07-28) */
  #watchLists(kinds: () => ReadonlySet<ListKind>, subscription: Uint8Array | undefined): void {
    const { gate, inbound, session } = this.#call;
    const tell = (kind: ListKind): void => {
      if (this.#queue !== undefined) this.#queue.push(() => tell(kind));
      else if (!this.#done) this.#readyFor(this.#call.client.send(listChanged(kind, subscription), {}));
    };
    this.#unwatch?.();
    this.#unwatch = gate.listChanges.watch({ grant: inbound.grant.id, session: session?.id, kinds, tell });
  }

  /** The server says which notifications it will send: what it leaves out, it has not. */
  #acknowledged(reply: Reply): void {
    const { id, message } = this.#call;
    if (message.method !== 'subscriptions/listen' || id === undefined) return;
    const asked = message.params?.get('notifications');
    const granted = reply.params?.get('notifications');
    if (asked === undefined || granted === undefined) return;
    const kinds = subscribedKinds(readValue(message.bytes, asked), readValue(reply.bytes, granted));
    if (kinds.size > 0) this.#watchLists(() => kinds, id);
  }

  #message(bytes: Uint8Array, meta: EventMeta | undefined): boolean {
    if (this.#queue !== undefined) {
      this.#queue.push(() => this.onMessage(bytes, meta));
      return false;
    }
    // A redirect is not followed, whatever it says besides (spec: gateway §7).
    if (this.#done || isRedirect(this.#status)) return true;
    this.#resumable ||= meta?.id !== undefined;
    const reply = readReply(bytes);
    if (!reply.ok) {
      // A refusal may be explained in any format: its status says it, and is answered at its end.
      if (meta === undefined && this.#status >= 400) return true;
      // Outside a stream it is the whole of the answer.
      this.#over = meta === undefined;
      this.#abortAndFail('The server sent what is no JSON-RPC message.');
      return true;
    }
    const { id, message } = this.#call;
    const answers = reply.kind === 'response' && id !== undefined && reply.idKey === message.idKey;
    // A request that was refused as a whole is answered without its id, with the status saying so.
    const refused = reply.kind === 'response' && reply.idSpan === undefined && this.#status >= 400;
    if (answers || (refused && meta === undefined)) {
      const sealed = this.#sealed(reply);
      return sealed === undefined || this.#listed(sealed, (out) => this.#answer(sealed, out, meta));
    }
    if (reply.kind === 'response' && this.#options.resumed === true) return this.#late(reply, meta ?? {});
    if (carriesList(reply)) return this.#listed(reply, () => undefined);
    return this.#admit(reply, meta ?? {});
  }

  /** What a client carries for the gateway leaves it sealed; undefined: the answer was refused. */
  #sealed(reply: Reply): Reply | undefined {
    const { gate, inbound, message } = this.#call;
    const tasks = sealAnswer(gate, this.#call, reply, this.#options);
    if (tasks !== undefined && 'failed' in tasks) {
      this.#abortAndFail(`The server’s reply was refused: ${tasks.failed}.`);
      return undefined;
    }
    this.#runsOn = tasks?.running === true;
    return gate.requestStates.seal(inbound.grant, message, tasks?.reply ?? reply);
  }

  /** The answer to a call whose own stream ended before it: the call was judged, recorded and charged where it began. */
  #late(reply: Reply, meta: EventMeta): boolean {
    if (refusedInput(this.#call.inbound.grant.entry.server.settings, reply) !== undefined) return true;
    // What would have to be sealed to its call cannot be: nobody knows any more which call it was.
    if (BOUND.some((name) => reply.resultMembers?.has(name) === true)) return true;
    let ready = true;
    const passed = this.#listed(reply, (bytes) => {
      ready = this.#readyFor(this.#call.client.send(bytes, meta));
    });
    return passed && ready;
  }

  #event(meta: EventMeta): boolean {
    if (this.#queue !== undefined) {
      this.#queue.push(() => this.onEvent(meta));
      return false;
    }
    this.#resumable ||= meta.id !== undefined;
    return this.#done || this.#readyFor(this.#call.client.event(meta));
  }

  /** Holds the upstream back while the client does not take more. */
  #readyFor(ready: boolean): boolean {
    if (ready || this.#held) return ready;
    this.#held = true;
    this.#call.client.onDrain(() => {
      this.#held = false;
      this.#exchange?.resume();
    });
    return false;
  }

  #end(): void {
    clearTimeout(this.#linger);
    if (this.#queue !== undefined) {
      this.#queue.push(() => this.onEnd());
      return;
    }
    if (this.#done) return;
    // A stream may end and the call run on: the client could come back for the answer (2025-11-25, resumable streams).
    this.#over = this.#status >= 300 || !this.#stream;
    const { client, id } = this.#call;
    if (this.#options.listening === true) {
      this.#finish('allow', {});
      client.end(this.#clientStatus());
    } else if (id === undefined) {
      this.#finish(this.#status < 300 ? 'allow' : 'error', { status: this.#status });
      if (this.#status < 300) client.accepted();
      else client.end(this.#clientStatus());
    } else if (this.#status === 404 && this.#call.session !== undefined) {
      // The upstream ended the session: the client opens a new one on this status.
      this.#finish('error', { status: 404 });
      client.answer(404, errorAnswer(id, -32001, 'The session has ended. Send initialize to open a new one.'));
    } else if (this.#seemsOld()) {
      this.#fail(
        `The server answered ${this.#call.message.method} with HTTP ${this.#status}, so it does not speak streamable HTTP at this address. It may be a server of the older HTTP+SSE: its owner then sets its transport to {"kind": "sse"} with the URL of its event stream (gatehouse server add NAME --url URL --sse).`,
        502,
        'error',
      );
    } else if (this.#stream && this.#resumable && !this.#call.modern) {
      // No error in the place of the answer: the client comes back for it with the id of the last event (2025-11-25).
      this.#finish('unknown', { status: this.#status }, 'The server ended the stream before the answer.');
      client.end(200);
    } else if (isRedirect(this.#status)) {
      this.#fail('The server answered with a redirect, which is not followed.', 502, 'error');
    } else {
      this.#fail('The server ended the exchange without an answer.', 502, 'error');
    }
  }

  /** What an endpoint of HTTP+SSE says to a POST (MCP 2025-03-26, transports: backwards compatibility). */
  #seemsOld(): boolean {
    const { message, inbound } = this.#call;
    return (
      [400, 404, 405].includes(this.#status) &&
      (message.method === 'initialize' || message.method === 'server/discover') &&
      !hasLanes(inbound.grant.entry)
    );
  }

  #failure(failure: UpstreamFailure): void {
    clearTimeout(this.#linger);
    if (this.#queue !== undefined) {
      this.#queue.push(() => this.onFailure(failure));
      return;
    }
    if (this.#done) return;
    const { gone } = failure;
    this.#over = gone === true;
    this.#fail(failure.message, 502, this.#unanswered());
    const { receipt } = this.#options;
    if (gone instanceof Promise && receipt?.slots !== undefined) {
      void gone.then(() => freeSlots(this.#call.gate, receipt));
    }
  }

  #answer(reply: Reply, bytes: Uint8Array, meta: EventMeta | undefined): void {
    const { client, message } = this.#call;
    this.#over = !this.#runsOn;
    if (this.#status === 401 || this.#status === 403) {
      // The client's own token is good; a 401 would make it throw that away.
      this.#fail('The server did not accept the credentials that the gateway has for it.', 502, 'error');
      return;
    }
    // A child or a stream has no session ids of its own; the gateway's id names it.
    const child = hasLanes(this.#call.inbound.grant.entry);
    if (message.method === 'initialize' && reply.result !== undefined) {
      if (child) this.#openSession(undefined);
      const { gate, inbound } = this.#call;
      if (!isGatehouse(inbound.grant)) gate.listChanges.declare(this.#session?.id ?? inbound.grant.id, reply);
    }
    const refused = refusedInput(this.#call.inbound.grant.entry.server.settings, reply);
    if (refused !== undefined) {
      this.#abortAndFail(`The server’s result asks the client for ${refused}, which its settings do not let through.`);
      return;
    }
    const result: ResultRecord = { status: this.#status, bytes: bytes.length };
    const code = reply.errorMembers?.get('code');
    if (code !== undefined) result.errorCode = Number(readValue(reply.bytes, code));
    const isError = reply.resultMembers?.get('isError');
    if (isError !== undefined) result.isError = reply.bytes[isError.start] === 0x74;
    this.#finish(code !== undefined || result.isError === true ? 'error' : 'allow', result);
    const status = child && this.#call.modern ? statusOf(result.errorCode) : this.#clientStatus();
    client.answer(status, bytes, meta);
    if (meta === undefined) return;
    this.#linger = setTimeout(() => this.#exchange?.abort(), LINGER_MS);
    this.#linger.unref();
  }

  #admit(message: Reply, meta: EventMeta): boolean {
    const { gate, inbound, client } = this.#call;
    const { settings, slug } = inbound.grant.entry.server;
    const reply = sealNotice(gate, this.#call, message);
    if (reply === undefined || (reply.kind === 'notification' && refusedInput(settings, reply) !== undefined)) {
      // A request about a task that is not this client's is a request that it does not take.
      if (message.kind === 'request') this.#refuse(message);
      return true;
    }
    const admission = admit(gate.serverRequests, settings, this.#session, reply);
    if (admission.action === 'drop') return true;
    if (admission.action === 'refuse') {
      this.#refuse(reply);
      return true;
    }
    if (reply.method === 'notifications/resources/updated') {
      // The stream may be older than the policy that holds now.
      const grant = gate.directory.grant(inbound.grant.id);
      if (grant === undefined || !mayWatch(grant, reply, this.#session, gate.clock())) return true;
    }
    if (admission.toolsChanged) gate.toolsChanged(slug);
    if (reply.method === 'notifications/subscriptions/acknowledged') this.#acknowledged(reply);
    return this.#readyFor(client.send(admission.bytes, meta));
  }

  /** Answers −32601 to a request of the server that its settings do not let through: the gateway's own message. */
  #refuse(reply: Reply): void {
    if (reply.idSpan === undefined) return;
    this.#refusals += 1;
    if (this.#refusals > MAX_REFUSALS) {
      this.#abortAndFail('The server keeps sending requests that its settings do not let through.');
      return;
    }
    const { gate, inbound } = this.#call;
    const raw = reply.bytes.subarray(reply.idSpan.start, reply.idSpan.end);
    gate.answerUpstream(inbound.grant.entry, {
      body: errorAnswer(raw, CODE.methodNotFound, 'This client does not take such requests.'),
      session: this.#session?.upstream,
      lane: this.#call.lane,
      version: this.#session?.version,
    });
  }

  /** Runs the list filter on a message; what comes after it waits if it has to. */
  #listed(reply: Reply, pass: (bytes: Uint8Array) => void): boolean {
    if (!carriesList(reply)) {
      pass(reply.bytes);
      return true;
    }
    const { gate, inbound } = this.#call;
    const done = (filtered: Filtered): void => {
      if (this.#done) return;
      if (filtered.ok) pass(filtered.bytes);
      else this.#abortAndFail(`The server’s reply was refused: ${filtered.reason}.`);
    };
    const filtered = filterLists(gate, inbound.grant, this.#session, reply);
    if (!(filtered instanceof Promise)) {
      done(filtered);
      return true;
    }
    this.#queue = [];
    void filtered
      .then(done)
      .catch((error: unknown) => this.fault(error))
      .finally(() => {
        const waiting = this.#queue ?? [];
        this.#queue = undefined;
        // Each of these guards itself.
        for (const next of waiting) next();
        this.#exchange?.resume();
      });
    return false;
  }

  #openSession(upstream: string | undefined): void {
    const { gate, inbound, client, message, lane } = this.#call;
    const info = message.params?.get('clientInfo');
    const version = message.params?.get('protocolVersion');
    this.#session = gate.sessions.seal({
      ...(upstream === undefined ? {} : { upstream }),
      lane,
      grant: inbound.grant.id,
      identity: inbound.grant.identityId,
      server: inbound.grant.entry.server.id,
      revision: inbound.grant.entry.server.revision,
      ...(version === undefined || message.bytes[version.start] !== 0x22
        ? {}
        : { version: readString(message.bytes, version) }),
      ...(info === undefined ? {} : clientOf(readValue(message.bytes, info))),
    });
    client.setSession(this.#session.id);
  }

  /**
   * 401, 403 and 407 are between the gateway and the upstream, a redirect is not followed, and 5xx is a bad gateway.
   */
  #clientStatus(): number {
    const status = this.#status;
    if (status >= 200 && status < 300) return 200;
    return status >= 400 && status < 500 && status !== 401 && status !== 403 && status !== 407 ? status : 502;
  }

  #abortAndFail(message: string): void {
    this.#exchange?.abort();
    this.#fail(message, 502, 'error');
  }

  #fail(message: string, status: number, outcome: string): void {
    const { client, id, requestId } = this.#call;
    this.#finish(outcome, this.#handedOver ? { status: this.#status } : {}, message);
    if (id === undefined) client.end(status);
    else client.answer(status, errorAnswer(id, CODE.upstream, `${message} Request ${requestId}.`));
  }

  /** The outcome stands in the log's queue before the answer goes out (spec: gateway §5). */
  #finish(outcome: string, result: ResultRecord, message?: string): void {
    this.#done = true;
    this.#unwatch?.();
    clearTimeout(this.#timer);
    const { gate, inbound } = this.#call;
    const { receipt } = this.#options;
    // Either order is safe: a release that is lost with its record leaves more counted after a restart, never less.
    if (!this.#handedOver) releaseReservation(gate, receipt);
    else if (this.#over && receipt?.slots !== undefined) freeSlots(gate, receipt);
    const held = this.#handedOver && !this.#over && receipt?.slots !== undefined;
    const upstreamMs = this.#handedOver ? performance.now() - this.#startedAt : undefined;
    try {
      if (upstreamMs !== undefined) gate.metrics.upstream(inbound.grant.entry.server.slug, outcome, upstreamMs);
      if (!this.#options.acts) return;
      const timed = upstreamMs === undefined ? result : { ...result, upstreamMs };
      // What was given back above is recorded so, whatever ended the call.
      const recorded = this.#handedOver ? outcome : 'not_sent';
      gate.audit.enqueue(outcomeRecord(this.#call, recorded, timed, message, held));
    } catch (error) {
      // What happened has happened: the client is told all the same, and the log shows the intent as unknown.
      gate.metrics.fault(error);
    }
  }
}

/** Of a server alone: the client did not declare what the request needs. */
const MISSING_CAPABILITY = -32021;

/** A child gives no status, and revision 2026-07-28 wants one beside these errors. */
function statusOf(code: number | undefined): number {
  if (code === CODE.methodNotFound) return 404;
  const refused = code === CODE.headerMismatch || code === MISSING_CAPABILITY || code === CODE.unsupportedVersion;
  return refused ? 400 : 200;
}

function isRedirect(status: number): boolean {
  return status >= 300 && status < 400;
}

function clientOf(info: unknown): { client: { name: string; version: string } } | Record<string, never> {
  const { name, version } = (info ?? {}) as { name?: unknown; version?: unknown };
  if (typeof name !== 'string') return {};
  return { client: { name: name.slice(0, 200), version: typeof version === 'string' ? version.slice(0, 100) : '' } };
}
