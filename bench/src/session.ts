// The beginning of every MCP session, and the request that the load generator repeats in it.
import type { CallClass } from './workload.ts';
import { callBody, PROTOCOL_VERSION, TOOL_OF } from './workload.ts';

const ACCEPT = 'application/json, text/event-stream';

/**
 * Does the handshake and prepares a call in that session, head and body in one piece.
 * @throws Error when the server does not take the handshake
 */
export async function prepareCall(url: string, token: string, callClass: CallClass): Promise<string> {
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
  return requestText(new URL(url), headers, callBody(TOOL_OF[callClass]));
}

async function post(url: string, headers: Record<string, string>, message: unknown): Promise<Response> {
  const answer = await fetch(url, { method: 'POST', headers, body: JSON.stringify(message) });
  const text = await answer.text();
  if (!answer.ok || text.includes('"error"')) throw new Error(`${url} refused the handshake: ${answer.status} ${text}`);
  return answer;
}

function requestText(url: URL, headers: Readonly<Record<string, string>>, body: string): string {
  const lines = Object.entries({ host: url.host, ...headers, 'content-length': Buffer.byteLength(body) });
  const head = lines.map(([name, value]) => `${name}: ${value}\r\n`).join('');
  return `POST ${url.pathname} HTTP/1.1\r\n${head}\r\n${body}`;
}
