// One client for every command: the control API over HTTP when a gateway runs, the same API in this process when none does.
import { existsSync } from 'node:fs';
import { connect as connectSocket } from 'node:net';
import { parsePlainJson } from '@gatehouse/wire';
import type { Context } from './context.ts';
import { CliError, errorFromAnswer, fromGatewayError, notFound, usageError } from './errors.ts';
import { EXIT } from './exit-codes.ts';
import { pinnedFetch } from './pinned-fetch.ts';
import { isAlive, readServerFile, serverFilePath } from './server-file.ts';

/** Reading the tools of a slow MCP server is the longest request; a gateway that says nothing for so long is stuck. */
const REQUEST_TIMEOUT_MS = 120_000;
const PROBE_TIMEOUT_MS = 2_000;

/** A body that is sent as it was written. */
export interface TextBody {
  text: string;
  contentType: string;
}

export interface Client {
  /** `remote`: an address that was given; `local`: the gateway that runs on the data folder; `process`: opened here. */
  readonly mode: 'remote' | 'local' | 'process';
  /** For messages. */
  readonly where: string;
  /**
   * One request to `/api/v1<path>`; the answer's JSON body.
   * @throws CliError for every answer that is not 2xx, and when nothing answers
   */
  request<T>(method: string, path: string, body?: unknown, headers?: Readonly<Record<string, string>>): Promise<T>;
  /** As {@link request}, with the body as it comes: exports and the live tail. Ends with Ctrl-C. */
  stream(path: string, accept: string): Promise<ReadableStream<Uint8Array>>;
  close(): Promise<void>;
}

export interface ConnectOptions {
  data?: string;
  config?: string;
  /** URL of a gateway, with or without `/api/v1`. */
  api?: string;
  create?: boolean;
}

type Send = (path: string, init: RequestInit) => Promise<Response>;

interface Target {
  mode: Client['mode'];
  where: string;
  token: string;
  send: Send;
  close: () => Promise<void>;
}

/**
 * Finds the gateway: `--api` or `GATEHOUSE_URL` with `GATEHOUSE_ADMIN_TOKEN`; else the one that runs on the data folder;
 * else the data folder is opened here, which takes its lock.
 * @throws CliError when there is none, or it cannot be opened
 */
export async function connect(context: Context, options: ConnectOptions): Promise<Client> {
  const address = options.api ?? (options.data === undefined ? context.env.GATEHOUSE_URL : undefined);
  if (options.api !== undefined && options.data !== undefined) {
    throw usageError('--api and --data exclude each other: one names a running gateway, the other a data folder.');
  }
  const target =
    address !== undefined && address !== '' ? remoteTarget(context, address) : await dataTarget(context, options);
  return clientOf(context, target);
}

function remoteTarget(context: Context, address: string): Target {
  if (!/^https?:\/\//.test(address) || !URL.canParse(address)) {
    throw usageError(`"${address}" is not the URL of a gateway. Write it as http://127.0.0.1:8080.`);
  }
  const token = context.env.GATEHOUSE_ADMIN_TOKEN;
  if (!token) {
    throw new CliError(
      EXIT.unauthorized,
      'unauthorized',
      'GATEHOUSE_ADMIN_TOKEN is not set. The admin token of a gateway is in the file that "serve --ready-file" writes.',
    );
  }
  const url = new URL(address);
  if (url.protocol === 'http:' && !/^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(url.hostname)) {
    context.out.warn(
      `the admin token goes to ${url.host} unencrypted; use https where the network is not yours alone.`,
    );
  }
  return httpTarget('remote', address, token);
}

function httpTarget(mode: 'remote' | 'local', address: string, token: string, certificate?: string): Target {
  const base = address.replace(/\/+$/, '').replace(/\/api\/v1$/, '');
  const ask = certificate === undefined ? fetch : pinnedFetch(certificate);
  const send: Send = async (path, init) => {
    try {
      // A redirect would carry the admin token to another place.
      return await ask(base + path, { ...init, redirect: 'error' });
    } catch (error) {
      throw networkError(error, base);
    }
  };
  return { mode, where: base, token, send, close: async () => {} };
}

const CERTIFICATE_REFUSED = /^(CERT_|SELF_SIGNED_|DEPTH_ZERO_|UNABLE_TO_(GET_ISSUER|VERIFY)_|ERR_TLS_CERT_)/;

function networkError(error: unknown, base: string): unknown {
  const { name, cause, message } = error as Error & { cause?: { code?: string; message?: string } };
  if (name === 'AbortError') return error;
  if (cause?.code !== undefined && CERTIFICATE_REFUSED.test(cause.code)) {
    return new CliError(
      EXIT.unreachable,
      'unreachable',
      `The certificate of ${base} is not trusted here (${cause.code}). Where an authority of your own signed it, name that authority's certificate in NODE_EXTRA_CA_CERTS.`,
      { cause: error },
    );
  }
  const why = name === 'TimeoutError' ? 'no answer in time' : (cause?.code ?? cause?.message ?? message);
  return new CliError(EXIT.unreachable, 'unreachable', `No gateway answers at ${base} (${why}). Is it running?`, {
    cause: error,
  });
}

