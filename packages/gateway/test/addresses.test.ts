// The addresses beside the proxy URL, and the methods that only settings let through.
import { request } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Harness } from './harness.ts';

/** `fetch` sets Host by itself. */
function get(base: string, path: string, host: string): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const sent = request(new URL(path, base), { headers: { host } }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString('utf8') }),
      );
    });
    sent.on('error', reject);
    sent.end();
  });
}

describe('operations', () => {
  let harness: Harness;
  beforeAll(async () => {
    harness = await Harness.open();
  });
  afterAll(() => harness.close());

  it.each(['/healthz', '/readyz', '/metrics'])('[GW-HEALTH] %s answers whatever the Host', async (path) => {
    expect((await get(harness.base, path, 'probe.internal')).status).toBe(200);
    expect((await get(harness.base, '/', 'probe.internal')).status).toBe(403);
  });

  it('[GW-HEALTH] readiness fails while the log cannot be written, liveness does not', async () => {
    const { audit } = harness.gateway;
    Object.defineProperty(audit, 'writable', { value: false, configurable: true });
    expect(await get(harness.base, '/readyz', 'x')).toMatchObject({
      status: 503,
      body: expect.stringContaining('The audit log cannot be written') as string,
    });
    expect((await get(harness.base, '/healthz', 'x')).status).toBe(200);
    Reflect.deleteProperty(audit, 'writable');
    expect((await get(harness.base, '/readyz', 'x')).status).toBe(200);
  });

  it('[GW-HEALTH] they move to a port of their own when told so', async () => {
    const apart = await Harness.open({ flags: { ops_port: 0 } });
    expect((await get(apart.base, '/healthz', new URL(apart.base).host)).status).toBe(404);
    await apart.close();
  });
});

describe('methods of a vendor', () => {
  it('[GW-VENDOR] pass only when the settings of the server list them', async () => {
    const harness = await Harness.open();
    const options = {
      tools: [],
      intercept: (
        sent: { message: { id?: unknown; method?: string } | undefined },
        response: { setHeader(name: string, value: string): unknown; end(text: string): unknown },
      ) => {
        if (sent.message?.method?.startsWith('acme/') !== true) return false;
        response.setHeader('content-type', 'application/json');
        response.end(JSON.stringify({ jsonrpc: '2.0', id: sent.message.id, result: { done: true } }));
        return true;
      },
    };
    const upstream = await harness.record('rec', options, {
      vendorMethods: ['acme/listed'],
    });
    const { token } = await harness.grant('rec', { version: '1', default: 'allow' });
    const client = harness.client('rec', token);
    await client.initialize();
    expect((await client.request('acme/listed')).message?.result).toEqual({ done: true });
    expect((await client.request('acme/other')).message?.error?.code).toBe(-32601);
    expect(upstream.received('acme/listed')).toHaveLength(1);
    expect(upstream.received('acme/other')).toHaveLength(0);
    await harness.close();
  });
});

describe('sessions', () => {
  it('[GW-SESSION] end after their lifetime, used or not', async () => {
    let now = Date.parse('2026-11-02T10:00:00Z');
    const harness = await Harness.open({ clock: () => now, flags: { session_lifetime: '2h' } });
    await harness.record('rec', { tools: [] });
    const { token } = await harness.grant('rec', { version: '1', default: 'allow' });
    const client = harness.client('rec', token);
    await client.initialize();
    now += 2 * 3_600_000 - 1;
    expect((await client.request('ping')).status).toBe(200);
    now += 1;
    expect((await client.request('ping')).status).toBe(404);
    await harness.close();
  });
});
