// A server may close the stream of a call and answer on the one that resumes it (2025-11-25): what passes, and what does not.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Harness, type RawClient } from './harness.ts';

const TOOLS = ['get_a', 'hidden_b'].map((name) => ({ name, inputSchema: { type: 'object', properties: {} } }));
const LISTED = JSON.stringify({ jsonrpc: '2.0', id: 7, result: { tools: TOOLS } });
const CALLED = '{"jsonrpc":"2.0","id":8,"result":{"content":[],"big":9007199254740993}}';

/** Answers calls with a stream that ends before the answer, and gives what was missed to whoever resumes it. */
function serve(request: IncomingMessage, response: ServerResponse): void {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    const { method, id } = JSON.parse(Buffer.concat(chunks).toString() || '{}') as { method?: string; id?: number };
    const head = { 'mcp-session-id': 's1' };
    const stream = (text: string) =>
      response.writeHead(200, { ...head, 'content-type': 'text/event-stream' }).end(text);
    const json = (body: object) =>
      response
        .writeHead(200, { ...head, 'content-type': 'application/json' })
        .end(JSON.stringify({ jsonrpc: '2.0', id, ...body }));
    if (request.method === 'GET') stream(`id: 2\ndata: ${LISTED}\n\nid: 3\ndata: ${CALLED}\n\n`);
    else if (request.method === 'DELETE') response.writeHead(200).end();
    else if (method === 'initialize') json({ result: { protocolVersion: '2025-11-25', capabilities: { tools: {} } } });
    else if (method === 'tools/list') json({ result: { tools: TOOLS } });
    else if (method === 'tools/call') stream('id: 1\nretry: 50\ndata:\n\n');
    else if (id === undefined) response.writeHead(202).end();
    else json({ error: { code: -32601, message: 'Method not found' } });
  });
}

describe('a stream that ends before the answer', () => {
  const server = createServer(serve);
  let harness: Harness;
  let client: RawClient;

  beforeAll(async () => {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    harness = await Harness.open();
    await harness.server('web', {
      kind: 'http',
      url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`,
    });
    const { token } = await harness.grant('web', { version: '1', default: 'allow', hide: ['hidden_b'] });
    client = harness.client('web', token);
    await client.initialize();
  });
  afterAll(async () => {
    await harness.close();
    server.closeAllConnections();
    server.close();
  });

  const resume = async (headers: Record<string, string>): Promise<string> => {
    const response = await fetch(client.url, {
      headers: { authorization: `Bearer ${client.token}`, 'mcp-session-id': client.session ?? '', ...headers },
    });
    return response.text();
  };

  it('[GW-RESUME, P8] ends for the client as it ended, with no error in the place of the answer', async () => {
    const { status, text } = await client.call('get_a');
    expect(status).toBe(200);
    expect(text).toContain('id: 1');
    expect(text).toContain('retry: 50');
    expect(text).not.toContain('error');
  });

  it('[GW-RESUME, P8] gives the answer, byte for byte, to who resumes it; lists are cut there as well', async () => {
    const text = await resume({ 'last-event-id': '1' });
    expect(text).toContain(CALLED);
    expect(text).toContain('id: 3');
    expect(text).toContain('get_a');
    expect(text).not.toContain('hidden_b');
  });

  it('[GW-RESUME, GW-STREAMS] lets no answer pass on a stream that resumes nothing', async () => {
    const text = await resume({});
    expect(text).not.toContain('"result"');
  });
});
