// How the gateway finds out which revision an HTTP server speaks, when it reads its tools.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { Harness } from './harness.ts';

interface Seen {
  method: string;
  header: string | undefined;
}

const TOOL = { name: 'get_a', inputSchema: { type: 'object', properties: {} } };

/** @param refusals how many discoveries are refused first, naming a version that is spoken */
async function start(answers: Record<string, object>, refusals = 0): Promise<{ url: string; seen: Seen[] }> {
  const seen: Seen[] = [];
  let left = refusals;
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const { method = '', id } = JSON.parse(Buffer.concat(chunks).toString() || '{}') as {
        method?: string;
        id?: number;
      };
      seen.push({ method, header: request.headers['mcp-method'] as string | undefined });
      const refused = method === 'server/discover' && left-- > 0;
      const data = { supported: ['2026-07-28'], requested: '2026-07-28' };
      const error = refused ? { code: -32022, message: 'no', data } : { code: -32601, message: 'Method not found' };
      const answer = refused || answers[method] === undefined ? { error } : { result: answers[method] };
      response
        .writeHead(id === undefined ? 202 : 'error' in answer ? 400 : 200, { 'content-type': 'application/json' })
        .end(id === undefined ? '' : JSON.stringify({ jsonrpc: '2.0', id, ...answer }));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closers.push(() => server.close());
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`, seen };
}

const closers: (() => void)[] = [];
const MODERN = {
  'server/discover': { supportedVersions: ['2026-07-28'], capabilities: { tools: {} } },
  'tools/list': { tools: [TOOL], resultType: 'complete' },
};
const LEGACY = {
  initialize: { protocolVersion: '2025-06-18', capabilities: { tools: {} } },
  'tools/list': { tools: [TOOL] },
};

describe('reading the tools of an HTTP server', () => {
  let harness: Harness;
  afterEach(async () => {
    await harness.close();
    for (const close of closers.splice(0)) close();
  });

  const read = async (upstream: { url: string; seen: Seen[] }): Promise<string[]> => {
    harness = await Harness.open();
    await harness.server('web', { kind: 'http', url: upstream.url });
    return upstream.seen.map(({ method }) => method);
  };

  it('[GW-ERAS] does not initialise one that speaks 2026-07-28', async () => {
    const upstream = await start(MODERN);
    expect(await read(upstream)).toEqual(['server/discover', 'tools/list']);
    expect(upstream.seen.map(({ header }) => header)).toEqual(['server/discover', 'tools/list']);
  });

  it('[GW-ERAS] asks again where the refusal names a version that is spoken', async () => {
    expect(await read(await start(MODERN, 1))).toEqual(['server/discover', 'server/discover', 'tools/list']);
  });

  it('[GW-ERAS] initialises one that does not', async () => {
    const methods = ['server/discover', 'initialize', 'notifications/initialized', 'tools/list'];
    expect(await read(await start(LEGACY))).toEqual(methods);
  });
});
