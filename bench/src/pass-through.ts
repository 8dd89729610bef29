// The reference: what any gateway on node:http and undici pays before it does anything. Reads the body, passes it on with a
// header allow-list both ways, and holds the head until the first chunk of the reply, so that a small one leaves in one
// write. It checks and records nothing.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { type Dispatcher, Pool } from 'undici';
import { listenAndTell } from './child.ts';

const upstream = new URL(process.argv[2]!);
const pool = new Pool(upstream.origin, { pipelining: 1, headersTimeout: 0, bodyTimeout: 0 });
const REQUEST_HEADERS = ['content-type', 'accept', 'mcp-session-id', 'mcp-protocol-version'];
const REPLY_HEADERS = ['content-type', 'content-length', 'mcp-session-id'];

class Passer implements Dispatcher.DispatchHandler {
  readonly #response: ServerResponse;
  readonly #isGet: boolean;
  #length: number | undefined;
  /** Start of a reply without a length, until it is known whether that is all. */
  #held: Buffer | undefined;
  #isFirst = true;

  constructor(response: ServerResponse, isGet: boolean) {
    this.#response = response;
    this.#isGet = isGet;
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    // A stream ends when its client leaves; an answer that nobody waits for any more is read to its end.
    if (this.#isGet) this.#response.once('close', () => controller.abort(new Error('the client left')));
  }

  onResponseStart(
    _controller: Dispatcher.DispatchController,
    status: number,
    headers: Record<string, string | string[] | undefined>,
  ): void {
    const passed: Record<string, string | string[]> = {};
    for (const name of REPLY_HEADERS) {
      const value = headers[name];
      if (value !== undefined) passed[name] = value;
    }
    const length = passed['content-length'];
    if (length !== undefined) this.#length = Number(length);
    this.#response.writeHead(status, passed);
    // Nothing may come for long on a stream that the client opened.
    if (this.#isGet) this.#response.flushHeaders();
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    const isFirst = this.#isFirst;
    this.#isFirst = false;
    if (isFirst && chunk.length === this.#length) {
      this.#response.end(chunk);
      return;
    }
    if (isFirst && this.#length === undefined && !this.#isGet) {
      this.#held = chunk;
      // What has not ended by the next turn goes on as it comes.
      setImmediate(() => this.#release());
      return;
    }
    this.#release();
    if (this.#response.write(chunk)) return;
    controller.pause();
    this.#response.once('drain', () => controller.resume());
  }

  onResponseEnd(): void {
    const held = this.#held;
    this.#held = undefined;
    if (this.#response.writableEnded) return;
    if (held === undefined) this.#response.end();
    else this.#response.end(held);
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    if (this.#response.headersSent) {
      this.#response.destroy();
      return;
    }
    const body = Buffer.from(error.message);
    this.#response.writeHead(502, { 'content-type': 'text/plain', 'content-length': body.length });
    this.#response.end(body);
  }

  #release(): void {
    const held = this.#held;
    this.#held = undefined;
    if (held !== undefined) this.#response.write(held);
  }
}

function pass(request: IncomingMessage, response: ServerResponse): void {
  response.sendDate = false;
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    const headers: Record<string, string> = {};
    for (const name of REQUEST_HEADERS) {
      const value = request.headers[name];
      if (typeof value === 'string') headers[name] = value;
    }
    const body = chunks.length === 0 ? null : chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks);
    const method = request.method as Dispatcher.HttpMethod;
    pool.dispatch({ method, path: request.url!, headers, body }, new Passer(response, method === 'GET'));
  });
}

listenAndTell(createServer({ keepAliveTimeout: 0, requestTimeout: 0, noDelay: true }, pass));
