// The HTTP listeners: one for the data plane, the API and the page, and one for operations if told so (spec: gateway §2).
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { getRequestListener } from '@hono/node-server';
import type { Logger } from 'pino';
import type { ApiApp } from './api/app.ts';
import { isLoopback, type Settings } from './config.ts';
import { GatehouseError } from './errors.ts';
import type { Metrics } from './metrics.ts';
import { Door } from './proxy/door.ts';
import type { Gate } from './proxy/gate.ts';
import { HostCheck } from './proxy/hosts.ts';
import { Refusals } from './proxy/refusals.ts';
import { proxyRoute } from './proxy/routes.ts';
import { statusPage } from './status-page.ts';
import { VERSION } from './version.ts';

export interface ListenerOptions {
  gate: Gate;
  api: ApiApp;
  settings: Settings;
  metrics: Metrics;
  logger: Logger;
  /** By server id. */
  upstreamState: (serverId: string) => string;
}

/** Slow senders must not hold a connection: head and body arrive within these. */
const HEAD_TIMEOUT_MS = 15_000;
const REQUEST_TIMEOUT_MS = 60_000;
/** Above the keep-alive of the balancers that stand in front of such programs. */
const KEEP_ALIVE_MS = 65_000;
/** How long calls under way may go on when the program is told to stop. */
const DRAIN_MS = 5_000;
const SWEEP_MS = 50;

export class Listener {
  readonly #options: ListenerOptions;
  readonly #door: Door;
  readonly #refusals: Refusals;
  readonly #hosts: HostCheck;
  readonly #api: (request: IncomingMessage, response: ServerResponse) => void;
  readonly #servers: Server[] = [];
  readonly #sockets = new Set<Socket>();
  #port = 0;
  #closing = false;

