// One connection to a server: connects, carries one exchange after another, and is thrown away at the first irregularity.

import type { Socket } from 'node:net';
import { latin1Of } from '../latin1.ts';
import { Http1Error } from './http1-error.ts';
import type { RequestHead } from './request-head.ts';
import type { FieldTable, ResponseHeaders } from './response-head.ts';
import { ResponseParser, type ResponseSink } from './response-parser.ts';

/** Told what becomes of one exchange. What it throws ends the exchange; `onEnd` and `onError` must not throw. */
export interface ResponseHandler {
  /**
   * A connected socket is there, and the first byte is about to be handed to it (spec: policy §5). It is called inside
   * `request` where a connection is idle.
   */
  onConnected(): void;
  /** The final response has begun. */
  onHead(status: number, headers: ResponseHeaders): void;
  /** A piece of the body; it is the handler's to keep. */
  onData(chunk: Buffer): void;
  /** The response is complete. It, `onError` or neither (after `abort`) comes last. */
  onEnd(): void;
  /** @param handedOver false: no byte was handed to a connected socket */
  onError(error: Error, handedOver: boolean): void;
}

/** One request and its response, as `Http1Pool.request` started it. Once it is over nothing here has an effect. */
export class Exchange {
  readonly handler: ResponseHandler;
  handedOver = false;
  #connection: Connection | undefined;

  constructor(handler: ResponseHandler, connection: Connection) {
    this.handler = handler;
    this.#connection = connection;
  }

  /** Stops reading: nothing is told until `resume`, but an error may be. */
  pause(): void {
    this.#connection?.pause();
  }

  /** Reads on; what was held back is told inside this call. */
  resume(): void {
    this.#connection?.resume();
  }

  /** Gives up and closes the connection; nothing is told any more. */
  abort(): void {
    this.#connection?.abandon();
  }

  /** For the connection alone: it is over. */
  release(): void {
    this.#connection = undefined;
  }
}

/** Whoever made a connection. */
export interface ConnectionOwner {
  /** The response is complete and in order: another request may be sent. */
  onIdle(connection: Connection, keepAliveSeconds: number): void;
  /** It is closed for good. */
  onClosed(connection: Connection): void;
}

/** A body up to this size leaves in one piece with its head; copying it is cheaper than a second piece. */
const COPIED_BODY = 32 * 1024;

export class Connection implements ResponseSink {
  /** Milliseconds of the owner's clock: until then it must be connected, or may be used again. */
  deadline = 0;
  readonly #owner: ConnectionOwner;
  readonly #parser: ResponseParser;
  #socket: Socket | undefined;
  #connected = false;
  #exchange: Exchange | undefined;
  /** What waits for the connection. */
  #text = '';
  #body: Uint8Array | undefined;
  #isHead = false;
  /** Bytes in hand lie in a buffer that others read into as well: what is handed on is copied. */
  #shared = false;
  #reading = false;
  // What came, but is not told while paused: bytes, then the end, then a fault.
  #held: Buffer | undefined;
  #atEnd = false;
  #failure: Error | undefined;

  constructor(owner: ConnectionOwner, table: FieldTable) {
    this.#owner = owner;
    this.#parser = new ResponseParser(this, table);
  }

  /** Whether a request may be sent on it now. */
  get usable(): boolean {
    const socket = this.#socket;
    return (
      this.#exchange === undefined && socket !== undefined && this.#connected && socket.writable && socket.readable
    );
  }

  get connecting(): boolean {
    return this.#socket !== undefined && !this.#connected;
  }

