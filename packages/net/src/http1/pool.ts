// The connections to one origin: as many as there are exchanges at once, the last used taken first, none ever used twice
// for one request. No pipelining, no redirect, no retry (spec: gateway §4).
import { connect, isIP, type Socket, type TcpNetConnectOpts } from 'node:net';
import { type ConnectionOptions, connect as connectTls } from 'node:tls';
import { Connection, type ConnectionOwner, Exchange, type ResponseHandler } from './connection.ts';
import { Http1Error } from './http1-error.ts';
import { RequestHead, type RequestParts } from './request-head.ts';
import { type FieldTable, fieldTable } from './response-head.ts';

export interface Http1PoolOptions {
  /** An idle connection is closed after this long, or when the server said it would, if that is sooner. Milliseconds. */
  keepAliveMs: number;
  /** For the name look-up, TCP and TLS together. Milliseconds. */
  connectTimeoutMs: number;
  /** Names in lower case of the response fields that handlers get, at most 24; a response that has one twice is refused. */
  headers: readonly string[];
  /** Milliseconds of any steady clock. */
  clock?: () => number;
}

/** How much sooner than the server said a connection is given up: its own clock began when it sent the response. */
const MARGIN_MS = 1_000;
const MAX_SWEEP_MS = 1_000;
const TCP_KEEP_ALIVE_MS = 60_000;
/**
 * Plain sockets read into this one buffer: Node calls back before it reads again from any of them, and the connection
 * copies what it hands on. Else Node allocates 64 KiB for each read. TLS is left out: a write may read there.
 */
const READ_BUFFER = Buffer.allocUnsafeSlow(64 * 1024);

export class Http1Pool implements ConnectionOwner {
  readonly #options: Http1PoolOptions;
  readonly #clock: () => number;
  readonly #table: FieldTable;
  readonly #secure: boolean;
  readonly #host: string;
  readonly #hostname: string;
  readonly #port: number;
  readonly #all = new Set<Connection>();
  readonly #idle: Connection[] = [];
  #session: Buffer | undefined;
  #sweeper: NodeJS.Timeout | undefined;
  #destroyed = false;

  /** @param origin `http://host:port` or `https://host:port` @throws Http1Error INVALID_REQUEST for any other scheme */
  constructor(origin: string, options: Http1PoolOptions) {
    const url = new URL(origin);
    if (url.protocol !== 'http:' && url.protocol !== 'https:') {
      throw new Http1Error('INVALID_REQUEST', `There is no HTTP/1.1 over ${url.protocol}//.`);
    }
    this.#options = options;
    this.#clock = options.clock ?? (() => performance.now());
    this.#table = fieldTable(options.headers);
    this.#secure = url.protocol === 'https:';
    this.#host = url.host;
    this.#hostname = url.hostname.replace(/^\[|\]$/g, '');
    this.#port = url.port === '' ? (this.#secure ? 443 : 80) : Number(url.port);
  }

