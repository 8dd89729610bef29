// One stream of an old client, and the session with the upstream behind it: the calls under way, what the server says
// beside them, and the end of both.
import { Backoff } from '@gatehouse/net';
import { readMessage } from '@gatehouse/wire';
import { CODE, errorAnswer } from './answers.ts';
import { handle } from './call.ts';
import type { ClientExchange, ProtocolHeaders } from './exchange.ts';
import type { Gate, Inbound } from './gate.ts';
import { listChanged } from './list-changes.ts';
import { recordRefusal } from './records.ts';
import { endSession, openStream } from './session-requests.ts';
import type { ClientStream } from './sse-sessions.ts';

/** A POST is over before its answer is there, so that connections do not bound what one client has under way. */
const MAX_UNDER_WAY = 256;
/** Answers to a client that does not read wait in memory; one with this much gets no further ones, in bytes. */
const MAX_UNREAD = 16 * 1024 * 1024;
const TOO_MUCH = `This stream has ${MAX_UNDER_WAY} requests under way, or is not read. Read the answers, and try again.`;
/** A server may end its stream at any time and for any reason; the client cannot open it again, so the gateway does. */
const RELISTEN = { minMs: 100, maxMs: 30_000 };

const NO_BODY = new Uint8Array(0);

export class SseSession {
  readonly #gate: Gate;
  /** As the stream was opened: whose it is. */
  readonly #opened: Inbound;
  readonly #stream: ClientStream;
  readonly #closers = new Set<() => void>();
  #drains: (() => void)[] = [];
  #underWay = 0;
  #draining = false;
  #closed = false;
  /** The gateway's own session id, which stays inside. */
  #session: string | undefined;
  #version: string | undefined;
  #listener: ServerMessages | undefined;
  #unwatch: (() => void) | undefined;

  constructor(gate: Gate, opened: Inbound, stream: ClientStream) {
    this.#gate = gate;
    this.#opened = opened;
    this.#stream = stream;
  }

