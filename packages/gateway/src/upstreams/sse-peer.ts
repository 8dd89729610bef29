// A session with a server of HTTP+SSE (revision 2024-11-05) as the peer of a lane: a stream that brings everything the
// server says, and one POST for each message to the address that the stream began with.
import type { Exchange, Http1Pool, RequestHead, ResponseHandler, ResponseHeaders } from '@gatehouse/net';
import { SseParser } from '@gatehouse/wire';
import { describeError, type HttpUpstreamOptions } from './http.ts';
import type { Delivery, Peer, Posted, Started } from './peer.ts';

export interface SseServer {
  readonly pool: Http1Pool;
  /** Where the stream is. */
  readonly url: URL;
  /** Sent with every request, names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly options: HttpUpstreamOptions;
  log(event: string, detail?: Record<string, unknown>): void;
}

/** A stream begins with the address for messages; a server that never says it may not keep a lane waiting. */
const ENDPOINT_TIMEOUT_MS = 10_000;
const MAX_ENDPOINT = 8_192;
/** How long a server may take to say that it took a message whose answer has come already. */
const SETTLE_MS = 1_000;
/** What a server says beside "202 Accepted" is of no use; one that goes on talking loses the connection. */
const MAX_RECEIPT = 64 * 1024;

export function openSsePeer(server: SseServer, onMessage: (bytes: Uint8Array) => void): Promise<Started> {
  return new Promise((resolve) => {
    new SsePeer(server, onMessage, resolve).open();
  });
}

class SsePeer implements Peer, ResponseHandler {
  readonly ended: Promise<string>;
  readonly #server: SseServer;
  readonly #onMessage: (bytes: Uint8Array) => void;
  readonly #started: (outcome: Started) => void;
  readonly #posts = new Set<Post>();
  readonly #parser: SseParser;
  #resolveEnded: (how: string) => void = () => {};
  #exchange: Exchange | undefined;
  #streaming = false;
  /** Set once the server named the address for messages. */
  #post: RequestHead | undefined;
  #closed = false;
  #timer: NodeJS.Timeout;

