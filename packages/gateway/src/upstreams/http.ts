// Streamable HTTP upstreams: undici's dispatch with a handler class, one pool per server, never a retry (design: §2).
import { SseParser } from '@gatehouse/wire';
import { type Dispatcher, Pool } from 'undici';
import type { ServerEntry } from '../model.ts';
import type { OutgoingMessage, Upstream, UpstreamExchange, UpstreamSink } from './upstream.ts';

export interface HttpUpstreamOptions {
  /** Largest JSON reply, and largest single event, in bytes. */
  maxResult: number;
  /** An open stream without a byte for this long is given up; milliseconds. */
  idleStream: number;
  userAgent: string;
}

const ACCEPT = 'application/json, text/event-stream';

/** Below the idle close of the servers that this gateway was tried with, so that no call goes into a dying connection. */
const KEEP_ALIVE_MS = 4_000;
const CONNECT_TIMEOUT_MS = 10_000;
const END_SESSION_TIMEOUT_MS = 5_000;

export class HttpUpstream implements Upstream {
  readonly #pool: Pool;
  readonly #path: string;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #options: HttpUpstreamOptions;
  #state = 'idle';

  constructor(entry: ServerEntry, options: HttpUpstreamOptions) {
    if (entry.server.transport.kind !== 'http') throw new TypeError('not a server with an HTTP transport');
    const url = new URL(entry.server.transport.url);
    this.#options = options;
    this.#path = url.pathname + url.search;
    this.#headers = {
      'user-agent': options.userAgent,
      ...lowerCased(entry.server.settings.headers),
      ...lowerCased(entry.credentialHeaders),
    };
    this.#pool = new Pool(url.origin, {
      pipelining: 1,
      keepAliveTimeout: KEEP_ALIVE_MS,
      keepAliveMaxTimeout: KEEP_ALIVE_MS,
      // Deadlines are the gateway's own (spec: config, call_deadline): the library's would cut slow tools and quiet streams.
      headersTimeout: 0,
      bodyTimeout: 0,
      connect: { timeout: CONNECT_TIMEOUT_MS },
    });
  }

  knows(): boolean {
    return true;
  }

  send(message: OutgoingMessage, sink: UpstreamSink): UpstreamExchange {
    const headers: Record<string, string> = {
      'content-type': 'application/json',
      accept: ACCEPT,
      ...message.headers,
      ...this.#headers,
    };
    if (message.session !== undefined) headers['mcp-session-id'] = message.session;
    return this.#dispatch('POST', headers, message.message.bytes, sink);
  }

  listen(
    session: string | undefined,
    _lane: string,
    given: Readonly<Record<string, string>>,
    sink: UpstreamSink,
  ): UpstreamExchange {
    const headers: Record<string, string> = { accept: 'text/event-stream', ...given, ...this.#headers };
    if (session !== undefined) headers['mcp-session-id'] = session;
    return this.#dispatch('GET', headers, null, sink);
  }

  endSession(session: string | undefined): Promise<void> {
    if (session === undefined) return Promise.resolve();
    return new Promise((resolve) => {
      const exchange = this.#dispatch('DELETE', { ...this.#headers, 'mcp-session-id': session }, null, {
        onHandedOver: ignore,
        onHead: ignore,
        onMessage: () => true,
        onEvent: () => true,
        onEnd: finish,
        onFailure: finish,
      });
      const timer = setTimeout(() => {
        exchange.abort();
        resolve();
      }, END_SESSION_TIMEOUT_MS);
      function finish(): void {
        clearTimeout(timer);
        resolve();
      }
    });
  }

  state(): string {
    return this.#state;
  }

  async close(): Promise<void> {
    await this.#pool.destroy();
  }

  #dispatch(
    method: 'POST' | 'GET' | 'DELETE',
    headers: Record<string, string>,
    body: Uint8Array | null,
    sink: UpstreamSink,
  ): UpstreamExchange {
    const handler = new ReplyHandler(sink, this.#options, (state) => {
      this.#state = state;
    });
    try {
      this.#pool.dispatch({ method, path: this.#path, headers, body }, handler);
    } catch (error) {
      // undici throws for what it cannot send at all, such as a header with a line break in it.
      handler.onResponseError(undefined, error as Error);
    }
    return handler;
  }
}

/** One reply: JSON is collected and given in one piece, an event stream is given event by event as it comes. */
class ReplyHandler implements Dispatcher.DispatchHandler, UpstreamExchange {
  readonly #sink: UpstreamSink;
  readonly #options: HttpUpstreamOptions;
  readonly #report: (state: string) => void;
  #controller: Dispatcher.DispatchController | undefined;
  #handedOver = false;
  #done = false;
  #parser: SseParser | undefined;
  #chunks: Buffer[] = [];
  #size = 0;
  #idle: NodeJS.Timeout | undefined;