  constructor(options: ListenerOptions) {
    this.#options = options;
    const { gate, settings } = options;
    this.#refusals = new Refusals(gate.audit, gate.newRequestId);
    this.#door = new Door(gate, this.#refusals, {
      maxBody: settings.max_body,
      maxStreams: settings.max_streams,
      basePath: settings.public_url === undefined ? '' : new URL(settings.public_url).pathname.replace(/\/+$/, ''),
    });
    this.#hosts = new HostCheck(settings);
    const serveApi = getRequestListener(options.api.fetch);
    this.#api = (request, response) => {
      // Wrong admin tokens are recorded as wrong grant tokens are: in aggregate, per source (spec: gateway §3).
      response.once('finish', () => {
        if (response.statusCode === 401) this.#refusals.add(request.socket.remoteAddress ?? '', 'admin_token');
      });
      void serveApi(request, response);
    };
  }

  /** @returns the port of the main listener */
  async listen(): Promise<number> {
    const { settings } = this.#options;
    const main = await this.#open(settings.port, (request, response) => this.#route(request, response));
    this.#port = (main.address() as AddressInfo).port;
    if (settings.ops_port !== undefined) {
      await this.#open(settings.ops_port, (request, response) => {
        if (!this.#operations(pathOf(request), response)) notFound(response);
      });
    }
    return this.#port;
  }

  async close(): Promise<void> {
    this.#closing = true;
    this.#door.close();
    await Promise.all(
      this.#servers.map(
        (server) =>
          new Promise<void>((resolve) => {
            const timer = setTimeout(() => server.closeAllConnections(), DRAIN_MS);
            const closeUnneeded = (): void => {
              server.closeIdleConnections();
              // Clients open connections ahead of need; Node calls one that never had a request busy.
              for (const socket of this.#sockets) if (socket.bytesRead === 0) socket.destroy();
            };
            // Again and again: a connection whose answer is under way is kept by the client for its next request.
            const sweep = setInterval(closeUnneeded, SWEEP_MS);
            server.close(() => {
              clearTimeout(timer);
              clearInterval(sweep);
              resolve();
            });
            closeUnneeded();
          }),
      ),
    );
    await this.#door.settled();
    this.#refusals.close();
  }

  #open(port: number, serve: (request: IncomingMessage, response: ServerResponse) => void): Promise<Server> {
    const { settings, metrics } = this.#options;
    const server = createServer(
      {
        headersTimeout: HEAD_TIMEOUT_MS,
        requestTimeout: REQUEST_TIMEOUT_MS,
        keepAliveTimeout: KEEP_ALIVE_MS,
        noDelay: true,
        requireHostHeader: true,
      },
      (request, response) => {
        try {
          serve(request, response);
        } catch (error) {
          // The error path itself must not throw (P5: an exception is a refusal).
          metrics.fault(error);
          if (!response.headersSent) response.writeHead(500, { 'content-length': 0 });
          response.end();
        }
      },
    );
    server.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
    return new Promise((resolve, reject) => {
      server.once('error', (error: NodeJS.ErrnoException) => {
        reject(
          error.code === 'EADDRINUSE'
            ? new GatehouseError(
                'conflict',
                `Port ${port} on ${settings.host} is in use. Stop what uses it, or choose another with --port.`,
              )
            : new GatehouseError('config_invalid', `Cannot listen on ${settings.host}:${port}: ${error.message}.`),
        );
      });
      server.listen(port, settings.host, () => {
        server.removeAllListeners('error');
        server.on('error', (error) => metrics.fault(error));
        this.#servers.push(server);
        resolve(server);
      });
    });
  }

  #route(request: IncomingMessage, response: ServerResponse): void {
    const path = pathOf(request);
    const { settings } = this.#options;
    if (settings.ops_port === undefined && this.#operations(path, response)) return;
    const problem = this.#hosts.refuse(request);
    if (problem !== undefined) {
      send(response, 403, 'text/plain; charset=utf-8', `${problem}\n`);
      return;
    }
    const route = proxyRoute(path);
    if (route !== undefined) this.#door.serve(route, request, response);
    else if (path === '/api' || path.startsWith('/api/')) this.#api(request, response);
    else if (path === '/' && (request.method === 'GET' || request.method === 'HEAD')) this.#page(response);
    else notFound(response);
  }

  /** Liveness, readiness, metrics; no Host check, since probes name what they like. */
  #operations(path: string, response: ServerResponse): boolean {
    switch (path) {
      case '/healthz':
        send(response, 200, 'application/json', '{"status":"ok"}\n');
        return true;
      case '/readyz': {
        const problems = this.#problems();
        const body = JSON.stringify({ status: problems.length === 0 ? 'ready' : 'not ready', problems });
        send(response, problems.length === 0 ? 200 : 503, 'application/json', `${body}\n`);
        return true;
      }
      case '/metrics':
        this.#options.metrics.text().then(
          (text) => send(response, 200, this.#options.metrics.contentType, text),
          (error: unknown) => {
            this.#options.metrics.fault(error);
            send(response, 500, 'text/plain; charset=utf-8', 'The metrics could not be read.\n');
          },
        );
        return true;
      default:
        return false;
    }
  }

  #problems(): string[] {
    const problems: string[] = [];
    const { audit } = this.#options.gate;
    if (this.#closing) problems.push('The gateway is stopping.');
    if (!audit.writable) problems.push(`The audit log cannot be written: ${audit.lastError ?? 'unknown reason'}.`);
    return problems;
  }

  #page(response: ServerResponse): void {
    const { gate, settings, upstreamState } = this.#options;
    const problems = this.#problems();
    const base = (settings.public_url ?? `http://${settings.host}:${this.#port}`).replace(/\/+$/, '');
    const servers = isLoopback(settings.host)
      ? [...gate.directory.servers()].map(({ server }) => ({
          slug: server.slug,
          name: server.name,
          url: `${base}/mcp/${server.slug}`,
          state: upstreamState(server.id),
        }))
      : undefined;
    const page = statusPage({ version: VERSION, ready: problems.length === 0, problems, servers });
    response.setHeader(
      'content-security-policy',
      "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    );
    response.setHeader('x-content-type-options', 'nosniff');
    response.setHeader('referrer-policy', 'no-referrer');
    send(response, 200, 'text/html; charset=utf-8', page);
  }
}

/** Only an origin-form target has a path here; everything else matches no route. */
function pathOf(request: IncomingMessage): string {
  const target = request.url ?? '';
  const end = target.indexOf('?');
  return end < 0 ? target : target.slice(0, end);
}

function notFound(response: ServerResponse): void {
  send(response, 404, 'application/json', '{"error":"There is nothing at this address."}\n');
}

function send(response: ServerResponse, status: number, type: string, body: string): void {
  response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(body) });
  response.end(body);
}
