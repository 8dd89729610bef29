// The beginning of every MCP session, and the requests that are prepared in it.
import { type CallClass, type CallSize, callBody, PROTOCOL_VERSION, TOOL_OF } from './workload.ts';

const ACCEPT = 'application/json, text/event-stream';

/** Long enough for a gateway that is busy with thousands of others. */
const HANDSHAKE_MS = 30_000;

export interface Session {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** @throws Error when the server does not take the handshake */
export async function openSession(url: string, token: string): Promise<Session> {
  const headers: Record<string, string> = {
    authorization: `Bearer ${token}`,
    'content-type': 'application/json',
    accept: ACCEPT,
  };
  const initialize = await post(url, headers, {
    jsonrpc: '2.0',
    id: 1,
    method: 'initialize',
    params: {
      protocolVersion: PROTOCOL_VERSION,
      capabilities: {},
      clientInfo: { name: 'gatehouse-bench', version: '1.0.0' },
    },
  });
  const session = initialize.headers.get('mcp-session-id');
  if (session === null) throw new Error(`${url} opened no session`);
  headers['mcp-session-id'] = session;
  headers['mcp-protocol-version'] = PROTOCOL_VERSION;
  await post(url, headers, { jsonrpc: '2.0', method: 'notifications/initialized' });
  return { url, headers };
}

/** A call in that session, head and body in one piece. */
export function callRequest({ url, headers }: Session, callClass: CallClass, size: CallSize): string {
  const body = callBody(TOOL_OF[callClass], size);
  return requestText('POST', new URL(url), { ...headers, 'content-length': String(Buffer.byteLength(body)) }) + body;
}

/** Opens the stream of messages that belong to no call. */
export function streamRequest({ url, headers }: Session): string {
  const { 'content-type': _type, ...rest } = headers;
  return requestText('GET', new URL(url), { ...rest, accept: 'text/event-stream' });
}

async function post(url: string, headers: Record<string, string>, message: unknown): Promise<Response> {
  const answer = await fetch(url, {
    method: 'POST',
    headers,
    body: JSON.stringify(message),
    signal: AbortSignal.timeout(HANDSHAKE_MS),
  });
  const text = await answer.text();
  if (!answer.ok || text.includes('"error"')) throw new Error(`${url} refused the handshake: ${answer.status} ${text}`);
  return answer;
}

function requestText(method: string, url: URL, headers: Readonly<Record<string, string>>): string {
  const lines = Object.entries({ host: url.host, ...headers });
  return `${method} ${url.pathname} HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`;
}
