// The server behind everything that is measured: as little of an MCP server as one can be, in a process of its own.
import { createServer } from 'node:http';
import { listenAndTell } from './child.ts';
import { CALL_RESULT, PROTOCOL_VERSION, TOOLS } from './workload.ts';

const callResult = JSON.stringify(CALL_RESULT);
const results: Readonly<Record<string, string>> = {
  initialize: JSON.stringify({
    protocolVersion: PROTOCOL_VERSION,
    capabilities: { tools: {} },
    serverInfo: { name: 'bench-upstream', version: '1.0.0' },
  }),
  'tools/list': JSON.stringify({ tools: TOOLS }),
  'tools/call': callResult,
  ping: '{}',
};

const server = createServer({ keepAliveTimeout: 0, requestTimeout: 0 }, (request, response) => {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    if (request.method !== 'POST') {
      response.writeHead(request.method === 'DELETE' ? 200 : 405, { 'content-length': 0 }).end();
      return;
    }
    const message = JSON.parse(Buffer.concat(chunks).toString()) as { id?: unknown; method: string };
    if (message.id === undefined) {
      response.writeHead(202, { 'content-length': 0 }).end();
      return;
    }
    const result = results[message.method];
    const id = JSON.stringify(message.id);
    const body =
      result === undefined
        ? `{"jsonrpc":"2.0","id":${id},"error":{"code":-32601,"message":"Method not found"}}`
        : `{"jsonrpc":"2.0","id":${id},"result":${result}}`;
    response.writeHead(200, {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
      ...(message.method === 'initialize' ? { 'mcp-session-id': 'bench-upstream-session' } : {}),
    });
    response.end(body);
  });
});

listenAndTell(server);
