// Whose word counts for where a call came from, through the real listener.
import { readdirSync, readFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import type { RecordingUpstream } from '@gatehouse/testkit';
import { afterEach, describe, expect, it } from 'vitest';
import { ADMIN, Harness, type RawClient } from './harness.ts';

const TOOL = { name: 'get_a', inputSchema: { type: 'object', properties: {} } };
const POLICY = { version: '1', default: 'allow' };
const CALL = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"get_a","arguments":{}}}';

let harness: Harness;
let upstream: RecordingUpstream;
afterEach(() => harness.close());

/** @param trusted the peers of these tests are 127.0.0.1 @param sources networks of the grant */
async function open(trusted: string[], sources?: string[]): Promise<RawClient> {
  harness = await Harness.open({ flags: { trusted_proxies: trusted } });
  upstream = await harness.record('up', { tools: [TOOL], sessions: false });
  const { services } = harness.gateway;
  await services.policies.put('up', 'p', POLICY, undefined, ADMIN);
  const made = await services.grants.create(
    { server: 'up', identity: 'ana', policy: 'p', ...(sources === undefined ? {} : { sources }) },
    ADMIN,
  );
  return harness.client('up', made.secret ?? '');
}

/** The lines of the log, which are complete once the gateway is closed. */
async function records(): Promise<{ source?: string; tool?: string; count?: number; decision?: { rule?: string } }[]> {
  await harness.gateway.close();
  const dir = join(harness.dir, 'audit');
  return readdirSync(dir, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.jsonl'))
    .flatMap((file) => readFileSync(join(dir, file), 'utf8').split('\n').filter(Boolean))
    .map((line) => JSON.parse(line) as Awaited<ReturnType<typeof records>>[number]);
}

const sourcesOf = async (tool: string): Promise<(string | undefined)[]> =>
  (await records()).filter((record) => record.tool === tool && record.source !== undefined).map(({ source }) => source);

describe('without trusted proxies', () => {
  it.each([
    ['none are named', []],
    ['others are named', ['10.0.0.0/8', '::1']],
  ])('[GW-PROXIES-SPOOF] a header says nothing: %s', async (_, trusted) => {
    const client = await open(trusted, ['198.51.100.0/24']);
    const headers = { 'x-forwarded-for': '198.51.100.7', forwarded: 'for=198.51.100.7' };
    expect((await client.post(CALL, headers)).status).toBe(401);
    expect(upstream.calls()).toEqual([]);
    const refused = (await records()).filter((record) => record.decision?.rule === '(authentication)');
    expect(refused.map(({ source }) => source)).toEqual(['127.0.0.1']);
  });

  it('[GW-PROXIES-SPOOF] the peer itself is what its grant and the log know', async () => {
    const client = await open([], ['127.0.0.1']);
    expect((await client.post(CALL, { 'x-forwarded-for': '198.51.100.7' })).status).toBe(200);
    expect(new Set(await sourcesOf('get_a'))).toEqual(new Set(['127.0.0.1']));
  });
});

describe('behind a trusted proxy', () => {
  it('[GW-PROXIES] source networks and records go by the client that it names', async () => {
    const client = await open(['127.0.0.0/8', '10.0.0.0/8'], ['198.51.100.0/24']);
    expect((await client.post(CALL, { 'x-forwarded-for': '198.51.100.7, 10.0.0.3' })).status).toBe(200);
    expect((await client.post(CALL, { forwarded: 'for="198.51.100.8:4711"' })).status).toBe(200);
    expect((await client.post(CALL, { 'x-forwarded-for': '203.0.113.9' })).status).toBe(401);
    expect(upstream.calls()).toHaveLength(2);
    expect(new Set(await sourcesOf('get_a'))).toEqual(new Set(['198.51.100.7', '198.51.100.8']));
  });

  it('[GW-PROXIES-SPOOF] hops that a client put before its own change nothing', async () => {
    const client = await open(['127.0.0.1'], ['198.51.100.0/24']);
    for (const claim of ['198.51.100.7', '127.0.0.1', '198.51.100.7, 127.0.0.1', 'unknown']) {
      expect((await client.post(CALL, { 'x-forwarded-for': `${claim}, 203.0.113.9` })).status, claim).toBe(401);
      const forwarded = claim.split(', ').map((hop) => `for=${hop}`);
      expect((await client.post(CALL, { forwarded: `${forwarded.join(', ')}, for=203.0.113.9` })).status).toBe(401);
    }
    // The proxy writes the one header and passes the other on as its client sent it.
    const both = { 'x-forwarded-for': '203.0.113.9', forwarded: 'for=198.51.100.7' };
    expect((await client.post(CALL, both)).status).toBe(401);
    expect(upstream.calls()).toEqual([]);
    const refused = (await records()).filter((record) => record.decision?.rule === '(authentication)');
    expect(refused.map(({ source, count }) => [source, count])).toEqual([
      ['203.0.113.9', 8],
      ['127.0.0.1', 1],
    ]);
  });

  it('[GW-PROXIES-UNKNOWN] what cannot be read is in no network, and the record names the proxy', async () => {
    const client = await open(['127.0.0.1'], ['127.0.0.1', '198.51.100.0/24']);
    expect((await client.post(CALL, { 'x-forwarded-for': 'unknown' })).status).toBe(401);
    expect((await client.post(CALL, { forwarded: 'for=198.51.100.7;' })).status).toBe(401);
    // One that names nobody speaks for itself.
    expect((await client.post(CALL)).status).toBe(200);
    await harness.close();
    const free = await open(['127.0.0.1']);
    expect((await free.post(CALL, { 'x-forwarded-for': 'unknown' })).status).toBe(200);
    expect(new Set(await sourcesOf('get_a'))).toEqual(new Set(['127.0.0.1']));
  });

  it('[GW-PROXIES] several headers of a name count in their order', async () => {
    const client = await open(['127.0.0.1'], ['198.51.100.0/24']);
    const send = (hops: string[]): Promise<number | undefined> =>
      new Promise((resolve, reject) => {
        const headers = {
          authorization: `Bearer ${client.token}`,
          'content-type': 'application/json',
          accept: 'application/json',
          'x-forwarded-for': hops,
        };
        const sent = request(client.url, { method: 'POST', headers }, (response) => {
          response.resume();
          resolve(response.statusCode);
        });
        sent.on('error', reject);
        sent.end(CALL);
      });
    expect(await send(['203.0.113.9', '198.51.100.7'])).toBe(200);
    expect(await send(['198.51.100.7', '203.0.113.9'])).toBe(401);
  });

  it('[GW-PROXIES] wrong admin tokens are counted under the client, too', async () => {
    await open(['127.0.0.1']);
    const headers = { authorization: 'Bearer wrong', 'x-forwarded-for': '203.0.113.9' };
    expect((await fetch(`${harness.base}api/v1/status`, { headers })).status).toBe(401);
    const refused = (await records()).filter((record) => record.decision?.rule === '(authentication)');
    expect(refused.map(({ source }) => source)).toEqual(['203.0.113.9']);
  });

  it('[GW-PROXIES-SPOOF, GW-HOST] what it says of host and scheme widens nothing', async () => {
    const client = await open(['127.0.0.1']);
    const headers = {
      'x-forwarded-host': 'localhost',
      'x-forwarded-proto': 'https',
      forwarded: 'for=1.2.3.4;host=localhost',
    };
    const status = await new Promise<number | undefined>((resolve, reject) => {
      const sent = request(client.url, { headers: { ...headers, host: 'evil.example.com' } }, (response) => {
        response.resume();
        resolve(response.statusCode);
      });
      sent.on('error', reject);
      sent.end();
    });
    expect(status).toBe(403);
  });

  it('[GW-PROXIES, GW-HEADERS] nothing of it goes on to the server', async () => {
    const client = await open(['127.0.0.1']);
    const headers = {
      forwarded: 'for=198.51.100.7',
      'x-forwarded-for': '198.51.100.7',
      'x-forwarded-proto': 'https',
      'x-forwarded-host': 'gate.example.com',
      'x-real-ip': '198.51.100.7',
      via: '1.1 proxy',
    };
    expect((await client.post(CALL, headers)).status).toBe(200);
    const [call] = upstream.calls();
    expect(Object.keys(call?.headers ?? {}).filter((name) => name in headers)).toEqual([]);
    expect(JSON.stringify(call?.headers)).not.toContain('198.51.100.7');
  });
});
