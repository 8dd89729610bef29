// Streamable HTTP upstreams: one pool per server, a handler class, never a retry (design: §2).
import {
  type Exchange,
  Http1Pool,
  type Http1PoolOptions,
  type RequestHead,
  type RequestMethod,
  type ResponseHandler,
  type ResponseHeaders,
} from '@gatehouse/net';
import { SseParser } from '@gatehouse/wire';
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

const SESSION = 'mcp-session-id';

/** Deadlines of replies are the gateway's own (spec: config, call_deadline). */
export const POOL_OPTIONS: Http1PoolOptions = {
  keepAliveMs: KEEP_ALIVE_MS,
  connectTimeoutMs: CONNECT_TIMEOUT_MS,
  headers: ['content-type', SESSION],
};

/** What every request to a server carries: who asks, what its settings add, and its credentials. */
export function requestHeaders(entry: ServerEntry, options: HttpUpstreamOptions): Readonly<Record<string, string>> {
  return {
    'user-agent': options.userAgent,
    ...lowerCased(entry.server.settings.headers),
    ...lowerCased(entry.credentialHeaders),
  };
}

/** What the exchanges of a server last came to, for people. */
interface Health {
  state: string;
}

export class HttpUpstream implements Upstream {
  readonly #pool: Http1Pool;
  readonly #path: string;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #options: HttpUpstreamOptions;
  readonly #health: Health = { state: 'idle' };
  #post: RequestHead | undefined;
  #get: RequestHead | undefined;
  #delete: RequestHead | undefined;

  constructor(entry: ServerEntry, options: HttpUpstreamOptions) {
    if (entry.server.transport.kind !== 'http') throw new TypeError('not a server with an HTTP transport');
    const url = new URL(entry.server.transport.url);
    this.#options = options;
    this.#path = url.pathname + url.search;
    this.#headers = requestHeaders(entry, options);
    this.#pool = new Http1Pool(url.origin, POOL_OPTIONS);
  }

  knows(): boolean {
    return true;
  }

  send(message: OutgoingMessage, sink: UpstreamSink): UpstreamExchange {
    return this.#dispatch('POST', message.headers, message.session, message.message.bytes, sink);
  }

  listen(
    session: string | undefined,
    _lane: string,
    given: Readonly<Record<string, string>>,
    sink: UpstreamSink,
  ): UpstreamExchange {
    return this.#dispatch('GET', given, session, undefined, sink);
  }

  endSession(session: string | undefined): Promise<void> {
    if (session === undefined) return Promise.resolve();
    return new Promise((resolve) => {
      const exchange = this.#dispatch('DELETE', {}, session, undefined, {
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
    return this.#health.state;
  }

  async close(): Promise<void> {
    // Exchanges under way are told, and not in the middle of the call that found this upstream replaced.
    await Promise.resolve();
    this.#pool.destroy();
  }

  #dispatch(
    method: 'POST' | 'GET' | 'DELETE',
    given: Readonly<Record<string, string>>,
    session: string | undefined,
    body: Uint8Array | undefined,
    sink: UpstreamSink,
  ): UpstreamExchange {
    const handler = new ReplyHandler(sink, this.#options, this.#health);
    const headers = session === undefined ? given : { ...given, [SESSION]: session };
    try {
      handler.begun(this.#pool.request(this.#head(method), headers, body, handler));
    } catch (error) {
      // What cannot be sent at all, such as a header with a line break in it.
      handler.onError(error as Error, false);
    }
    return handler;
  }

  /** What is the same in all requests of a method, made when the first is sent, so that a fault in it is that call's. */
  #head(method: 'POST' | 'GET' | 'DELETE'): RequestHead {
    switch (method) {
      case 'POST':
        this.#post ??= this.#prepare(method, { 'content-type': 'application/json', accept: ACCEPT });
        return this.#post;
      case 'GET':
        this.#get ??= this.#prepare(method, { accept: 'text/event-stream' });
        return this.#get;
      default:
        this.#delete ??= this.#prepare(method, {});
        return this.#delete;
    }
  }

  #prepare(method: RequestMethod, headers: Readonly<Record<string, string>>): RequestHead {
    return this.#pool.prepare({ method, path: this.#path, headers: { ...headers, ...this.#headers } });
  }
}

/** One reply: JSON is collected and given in one piece, an event stream is given event by event as it comes. */
class ReplyHandler implements ResponseHandler, UpstreamExchange {
  readonly #sink: UpstreamSink;
  readonly #options: HttpUpstreamOptions;
  readonly #health: Health;
  #exchange: Exchange | undefined;
  #handedOver = false;
  #done = false;
  #parser: SseParser | undefined;
  #chunks: Buffer[] = [];
  #size = 0;
  #idle: NodeJS.Timeout | undefined;

