// HTTP in: the one listener of the data plane, without a framework (design: §2). It finds out who speaks, reads the
// body, and hands both to the choke point.
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Authentication, GrantEntry } from '../model.ts';
import { CODE, errorAnswer } from './answers.ts';
import { handle } from './call.ts';
import type { TrustedProxies } from './client-address.ts';
import type { Gate, Inbound } from './gate.ts';
import { countHeader, protocolHeaders } from './headers.ts';
import { HttpExchange } from './http-exchange.ts';
import type { Refusals } from './refusals.ts';
import { PROXY_ROUTES, type ProxyRoute } from './routes.ts';
import { endSession, openStream } from './session-requests.ts';
import { SseSessions } from './sse-sessions.ts';

export interface DoorOptions {
  maxBody: number;
  /** Streams without an end that one grant may hold. */
  maxStreams: number;
  /** Whose forwarding headers count; undefined: nobody's. */
  proxies: TrustedProxies | undefined;
  /** Path of the public URL, without a slash at its end. */
  basePath: string;
}

export class Door {
  readonly #gate: Gate;
  readonly #refusals: Refusals;
  readonly #options: DoorOptions;
  readonly #streams: LiveStreams;
  readonly #sse: SseSessions;

  constructor(gate: Gate, refusals: Refusals, options: DoorOptions) {
    this.#gate = gate;
    this.#refusals = refusals;
    this.#options = options;
    this.#streams = new LiveStreams(options.maxStreams);
    this.#sse = new SseSessions(gate, options.basePath);
  }

  /** Ends all open streams; the listener drains the rest. */
  close(): void {
    this.#streams.close();
  }

  /** Resolves when the sessions are ended whose streams have ended. */
  settled(): Promise<void> {
    return this.#sse.settled();
  }

  /** @param route the matched one: authorisation never looks at a URL again */
  serve({ slug, path }: ProxyRoute, request: IncomingMessage, response: ServerResponse): void {
    const peer = request.socket.remoteAddress ?? '';
    const located = this.#options.proxies?.locate(request);
    const source = located === undefined ? peer : located.source;
    const network = located === undefined ? peer : located.network;
    const { directory, clock } = this.#gate;
    const authorization = oneAuthorization(request);
    const authenticate = () => directory.authenticate(authorization, slug, clock(), network);
    const { epoch } = directory;
    const who = authenticate();
    if (!who.ok) {
      this.#unauthorized(response, source, who.reason);
      return;
    }
    const current = (): Authentication =>
      directory.epoch === epoch && directory.holds(who.tokenId, who.grant.id, clock(), network) ? who : authenticate();
    const reauthenticate = (): GrantEntry | undefined => {
      const again = authenticate();
      return again.ok ? again.grant : undefined;
    };
    const inbound = { grant: who.grant, headers: protocolHeaders(request), source, reauthenticate };
    const holds = (): boolean => directory.holds(who.tokenId, who.grant.id, clock(), network);
    const exchange = new HttpExchange(
      response,
      () => this.#streams.add(response, holds),
      () => this.#streams.hold(response, who.grant.id),
    );
    const methods: readonly string[] = PROXY_ROUTES[path];
    if (!methods.includes(request.method ?? '')) {
      response.writeHead(405, { allow: methods.join(', '), 'content-length': 0 });
      response.end();
      return;
    }
    if (path === '/sse') {
      const stream = {
        exchange,
        unread: () => response.writableLength,
        watch: (also: () => boolean, drain: () => void) => this.#streams.add(response, () => holds() && also(), drain),
        end: () => response.end(),
      };
      void this.#sse
        .open({ ...inbound, body: NO_BODY }, stream)
        .catch((error: unknown) => this.#fault(exchange, error));
      return;
    }
    if (path === '/message') {
      const sealed = addressOf(request);
      this.#post(request, response, inbound, exchange, current, (whole) => this.#sse.take(sealed, whole, exchange));
      return;
    }
    switch (request.method) {
      case 'POST':
        this.#post(request, response, inbound, exchange, current, (whole) => handle(this.#gate, whole, exchange));
        return;
      case 'GET':
        void openStream(this.#gate, { ...inbound, body: NO_BODY }, exchange).catch((error: unknown) =>
          this.#fault(exchange, error),
        );
        return;
      case 'DELETE':
        void endSession(this.#gate, { ...inbound, body: NO_BODY }, exchange).catch((error: unknown) =>
          this.#fault(exchange, error),
        );
        return;
    }
  }

  #post(
    request: IncomingMessage,
    response: ServerResponse,
    inbound: Omit<Inbound, 'body'>,
    exchange: HttpExchange,
    current: () => Authentication,
    take: (whole: Inbound) => Promise<void>,
  ): void {
    const problem = contentProblem(request);
    if (problem !== undefined) {
      refuse(response, 415, problem);
      return;
    }
    const { maxBody } = this.#options;
    if (Number(request.headers['content-length'] ?? 0) > maxBody) {
      refuse(response, 413, `The body is larger than ${maxBody} bytes (setting max_body).`);
      return;
    }
    let chunks: Buffer[] = [];
    let size = 0;
    request.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size <= maxBody) chunks.push(chunk);
      else if (!response.headersSent) {
        chunks = [];
        refuse(response, 413, `The body is larger than ${maxBody} bytes (setting max_body).`);
      }
    });
    request.on('end', () => {
      if (size > maxBody) return;
      const body = chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks, size);
      // A body may take a minute to arrive, and revocation holds from the next message (spec: gateway §3): what is judged
      // by is the grant as it is now, with all of the message here.
      const now = current();
      if (!now.ok) {
        this.#unauthorized(response, inbound.source, now.reason);
        return;
      }
      void take({ ...inbound, grant: now.grant, body }).catch((error: unknown) => this.#fault(exchange, error));
    });
  }

  /** The same answer for all reasons, with no hint which; the reason is only counted. */
  #unauthorized(response: ServerResponse, source: string, reason: string): void {
    const wait = this.#refusals.add(source, reason);
    this.#gate.metrics.unauthorized();
    const requestId = this.#gate.newRequestId();
    const answer = (): void => {
      const body = errorAnswer(
        undefined,
        -32001,
        `Unauthorized. Ask for a grant on this server, and send its token as "Authorization: Bearer gh_…". Request ${requestId}.`,
      );
      response.writeHead(401, {
        'www-authenticate': 'Bearer realm="gatehouse"',
        'content-type': 'application/json',
        'content-length': body.length,
        connection: 'close',
      });
      response.end(body);
    };
    if (wait === 0) answer();
    else setTimeout(answer, wait);
  }

  #fault(exchange: HttpExchange, error: unknown): void {
    this.#gate.metrics.fault(error);
    exchange.end(500);
  }
}