  /** What is the same in many requests. @throws Http1Error INVALID_REQUEST for what cannot stand in one */
  prepare(parts: RequestParts): RequestHead {
    return new RequestHead(this.#host, parts);
  }

  /**
   * Sends a request. The handler is told inside this call of nothing but `onConnected`.
   * @param headers further ones, names in lower case; a prepared one of the same name stands instead
   * @param body must not change until the exchange is over; undefined: none
   * @throws Http1Error INVALID_REQUEST for a header that cannot stand in a request, POOL_DESTROYED after `destroy`;
   * nothing was connected or written then, and the handler is told nothing
   */
  request(
    head: RequestHead,
    headers: Readonly<Record<string, string>>,
    body: Uint8Array | undefined,
    handler: ResponseHandler,
  ): Exchange {
    if (this.#destroyed) throw new Http1Error('POOL_DESTROYED', 'The connections to the server were closed.');
    const text = head.text(headers, body?.length);
    const connection = this.#take() ?? this.#open();
    const exchange = new Exchange(handler, connection);
    try {
      connection.begin(exchange, head, text, body);
    } catch (error) {
      exchange.abort();
      throw error;
    }
    return exchange;
  }

  /** Closes all connections; every exchange under way is told inside this call. */
  destroy(): void {
    this.#destroyed = true;
    clearTimeout(this.#sweeper);
    for (const connection of [...this.#all]) {
      connection.destroy(new Http1Error('POOL_DESTROYED', 'The connections to the server were closed.'));
    }
  }

  onIdle(connection: Connection, keepAliveSeconds: number): void {
    const { keepAliveMs } = this.#options;
    const kept = keepAliveSeconds === -1 ? keepAliveMs : Math.min(keepAliveMs, keepAliveSeconds * 1_000 - MARGIN_MS);
    if (kept <= 0) {
      connection.abandon();
      return;
    }
    connection.deadline = this.#clock() + kept;
    this.#idle.push(connection);
    this.#watch();
  }

  onClosed(connection: Connection): void {
    this.#all.delete(connection);
    const at = this.#idle.indexOf(connection);
    if (at !== -1) this.#idle.splice(at, 1);
  }

  #take(): Connection | undefined {
    for (let connection = this.#idle.pop(); connection !== undefined; connection = this.#idle.pop()) {
      if (connection.usable && connection.deadline > this.#clock()) return connection;
      connection.abandon();
    }
    return undefined;
  }

  #open(): Connection {
    const connection = new Connection(this, this.#table);
    connection.deadline = this.#clock() + this.#options.connectTimeoutMs;
    const socket = this.#secure ? this.#connectTls(connection) : this.#connectPlain(connection);
    socket.setNoDelay(true);
    // A stream can be silent for hours; a peer that vanished is found out.
    socket.setKeepAlive(true, TCP_KEEP_ALIVE_MS);
    connection.attach(socket, this.#secure ? 'secureConnect' : 'connect');
    this.#all.add(connection);
    this.#watch();
    return connection;
  }

  #connectPlain(connection: Connection): Socket {
    return connect({
      host: this.#hostname,
      port: this.#port,
      autoSelectFamily: true,
      onread: {
        buffer: READ_BUFFER,
        callback: (size) => {
          connection.read(READ_BUFFER, size, true);
          return true;
        },
      },
    });
  }

  #connectTls(connection: Connection): Socket {
    const options: ConnectionOptions & TcpNetConnectOpts = {
      host: this.#hostname,
      port: this.#port,
      autoSelectFamily: true,
      // An address is no name to ask for; the certificate is checked against it all the same.
      servername: isIP(this.#hostname) === 0 ? this.#hostname : '',
      ALPNProtocols: ['http/1.1'],
      ...(this.#session === undefined ? {} : { session: this.#session }),
    };
    const socket = connectTls(options);
    socket.on('session', (session) => {
      this.#session = session;
    });
    socket.on('data', (chunk: Buffer) => connection.read(chunk, chunk.length, false));
    return socket;
  }

  /** One timer for all connections, and none while nothing can run out. */
  #watch(): void {
    if (this.#sweeper !== undefined || this.#destroyed) return;
    const { keepAliveMs, connectTimeoutMs } = this.#options;
    const pause = Math.min(MAX_SWEEP_MS, keepAliveMs / 4, connectTimeoutMs / 4);
    this.#sweeper = setTimeout(() => this.#sweep(), pause);
    this.#sweeper.unref();
  }

  #sweep(): void {
    this.#sweeper = undefined;
    const now = this.#clock();
    let waiting = this.#idle.length > 0;
    for (const connection of [...this.#idle]) {
      if (connection.deadline <= now) connection.abandon();
    }
    for (const connection of [...this.#all]) {
      if (!connection.connecting) continue;
      waiting = true;
      if (connection.deadline <= now) {
        connection.destroy(new Http1Error('ETIMEDOUT', 'The server did not accept a connection in time.'));
      }
    }
    if (waiting) this.#watch();
  }
}
