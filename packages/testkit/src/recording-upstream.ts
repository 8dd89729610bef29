// An MCP server over streamable HTTP that keeps every byte it was sent, and says only what a test told it to.
import { createServer, type IncomingHttpHeaders, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface RecordedRequest {
  method: string;
  headers: IncomingHttpHeaders;
  body: Buffer;
  /** Parsed body; undefined where it is no JSON. */
  message: { id?: unknown; method?: string; params?: Record<string, unknown> } | undefined;
}

export interface RecordingUpstreamOptions {
  /** As `tools/list` gives them; may be changed while it runs. */
  tools?: Record<string, unknown>[];
  /** Raw JSON of the result of a call. Default: one text block that names the tool. */
  callResult?: (params: Record<string, unknown>) => string;
  /** Answers with an event stream instead of JSON. */
  stream?: boolean;
  /** Issues session ids and demands them. Default true. */
  sessions?: boolean;
  /** Full control of one request: return true when it was answered. */
  intercept?: (request: RecordedRequest, response: ServerResponse) => boolean;
  /** Rest of the result of `initialize`. */
  capabilities?: Record<string, unknown>;
}

export class RecordingUpstream {
  readonly requests: RecordedRequest[] = [];
  options: RecordingUpstreamOptions;
  readonly #server: Server;
  #sessions = 0;
  #port = 0;

  private constructor(options: RecordingUpstreamOptions) {
    this.options = options;
    this.#server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const body = Buffer.concat(chunks);
        const recorded: RecordedRequest = {
          method: request.method ?? '',
          headers: request.headers,
          body,
          message: parse(body),
        };
        this.requests.push(recorded);
        if (this.options.intercept?.(recorded, response) !== true) this.#answer(recorded, response);
      });
    });
  }

  static async start(options: RecordingUpstreamOptions = {}): Promise<RecordingUpstream> {
    const upstream = new RecordingUpstream(options);
    await new Promise<void>((resolve) => upstream.#server.listen(0, '127.0.0.1', resolve));
    upstream.#port = (upstream.#server.address() as AddressInfo).port;
    return upstream;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}/mcp`;
  }

  /** What arrived of one method, in order. */
  received(method: string): RecordedRequest[] {
    return this.requests.filter((request) => request.message?.method === method);
  }

  /** The calls that arrived, by tool name. */
  calls(tool?: string): RecordedRequest[] {
    return this.received('tools/call').filter(
      (request) => tool === undefined || request.message?.params?.name === tool,
    );
  }

  forget(): void {
    this.requests.length = 0;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #answer(request: RecordedRequest, response: ServerResponse): void {
    if (request.method === 'DELETE') {
      response.writeHead(200).end();
      return;
    }
    if (request.method !== 'POST') {
      response.writeHead(405).end();
      return;
    }
    const { message } = request;
    if (message?.id === undefined) {
      response.writeHead(202).end();
      return;
    }
    const head: Record<string, string> = {};
    if (message.method === 'initialize' && this.options.sessions !== false) {
      this.#sessions += 1;
      head['mcp-session-id'] = `upstream-session-${this.#sessions}`;
    }
    const id = JSON.stringify(message.id);
    const result = this.#result(message.method ?? '', message.params ?? {});
    const body =
      result === undefined
        ? `{"jsonrpc":"2.0","id":${id},"error":{"code":-32601,"message":"Method not found"}}`
        : `{"jsonrpc":"2.0","id":${id},"result":${result}}`;
    if (this.options.stream === true) {
      response.writeHead(200, { ...head, 'content-type': 'text/event-stream' });
      response.end(`event: message\ndata: ${body}\n\n`);
    } else {
      response.writeHead(200, { ...head, 'content-type': 'application/json' });
      response.end(body);
    }
  }

  #result(method: string, params: Record<string, unknown>): string | undefined {
    switch (method) {
      case 'initialize':
        return JSON.stringify({
          protocolVersion: params.protocolVersion,
          capabilities: { tools: { listChanged: true }, ...this.options.capabilities },
          serverInfo: { name: 'recording-upstream', version: '1.0.0' },
        });
      case 'ping':
        return '{}';
      case 'tools/list':
        return JSON.stringify({ tools: this.options.tools ?? [] });
      case 'tools/call':
        return (
          this.options.callResult?.(params) ??
          JSON.stringify({ content: [{ type: 'text', text: `ran ${String(params.name)}` }] })
        );
      default:
        return undefined;
    }
  }
}

function parse(body: Buffer): RecordedRequest['message'] {
  try {
    return JSON.parse(body.toString('utf8')) as RecordedRequest['message'];
  } catch {
    return undefined;
  }
}
