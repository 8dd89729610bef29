// Answers over HTTP: JSON with head and body in one write, or an event stream with back-pressure (design: §2).
import type { ServerResponse } from 'node:http';
import { latin1Of } from '@gatehouse/net';
import { encodeSse, sseComment } from '@gatehouse/wire';
import type { EventMeta } from '../upstreams/upstream.ts';
import type { ClientExchange } from './exchange.ts';

/** There are clients that give up after 10 s of silence. */
const KEEP_ALIVE_MS = 8_000;
const KEEP_ALIVE = sseComment('keep-alive');
/** Up to this many bytes a copy costs less than a list of pieces. */
const ONE_PIECE = 16 * 1024;

export class HttpExchange implements ClientExchange {
  readonly #response: ServerResponse;
  readonly #onStream: () => void;
  readonly #hold: () => boolean;
  #session: string | undefined;
  #streaming = false;
  #keepAlive: NodeJS.Timeout | undefined;

  /**
   * @param onStream called when the answer becomes a stream, which may outlive what opened it
   * @param hold takes a place for a stream without an end
   */
  constructor(response: ServerResponse, onStream: () => void, hold: () => boolean) {
    this.#response = response;
    this.#onStream = onStream;
    this.#hold = hold;
  }

  get closed(): boolean {
    return this.#response.destroyed || this.#response.writableEnded;
  }

  setSession(id: string): void {
    this.#session = id;
  }

  holdStream(): boolean {
    return this.#hold();
  }

  openStream(): void {
    if (this.#streaming || this.closed) return;
    this.#streaming = true;
    this.#onStream();
    this.#response.writeHead(200, {
      'content-type': 'text/event-stream',
      'cache-control': 'no-cache, no-transform',
      'x-accel-buffering': 'no',
      ...(this.#session === undefined ? {} : { 'mcp-session-id': this.#session }),
    });
    this.#response.flushHeaders();
    this.#keepAlive = setInterval(() => {
      // A client that does not read hears nothing of it, and the memory for it would only grow.
      if (!this.#response.writableNeedDrain) this.#response.write(KEEP_ALIVE);
    }, KEEP_ALIVE_MS);
    this.#response.once('close', () => clearInterval(this.#keepAlive));
  }

  answer(status: number, message: Uint8Array, meta?: EventMeta): void {
    if (this.closed) return;
    if (meta !== undefined && status === 200) this.openStream();
    if (this.#streaming) {
      clearInterval(this.#keepAlive);
      this.#response.end(encodeSse({ event: 'message', ...meta, data: message }));
      return;
    }
    const headers: Record<string, string | number> = {
      'content-type': 'application/json',
      'content-length': message.length,
    };
    if (this.#session !== undefined) headers['mcp-session-id'] = this.#session;
    this.#response.writeHead(status, headers);
    // As text of the head's own encoding, one unit a byte, both leave in one piece without a list of pieces.
    if (message.length <= ONE_PIECE) this.#response.end(latin1Of(message), 'latin1');
    else this.#response.end(message);
  }

  send(message: Uint8Array, meta: EventMeta): boolean {
    if (this.closed) return true;
    this.openStream();
    return this.#response.write(encodeSse({ event: 'message', ...meta, data: message }));
  }

  event(meta: EventMeta): boolean {
    if (this.closed) return true;
    this.openStream();
    return this.#response.write(
      Object.keys(meta).length === 0 ? KEEP_ALIVE : encodeSse({ ...meta, data: new Uint8Array(0) }),
    );
  }

  accepted(): void {
    this.end(202);
  }

  end(status: number): void {
    if (this.closed) return;
    if (!this.#streaming) this.#response.writeHead(status, { 'content-length': 0 });
    clearInterval(this.#keepAlive);
    this.#response.end();
  }

  onClose(listener: () => void): void {
    // A client may leave while its request waits for the log: its `close` is over by then.
    if (this.#response.destroyed) listener();
    else this.#response.once('close', listener);
  }

  onDrain(listener: () => void): void {
    this.#response.once('drain', listener);
  }
}
