import type { RecordingUpstream } from '@gatehouse/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ADMIN, Harness, type RawClient } from './harness.ts';

const tool = (name: string, properties: Record<string, unknown> = {}, description = `Tool ${name}`) => ({
  name,
  description,
  inputSchema: { type: 'object', properties },
});

const TOOLS = [
  tool('get_thing', { id: { type: 'string' } }),
  tool('list_things', { n: { type: 'integer' } }),
  tool('delete_thing', { id: { type: 'string' } }),
  tool('secret_tool', {}),
];

describe('the path of one call', () => {
  let now = Date.parse('2026-11-02T10:00:00Z');
  let harness: Harness;
  let upstream: RecordingUpstream;
  let client: RawClient;

  beforeAll(async () => {
    harness = await Harness.open({ clock: () => now });
    upstream = await harness.record('rec', { tools: TOOLS });
    const { token } = await harness.grant('rec', {
      version: '1',
      default: 'deny',
      hide: ['secret_tool'],
      tools: {
        get_thing: { limits: [{ counter: 'gets', window: 'minute', max: 3 }] },
        list_things: { args: { n: { lte: 5 } } },
      },
    });
    client = harness.client('rec', token);
    await client.initialize();
  });
  afterAll(() => harness.close());

  it('[GW-BYTES, P2] forwards the very bytes that were judged', async () => {
    upstream.forget();
    const body =
      '{ "jsonrpc":"2.0","id":"ä\\u0041" , "method":"tools/call","params":{"name":"list_things","arguments":{"n": 5.0},"extra":9007199254740993}}\n';
    const answer = await client.post(body);
    expect(answer.message?.result?.content?.[0]?.text).toBe('ran list_things');
    expect(upstream.calls()[0]?.body.toString('utf8')).toBe(body);
  });

  it('[GW-CREDENTIALS, P6] keeps the client’s credentials and headers to itself', async () => {
    upstream.forget();
    await client.post('{"jsonrpc":"2.0","id":1,"method":"tools/list"}', {
      cookie: 'a=b',
      'x-forwarded-for': '1.2.3.4',
      'x-user': 'root',
    });
    const headers = upstream.requests[0]?.headers ?? {};
    expect(Object.keys(headers).sort()).toEqual([
      'accept',
      'connection',
      'content-length',
      'content-type',
      'host',
      'mcp-session-id',
      'user-agent',
    ]);
    expect(headers['mcp-session-id']).toMatch(/^upstream-session-/);
  });

  it('[GW-LISTS] lists what may be seen, and the rest of the page stays as it is', async () => {
    expect(await client.tools()).toEqual(['get_thing', 'list_things', 'delete_thing']);
  });

  it('[POL-DEFAULT, P5] denies a tool that the policy does not list, as a result that an agent can read', async () => {
    upstream.forget();
    const { status, message } = await client.call('delete_thing', { id: 'x' });
    expect(status).toBe(200);
    expect(message?.result?.isError).toBe(true);
    expect(message?.result?.content?.[0]?.text).toMatch(/^\[POLICY DENIED\] /);
    expect(message?.result?._meta?.['dev.gatehouse/decision']).toMatchObject({
      outcome: 'deny',
      rule: '(default deny)',
      policy: 'p-ana',
      version: 1,
    });
    expect(upstream.requests).toHaveLength(0);
  });

  it('[GW-CONCEALED] answers hidden and unknown tools with the same bytes', async () => {
    upstream.forget();
    const hidden = await client.post('{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"secret_tool"}}');
    const unknown = await client.post(
      '{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"no_such_tool"}}',
    );
    expect(hidden.message?.error?.code).toBe(-32602);
    expect(hidden.text.replace('secret_tool', 'no_such_tool')).toBe(unknown.text);
    expect(upstream.requests).toHaveLength(0);
    const rules = (await harness.gateway.audit.search({ limit: 2 })).rows.map((row) => row.rule);
    expect(rules.sort()).toEqual(['(hidden)', '(unknown tool)']);
  });

  it('[LIM-MAX, P4] lets exactly max calls pass in a window and says when the next may', async () => {
    upstream.forget();
    const answers = await Promise.all(Array.from({ length: 20 }, () => client.call('get_thing', { id: 'x' })));
    expect(answers.filter((answer) => answer.message?.result?.isError !== true)).toHaveLength(3);
    expect(upstream.calls('get_thing')).toHaveLength(3);
    const denied = answers.find((answer) => answer.message?.result?.isError === true)?.message?.result;
    const decision = denied?._meta?.['dev.gatehouse/decision'];
    expect(decision?.rule).toBe('/tools/get_thing/limits/0');
    expect(decision?.retryAfterMs).toBeGreaterThan(0);
    expect(decision?.retryAfterMs).toBeLessThanOrEqual(61_000);
  });

  it('[GW-METHODS, P5] refuses unknown methods and records it', async () => {
    upstream.forget();
    const { message } = await client.request('rpc.discover');
    expect(message?.error?.code).toBe(-32601);
    expect((await client.request('Tools/Call', { name: 'get_thing' })).message?.error?.code).toBe(-32601);
    expect(upstream.requests).toHaveLength(0);
    expect((await harness.gateway.audit.search({ limit: 1 })).rows[0]).toMatchObject({
      outcome: 'refuse',
      method: 'Tools/Call',
    });
  });

  it.each([
    ['no JSON', 'hello', -32700],
    ['a batch', '[{"jsonrpc":"2.0","id":1,"method":"ping"}]', -32600],
    ['a method twice', '{"jsonrpc":"2.0","id":1,"method":"tools/list","method":"tools/call"}', -32600],
    [
      'a folded key',
      '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"get_thing","Name":"delete_thing"}}',
      -32600,
    ],
    ['a call without an id', '{"jsonrpc":"2.0","method":"tools/call","params":{"name":"get_thing"}}', -32600],
    ['trailing bytes', '{"jsonrpc":"2.0","id":1,"method":"ping"} x', -32700],
  ])('[WIRE-REFUSE] answers %s with 400 and sends nothing on', async (_name, body, code) => {
    upstream.forget();
    const { status, message } = await client.post(body);
    expect(status).toBe(400);
    expect(message?.error?.code).toBe(code);
    expect(upstream.requests).toHaveLength(0);
  });

  it('[GW-BODY] takes JSON only, unencoded and up to the limit', async () => {
    expect((await client.post('{}', { 'content-type': 'text/plain' })).status).toBe(415);
    expect((await client.post('{}', { 'content-encoding': 'gzip' })).status).toBe(415);
    expect((await client.post(`"${'x'.repeat(4_200_000)}"`)).status).toBe(413);
  });

  it('[GW-401] answers every failure to authenticate alike', async () => {
    const bodies = new Set<string>();
    const other = await harness.gateway.services.grants.create({ server: 'rec', identity: 'bob' }, ADMIN);
    await harness.gateway.services.grants.revoke(other.grant.id, ADMIN);
    for (const token of ['', 'gh_x', `${client.token.slice(0, -1)}x`, other.secret ?? '']) {
      const answer = await harness.client('rec', token).post('{"jsonrpc":"2.0","id":1,"method":"ping"}');
      expect(answer.status).toBe(401);
      expect(answer.headers.get('www-authenticate')).toContain('Bearer');
      bodies.add(answer.text.replace(/Request \S+\./, ''));
    }
    const wrongServer = await harness.client('nope', client.token).post('{"jsonrpc":"2.0","id":1,"method":"ping"}');
    bodies.add(wrongServer.text.replace(/Request \S+\./, ''));
    expect(wrongServer.status).toBe(401);
    expect(bodies.size).toBe(1);
  });

  it('[GW-SESSION] answers foreign, ended and made-up sessions with 404', async () => {
    const { token } = await harness.grant('rec', { version: '1', default: 'allow' }, 'carl');
    const carl = harness.client('rec', token);
    await carl.initialize();
    const mine = carl.session ?? '';
    carl.session = client.session;
    expect((await carl.request('ping')).status).toBe(404);
    carl.session = 'gs1_made-up';
    expect((await carl.request('ping')).status).toBe(404);
    carl.session = mine;
    expect((await carl.request('ping')).status).toBe(200);
    const ended = await fetch(carl.url, {
      method: 'DELETE',
      headers: { authorization: `Bearer ${token}`, 'mcp-session-id': mine },
    });
    expect(ended.status).toBe(200);
    expect((await carl.request('ping')).status).toBe(404);
  });

  it('[GW-AGGREGATE] records wrong tokens of clients and of the API in aggregate, with their count', async () => {
    const other = await Harness.open();
    for (let attempt = 0; attempt < 3; attempt++) {
      await fetch(`${other.base}api/v1/status`, { headers: { authorization: 'Bearer gha_wrong' } });
      await other.client('rec', 'gh_wrong').request('ping');
    }
    const { audit } = other.gateway;
    const recorded = new Promise<string>((resolve) => {
      audit.tail(({ line }) => {
        if (line.includes('"kind":"aggregate"')) resolve(line);
      });
    });
    await other.close();
    expect(JSON.parse(await recorded)).toMatchObject({
      count: 6,
      decision: { outcome: 'unauthorized' },
      detail: { reasons: { admin_token: 3, malformed: 3 } },
    });
  });

  it('[GW-HOST] refuses a Host and an Origin of elsewhere', async () => {
    const response = await fetch(client.url, { method: 'POST', headers: { origin: 'https://evil.example' } });
    expect(response.status).toBe(403);
    expect(await response.text()).toContain('allowed_origins');
  });

  it('[AUD-INTENT, P3] records an intent before and an outcome after', async () => {
    now += 120_000;
    await client.call('get_thing', { id: 'canary-7f3a' });
    const row = (await harness.gateway.audit.search({ tool: 'get_thing', limit: 1 })).rows[0];
    expect(row).toMatchObject({ outcome: 'allow', identity: { name: 'ana' }, server: 'rec', tool: 'get_thing' });
    const lines = (await harness.gateway.audit.byRequestId(row?.requestId ?? '')).map((found) => JSON.stringify(found));
    expect(lines.join('\n')).not.toContain('canary-7f3a');
  });

  it('[GW-POLICY-EDIT] a policy edit holds from the next call, without a new session', async () => {
    const { services } = harness.gateway;
    await services.policies.put(
      'rec',
      'p-ana',
      { version: '1', default: 'deny', tools: { delete_thing: {} } },
      undefined,
      ADMIN,
    );
    expect((await client.call('delete_thing', { id: 'x' })).message?.result?.isError).toBeUndefined();
    expect((await client.call('list_things')).message?.result?.isError).toBe(true);
  });
});