  constructor(sink: UpstreamSink, options: HttpUpstreamOptions, report: (state: string) => void) {
    this.#sink = sink;
    this.#options = options;
    this.#report = report;
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#done) {
      controller.abort(new Error('given up'));
      return;
    }
    // undici calls this with a connected socket, right before it writes.
    this.#handedOver = true;
    this.#sink.onHandedOver();
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    headers: Record<string, string | string[] | undefined>,
  ): void {
    // Informational replies (103) come before the real one.
    if (this.#done || status < 200) return;
    this.#report(status >= 500 ? `answers HTTP ${status}` : 'ok');
    const session = headers['mcp-session-id'];
    const type = headers['content-type'];
    const stream = typeof type === 'string' && /^text\/event-stream\s*(;|$)/i.test(type);
    this.#sink.onHead(status, typeof session === 'string' ? session : undefined, stream);
    if (stream) {
      this.#parser = new SseParser({
        maxEventBytes: this.#options.maxResult,
        onEvent: (event) => {
          if (this.#done) return;
          const meta = {
            ...(event.id === undefined ? {} : { id: event.id }),
            ...(event.event === undefined ? {} : { event: event.event }),
            ...(event.retry === undefined ? {} : { retry: event.retry }),
          };
          const ready = event.data.length === 0 ? this.#sink.onEvent(meta) : this.#sink.onMessage(event.data, meta);
          if (!ready) controller.pause();
        },
        onComment: () => {
          if (!this.#done && !this.#sink.onEvent({})) controller.pause();
        },
      });
      this.#touch();
    }
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#done) return;
    if (this.#parser !== undefined) {
      this.#touch();
      const refusal = this.#parser.push(chunk);
      if (refusal !== undefined) this.#fail(`its event stream was refused: ${refusal}`);
      return;
    }
    this.#size += chunk.length;
    if (this.#size > this.#options.maxResult) {
      this.#fail(`its reply is larger than ${this.#options.maxResult} bytes (setting max_result)`);
      return;
    }
    this.#chunks.push(chunk);
  }

  onResponseEnd(): void {
    if (this.#done) return;
    if (this.#parser === undefined && this.#size > 0) {
      this.#sink.onMessage(
        this.#chunks.length === 1 ? (this.#chunks[0] as Buffer) : Buffer.concat(this.#chunks),
        undefined,
      );
    }
    this.#finish();
    this.#sink.onEnd();
  }

  onResponseError(_controller: Dispatcher.DispatchController | undefined, error: Error): void {
    if (this.#done) return;
    const reason = describeError(error);
    this.#report(reason);
    this.#finish();
    this.#sink.onFailure({ handedOver: this.#handedOver, message: `The server could not be used: ${reason}.` });
  }

  resume(): void {
    this.#controller?.resume();
  }

  abort(): void {
    if (this.#done) return;
    this.#finish();
    this.#controller?.abort(new Error('given up'));
  }

  #touch(): void {
    this.#idle ??= setTimeout(() => this.#fail('its event stream was silent for too long'), this.#options.idleStream);
    this.#idle.refresh();
  }

  #fail(reason: string): void {
    if (this.#done) return;
    this.#finish();
    this.#controller?.abort(new Error(reason));
    this.#sink.onFailure({ handedOver: this.#handedOver, message: `The server could not be used: ${reason}.` });
  }

  #finish(): void {
    this.#done = true;
    this.#chunks = [];
    clearTimeout(this.#idle);
  }
}

/** Names the fault without the address, which agents need not know. */
function describeError(error: Error): string {
  const code = (error as NodeJS.ErrnoException).code ?? '';
  switch (code) {
    case 'ECONNREFUSED':
      return 'the connection was refused; is it running?';
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return 'its host name could not be resolved';
    case 'UND_ERR_CONNECT_TIMEOUT':
    case 'ETIMEDOUT':
      return 'it did not accept a connection in time';
    case 'UND_ERR_SOCKET':
    case 'ECONNRESET':
    case 'EPIPE':
      return 'the connection broke off';
    default:
      return /CERT|TLS|SSL|SELF_SIGNED/.test(code)
        ? 'its TLS certificate was not accepted'
        : `the exchange failed (${code || error.name})`;
  }
}

function lowerCased(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
}

function ignore(): void {}
