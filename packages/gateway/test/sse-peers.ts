// Both ends of HTTP+SSE (revision 2024-11-05), written by hand after its document: nothing in them mends anything.
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { SseParser } from '@gatehouse/wire';
import type { RpcMessage } from './harness.ts';

export async function until(holds: () => boolean, what = 'it'): Promise<void> {
  for (let turn = 0; turn < 800 && !holds(); turn++) await new Promise((resolve) => setTimeout(resolve, 5));
  if (!holds()) throw new Error(`${what} did not come`);
}

export class SseClient {
  readonly #url: string;
  readonly #headers: Record<string, string>;
  readonly messages: RpcMessage[] = [];
  /** The very text of each message. */
  readonly texts: string[] = [];
  comments = 0;
  status = 0;
  body = '';
  ended = false;
  /** As the stream gave it. */
  endpoint: string | undefined;
  firstEvent: string | undefined;
  response: IncomingMessage | undefined;
  #leave: () => void = () => {};
  #id = 0;

  private constructor(url: string, token: string, headers: Record<string, string>) {
    this.#url = url;
    this.#headers = { authorization: `Bearer ${token}`, ...headers };
  }

  /** @param url the proxy URL */
  static async open(url: string, token: string, headers: Record<string, string> = {}): Promise<SseClient> {
    const client = new SseClient(url, token, headers);
    const sent = request(`${url}/sse`, { headers: { accept: 'text/event-stream', ...client.#headers } }, (response) => {
      client.status = response.statusCode ?? 0;
      client.response = response;
      const parser = new SseParser({
        maxEventBytes: 64 * 1024 * 1024,
        onEvent: ({ event, data }) => {
          const text = Buffer.from(data).toString();
          client.firstEvent ??= event;
          if (event === 'endpoint') client.endpoint = text;
          else {
            client.texts.push(text);
            client.messages.push(JSON.parse(text) as RpcMessage);
          }
        },
        onComment: () => {
          client.comments += 1;
        },
      });
      response.on('data', (chunk: Buffer) => {
        if (client.status !== 200) client.body += chunk.toString();
        parser.push(chunk);
      });
      const end = (): void => {
        client.ended = true;
      };
      response.on('end', end);
      response.on('error', end);
      response.on('close', end);
    });
    client.#leave = () => sent.destroy();
    sent.on('error', () => {
      client.ended = true;
    });
    sent.end();
    await until(() => client.endpoint !== undefined || client.ended, 'the stream');
    return client;
  }

  leave(): void {
    this.#leave();
  }

  get address(): string {
    return new URL(this.endpoint ?? '', this.#url).href;
  }

  post(body: string, headers: Record<string, string | undefined> = {}, address = this.address): Promise<Response> {
    const given = { 'content-type': 'application/json', ...this.#headers, ...headers };
    const entries = Object.entries(given).filter((entry): entry is [string, string] => entry[1] !== undefined);
    return fetch(address, { method: 'POST', headers: Object.fromEntries(entries), body });
  }

  answer(id: unknown): RpcMessage | undefined {
    return this.messages.find((message) => message.id === id && message.method === undefined);
  }

  async request(method: string, params?: Record<string, unknown>): Promise<RpcMessage> {
    this.#id += 1;
    const id = this.#id;
    const response = await this.post(
      JSON.stringify({ jsonrpc: '2.0', id, method, ...(params === undefined ? {} : { params }) }),
    );
    if (response.status !== 202) throw new Error(`${method}: HTTP ${response.status} ${await response.text()}`);
    await until(() => this.answer(id) !== undefined || this.ended, `the answer to ${method}`);
    const answer = this.answer(id);
    if (answer === undefined) throw new Error(`${method}: the stream ended`);
    return answer;
  }

  async initialize(): Promise<RpcMessage> {
    const answer = await this.request('initialize', {
      protocolVersion: '2024-11-05',
      capabilities: { sampling: {}, roots: {} },
      clientInfo: { name: 'old', version: '1' },
    });
    await this.post('{"jsonrpc":"2.0","method":"notifications/initialized"}');
    return answer;
  }

  call(name: string, args: Record<string, unknown> = {}): Promise<RpcMessage> {
    return this.request('tools/call', { name, arguments: args });
  }
}

export interface OldRequest {
  session: string;
  headers: IncomingMessage['headers'];
  body: string;
  message: { id?: unknown; method?: string; params?: Record<string, unknown>; result?: unknown; error?: unknown };
}

/** A server of HTTP+SSE that keeps all that it was sent, and does what a test tells it to. */
export class OldServer {
  readonly requests: OldRequest[] = [];
  /** The streams that are open. */
  readonly streams = new Map<string, ServerResponse>();
  /** How many streams were asked for. */
  opened = 0;
  streamHeaders: IncomingMessage['headers'] | undefined;
  tools: Record<string, unknown>[] = [];
  /** Default: `/messages?session=<n>`. */
  endpoint: ((session: string) => string) | undefined;
  /** Full control of one message: return true when it was dealt with. */
  intercept: ((request: OldRequest, response: ServerResponse) => boolean) | undefined;
  refuseStream: number | undefined;
  readonly #server: Server;

  private constructor() {
    this.#server = createServer((incoming, response) => this.#serve(incoming, response));
  }

  static async start(): Promise<OldServer> {
    const server = new OldServer();
    await new Promise<void>((resolve) => server.#server.listen(0, '127.0.0.1', resolve));
    return server;
  }

  get origin(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  get url(): string {
    return `${this.origin}/sse`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  received(method: string): OldRequest[] {
    return this.requests.filter((request) => request.message.method === method);
  }

  say(session: string, message: unknown): void {
    this.streams.get(session)?.write(`event: message\ndata: ${JSON.stringify(message)}\n\n`);
  }

  reply(request: OldRequest, result: unknown): void {
    this.say(request.session, { jsonrpc: '2.0', id: request.message.id, result });
  }

  #serve(incoming: IncomingMessage, response: ServerResponse): void {
    const url = new URL(incoming.url ?? '', this.origin);
    if (url.pathname === '/sse' && incoming.method === 'GET') {
      this.opened += 1;
      this.streamHeaders = incoming.headers;
      if (this.refuseStream !== undefined) {
        response.writeHead(this.refuseStream).end();
        return;
      }
      const session = String(this.opened);
      this.streams.set(session, response);
      response.once('close', () => this.streams.delete(session));
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(`event: endpoint\ndata: ${this.endpoint?.(session) ?? `/messages?session=${session}`}\n\n`);
      return;
    }
    if (url.pathname !== '/messages' || incoming.method !== 'POST') {
      response.writeHead(incoming.method === 'POST' ? 405 : 404).end('<html>no</html>');
      return;
    }
    const chunks: Buffer[] = [];
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
    incoming.on('end', () => {
      const body = Buffer.concat(chunks).toString();
      const session = url.searchParams.get('session') ?? '';
      const recorded = { session, headers: incoming.headers, body, message: JSON.parse(body) as OldRequest['message'] };
      this.requests.push(recorded);
      if (this.intercept?.(recorded, response) === true) return;
      response.writeHead(202).end('Accepted');
      this.#answer(recorded);
    });
  }

  #answer(request: OldRequest): void {
    const { method, params, id } = request.message;
    if (id === undefined || method === undefined) return;
    if (method === 'initialize') {
      this.reply(request, {
        protocolVersion: '2024-11-05',
        capabilities: { tools: { listChanged: true }, logging: {} },
        serverInfo: { name: 'old-server', version: '1' },
      });
    } else if (method === 'tools/list') this.reply(request, { tools: this.tools });
    else if (method === 'tools/call')
      this.reply(request, { content: [{ type: 'text', text: `ran ${String(params?.name)} in ${request.session}` }] });
    else this.reply(request, {});
  }
}