  constructor(sink: UpstreamSink, options: HttpUpstreamOptions, health: Health) {
    this.#sink = sink;
    this.#options = options;
    this.#health = health;
  }

  begun(exchange: Exchange): void {
    this.#exchange = exchange;
    // The sink may have given up while it was told of the connection.
    if (this.#done) exchange.abort();
  }

  onConnected(): void {
    this.#handedOver = true;
    this.#sink.onHandedOver();
  }

  onHead(status: number, headers: ResponseHeaders): void {
    if (this.#done) return;
    this.#health.state = status >= 500 ? `answers HTTP ${status}` : 'ok';
    const type = headers['content-type'];
    const stream = type !== undefined && /^text\/event-stream\s*(;|$)/i.test(type);
    this.#sink.onHead(status, headers[SESSION], stream);
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
          if (!ready) this.#exchange?.pause();
        },
        onComment: () => {
          if (!this.#done && !this.#sink.onEvent({})) this.#exchange?.pause();
        },
      });
      this.#touch();
    }
  }

  onData(chunk: Buffer): void {
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

  onEnd(): void {
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

  onError(error: Error, handedOver: boolean): void {
    if (this.#done) return;
    const reason = describeError(error);
    this.#health.state = reason;
    this.#finish();
    this.#sink.onFailure({ handedOver, message: `The server could not be used: ${reason}.` });
  }

  resume(): void {
    this.#exchange?.resume();
  }

  abort(): void {
    if (this.#done) return;
    this.#finish();
    this.#exchange?.abort();
  }

  #touch(): void {
    this.#idle ??= setTimeout(() => this.#fail('its event stream was silent for too long'), this.#options.idleStream);
    this.#idle.refresh();
  }

  #fail(reason: string): void {
    if (this.#done) return;
    this.#finish();
    this.#exchange?.abort();
    this.#sink.onFailure({ handedOver: this.#handedOver, message: `The server could not be used: ${reason}.` });
  }

  #finish(): void {
    this.#done = true;
    this.#chunks = [];
    clearTimeout(this.#idle);
  }
}

/** Names the fault without the address, which agents need not know. */
export function describeError(error: Error): string {
  const code = (error as NodeJS.ErrnoException).code ?? '';
  switch (code) {
    case 'ECONNREFUSED':
      return 'the connection was refused; is it running?';
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return 'its host name could not be resolved';
    case 'ETIMEDOUT':
      return 'it did not accept a connection in time';
    case 'ECONNRESET':
    case 'EPIPE':
      return 'the connection broke off';
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
      return 'there is no way to its network address';
    case 'INVALID_RESPONSE':
      return `its response was refused: ${error.message}`;
    case 'POOL_DESTROYED':
      return 'its connections were closed, because the gateway stops or the server was changed';
    default:
      return /CERT|TLS|SSL|SELF_SIGNED|UNABLE_TO_VERIFY/.test(code)
        ? 'its TLS certificate was not accepted'
        : `the exchange failed (${code || error.name})`;
  }
}

function lowerCased(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
}

function ignore(): void {}