/** Revocation holds from the next message, and open streams end within one second (spec: gateway §3). */
const RECHECK_MS = 900;

class LiveStreams {
  readonly #open = new Map<ServerResponse, { holds: () => boolean; drain: () => void }>();
  readonly #max: number;
  /** Streams without an end, by grant. */
  readonly #held = new Map<string, number>();
  #timer: NodeJS.Timeout | undefined;

  constructor(max: number) {
    this.#max = max;
  }

  /** A place among the streams of a grant, until the response is closed; false: all are taken. */
  hold(response: ServerResponse, grantId: string): boolean {
    // A client that left while its message waited holds nothing; its `close` is over.
    if (response.destroyed) return true;
    const held = this.#held.get(grantId) ?? 0;
    if (held >= this.#max) return false;
    this.#held.set(grantId, held + 1);
    response.once('close', () => {
      const left = (this.#held.get(grantId) ?? 1) - 1;
      if (left === 0) this.#held.delete(grantId);
      else this.#held.set(grantId, left);
    });
    return true;
  }

  /** @param drain ends the stream once nothing more has to be said on it */
  add(response: ServerResponse, holds: () => boolean, drain = (): unknown => response.end()): void {
    this.#open.set(response, { holds, drain });
    response.once('close', () => this.#open.delete(response));
    this.#timer ??= setInterval(() => this.#recheck(), RECHECK_MS).unref();
  }

  close(): void {
    clearInterval(this.#timer);
    for (const { drain } of this.#open.values()) drain();
  }

  #recheck(): void {
    for (const [response, { holds }] of this.#open) {
      if (!holds()) response.destroy();
    }
  }
}

const NO_BODY = new Uint8Array(0);

/** Two Authorization headers: which one counts would be a guess, so neither does. */
function oneAuthorization(request: IncomingMessage): string | undefined {
  return countHeader(request, 'authorization') === 1 ? request.headers.authorization : undefined;
}

/** The `s` of the address, if it stands there once. */
function addressOf(request: IncomingMessage): string | undefined {
  const target = request.url ?? '';
  const query = target.indexOf('?');
  const given = query < 0 ? [] : new URLSearchParams(target.slice(query + 1)).getAll('s');
  return given.length === 1 ? given[0] : undefined;
}

function contentProblem(request: IncomingMessage): string | undefined {
  const type = request.headers['content-type'] ?? '';
  if (!/^application\/json\s*(;\s*charset="?utf-8"?\s*)?$/i.test(type)) {
    return 'Send one JSON-RPC message with Content-Type: application/json (UTF-8).';
  }
  const encoding = request.headers['content-encoding'];
  if (encoding !== undefined && encoding.toLowerCase() !== 'identity') return 'Send the body without Content-Encoding.';
  return undefined;
}

/** The body that was not read makes the connection useless for another request. */
function refuse(response: ServerResponse, status: number, message: string): void {
  const body = errorAnswer(undefined, CODE.invalidRequest, message);
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': body.length,
    connection: 'close',
  });
  response.end(body);
}
