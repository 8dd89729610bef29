// What the end-to-end tests ask a gateway, with nothing between them and the wire that would mend it.

export interface Content {
  type: string;
  text?: string;
  data?: string;
  mimeType?: string;
  uri?: string;
}

export interface Decision {
  outcome: string;
  rule: string;
  policy?: string;
  retryAfterMs?: number;
  requestId: string;
}

/** Result of a `tools/call` of the Flux server. */
export interface Outcome {
  isError?: boolean;
  content: Content[];
  structuredContent?: { task_id: string };
  _meta?: Record<string, Decision>;
}

/** Width and height from the head of a PNG in base64. @throws Error when it is none */
export function pngSize(base64: string): { width: number; height: number } {
  const bytes = Buffer.from(base64, 'base64');
  if (bytes.toString('latin1', 0, 8) !== '\x89PNG\r\n\x1a\n') throw new Error('This is no PNG.');
  return { width: bytes.readUInt32BE(16), height: bytes.readUInt32BE(20) };
}

/** The control API under the local admin token. */
export class Api {
  readonly #base: string;
  readonly #token: string;

  constructor(base: string, token: string) {
    this.#base = base;
    this.#token = token;
  }

  async #ask<T>(method: string, path: string, body?: unknown): Promise<T> {
    const response = await fetch(`${this.#base}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${this.#token}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return JSON.parse(text) as T;
  }

  get<T>(path: string): Promise<T> {
    return this.#ask('GET', path);
  }

  post<T>(path: string, body: unknown): Promise<T> {
    return this.#ask('POST', path, body);
  }

  put<T>(path: string, body: unknown): Promise<T> {
    return this.#ask('PUT', path, body);
  }
}

export interface Answer {
  /** The bytes of the JSON-RPC message. */
  text: string;
  result?: { isError?: boolean; content: Content[]; tools?: { name: string }[] };
  error?: { code: number; message: string };
}

/** A session of the 2025 revisions, message by message. Every request has the same id, so that answers can be compared. */
export class RawSession {
  readonly #url: string;
  readonly #token: string | undefined;
  #session: string | undefined;

  constructor(url: string, token: string | undefined) {
    this.#url = url;
    this.#token = token;
  }

  async #post(message: object): Promise<{ status: number; text: string }> {
    const response = await fetch(this.#url, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        ...(this.#token === undefined ? {} : { authorization: `Bearer ${this.#token}` }),
        ...(this.#session === undefined ? {} : { 'mcp-session-id': this.#session }),
      },
      body: JSON.stringify({ jsonrpc: '2.0', ...message }),
    });
    this.#session ??= response.headers.get('mcp-session-id') ?? undefined;
    const text = await response.text();
    return { status: response.status, text: /^data: ?(\{.*)$/m.exec(text)?.[1] ?? text };
  }

  /** @returns the HTTP status of `initialize` */
  async open(): Promise<number> {
    const params = { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'raw', version: '1.0.0' } };
    const { status } = await this.#post({ id: 1, method: 'initialize', params });
    if (status === 200) await this.#post({ method: 'notifications/initialized' });
    return status;
  }

  async #request(method: string, params: object): Promise<Answer> {
    const { text } = await this.#post({ id: 1, method, params });
    return { ...(JSON.parse(text) as Answer), text };
  }

  call(name: string, args: object = {}): Promise<Answer> {
    return this.#request('tools/call', { name, arguments: args });
  }

  async tools(): Promise<string[]> {
    return (await this.#request('tools/list', {})).result?.tools?.map(({ name }) => name) ?? [];
  }
}
