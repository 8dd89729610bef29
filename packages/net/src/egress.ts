import type { LookupAddress } from 'node:dns';
import { lookup as systemLookup } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import { Agent, buildConnector, type Dispatcher, request as undiciRequest } from 'undici';
import {
  type AllowList,
  compileAllowList,
  EgressError,
  type EgressVerdict,
  judgeAddress,
  normalHost,
} from './egress-rules.ts';

export interface EgressGuardOptions {
  /**
   * Host names, addresses and CIDR ranges that may be reached although they are not public. A name opens loopback,
   * private, unique local and carrier-grade NAT addresses; link-local, metadata, multicast and reserved ones open
   * only when the address itself is listed. Default: none.
   */
  allow?: readonly string[];
  /** Whether plain http is allowed beside https. Default false. */
  allowHttp?: boolean;
  /** Milliseconds for name look-up, connection and TLS together. Default 10,000. */
  connectTimeoutMs?: number;
  /** Finds the addresses of a name. Default: the resolver of the system. */
  resolve?: (host: string) => Promise<readonly LookupAddress[]>;
  /** PEM certificates trusted besides the system's. */
  ca?: readonly string[];
}

export interface EgressRequest {
  /** Default GET. */
  method?: Dispatcher.HttpMethod;
  headers?: Readonly<Record<string, string>>;
  body?: string | Uint8Array;
  /** For the whole exchange, in milliseconds. Default 30,000. */
  timeoutMs?: number;
  /** Largest body of the response, in bytes. Default 4 MiB. */
  maxBytes?: number;
  signal?: AbortSignal;
}

export interface EgressResponse {
  /** Any status; 3xx comes as it is, since redirects are not followed. */
  status: number;
  /** Names in lower case; a repeated header is a list. */
  headers: Readonly<Record<string, string | string[] | undefined>>;
  body: Uint8Array;
}

/** Lets requests out to public addresses only. Spec: gateway §7. */
export interface EgressGuard {
  /** Judges what the URL itself tells: scheme, credentials, literal address, names of this machine. Resolves nothing. */
  check(url: string | URL): EgressVerdict;
  /**
   * Like `check`, and the name's addresses of this moment: all of them must be allowed. For URLs that are handed to
   * somebody else to fetch; a request of our own is checked on the address connected to instead.
   */
  checkResolved(url: string | URL): Promise<EgressVerdict>;
  /** Sends one request: no redirect, no retry, no decompression. @throws EgressError */
  request(url: string | URL, options?: EgressRequest): Promise<EgressResponse>;
  /** For undici clients that need streams. Its connections go through the guard, but not the scheme check of `check`. */
  readonly dispatcher: Dispatcher;
  /** Ends open connections. */
  close(): Promise<void>;
}

const DEFAULT_TIMEOUT_MS = 30_000;
const DEFAULT_MAX_BYTES = 4 * 1024 * 1024;

/** @throws TypeError naming the entry, when the allow list has one that is no host, address or range. */
export function createEgressGuard(options: EgressGuardOptions = {}): EgressGuard {
  const allow = compileAllowList(options.allow ?? []);
  const resolve = options.resolve ?? resolveBySystem;
  const dispatcher = new Agent({
    connect: guardedConnector(allow, resolve, options),
    // One request per connection at a time: the address that was checked is the one that gets this request.
    pipelining: 1,
    allowH2: false,
  });

  function check(input: string | URL): EgressVerdict {
    return checkUrl(input, allow, options.allowHttp ?? false);
  }

  return {
    check,
    dispatcher,
    close: () => dispatcher.destroy(),

    async checkResolved(input) {
      const verdict = check(input);
      if (!verdict.ok) return verdict;
      const host = normalHost(new URL(input).hostname);
      if (isIP(host) !== 0) return verdict;
      let addresses: readonly LookupAddress[];
      try {
        addresses = await resolve(host);
      } catch (error) {
        return { ok: false, reason: `${host} could not be found: ${messageOf(error)}` };
      }
      if (addresses.length === 0) return { ok: false, reason: `${host} has no address` };
      return addresses.map(({ address }) => judgeAddress(address, host, allow)).find(({ ok }) => !ok) ?? verdict;
    },

    async request(input, request = {}) {
      const verdict = check(input);
      if (!verdict.ok) throw new EgressError('blocked', verdict.reason);
      const url = new URL(input);
      const timeoutMs = request.timeoutMs ?? DEFAULT_TIMEOUT_MS;
      const timeout = AbortSignal.timeout(timeoutMs);
      const signal = request.signal === undefined ? timeout : AbortSignal.any([timeout, request.signal]);
      try {
        const response = await undiciRequest(url, {
          dispatcher,
          signal,
          method: request.method ?? 'GET',
          headers: { 'accept-encoding': 'identity', ...request.headers },
          body: request.body ?? null,
        });
        return {
          status: response.statusCode,
          headers: response.headers,
          body: await readCapped(response.body, request.maxBytes ?? DEFAULT_MAX_BYTES, url),
        };
      } catch (error) {
        const blocked = findEgressError(error);
        if (blocked !== undefined) throw blocked;
        if (request.signal?.aborted)
          throw new EgressError('aborted', `the request to ${url.host} was aborted`, { cause: error });
        if (timeout.aborted) {
          throw new EgressError('timeout', `${url.host} did not answer within ${timeoutMs} ms`, { cause: error });
        }
        throw new EgressError('failed', `the request to ${url.host} failed: ${messageOf(error)}`, { cause: error });
      }
    },
  };
}

