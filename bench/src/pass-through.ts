// The reference: what any gateway on node:http and undici pays before it does anything. Reads the body, passes it on, buffers the reply,
// answers in one write, with a header allow-list both ways. It checks and records nothing.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { type Dispatcher, Pool } from 'undici';
import { listenAndTell } from './child.ts';

const upstream = new URL(process.argv[2]!);
const pool = new Pool(upstream.origin, { pipelining: 1, headersTimeout: 0, bodyTimeout: 0 });
const REQUEST_HEADERS = ['content-type', 'accept', 'mcp-session-id', 'mcp-protocol-version'];
const REPLY_HEADERS = ['content-type', 'mcp-session-id'];

class Passer implements Dispatcher.DispatchHandler {
  readonly #response: ServerResponse;
  readonly #chunks: Buffer[] = [];
  readonly #headers: Record<string, string | string[] | number> = {};
  #status = 502;

  constructor(response: ServerResponse) {
    this.#response = response;
  }

  // undici demands it; there is nothing to pause or abort.
  onRequestStart(): void {}

  onResponseStart(
    _controller: Dispatcher.DispatchController,
    status: number,
    headers: Record<string, string | string[] | undefined>,
  ): void {
    this.#status = status;
    for (const name of REPLY_HEADERS) {
      const value = headers[name];
      if (value !== undefined) this.#headers[name] = value;
    }
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#chunks.push(chunk);
  }

  onResponseEnd(): void {
    const body = this.#chunks.length === 1 ? this.#chunks[0]! : Buffer.concat(this.#chunks);
    this.#headers['content-length'] = body.length;
    this.#response.writeHead(this.#status, this.#headers);
    this.#response.end(body);
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    const body = Buffer.from(error.message);
    this.#response.writeHead(502, { 'content-type': 'text/plain', 'content-length': body.length });
    this.#response.end(body);
  }
}

function pass(request: IncomingMessage, response: ServerResponse): void {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    const headers: Record<string, string> = {};
    for (const name of REQUEST_HEADERS) {
      const value = request.headers[name];
      if (typeof value === 'string') headers[name] = value;
    }
    const body = chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks);
    pool.dispatch(
      { method: request.method as Dispatcher.HttpMethod, path: upstream.pathname, headers, body },
      new Passer(response),
    );
  });
}

listenAndTell(createServer({ keepAliveTimeout: 0, requestTimeout: 0 }, pass));
