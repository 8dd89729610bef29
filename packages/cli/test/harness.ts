// Runs command lines in this process, and answers them with a small HTTP server that follows the API's contract.
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable, Writable } from 'node:stream';
import { type CliEnvironment, runCli } from '../src/run-cli.ts';

export interface Ran {
  code: number;
  stdout: string;
  stderr: string;
}

class Collected extends Writable {
  readonly #parts: Buffer[] = [];
  isTTY = false;

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.#parts.push(chunk);
    done();
  }

  get text(): string {
    return Buffer.concat(this.#parts).toString('utf8');
  }
}

export const NOW = Date.parse('2026-05-01T12:00:00Z');

export interface RunOptions extends Partial<Pick<CliEnvironment, 'env' | 'gateway' | 'prompts' | 'signal'>> {
  stdin?: string;
  /** Both ends are a terminal. */
  terminal?: boolean;
}

export async function run(argv: readonly string[], options: RunOptions = {}): Promise<Ran> {
  const stdout = new Collected();
  const stderr = new Collected();
  const stdin: CliEnvironment['stdin'] = Readable.from([options.stdin ?? '']);
  if (options.terminal) {
    stdin.isTTY = true;
    stdout.isTTY = true;
  }
  const code = await runCli(argv, {
    env: options.env ?? {},
    stdin,
    stdout,
    stderr,
    signal: options.signal ?? new AbortController().signal,
    now: () => NOW,
    ...(options.gateway === undefined ? {} : { gateway: options.gateway }),
    ...(options.prompts === undefined ? {} : { prompts: options.prompts }),
  });
  return { code, stdout: stdout.text, stderr: stderr.text };
}

export interface Seen {
  method: string;
  /** Path and query below `/api/v1`. */
  path: string;
  headers: IncomingHttpHeaders;
  /** The body's bytes as text. */
  text: string;
}

export interface Reply {
  status?: number;
  body?: unknown;
  /** Instead of `body`. */
  text?: string;
  headers?: Record<string, string>;
}

export interface FakeApi {
  url: string;
  seen: Seen[];
  /** Environment that points a command at this server. */
  env: Record<string, string>;
  run(argv: readonly string[], options?: RunOptions): Promise<Ran>;
  close(): Promise<void>;
}

export const TOKEN = 'gha_for_tests_only';

/** @param routes `METHOD /path` (without query) → reply; anything else is the API's 404 */
export async function fakeApi(routes: Record<string, Reply | ((seen: Seen) => Reply)>): Promise<FakeApi> {
  const seen: Seen[] = [];
  const answer = (request: Seen): Reply => {
    if (request.headers.authorization !== `Bearer ${TOKEN}`)
      return problem(401, 'unauthorized', 'The admin token is wrong.');
    const route = routes[`${request.method} ${request.path.replace(/\?.*$/, '')}`];
    if (route === undefined) return problem(404, 'not_found', `Nothing is called ${request.path}.`);
    return typeof route === 'function' ? route(request) : route;
  };
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const one: Seen = {
        method: request.method ?? '',
        path: (request.url ?? '').replace(/^\/api\/v1/, ''),
        headers: request.headers,
        text: Buffer.concat(chunks).toString('utf8'),
      };
      seen.push(one);
      const { status = 200, body, text, headers = {} } = answer(one);
      const payload = text ?? (body === undefined ? '' : JSON.stringify(body));
      response.writeHead(payload === '' && status === 200 ? 204 : status, {
        'content-type': 'application/json',
        ...headers,
      });
      response.end(payload);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const env = { GATEHOUSE_URL: url, GATEHOUSE_ADMIN_TOKEN: TOKEN };
  return {
    url,
    seen,
    env,
    run: (argv, options = {}) => run(argv, { ...options, env: { ...env, ...options.env } }),
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

export function problem(status: number, code: string, detail: string, errors?: unknown[]): Reply {
  const body = {
    type: `https://gatehouse.dev/errors/${code}`,
    title: code,
    status,
    detail,
    code,
    requestId: 'r-1',
    errors,
  };
  return { status, body, headers: { 'content-type': 'application/problem+json' } };
}