function checkUrl(input: string | URL, allow: AllowList, allowHttp: boolean): EgressVerdict {
  let url: URL;
  try {
    url = new URL(input);
  } catch {
    return { ok: false, reason: 'this is not an absolute URL' };
  }
  if (url.protocol !== 'https:' && url.protocol !== 'http:') {
    return { ok: false, reason: `the scheme ${url.protocol.slice(0, -1)} is not allowed; use https` };
  }
  if (url.protocol === 'http:' && !allowHttp) return { ok: false, reason: 'plain http is not allowed; use https' };
  if (url.username !== '' || url.password !== '') {
    return { ok: false, reason: 'a user name or password in the URL is not allowed; send a header instead' };
  }
  const host = normalHost(url.hostname);
  if (host === '') return { ok: false, reason: 'the URL has no host' };
  if (isIP(host) !== 0) return judgeAddress(host, host, allow);
  // RFC 6761 §6.3: these are this machine, whatever a resolver says.
  if ((host === 'localhost' || host.endsWith('.localhost')) && !allow.hasName(host)) {
    return { ok: false, reason: `${host} is this machine; list it in the egress allow list if this is meant` };
  }
  return { ok: true };
}

function guardedConnector(
  allow: AllowList,
  resolve: (host: string) => Promise<readonly LookupAddress[]>,
  options: EgressGuardOptions,
): buildConnector.connector {
  // The addresses given to the connection are those that were judged: a second look-up, which could answer
  // differently (DNS rebinding), never happens.
  const lookup: LookupFunction = (hostname, lookupOptions, callback) => {
    resolve(hostname).then(
      (found) => {
        const wanted = found.filter(({ family }) => !lookupOptions.family || family === familyOf(lookupOptions.family));
        const verdicts = wanted.map((entry) => ({ entry, verdict: judgeAddress(entry.address, hostname, allow) }));
        const good = verdicts.filter(({ verdict }) => verdict.ok).map(({ entry }) => entry);
        const first = good[0];
        if (first === undefined) {
          const refused = verdicts.map(({ verdict }) => verdict).find((verdict) => !verdict.ok);
          const error =
            refused === undefined || refused.ok
              ? new EgressError('failed', `${hostname} has no address`)
              : new EgressError('blocked', refused.reason);
          callback(error, []);
        } else if (lookupOptions.all) callback(null, good);
        else callback(null, first.address, first.family);
      },
      (error: unknown) => callback(error instanceof Error ? error : new Error(String(error)), []),
    );
  };
  const connect = buildConnector({
    lookup,
    timeout: options.connectTimeoutMs ?? 10_000,
    allowH2: false,
    ...(options.ca === undefined ? {} : { ca: [...options.ca] }),
  });
  return (target, callback) => {
    const host = normalHost(target.hostname);
    // A literal address goes past `lookup`.
    if (isIP(host) !== 0) {
      const verdict = judgeAddress(host, host, allow);
      if (!verdict.ok) {
        callback(new EgressError('blocked', verdict.reason), null);
        return;
      }
    }
    connect(target, (...outcome) => {
      const [error, socket] = outcome;
      if (error !== null) {
        callback(error, null);
        return;
      }
      const verdict = judgeAddress(socket.remoteAddress ?? '', host, allow);
      if (verdict.ok) callback(null, socket);
      else {
        socket.destroy();
        callback(new EgressError('blocked', verdict.reason), null);
      }
    });
  };
}

function familyOf(family: number | 'IPv4' | 'IPv6'): number {
  return family === 'IPv4' ? 4 : family === 'IPv6' ? 6 : family;
}

function resolveBySystem(host: string): Promise<readonly LookupAddress[]> {
  return new Promise((resolve, reject) => {
    systemLookup(host, { all: true, order: 'verbatim' }, (error, addresses) => {
      if (error) reject(error);
      else resolve(addresses);
    });
  });
}

async function readCapped(body: AsyncIterable<Uint8Array>, maxBytes: number, url: URL): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  // Leaving the loop by an exception destroys the stream, and with it the connection.
  for await (const chunk of body) {
    size += chunk.length;
    if (size > maxBytes) throw new EgressError('too_large', `${url.host} sent more than ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, size);
}

/** The guard's own refusal may come wrapped by the client, or inside the error that gathers several attempts. */
function findEgressError(error: unknown, depth = 0): EgressError | undefined {
  if (error instanceof EgressError) return error;
  if (depth > 4 || !(error instanceof Error)) return undefined;
  const inner = error instanceof AggregateError ? error.errors : [error.cause];
  for (const each of inner) {
    const found = findEgressError(each, depth + 1);
    if (found !== undefined) return found;
  }
  return undefined;
}

function messageOf(error: unknown): string {
  return error instanceof Error
    ? error.message || ((error as NodeJS.ErrnoException).code ?? error.name)
    : String(error);
}