/** Whether something accepts connections there; said without showing the admin token to it. */
async function answers(api: string): Promise<boolean> {
  const { hostname, port, protocol } = new URL(api);
  const host = hostname.replace(/^\[|\]$/g, '');
  return new Promise((resolve) => {
    const socket = connectSocket({
      host,
      port: Number(port) || (protocol === 'https:' ? 443 : 80),
      timeout: PROBE_TIMEOUT_MS,
    });
    const end = (result: boolean) => () => {
      socket.destroy();
      resolve(result);
    };
    socket.once('connect', end(true)).once('error', end(false)).once('timeout', end(false));
  });
}

async function dataTarget(context: Context, options: ConnectOptions): Promise<Target> {
  const gateway = await context.gateway();
  const { settings } = gateway.loadSettings({
    ...(options.config === undefined ? {} : { file: options.config }),
    env: context.env,
    flags: { data: options.data },
  });
  const file = readServerFile(settings.data);
  // A number alone says little after a restart (in containers the same few come back), so the port must answer too.
  const isRunning = file !== undefined && file.pid !== process.pid && isAlive(file.pid) && (await answers(file.api));
  if (isRunning) {
    const keys = gateway.loadSecretKey({
      env: context.env,
      ...(settings.secret_key_file === undefined ? {} : { file: settings.secret_key_file }),
      dataDir: settings.data,
      create: false,
    });
    return httpTarget('local', file.api, gateway.adminToken(keys, file.instance), file.certificate);
  }
  if (!options.create && !existsSync(settings.data)) {
    throw notFound(
      `There is no Gatehouse data in ${settings.data}. Start with "gatehouse serve" or "gatehouse server add", or name the folder with --data.`,
    );
  }
  const opened = await openHere(context, gateway, settings, file !== undefined);
  return {
    mode: 'process',
    where: settings.data,
    token: opened.adminToken,
    send: async (path, init) => opened.api.request(path, init),
    close: () => opened.close(),
  };
}

type GatewayCode = Awaited<ReturnType<Context['gateway']>>;

async function openHere(
  context: Context,
  gateway: GatewayCode,
  settings: ReturnType<GatewayCode['loadSettings']>['settings'],
  hasServerFile: boolean,
): ReturnType<GatewayCode['openGateway']> {
  try {
    // The program log belongs to a gateway that serves; a person who typed a command reads what the command says.
    return await gateway.openGateway({ ...settings, log_level: 'error' }, { env: context.env });
  } catch (error) {
    const known = fromGatewayError(error);
    if (known?.code !== 'store_locked') throw error;
    const hint = hasServerFile
      ? `It does not answer at the address in ${serverFilePath(settings.data)}; wait until it has started, or stop it.`
      : 'If it runs elsewhere (another container or machine), set GATEHOUSE_URL and GATEHOUSE_ADMIN_TOKEN.';
    throw new CliError(EXIT.unreachable, 'store_locked', `${known.message} ${hint}`, { cause: error });
  }
}

function isTextBody(body: unknown): body is TextBody {
  return typeof body === 'object' && body !== null && 'text' in body && 'contentType' in body;
}

async function readBody(response: Response): Promise<unknown> {
  const text = await response.text();
  if (text === '') return undefined;
  try {
    return parsePlainJson(text);
  } catch {
    return undefined;
  }
}

function clientOf(context: Context, target: Target): Client {
  const authorization = `Bearer ${target.token}`;
  const path = (rest: string): string => `/api/v1${rest}`;
  return {
    mode: target.mode,
    where: target.where,
    close: target.close,
    async request<T>(
      method: string,
      rest: string,
      body?: unknown,
      headers: Readonly<Record<string, string>> = {},
    ): Promise<T> {
      const sent: Record<string, string> = { authorization, accept: 'application/json', ...headers };
      const init: RequestInit = {
        method,
        headers: sent,
        signal: AbortSignal.any([context.signal, AbortSignal.timeout(REQUEST_TIMEOUT_MS)]),
      };
      if (body !== undefined) {
        sent['content-type'] = isTextBody(body) ? body.contentType : 'application/json';
        init.body = isTextBody(body) ? body.text : JSON.stringify(body);
      }
      const response = await target.send(path(rest), init);
      const answer = await readBody(response);
      if (!response.ok || (answer === undefined && response.status !== 204)) {
        throw errorFromAnswer(response.status, answer, target.where);
      }
      return answer as T;
    },
    async stream(rest, accept) {
      const response = await target.send(path(rest), {
        method: 'GET',
        headers: { authorization, accept },
        signal: context.signal,
      });
      if (!response.ok || response.body === null) {
        throw errorFromAnswer(response.status, await readBody(response), target.where);
      }
      return response.body as ReadableStream<Uint8Array>;
    },
  };
}

interface Page<T> {
  items: T[];
  next?: string;
}

/** All items of a list, page after page. */
export async function listAll<T>(client: Client, path: string): Promise<T[]> {
  const items: T[] = [];
  for (let next: string | undefined; ; ) {
    const page: Page<T> = await client.request(
      'GET',
      next === undefined ? path : `${path}${path.includes('?') ? '&' : '?'}cursor=${encodeURIComponent(next)}`,
    );
    items.push(...page.items);
    next = page.next;
    if (next === undefined) return items;
  }
}
