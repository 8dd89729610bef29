// A whole gateway in this process on a folder of its own, with a clock of its own, for tests that go through the front door.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { RecordingUpstream, type RecordingUpstreamOptions } from '@gatehouse/testkit';
import type { Logger } from 'pino';
import { type Actor, type Gateway, loadSettings, type OpenOptions, openGateway, type Settings } from '../src/index.ts';
import type { ServerSettings, Transport } from '../src/model.ts';

export const ADMIN: Actor = { kind: 'local-admin', id: 'local' };
export const SECRET_KEY = '9f1c72a05be84d36c0e7195fa2b84763d81e6f90ab35c24d7786e1f2093b5ac4';

export interface HarnessOptions {
  /** Data folder; default: a new one. Deleted by `close`. */
  dir?: string;
  /** Settings by name. */
  flags?: Record<string, unknown>;
  clock?: () => number;
  countersEvery?: number;
  /** Default: `clock`, where that is given. */
  monotonic?: () => number;
  auditFiles?: OpenOptions['auditFiles'];
  logger?: Logger;
}

export interface Answer {
  status: number;
  headers: Headers;
  /** The JSON-RPC message: of a JSON reply, or the last one of an event stream. */
  message: RpcMessage | undefined;
  text: string;
}

export interface RpcMessage {
  id?: unknown;
  method?: string;
  params?: Record<string, unknown>;
  result?: {
    [key: string]: unknown;
    isError?: boolean;
    content?: { type: string; text: string }[];
    _meta?: Record<string, Decision>;
  };
  error?: { code: number; message: string; data?: unknown };
}

export interface Decision {
  outcome: string;
  rule: string;
  policy?: string;
  version?: number;
  retryAfterMs?: number;
  requestId: string;
}

export class Harness {
  readonly gateway: Gateway;
  readonly settings: Settings;
  readonly dir: string;
  readonly proxyUrl: (slug: string) => string;
  readonly base: string;
  readonly #upstreams: RecordingUpstream[] = [];

  private constructor(
    gateway: Gateway,
    settings: Settings,
    addresses: { console: string; proxyUrl(slug: string): string },
  ) {
    this.gateway = gateway;
    this.settings = settings;
    this.dir = settings.data;
    this.base = addresses.console;
    this.proxyUrl = (slug) => addresses.proxyUrl(slug);
  }

  static async open(options: HarnessOptions = {}): Promise<Harness> {
    const dir = options.dir ?? mkdtempSync(join(tmpdir(), 'gatehouse-harness-'));
    const monotonic = options.monotonic ?? options.clock;
    const { settings } = loadSettings({
      env: {},
      flags: { data: dir, port: 0, log_level: 'silent', ...options.flags },
    });
    const gateway = await openGateway(settings, {
      env: { GATEHOUSE_SECRET_KEY: SECRET_KEY },
      ...(options.logger === undefined ? {} : { logger: options.logger }),
      ...(options.countersEvery === undefined ? {} : { countersEvery: options.countersEvery }),
      ...(options.clock === undefined ? {} : { clock: options.clock }),
      ...(monotonic === undefined ? {} : { monotonic }),
      ...(options.auditFiles === undefined ? {} : { auditFiles: options.auditFiles }),
    });
    return new Harness(gateway, settings, await gateway.listen());
  }

  async close(): Promise<void> {
    await this.gateway.close();
    for (const upstream of this.#upstreams) await upstream.close();
    rmSync(this.dir, { recursive: true, force: true });
  }

  /** A recording upstream behind the gateway, with all its tools accepted. */
  async record(
    slug: string,
    options: RecordingUpstreamOptions,
    settings?: Partial<ServerSettings>,
  ): Promise<RecordingUpstream> {
    const upstream = await RecordingUpstream.start(options);
    this.#upstreams.push(upstream);
    await this.server(slug, { kind: 'http', url: upstream.url }, settings);
    upstream.forget();
    return upstream;
  }

  async server(slug: string, transport: Transport, settings?: Partial<ServerSettings>): Promise<void> {
    const { services } = this.gateway;
    await services.servers.create({ slug, transport, ...(settings === undefined ? {} : { settings }) }, ADMIN);
    await this.gateway.readDefinitions(slug, { accept: true, actor: ADMIN });
  }

  /** A grant under this policy document, with its token. */
  async grant(slug: string, document: unknown, identity = 'ana'): Promise<{ id: string; token: string }> {
    const { services } = this.gateway;
    const policy = `p-${identity}`;
    await services.policies.put(slug, policy, document, undefined, ADMIN);
    const { grant, secret } = await services.grants.create({ server: slug, identity, policy }, ADMIN);
    return { id: grant.id, token: secret ?? '' };
  }

  client(slug: string, token: string): RawClient {
    return new RawClient(this.proxyUrl(slug), token);
  }
}

/** Speaks JSON-RPC over HTTP without any library that would mend what it sends. */
export class RawClient {
  readonly url: string;
  readonly token: string;
  session: string | undefined;
  #id = 0;

  constructor(url: string, token: string) {
    this.url = url;
    this.token = token;
  }

  async initialize(params: Record<string, unknown> = {}): Promise<Answer> {
    const answer = await this.request('initialize', {
      protocolVersion: '2025-06-18',
      capabilities: {},
      clientInfo: { name: 'raw', version: '1' },
      ...params,
    });
    this.session = answer.headers.get('mcp-session-id') ?? undefined;
    await this.post('{"jsonrpc":"2.0","method":"notifications/initialized"}');
    return answer;
  }

  request(method: string, params?: Record<string, unknown>): Promise<Answer> {
    this.#id += 1;
    return this.post(
      JSON.stringify({ jsonrpc: '2.0', id: this.#id, method, ...(params === undefined ? {} : { params }) }),
    );
  }

  call(name: string, args: Record<string, unknown> = {}): Promise<Answer> {
    return this.request('tools/call', { name, arguments: args });
  }

  async tools(): Promise<string[]> {
    const answer = await this.request('tools/list');
    const tools = (answer.message?.result?.tools ?? []) as { name: string }[];
    return tools.map((tool) => tool.name);
  }

  async post(body: string | Uint8Array, headers: Record<string, string> = {}): Promise<Answer> {
    const response = await fetch(this.url, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        ...(this.token === '' ? {} : { authorization: `Bearer ${this.token}` }),
        ...(this.session === undefined ? {} : { 'mcp-session-id': this.session }),
        ...headers,
      },
      body: body as string,
    });
    const text = await response.text();
    return { status: response.status, headers: response.headers, text, message: lastMessage(text) };
  }
}

function lastMessage(text: string): RpcMessage | undefined {
  const data = text
    .split('\n')
    .filter((line) => line.startsWith('data: '))
    .at(-1);
  try {
    return JSON.parse(data === undefined ? text : data.slice(6)) as RpcMessage;
  } catch {
    return undefined;
  }
}
