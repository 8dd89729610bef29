// An MCP server in a process of its own that writes each call down before it answers: what it executed is known whatever
// becomes of the gateway. Started as `ledger.ts http <file>` or `ledger.ts stdio <file>`; `http` prints its port.
import { openSync, writeSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createInterface } from 'node:readline';

/** One call that was executed. */
export interface Executed {
  tool: string;
  marker: string;
  /** Milliseconds since the epoch, by the clock of the process that executed it. */
  at: number;
}

interface Rpc {
  id?: unknown;
  method?: string;
  params?: { name?: string; protocolVersion?: string; arguments?: { marker?: string } };
}

const marked = { type: 'object', properties: { marker: { type: 'string' } }, required: ['marker'] };

/** `get_` is classified as reading, `send_` as more than that. */
const TOOLS: readonly unknown[] = ['get_free', 'get_steady', 'send_total', 'send_free'].map((name) => ({
  name,
  inputSchema: marked,
}));

function main(kind: string, path: string): void {
  const ledger = openSync(path, 'a', 0o600);

  function result(rpc: Rpc): unknown {
    switch (rpc.method) {
      case 'initialize':
        return {
          protocolVersion: rpc.params?.protocolVersion,
          capabilities: { tools: {} },
          serverInfo: { name: 'ledger', version: '1' },
        };
      case 'tools/list':
        return { tools: TOOLS };
      case 'tools/call': {
        const entry = { tool: rpc.params?.name, marker: rpc.params?.arguments?.marker, at: Date.now() };
        writeSync(ledger, `${JSON.stringify(entry)}\n`);
        return { content: [{ type: 'text', text: 'done' }] };
      }
      default:
        return {};
    }
  }

  let sessions = 0;
  function answerHttp(request: IncomingMessage, response: ServerResponse): void {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      if (request.method === 'GET') {
        // A stream that stays open until who asked for it leaves.
        response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders();
        return;
      }
      const rpc = JSON.parse(Buffer.concat(chunks).toString() || '{}') as Rpc;
      if (rpc.id === undefined) {
        response.writeHead(request.method === 'POST' ? 202 : 405).end();
        return;
      }
      const body = JSON.stringify({ jsonrpc: '2.0', id: rpc.id, result: result(rpc) });
      const session = rpc.method === 'initialize' ? { 'mcp-session-id': `ledger-${++sessions}` } : {};
      response.writeHead(200, { 'content-type': 'application/json', ...session }).end(body);
    });
  }

  if (kind === 'http') {
    const server = createServer(answerHttp);
    server.listen(0, '127.0.0.1', () => process.stdout.write(`${(server.address() as AddressInfo).port}\n`));
    return;
  }
  createInterface({ input: process.stdin }).on('line', (line) => {
    const rpc = JSON.parse(line) as Rpc;
    if (rpc.id === undefined) return;
    process.stdout.write(`${JSON.stringify({ jsonrpc: '2.0', id: rpc.id, result: result(rpc) })}\n`);
  });
}

if (import.meta.main) main(process.argv[2] ?? '', process.argv[3] ?? '');