  constructor(server: SseServer, onMessage: (bytes: Uint8Array) => void, started: (outcome: Started) => void) {
    this.#server = server;
    this.#onMessage = onMessage;
    this.#started = started;
    this.ended = new Promise((resolve) => {
      this.#resolveEnded = resolve;
    });
    this.#parser = new SseParser({
      maxEventBytes: server.options.maxResult,
      onEvent: ({ event, data }) => {
        if (this.#closed) return;
        if (event === 'endpoint') this.#endpoint(Buffer.from(data).toString('utf8'));
        else if ((event === undefined || event === 'message') && data.length > 0 && this.#post !== undefined) {
          this.#onMessage(data);
        }
      },
    });
    this.#timer = setTimeout(
      () => this.#close('its event stream did not begin with the address for messages in time'),
      ENDPOINT_TIMEOUT_MS,
    );
  }

  open(): void {
    const { pool, url, headers } = this.#server;
    try {
      const head = pool.prepare({
        method: 'GET',
        path: url.pathname + url.search,
        headers: { accept: 'text/event-stream', ...headers },
      });
      this.#exchange = pool.request(head, {}, undefined, this);
    } catch (error) {
      this.#close(describeError(error as Error));
    }
  }

  onConnected(): void {}

  onHead(status: number, headers: ResponseHeaders): void {
    if (status >= 300 && status < 400) {
      this.#close('it answered with a redirect, which is not followed');
    } else if (status === 401 || status === 403) {
      this.#close('it did not accept the credentials that the gateway has for it');
    } else if (status !== 200 || !/^text\/event-stream\s*(;|$)/i.test(headers['content-type'] ?? '')) {
      this.#close(`it answered HTTP ${status} without an event stream; is this the address of its stream?`);
    } else {
      this.#streaming = true;
    }
  }

  onData(chunk: Buffer): void {
    if (this.#closed || !this.#streaming) return;
    if (this.#post !== undefined) this.#timer.refresh();
    const refusal = this.#parser.push(chunk);
    if (refusal !== undefined) this.#close(`its event stream was refused: ${refusal}`);
  }

  onEnd(): void {
    this.#close('its event stream ended');
  }

  onError(error: Error): void {
    this.#close(describeError(error));
  }

  write(message: Uint8Array, delivery: Delivery): Posted | undefined {
    if (this.#post === undefined || this.#closed) {
      delivery.onFailed('its event stream has ended', false);
      return undefined;
    }
    const post = new Post(delivery, (over) => this.#posts.delete(over));
    this.#posts.add(post);
    post.send(this.#server.pool, this.#post, message);
    return post;
  }

  pause(): void {
    this.#exchange?.pause();
  }

  resume(): void {
    this.#exchange?.resume();
  }

  stderrLines(): string[] {
    return [];
  }

  stop(): Promise<unknown> {
    this.#close('the session has ended');
    return this.ended;
  }

  #endpoint(text: string): void {
    if (this.#post !== undefined) {
      // Messages that go elsewhere from now on would be another session under the same name.
      this.#server.log('second address for messages ignored');
      return;
    }
    const { pool, url, headers, options } = this.#server;
    const target = text.length <= MAX_ENDPOINT && URL.canParse(text, url.href) ? new URL(text, url) : undefined;
    if (target === undefined) {
      this.#close('the address for messages that it gives is no URL');
      return;
    }
    // A server could have the gateway send calls and credentials to any place that it can reach (SSRF).
    if (target.origin !== url.origin) {
      this.#close('the address for messages that it gives is of another origin, which is refused');
      return;
    }
    try {
      this.#post = pool.prepare({
        method: 'POST',
        path: target.pathname + target.search,
        headers: { 'content-type': 'application/json', ...headers },
      });
    } catch (error) {
      this.#close(describeError(error as Error));
      return;
    }
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#close('its event stream was silent for too long'), options.idleStream);
    this.#started({ ok: true, peer: this });
  }

  /** Messages that the server did not take yet fail first: of them it is known whether they were handed over. */
  #close(how: string): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#exchange?.abort();
    for (const post of [...this.#posts]) post.fail(how);
    this.#started({ ok: false, reason: how });
    this.#resolveEnded(how);
  }
}

/** One message on its way. */
class Post implements ResponseHandler, Posted {
  readonly #delivery: Delivery;
  readonly #onOver: (post: Post) => void;
  #exchange: Exchange | undefined;
  #handedOver = false;
  /** The delivery was told the end. */
  #told = false;
  #over = false;
  #received = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(delivery: Delivery, onOver: (post: Post) => void) {
    this.#delivery = delivery;
    this.#onOver = onOver;
  }

  send(pool: Http1Pool, head: RequestHead, message: Uint8Array): void {
    try {
      this.#exchange = pool.request(head, {}, message, this);
      // It may have been given up while the connection was told of.
      if (this.#over) this.#exchange.abort();
    } catch (error) {
      this.fail(describeError(error as Error));
    }
  }

  onConnected(): void {
    this.#handedOver = true;
    this.#delivery.onHandedOver();
  }

  onHead(status: number): void {
    if (this.#told) return;
    if (status < 200 || status >= 300) {
      this.fail(
        status === 401 || status === 403
          ? 'it did not accept the credentials that the gateway has for it'
          : `it did not take the message (HTTP ${status})`,
      );
      return;
    }
    this.#told = true;
    this.#delivery.onTaken();
  }

  onData(chunk: Buffer): void {
    this.#received += chunk.length;
    if (this.#received > MAX_RECEIPT) this.abort();
  }

  onEnd(): void {
    this.#finish();
  }

  onError(error: Error): void {
    this.fail(describeError(error));
  }

  /** Ends it, and tells the delivery unless the server took the message. */
  fail(reason: string): void {
    if (this.#over) return;
    this.#finish();
    this.#exchange?.abort();
    if (this.#told) return;
    this.#told = true;
    this.#delivery.onFailed(reason, this.#handedOver);
  }

  abort(): void {
    if (this.#over) return;
    this.#told = true;
    this.#finish();
    this.#exchange?.abort();
  }

  settle(): void {
    if (this.#over) return;
    this.#told = true;
    this.#timer ??= setTimeout(() => this.abort(), SETTLE_MS).unref();
  }

  #finish(): void {
    this.#over = true;
    clearTimeout(this.#timer);
    this.#onOver(this);
  }
}
