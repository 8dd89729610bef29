// The way back: one exchange with the upstream, from the first byte handed over to the client's answer and the outcome.
import { type Reply, readReply, readString, readValue } from '@gatehouse/wire';
import type { ResultRecord } from '../audit/record.ts';
import type { Receipt } from '../limits/counters.ts';
import type { EventMeta, UpstreamExchange, UpstreamFailure, UpstreamSink } from '../upstreams/upstream.ts';
import { CODE, errorAnswer } from './answers.ts';
import type { CallState } from './call.ts';
import { releaseReservation } from './gate.ts';
import { admit } from './inbound.ts';
import { carriesList, type Filtered, filterLists } from './lists.ts';
import { outcomeRecord } from './records.ts';
import type { Session } from './sessions.ts';

export interface RelayOptions {
  /** An outcome is recorded beside the intent. */
  acts: boolean;
  receipt: Receipt | undefined;
  /** Milliseconds since 1970; undefined: as long as the stream lives. */
  deadline: number | undefined;
  /** The answer to nothing: a stream that the client opened (GET). */
  listening?: boolean;
}

export class Relay implements UpstreamSink {
  readonly #call: CallState;
  readonly #options: RelayOptions;
  #exchange: UpstreamExchange | undefined;
  #timer: NodeJS.Timeout | undefined;
  #handedOver = false;
  #done = false;
  #status = 200;
  #session: Session | undefined;
  #startedAt = 0;
  /** While a list waits for its definitions to be stored, what follows waits behind it, in order. */
  #queue: (() => void)[] | undefined;

  constructor(call: CallState, options: RelayOptions) {
    this.#call = call;
    this.#options = options;
    this.#session = call.session;
  }

