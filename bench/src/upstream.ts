// The server behind everything that is measured: as little of an MCP server as one can be, in a process of its own.
// Its path says how it answers, `/json/2` or `/sse/2`, and how many tools it has.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { listenAndTell } from './child.ts';
import { callResult, LONG_CALL_BYTES, PROTOCOL_VERSION, tools } from './workload.ts';

const PATH = /^\/(json|sse)\/(\d{1,5})$/;
const shortResult = JSON.stringify(callResult(300));
const longResult = JSON.stringify(callResult(20_000));
const initializeResult = JSON.stringify({
  protocolVersion: PROTOCOL_VERSION,
  capabilities: { tools: {} },
  serverInfo: { name: 'bench-upstream', version: '1.0.0' },
});
// nginx buffers events unless it is told not to; the others do not look at it.
const STREAM_HEAD = {
  'content-type': 'text/event-stream',
  'cache-control': 'no-cache',
  'x-accel-buffering': 'no',
};

function resultOf(method: string, bytes: number, toolCount: number): string | undefined {
  switch (method) {
    case 'tools/call':
      return bytes < LONG_CALL_BYTES ? shortResult : longResult;
    case 'initialize':
      return initializeResult;
    case 'tools/list':
      return JSON.stringify({ tools: tools(toolCount) });
    case 'ping':
      return '{}';
    default:
      return undefined;
  }
}

function serve(request: IncomingMessage, response: ServerResponse): void {
  const [, reply, toolCount] = PATH.exec(request.url ?? '') ?? [];
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    if (reply === undefined) {
      response.writeHead(404, { 'content-length': 0 }).end();
    } else if (request.method === 'GET') {
      // A stream without an event, for as long as the client likes.
      response.writeHead(200, STREAM_HEAD).flushHeaders();
    } else if (request.method === 'POST') {
      answer(Buffer.concat(chunks), reply === 'sse', Number(toolCount), response);
    } else {
      response.writeHead(request.method === 'DELETE' ? 200 : 405, { 'content-length': 0 }).end();
    }
  });
}

function answer(bytes: Buffer, stream: boolean, toolCount: number, response: ServerResponse): void {
  const message = JSON.parse(bytes.toString()) as { id?: unknown; method: string };
  if (message.id === undefined) {
    response.writeHead(202, { 'content-length': 0 }).end();
    return;
  }
  const result = resultOf(message.method, bytes.length, toolCount);
  const id = JSON.stringify(message.id);
  const body =
    result === undefined
      ? `{"jsonrpc":"2.0","id":${id},"error":{"code":-32601,"message":"Method not found"}}`
      : `{"jsonrpc":"2.0","id":${id},"result":${result}}`;
  if (stream && message.method === 'tools/call') {
    response.writeHead(200, STREAM_HEAD);
    response.end(`event: message\ndata: ${body}\n\n`);
    return;
  }
  response.writeHead(200, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
    ...(message.method === 'initialize' ? { 'mcp-session-id': 'bench-upstream-session' } : {}),
  });
  response.end(body);
}

// A stream may be idle for longer than a request may take.
listenAndTell(createServer({ keepAliveTimeout: 0, requestTimeout: 0, noDelay: true }, serve));
