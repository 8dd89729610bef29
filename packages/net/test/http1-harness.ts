// Real servers for the HTTP/1.1 client, and a handler that keeps all it is told.
import { createServer as createHttpServer, type Server as HttpServer, type RequestListener } from 'node:http';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { type Exchange, Http1Pool, type Http1PoolOptions, type ResponseHandler } from '../src/index.ts';

/** What became of one exchange; `done` resolves with the last thing told. */
export class Recorder implements ResponseHandler {
  readonly told: string[] = [];
  readonly chunks: Buffer[] = [];
  status = 0;
  headers: Readonly<Record<string, string | undefined>> = {};
  error: (Error & { code?: string }) | undefined;
  handedOver: boolean | undefined;
  readonly done: Promise<this>;
  exchange: Exchange | undefined;
  /** Called with what was just told. */
  during: (what: string) => void = () => {};
  #finish: (recorder: this) => void = () => {};

  constructor() {
    this.done = new Promise((resolve) => {
      this.#finish = resolve;
    });
  }

  get body(): string {
    return Buffer.concat(this.chunks).toString('latin1');
  }

  onConnected(): void {
    this.#tell('connected');
  }

  onHead(status: number, headers: Readonly<Record<string, string | undefined>>): void {
    this.status = status;
    this.headers = headers;
    this.#tell('head');
  }

  onData(chunk: Buffer): void {
    this.chunks.push(chunk);
    this.#tell('data');
  }

  onEnd(): void {
    this.#tell('end');
    this.#finish(this);
  }

  onError(error: Error, handedOver: boolean): void {
    this.error = error;
    this.handedOver = handedOver;
    this.#tell('error');
    this.#finish(this);
  }

  #tell(what: string): void {
    this.told.push(what);
    this.during(what);
  }
}

/** Pools and servers of one test, closed together. */
export class Bench {
  readonly #pools: Http1Pool[] = [];
  readonly #servers: (Server | HttpServer)[] = [];
  readonly #sockets = new Set<Socket>();
  /** Connections that servers got. */
  accepted = 0;

  async http(listener: RequestListener): Promise<string> {
    const server = createHttpServer(listener);
    // An early answer leaves a body unread, whose end the server would otherwise await.
    server.on('clientError', (_error, socket) => socket.destroy());
    return await this.listen(server);
  }

  /** A server that speaks bytes. */
  async raw(onSocket: (socket: Socket) => void): Promise<string> {
    return await this.listen(
      createServer((socket) => {
        socket.on('error', () => {});
        onSocket(socket);
      }),
    );
  }

  /** Answers each request (its end is a blank line) with the next of these texts; the last one is repeated. */
  async script(...answers: string[]): Promise<string> {
    let next = 0;
    return await this.raw((socket) => {
      let seen = '';
      socket.on('data', (chunk: Buffer) => {
        seen += chunk.toString('latin1');
        if (!seen.includes('\r\n\r\n')) return;
        seen = '';
        socket.write(answers[Math.min(next, answers.length - 1)] ?? '', 'latin1');
        next += 1;
      });
    });
  }

  async listen(server: Server | HttpServer, scheme = 'http'): Promise<string> {
    server.on('connection', (socket: Socket) => {
      this.accepted += 1;
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    this.#servers.push(server);
    return `${scheme}://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  /** Connections that are open at the servers. */
  get open(): number {
    return this.#sockets.size;
  }

  pool(origin: string, options: Partial<Http1PoolOptions> = {}): Http1Pool {
    const pool = new Http1Pool(origin, {
      keepAliveMs: 4_000,
      connectTimeoutMs: 10_000,
      headers: ['content-type', 'mcp-session-id'],
      ...options,
    });
    this.#pools.push(pool);
    return pool;
  }

  async close(): Promise<void> {
    for (const pool of this.#pools) pool.destroy();
    for (const socket of this.#sockets) socket.destroy();
    await Promise.all(this.#servers.map((server) => new Promise((resolve) => server.close(resolve))));
  }
}

export interface Sent {
  method?: 'DELETE' | 'GET' | 'HEAD' | 'POST';
  headers?: Record<string, string>;
  body?: Uint8Array;
}

export function send(
  pool: Http1Pool,
  { method = 'POST', headers = {}, body }: Sent = {},
  recorder = new Recorder(),
): Recorder {
  recorder.exchange = pool.request(pool.prepare({ method, path: '/mcp', headers: {} }), headers, body, recorder);
  return recorder;
}

/** Waits for what nothing tells of. */
export async function until(condition: () => boolean): Promise<void> {
  for (let turn = 0; turn < 500 && !condition(); turn++) await new Promise((resolve) => setTimeout(resolve, 5));
  if (!condition()) throw new Error('it did not come to pass');
}
