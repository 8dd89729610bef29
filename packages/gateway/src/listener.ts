// The HTTP listeners: one for the data plane, the API and the page, and one for operations if told so (spec: gateway §2).
import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerOptions,
  type ServerResponse,
} from 'node:http';
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { getRequestListener } from '@hono/node-server';
import type { Logger } from 'pino';
import type { ApiApp } from './api/app.ts';
import { type Certificate, CertificateWatch } from './certificate.ts';
import { isLoopback, type Settings, tlsFiles } from './config.ts';
import { GatehouseError } from './errors.ts';
import type { Metrics } from './metrics.ts';
import { TrustedProxies } from './proxy/client-address.ts';
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
  /** Told of each certificate that is shown from now on. */
  onCertificate: (certificate: Certificate) => void;
}

/** Slow senders must not hold a connection: head and body arrive within these. */
const HEAD_TIMEOUT_MS = 15_000;
const REQUEST_TIMEOUT_MS = 60_000;
/** Above the keep-alive of the balancers that stand in front of such programs. */
const KEEP_ALIVE_MS = 65_000;
const HTTP: ServerOptions = {
  headersTimeout: HEAD_TIMEOUT_MS,
  requestTimeout: REQUEST_TIMEOUT_MS,
  keepAliveTimeout: KEEP_ALIVE_MS,
  noDelay: true,
  requireHostHeader: true,
};
/** Said, although Node's defaults are the same: options of the command line can lower those. */
const TLS = { minVersion: 'TLSv1.2', ALPNProtocols: ['http/1.1'], handshakeTimeout: HEAD_TIMEOUT_MS } as const;
/** How long a browser keeps to HTTPS: a year, in seconds. */
const STRICT_TRANSPORT = 'max-age=31536000';
/** How long calls under way when the program is told to stop. */
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
  /** TCP connections that are no TLS connections yet, by peer. */
  readonly #handshakes = new Map<string, Socket>();
  /** The host that browsers shall ask under TLS alone from now on (RFC 6797); undefined: none. */
  readonly #strictHost: string | undefined;
  #watch: CertificateWatch | undefined;
  #port = 0;
  #closing = false;

  constructor(options: ListenerOptions) {
    this.#options = options;
    const { gate, settings } = options;
    this.#refusals = new Refusals(gate.audit, gate.newRequestId);
    const proxies = TrustedProxies.of(settings.trusted_proxies);
    this.#door = new Door(gate, this.#refusals, {
      maxBody: settings.max_body,
      maxStreams: settings.max_streams,
      proxies,
      basePath: settings.public_url === undefined ? '' : new URL(settings.public_url).pathname.replace(/\/+$/, ''),
    });
    this.#hosts = new HostCheck(settings);
    this.#strictHost = strictHost(settings);
    const serveApi = getRequestListener(options.api.fetch);
    this.#api = (request, response) => {
      // Wrong admin tokens are recorded as wrong grant tokens are: in aggregate, per source (spec: gateway §3).
      response.once('finish', () => {
        if (response.statusCode !== 401) return;
        this.#refusals.add(proxies?.locate(request)?.source ?? request.socket.remoteAddress ?? '', 'admin_token');
      });
      void serveApi(request, response);
    };
  }

  /**
   * @returns the port of the main listener
   * @throws GatehouseError conflict for a port in use, config_invalid for an address or a certificate that cannot be used
   */
  async listen(): Promise<number> {
    const { settings } = this.#options;
    const certificate = await this.#certificate();
    const main = await this.#open(settings.port, (request, response) => this.#route(request, response), certificate);
    this.#port = (main.address() as AddressInfo).port;
    if (settings.ops_port !== undefined) {
      // Probes and Prometheus ask it by address, so no certificate would fit.
      await this.#open(settings.ops_port, (request, response) => {
        if (!this.#operations(pathOf(request), response)) notFound(response);
      });
    }
    this.#watch?.start();
    return this.#port;
  }

  async #certificate(): Promise<Certificate | undefined> {
    const { settings, logger, gate, onCertificate } = this.#options;
    const files = tlsFiles(settings);
    if (files === undefined) return undefined;
    const { certificate, watch } = await CertificateWatch.open({
      files,
      clock: gate.clock,
      onChange: (changed) => {
        // The main listener is the first; connections that are open keep what they were opened with.
        (this.#servers[0] as TlsServer).setSecureContext({ ...TLS, cert: changed.cert, key: changed.key });
        onCertificate(changed);
        logger.info({ expires: new Date(changed.expiresAt).toISOString() }, 'the certificate changed and is in use');
      },
      onProblem: (error) =>
        logger.error(
          { problems: error.items.map(({ pointer, message }) => `${pointer}: ${message}`) },
          'the certificate changed and cannot be used; the one before stays',
        ),
    });
    this.#watch = watch;
    onCertificate(certificate);
    return certificate;
  }

  async close(): Promise<void> {
    this.#closing = true;
    this.#door.close();
    await this.#watch?.close();
    await Promise.all(
      this.#servers.map(
        (server) =>
          new Promise<void>((resolve) => {
            const timer = setTimeout(() => server.closeAllConnections(), DRAIN_MS);
            const closeUnneeded = (): void => {
              server.closeIdleConnections();
              // Clients open connections ahead of need; Node calls one that never had a request busy.
              for (const socket of this.#sockets) if (socket.bytesRead === 0) socket.destroy();
              // No connections of HTTP yet, and so none that Node would close.
              for (const socket of this.#handshakes.values()) socket.destroy();
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

  #open(
    port: number,
    serve: (request: IncomingMessage, response: ServerResponse) => void,
    certificate?: Certificate,
  ): Promise<Server> {
    const { settings, metrics } = this.#options;
    const listener: RequestListener = (request, response) => {
      try {
        serve(request, response);
      } catch (error) {
        // The error path itself must not throw (P5: an exception is a refusal).
        metrics.fault(error);
        if (!response.headersSent) response.writeHead(500, { 'content-length': 0 });
        response.end();
      }
    };
    const server =
      certificate === undefined
        ? createServer(HTTP, listener)
        : createTlsServer({ ...HTTP, ...TLS, cert: certificate.cert, key: certificate.key }, listener);
    const keep = (socket: Socket): void => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    };
    if (certificate === undefined) server.on('connection', keep);
    else {
      server.on('connection', (socket: Socket) => {
        const peer = peerOf(socket);
        this.#handshakes.set(peer, socket);
        socket.once('close', () => this.#handshakes.delete(peer));
      });
      server.on('secureConnection', (socket: Socket) => {
        this.#handshakes.delete(peerOf(socket));
        keep(socket);
      });
    }
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
    if (route !== undefined) {
      this.#door.serve(route, request, response);
      return;
    }
    // What browsers see; a call of an agent has no use for it.
    if (this.#strictHost !== undefined && request.headers.host?.toLowerCase() === this.#strictHost) {
      response.setHeader('strict-transport-security', STRICT_TRANSPORT);
    }
    if (path === '/api' || path.startsWith('/api/')) this.#api(request, response);
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
    const scheme = tlsFiles(settings) === undefined ? 'http' : 'https';
    const base = (settings.public_url ?? `${scheme}://${settings.host}:${this.#port}`).replace(/\/+$/, '');
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

/** What a TLS connection has in common with the TCP connection below it. */
const peerOf = (socket: Socket): string => `${socket.remoteAddress} ${socket.remotePort}`;

/**
 * Only the public name: a browser that is told so under `localhost` would ask every program of that machine under TLS.
 * Where a proxy terminates TLS, the header is the proxy's to set.
 */
function strictHost(settings: Settings): string | undefined {
  if (tlsFiles(settings) === undefined || settings.public_url === undefined) return undefined;
  const { host, hostname } = new URL(settings.public_url);
  return isLoopback(hostname) ? undefined : host;
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