  /** One message of the client. Never rejects. */
  async take(inbound: Inbound, post: ClientExchange): Promise<void> {
    // A fault in what was posted is told to the POST, an answer to the stream: where that goes is all that is read here.
    const message = readMessage(inbound.body, { maxDepth: this.#gate.limits.maxDepth });
    const request = message.ok && message.kind === 'request';
    if (request && (this.#underWay >= MAX_UNDER_WAY || this.#stream.unread() > MAX_UNREAD)) {
      await recordRefusal(this.#gate, inbound, this.#gate.newRequestId(), '(streams)', TOO_MUCH, {});
      post.answer(429, errorAnswer(undefined, CODE.unavailable, TOO_MUCH));
      return;
    }
    this.#version = inbound.headers.version;
    const headers = this.#headers(inbound.headers.version);
    if (request) {
      this.#underWay += 1;
      post.accepted();
      const answered = (): void => {
        this.#underWay -= 1;
        if (this.#draining) this.drain();
      };
      await handle(this.#gate, { ...inbound, headers }, new StreamedAnswer(this, answered));
      return;
    }
    const initialized = message.ok && message.method === 'notifications/initialized';
    const onAccepted = initialized ? (): void => this.#listen() : (): void => {};
    await handle(this.#gate, { ...inbound, headers }, new PostedAnswer(this, post, onAccepted));
  }

  get gone(): boolean {
    return this.#closed || this.#stream.exchange.closed;
  }

  write(message: Uint8Array): boolean {
    return this.#stream.exchange.send(message, {});
  }

  hold(): boolean {
    return this.#stream.exchange.holdStream();
  }

  /** Not a listener on the stream for each call: it lives for as long as many thousands of them. */
  onClose(listener: () => void): void {
    if (this.gone) listener();
    else this.#closers.add(listener);
  }

  offClose(listener: () => void): void {
    this.#closers.delete(listener);
  }

  onDrain(listener: () => void): void {
    this.#drains.push(listener);
    if (this.#drains.length > 1) return;
    this.#stream.exchange.onDrain(() => {
      const waiting = this.#drains;
      this.#drains = [];
      for (const next of waiting) next();
    });
  }

  /** The session that an `initialize` opened; there is one at a time. */
  setSession(id: string): void {
    const before = this.#session;
    this.#session = id;
    this.#listener?.stop();
    this.#listener = undefined;
    this.#unwatch?.();
    if (before !== undefined) void this.#endUpstream(before);
    // The client left while its `initialize` was under way.
    if (this.#closed) void this.#endUpstream(id);
  }

  /** The session ended behind the stream: so does the stream, which old clients understand. */
  sessionLost(): void {
    if (this.#session !== undefined) this.#stream.end();
  }

  /** Ends the stream after the answers under way. */
  drain(): void {
    this.#draining = true;
    if (this.#underWay === 0) this.#stream.end();
  }

  /** The stream is closed, by whichever side. Resolves when its session has ended; never rejects. */
  async closed(): Promise<void> {
    this.#closed = true;
    this.#listener?.stop();
    this.#unwatch?.();
    const closers = [...this.#closers];
    this.#closers.clear();
    for (const listener of closers) listener();
    const drains = this.#drains;
    this.#drains = [];
    for (const listener of drains) listener();
    if (this.#session !== undefined) await this.#endUpstream(this.#session);
  }

  /** The client has one stream for all: what the server says beside the calls is fetched and put there. */
  #listen(): void {
    if (this.gone || this.#listener !== undefined) return;
    this.#listener = new ServerMessages(this, (lastEventId, client) => {
      const grant = this.#gate.directory.grant(this.#opened.grant.id);
      if (grant === undefined) return;
      const headers: ProtocolHeaders = {
        ...this.#headers(this.#version),
        ...(lastEventId === undefined ? {} : { lastEventId }),
      };
      void openStream(this.#gate, { ...this.#opened, grant, headers, body: NO_BODY }, client).catch((error: unknown) =>
        this.#gate.metrics.fault(error),
      );
    });
    this.#watchLists();
    this.#listener.open();
  }

  /** A server may have no stream to fetch from, and the client has one all the same. */
  #watchLists(): void {
    const session = this.#session;
    // Without a session, the stream that is fetched is watched, and nothing would tell that they are one.
    if (session === undefined) return;
    const { listChanges } = this.#gate;
    this.#unwatch = listChanges.watch({
      grant: this.#opened.grant.id,
      session,
      kinds: () => listChanges.declared(session),
      tell: (kind) => this.write(listChanged(kind, undefined)),
    });
  }

  /** Nothing of a POST counts but its version: what the session is stands in the address, and is checked. */
  #headers(version: string | undefined): ProtocolHeaders {
    return {
      params: {},
      ...(version === undefined ? {} : { version }),
      ...(this.#session === undefined ? {} : { session: this.#session }),
    };
  }

  #endUpstream(session: string): Promise<void> {
    const grant = this.#gate.directory.grant(this.#opened.grant.id) ?? this.#opened.grant;
    const inbound = { ...this.#opened, grant, headers: { params: {}, session }, body: NO_BODY };
    return endSession(this.#gate, inbound, NOBODY).catch((error: unknown) => this.#gate.metrics.fault(error));
  }
}

/** The answer to a request: it and all before it go to the stream. */
class StreamedAnswer implements ClientExchange {
  protected readonly session: SseSession;
  readonly #onOver: () => void;
  #over = false;
  #closer: (() => void) | undefined;

  constructor(session: SseSession, onOver: () => void) {
    this.session = session;
    this.#onOver = onOver;
  }

  get closed(): boolean {
    return this.session.gone;
  }

  openStream(): void {}

  holdStream(): boolean {
    return this.session.hold();
  }

  setSession(id: string): void {
    this.session.setSession(id);
  }

  answer(status: number, message: Uint8Array): void {
    if (this.#over) return;
    this.session.write(message);
    if (status === 404) this.session.sessionLost();
    this.over();
  }

  send(message: Uint8Array): boolean {
    return this.session.write(message);
  }

  /** The stream is kept alive by itself, and its ids are not the upstream's. */
  event(): boolean {
    return true;
  }

  accepted(): void {
    this.over();
  }

  end(_status: number): void {
    this.over();
  }

  onClose(listener: () => void): void {
    this.#closer = listener;
    this.session.onClose(listener);
  }

  onDrain(listener: () => void): void {
    this.session.onDrain(listener);
  }

  protected over(): void {
    if (this.#over) return;
    this.#over = true;
    if (this.#closer !== undefined) this.session.offClose(this.#closer);
    this.#onOver();
  }
}

/** What is answered to the POST itself: that a notification or an answer was taken, or that a message is none. */
class PostedAnswer extends StreamedAnswer {
  readonly #post: ClientExchange;
  readonly #onAccepted: () => void;

  constructor(session: SseSession, post: ClientExchange, onAccepted: () => void) {
    super(session, () => {});
    this.#post = post;
    this.#onAccepted = onAccepted;
  }

  override answer(status: number, message: Uint8Array): void {
    this.over();
    this.#post.answer(status, message);
  }

  override accepted(): void {
    this.over();
    this.#post.accepted();
    this.#onAccepted();
  }

  override end(status: number): void {
    this.over();
    this.#post.end(status);
  }
}

/** What the server says that belongs to no call; opened again when the server ends it. */
class ServerMessages {
  readonly #session: SseSession;
  readonly #open: (lastEventId: string | undefined, client: ClientExchange) => void;
  readonly #backoff = new Backoff(RELISTEN);
  #current: Listening | undefined;
  #lastEventId: string | undefined;
  #openedAt = 0;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  /** @param open opens the stream of the upstream for this client */
  constructor(session: SseSession, open: (lastEventId: string | undefined, client: ClientExchange) => void) {
    this.#session = session;
    this.#open = open;
  }

  open(): void {
    this.#openedAt = performance.now();
    this.#current = new Listening(
      this.#session,
      (id) => {
        this.#lastEventId = id;
      },
      (status) => this.#ended(status),
    );
    this.#open(this.#lastEventId, this.#current);
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.#current?.leave();
  }

  #ended(status: number): void {
    if (this.#stopped) return;
    if (status === 404) this.#session.sessionLost();
    // The server has no such stream, or has it no more.
    if (status >= 400 && status < 500) return;
    this.#timer = setTimeout(() => this.open(), this.#backoff.failed(performance.now() - this.#openedAt));
    this.#timer.unref();
  }
}

class Listening implements ClientExchange {
  readonly #session: SseSession;
  readonly #onId: (id: string) => void;
  readonly #onEnd: (status: number) => void;
  #left = false;
  #closer: (() => void) | undefined;

  constructor(session: SseSession, onId: (id: string) => void, onEnd: (status: number) => void) {
    this.#session = session;
    this.#onId = onId;
    this.#onEnd = onEnd;
  }

  get closed(): boolean {
    return this.#left || this.#session.gone;
  }

  openStream(): void {}
  /** The client's stream has its place already. */
  holdStream(): boolean {
    return true;
  }
  setSession(): void {}

  answer(status: number): void {
    this.end(status);
  }

  send(message: Uint8Array, meta: { id?: string }): boolean {
    if (meta.id !== undefined) this.#onId(meta.id);
    return this.#left || this.#session.write(message);
  }

  event(meta: { id?: string }): boolean {
    if (meta.id !== undefined) this.#onId(meta.id);
    return true;
  }

  accepted(): void {
    this.end(200);
  }

  end(status: number): void {
    if (this.#left) return;
    this.#left = true;
    this.#onEnd(status);
  }

  leave(): void {
    this.#left = true;
    this.#closer?.();
  }

  onClose(listener: () => void): void {
    this.#closer = listener;
    if (this.#left) listener();
  }

  onDrain(listener: () => void): void {
    this.#session.onDrain(listener);
  }
}

/** The end of a session whose client is gone. */
const NOBODY: ClientExchange = {
  closed: true,
  openStream() {},
  holdStream: () => false,
  setSession() {},
  answer() {},
  send: () => true,
  event: () => true,
  accepted() {},
  end() {},
  onClose() {},
  onDrain() {},
};
