// Servers behind `https:`: what the gateway sends to one whose certificate it cannot trust, which is nothing.
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { CertificateAuthority, type IssuedCertificate } from '@gatehouse/testkit';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ADMIN, Harness } from './harness.ts';

const TOOLS = '{"tools":[{"name":"get_a","inputSchema":{"type":"object","properties":{}}}]}';
const authority = new CertificateAuthority();
const good = authority.issue({ names: ['127.0.0.1'] });

let harness: Harness;
let server: Server;
let arrived: string[];
const trusted = getCACertificates('default');
beforeEach(async () => {
  // As NODE_EXTRA_CA_CERTS does for a process.
  setDefaultCACertificates([...trusted, authority.cert]);
  arrived = [];
  server = createServer(good, (request, response) => {
    let body = '';
    request.on('data', (chunk) => (body += chunk));
    request.on('end', () => {
      const { id, method } = JSON.parse(body || '{}') as { id?: number; method?: string };
      arrived.push(method ?? '');
      if (id === undefined) return response.writeHead(202).end();
      const result =
        method === 'initialize'
          ? '{"protocolVersion":"2025-06-18","capabilities":{"tools":{}},"serverInfo":{"name":"s","version":"1"}}'
          : method === 'tools/list'
            ? TOOLS
            : '{"content":[]}';
      response.setHeader('content-type', 'application/json');
      return response.end(`{"jsonrpc":"2.0","id":${id},"result":${result}}`);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  harness = await Harness.open();
});
afterEach(async () => {
  setDefaultCACertificates(trusted);
  await harness.close();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

describe('an https server', () => {
  const transport = () => ({
    kind: 'http' as const,
    url: `https://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`,
  });

  it.each<[string, () => IssuedCertificate]>([
    ['of an authority that is not trusted', () => new CertificateAuthority().issue({ names: ['127.0.0.1'] })],
    ['of another name', () => authority.issue({ names: ['other.example.com'] })],
    ['that is over', () => authority.issue({ names: ['127.0.0.1'], until: new Date('2021-01-01') })],
  ])('[NET-HTTP-TLS] is sent nothing under a certificate %s', async (_, bad) => {
    await harness.server('up', transport());
    const { token } = await harness.grant('up', { version: '1', default: 'allow' });
    const client = harness.client('up', token);
    expect((await client.call('get_a')).message?.result).toEqual({ content: [] });

    server.setSecureContext(bad());
    server.closeAllConnections();
    arrived.length = 0;
    const answer = await client.call('get_a');
    expect(answer.message?.error?.message).toMatch(/its TLS certificate/);
    expect(arrived).toEqual([]);
    expect((await harness.gateway.audit.search({ tool: 'get_a', limit: 1 })).rows[0]?.outcome).toBe('not_sent');
    const again = harness.gateway.readDefinitions('up', { actor: ADMIN });
    await expect(again).rejects.toMatchObject({ code: 'upstream_unreachable' });
    expect(arrived).toEqual([]);
  });
});