  /** @param ready the event of the socket after which it can be written to */
  attach(socket: Socket, ready: 'connect' | 'secureConnect'): void {
    this.#socket = socket;
    socket.once(ready, () => this.#ready());
    socket.on('error', (error: Error) => this.#fail(error));
    socket.on('end', () => this.#ended());
    socket.on('close', () => this.#fail(new Http1Error('ECONNRESET', 'The connection was closed.')));
  }

  /** Sends a request; the connection must be usable, or not connected yet. @throws what the handler's `onConnected` throws */
  begin(exchange: Exchange, head: RequestHead, text: string, body: Uint8Array | undefined): void {
    this.#exchange = exchange;
    this.#isHead = head.method === 'HEAD';
    this.#text = text;
    this.#body = body;
    if (this.#connected) this.#send(exchange);
  }

  /** Bytes from the socket. @param shared they are overwritten after this call */
  read(chunk: Buffer, end: number, shared: boolean): void {
    const exchange = this.#exchange;
    if (exchange === undefined) {
      // Nothing was asked: whatever it is, it must not be taken for the answer to the next request.
      this.#close();
      return;
    }
    if (this.#parser.paused) {
      // What a socket had read already when it was paused; one that delivers by event keeps it itself.
      this.#hold(chunk, 0, end);
      return;
    }
    this.#push(exchange, chunk, 0, end, shared);
  }

  pause(): void {
    if (this.#exchange === undefined) return;
    this.#parser.paused = true;
    this.#socket?.pause();
  }

  resume(): void {
    const exchange = this.#exchange;
    const parser = this.#parser;
    if (exchange === undefined || !parser.paused) return;
    parser.paused = false;
    // First of all: what is told below may be the end, after which the connection is another's.
    this.#socket?.resume();
    // Called by the handler while it is being told something: the loop that tells it goes on.
    if (this.#reading) return;
    const held = this.#held ?? NONE;
    this.#held = undefined;
    this.#push(exchange, held, 0, held.length, false);
    if (this.#exchange !== exchange || parser.paused) return;
    if (this.#atEnd) this.#ended();
    else if (this.#failure !== undefined) this.destroy(this.#failure);
  }

  /** Gives up the exchange without a word. */
  abandon(): void {
    this.#detach();
    this.#close();
  }

  /** Closes it; the exchange under way is told. */
  destroy(error: Error): void {
    const exchange = this.#detach();
    this.#close();
    exchange?.handler.onError(error, exchange.handedOver);
  }

  onHead(status: number, headers: ResponseHeaders): void {
    this.#exchange?.handler.onHead(status, headers);
  }

  onBody(chunk: Buffer, start: number, end: number): void {
    const exchange = this.#exchange;
    if (exchange === undefined) return;
    if (this.#shared) {
      const copy = Buffer.allocUnsafe(end - start);
      chunk.copy(copy, 0, start, end);
      exchange.handler.onData(copy);
    } else {
      exchange.handler.onData(start === 0 && end === chunk.length ? chunk : chunk.subarray(start, end));
    }
  }

  onEnd(leftover: number): void {
    const exchange = this.#detach();
    const parser = this.#parser;
    // A server that answers before it has read the whole request may take the rest of it for the next one.
    if (leftover === 0 && parser.reusable && this.#socket?.writableLength === 0 && this.usable) {
      this.#owner.onIdle(this, parser.keepAlive);
    } else {
      this.#close();
    }
    exchange?.handler.onEnd();
  }

  #ready(): void {
    this.#connected = true;
    const exchange = this.#exchange;
    if (exchange === undefined) return;
    try {
      this.#send(exchange);
    } catch (error) {
      this.destroy(error as Error);
    }
  }

  #send(exchange: Exchange): void {
    const socket = this.#socket as Socket;
    const text = this.#text;
    const body = this.#body;
    this.#text = '';
    this.#body = undefined;
    this.#parser.begin(this.#isHead);
    exchange.handedOver = true;
    exchange.handler.onConnected();
    // The handler may have given up.
    if (this.#exchange !== exchange) return;
    if (body === undefined) {
      socket.write(text, 'latin1');
    } else if (body.length <= COPIED_BODY) {
      socket.write(text + latin1Of(body), 'latin1');
    } else {
      socket.cork();
      socket.write(text, 'latin1');
      socket.write(body);
      socket.uncork();
    }
  }

  #push(exchange: Exchange, chunk: Buffer, start: number, end: number, shared: boolean): void {
    const parser = this.#parser;
    this.#shared = shared;
    this.#reading = true;
    let at = end;
    try {
      at = parser.push(chunk, start, end);
    } catch (error) {
      if (this.#exchange !== exchange) throw error;
      this.destroy(error as Error);
    } finally {
      this.#reading = false;
    }
    // Over, or already the next one's.
    if (this.#exchange !== exchange) return;
    if (parser.refusal !== undefined) {
      this.destroy(new Http1Error('INVALID_RESPONSE', parser.refusal));
    } else if (parser.paused) {
      this.#hold(chunk, at, end);
    }
  }

  #hold(chunk: Buffer, start: number, end: number): void {
    const rest = chunk.subarray(start, end);
    this.#held = Buffer.concat(this.#held === undefined ? [rest] : [this.#held, rest]);
  }

  #ended(): void {
    const exchange = this.#exchange;
    if (exchange !== undefined && this.#connected) {
      if (this.#parser.paused) {
        this.#atEnd = true;
        return;
      }
      try {
        if (this.#parser.close()) return;
      } catch (error) {
        if (this.#exchange !== exchange) throw error;
        this.destroy(error as Error);
        return;
      }
    }
    this.destroy(new Http1Error('ECONNRESET', 'The server closed the connection before the end of its response.'));
  }

  #fail(error: Error): void {
    if (this.#parser.paused && (this.#held !== undefined || this.#atEnd)) this.#failure ??= error;
    else this.destroy(error);
  }

  #detach(): Exchange | undefined {
    const exchange = this.#exchange;
    this.#exchange = undefined;
    exchange?.release();
    return exchange;
  }

  #close(): void {
    const socket = this.#socket;
    if (socket === undefined) return;
    this.#socket = undefined;
    this.#held = undefined;
    this.#failure = undefined;
    this.#text = '';
    this.#body = undefined;
    this.#parser.stop();
    socket.destroy();
    this.#owner.onClosed(this);
  }
}

const NONE = Buffer.alloc(0);
