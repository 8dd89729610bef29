// The fixture server over HTTP: sessions and the stateless revision on one URL, told apart message by message.
import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { parsePlainJson } from '@gatehouse/wire';
import {
  localhostHostValidation,
  localhostOriginValidation,
  NodeStreamableHTTPServerTransport,
  toNodeHandler,
} from '@modelcontextprotocol/node';
import { classifyInboundRequest, createMcpHandler, isInitializeRequest } from '@modelcontextprotocol/server';
import { MemoryEventStore } from './event-store.ts';
import { createFixtureServer } from './server.ts';

const RETRY_MS = 500;

export interface FixtureHttp {
  url: string;
  close(): Promise<void>;
}

/** @param port 0: any that is free */
export async function startFixtureHttp(port = 0): Promise<FixtureHttp> {
  const fixture = new Fixture();
  const server = createServer((request, response) => fixture.serve(request, response));
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`,
    close: () => closeAll(server),
  };
}

function closeAll(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}

class Fixture {
  readonly #sessions = new Map<string, NodeStreamableHTTPServerTransport>();
  readonly #modern = createMcpHandler(() => createFixtureServer(this.#modern.notify));
  readonly #stateless = toNodeHandler(this.#modern);
  readonly #goodHost = localhostHostValidation();
  readonly #goodOrigin = localhostOriginValidation();

  serve(request: IncomingMessage, response: ServerResponse): void {
    if (!this.#goodHost(request, response) || !this.#goodOrigin(request, response)) return;
    this.#route(request, response).catch((error: unknown) => {
      if (response.headersSent) response.destroy();
      else refuse(response, 500, -32603, String(error));
    });
  }

  async #route(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const id = header(request, 'mcp-session-id');
    const body = request.method === 'POST' ? await readJson(request) : undefined;
    if (request.method === 'POST') {
      const inbound = classifyInboundRequest({
        httpMethod: 'POST',
        protocolVersionHeader: header(request, 'mcp-protocol-version'),
        mcpMethodHeader: header(request, 'mcp-method'),
        body,
      });
      if (inbound.kind !== 'legacy') return this.#stateless(request, response, body);
      if (id === undefined && isInitializeRequest(body)) return this.#begin(request, response, body);
    }
    const session = id === undefined ? undefined : this.#sessions.get(id);
    if (session !== undefined) await session.handleRequest(request, response, body);
    else if (id === undefined) refuse(response, 400, -32000, 'There is no session.');
    else refuse(response, 404, -32001, 'This session is not known.');
  }

  async #begin(request: IncomingMessage, response: ServerResponse, body: unknown): Promise<void> {
    const transport = new NodeStreamableHTTPServerTransport({
      sessionIdGenerator: () => randomUUID(),
      eventStore: new MemoryEventStore(),
      retryInterval: RETRY_MS,
      onsessioninitialized: (id) => {
        this.#sessions.set(id, transport);
      },
      onsessionclosed: (id) => {
        this.#sessions.delete(id);
      },
    });
    await createFixtureServer(this.#modern.notify).connect(transport);
    await transport.handleRequest(request, response, body);
  }
}

function header(request: IncomingMessage, name: string): string | undefined {
  const value = request.headers[name];
  return typeof value === 'string' ? value : undefined;
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return parsePlainJson(Buffer.concat(chunks).toString('utf8'));
}

function refuse(response: ServerResponse, status: number, code: number, message: string): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify({ jsonrpc: '2.0', id: null, error: { code, message } }));
}