  start(exchange: UpstreamExchange): void {
    if (this.#done) return;
    this.#exchange = exchange;
    const { client, modern, gate } = this.#call;
    client.onClose(() => {
      // Revision 2026-07-28: leaving cancels. Before it, a client may come back for the answer, so the call goes on.
      if ((modern || this.#options.listening === true) && !this.#done) {
        exchange.abort();
        this.#finish('unknown', {}, 'The client left before the answer.');
      }
    });
    if (this.#options.deadline !== undefined) {
      this.#timer = setTimeout(() => {
        if (this.#done) return;
        exchange.abort();
        this.#fail('The server did not answer before the deadline of the call.', 504, 'unknown');
      }, this.#options.deadline - gate.clock());
    }
  }

  onHandedOver(): void {
    this.#handedOver = true;
    this.#startedAt = performance.now();
  }

  onHead(status: number, session: string | undefined, stream: boolean): void {
    this.#status = status;
    // The session stands in the head of the reply to `initialize`, before anything of the reply is known.
    if (session !== undefined && status < 300 && this.#call.message.method === 'initialize') this.#openSession(session);
    if (stream && status < 300) this.#call.client.openStream();
  }

  onMessage(bytes: Uint8Array, meta: EventMeta | undefined): boolean {
    if (this.#queue !== undefined) {
      this.#queue.push(() => this.onMessage(bytes, meta));
      return false;
    }
    if (this.#done) return true;
    const reply = readReply(bytes);
    if (!reply.ok) {
      this.#abortAndFail('The server sent what is no JSON-RPC message.');
      return true;
    }
    const { id, message } = this.#call;
    const answers = reply.kind === 'response' && id !== undefined && reply.idKey === message.idKey;
    // A request that was refused as a whole is answered without its id, with the status saying so.
    const refused = reply.kind === 'response' && reply.idSpan === undefined && this.#status >= 400;
    if (answers || (refused && meta === undefined)) return this.#listed(reply, (out) => this.#answer(reply, out, meta));
    if (carriesList(reply)) return this.#listed(reply, () => undefined);
    return this.#admit(reply, meta ?? {});
  }

  onEvent(meta: EventMeta): void {
    if (!this.#done) this.#call.client.event(meta);
  }

  onEnd(): void {
    if (this.#queue !== undefined) {
      this.#queue.push(() => this.onEnd());
      return;
    }
    if (this.#done) return;
    const { client, id } = this.#call;
    if (this.#options.listening === true) {
      client.end(this.#status < 300 ? 200 : this.#status);
      this.#finish('allow', {});
    } else if (id === undefined) {
      if (this.#status < 300) client.accepted();
      else client.end(this.#clientStatus());
      this.#finish(this.#status < 300 ? 'allow' : 'error', { status: this.#status });
    } else if (this.#status === 404 && this.#call.session !== undefined) {
      // The upstream ended the session: the client opens a new one on this status.
      client.answer(404, errorAnswer(id, -32001, 'The session has ended. Send initialize to open a new one.'));
      this.#finish('error', { status: 404 });
    } else {
      this.#fail('The server ended the exchange without an answer.', 502, 'error');
    }
  }

  onFailure(failure: UpstreamFailure): void {
    if (this.#queue !== undefined) {
      this.#queue.push(() => this.onFailure(failure));
      return;
    }
    if (this.#done) return;
    if (!failure.handedOver) releaseReservation(this.#call.gate, this.#options.receipt);
    this.#fail(failure.message, 502, failure.handedOver ? 'unknown' : 'not_sent');
  }

  #answer(reply: Reply, bytes: Uint8Array, meta: EventMeta | undefined): void {
    const { client, message } = this.#call;
    if (this.#status === 401 || this.#status === 403) {
      // The client's own token is good; a 401 would make it throw that away.
      this.#fail('The server did not accept the credentials that the gateway has for it.', 502, 'error');
      return;
    }
    // A child has no session ids of its own; the gateway's id names it.
    const child = this.#call.inbound.grant.entry.server.transport.kind === 'stdio';
    if (child && message.method === 'initialize' && reply.result !== undefined) this.#openSession(undefined);
    client.answer(this.#clientStatus(), bytes, meta);
    const result: ResultRecord = { status: this.#status, bytes: bytes.length };
    const code = reply.errorMembers?.get('code');
    if (code !== undefined) result.errorCode = Number(readValue(reply.bytes, code));
    const isError = reply.resultMembers?.get('isError');
    if (isError !== undefined) result.isError = reply.bytes[isError.start] === 0x74;
    this.#finish(code !== undefined || result.isError === true ? 'error' : 'allow', result);
  }

  #admit(reply: Reply, meta: EventMeta): boolean {
    const { gate, inbound, client } = this.#call;
    const { settings, slug } = inbound.grant.entry.server;
    const admission = admit(gate.serverRequests, settings, this.#session, reply);
    if (admission.action === 'drop') return true;
    if (admission.action === 'refuse') {
      this.#refuse(reply);
      return true;
    }
    if (admission.toolsChanged) gate.toolsChanged(slug);
    const ready = client.send(admission.bytes, meta);
    if (!ready) client.onDrain(() => this.#exchange?.resume());
    return ready;
  }

  /** Answers −32601 to a request of the server that its settings do not let through: the gateway's own message. */
  #refuse(reply: Reply): void {
    if (reply.idSpan === undefined) return;
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
    void filtered.then(done).finally(() => {
      const waiting = this.#queue ?? [];
      this.#queue = undefined;
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

  /** 401 and 403 are between the gateway and the upstream; 5xx is a bad gateway. */
  #clientStatus(): number {
    if (this.#status === 401 || this.#status === 403 || this.#status >= 500 || this.#status < 200) return 502;
    return this.#status;
  }

  #abortAndFail(message: string): void {
    this.#exchange?.abort();
    this.#fail(message, 502, 'error');
  }

  #fail(message: string, status: number, outcome: string): void {
    const { client, id, requestId } = this.#call;
    if (id === undefined) client.end(status);
    else client.answer(status, errorAnswer(id, CODE.upstream, `${message} Request ${requestId}.`));
    this.#finish(outcome, this.#handedOver ? { status: this.#status } : {}, message);
  }

  #finish(outcome: string, result: ResultRecord, message?: string): void {
    this.#done = true;
    clearTimeout(this.#timer);
    const { gate, inbound } = this.#call;
    const upstreamMs = this.#handedOver ? performance.now() - this.#startedAt : undefined;
    if (upstreamMs !== undefined) gate.metrics.upstream(inbound.grant.entry.server.slug, outcome, upstreamMs);
    if (this.#options.acts) {
      gate.audit.enqueue(
        outcomeRecord(this.#call, outcome, { ...result, ...(upstreamMs === undefined ? {} : { upstreamMs }) }, message),
      );
    }
  }
}

function clientOf(info: unknown): { client: { name: string; version: string } } | Record<string, never> {
  const { name, version } = (info ?? {}) as { name?: unknown; version?: unknown };
  if (typeof name !== 'string') return {};
  return { client: { name: name.slice(0, 200), version: typeof version === 'string' ? version.slice(0, 100) : '' } };
}
