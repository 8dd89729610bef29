// Clients of HTTP+SSE (revision 2024-11-05) at /mcp/<server>/sse.

import type { ServerResponse } from 'node:http';
import { connect as connectTo } from 'node:net';
import type { RecordingUpstream } from '@gatehouse/testkit';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js';
import { ElicitRequestSchema, LoggingMessageNotificationSchema } from '@modelcontextprotocol/sdk/types.js';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ADMIN, Harness } from './harness.ts';
import { OldServer, SseClient, until } from './sse-peers.ts';

const TOOLS = ['get_a', 'delete_b', 'hidden_c'].map((name) => ({
  name,
  inputSchema: { type: 'object', properties: {} },
}));
const POLICY = { version: '1', default: 'deny', hide: ['hidden_c'], tools: { get_a: {} } };
const CALL = '{"jsonrpc":"2.0","id":"c1","method":"tools/call","params":{"name":"get_a"}}';

/** Writes these bytes, and reads until the other side ends. */
function raw(port: number, text: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = connectTo(port, '127.0.0.1', () => socket.write(text));
    let seen = '';
    socket.on('data', (chunk: Buffer) => {
      seen += chunk.toString();
    });
    socket.setTimeout(5_000, () => socket.destroy());
    socket.on('error', () => undefined);
    socket.on('close', () => resolve(seen));
  });
}

describe('a client of HTTP+SSE', () => {
  let harness: Harness;
  let upstream: RecordingUpstream;
  let token: string;
  let grant: string;
  /** GET streams that the gateway opened at the upstream. */
  const streams = new Set<ServerResponse>();
  const clients: SseClient[] = [];

  beforeAll(async () => {
    harness = await Harness.open({ flags: { max_streams: 3, max_body: 10_000 } });
    upstream = await harness.record('rec', { tools: TOOLS });
    ({ token, id: grant } = await harness.grant('rec', POLICY));
  });
  beforeEach(() => {
    upstream.forget();
    upstream.options.intercept = (request, response) => {
      if (request.method !== 'GET') return false;
      streams.add(response);
      response.once('close', () => streams.delete(response));
      response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders();
      return true;
    };
  });
  afterEach(async () => {
    for (const client of clients.splice(0)) client.leave();
    await until(() => streams.size === 0, 'the end of the streams');
  });
  afterAll(() => harness.close());

  async function connect(secret = token, headers: Record<string, string> = {}): Promise<SseClient> {
    const client = await SseClient.open(harness.proxyUrl('rec'), secret, headers);
    clients.push(client);
    return client;
  }
  async function open(): Promise<SseClient> {
    const client = await connect();
    await client.initialize();
    await until(() => streams.size > 0, 'the stream of the upstream');
    return client;
  }

  it('[GW-SSE-OLD] is told where to post first, and has its answers on the stream', async () => {
    const client = await open();
    expect([client.firstEvent, client.endpoint]).toEqual([
      'endpoint',
      expect.stringMatching(/^\/mcp\/rec\/message\?s=gss_[\w-]+$/) as string,
    ]);
    expect(client.response?.headers['content-type']).toBe('text/event-stream');
    expect(client.response?.headers['mcp-session-id']).toBeUndefined();
    const posted = await client.post(CALL);
    expect([posted.status, await posted.text()]).toEqual([202, '']);
    await until(() => client.answer('c1') !== undefined);
    expect(client.texts.at(-1)).toBe(
      '{"jsonrpc":"2.0","id":"c1","result":{"content":[{"type":"text","text":"ran get_a"}]}}',
    );
    expect(upstream.calls()[0]?.body.toString()).toBe(CALL);
    expect(upstream.calls()[0]?.headers['mcp-session-id']).toMatch(/^upstream-session-/);
    const row = (await harness.gateway.audit.search({ tool: 'get_a', limit: 1 })).rows[0];
    expect([row?.identity?.name, row?.outcome]).toEqual(['ana', 'allow']);
  });

  it('[GW-SSE-OLD, P1, T130] policy holds as on the proxy URL: the same answers, byte for byte', async () => {
    const client = await open();
    const modern = harness.client('rec', token);
    await modern.initialize();
    for (const [method, params] of [
      ['tools/list', {}],
      ['tools/call', { name: 'get_a', arguments: {} }],
      ['tools/call', { name: 'hidden_c', arguments: {} }],
      ['tools/call', { name: 'unknown_d', arguments: {} }],
      ['tasks/get', { taskId: 'x' }],
      ['nope', {}],
      ['ping', {}],
    ] as const) {
      const body = JSON.stringify({ jsonrpc: '2.0', id: `${method} ${JSON.stringify(params)}`, method, params });
      const expected = (await modern.post(body)).text;
      const before = client.texts.length;
      expect((await client.post(body)).status).toBe(202);
      await until(() => client.texts.length > before);
      expect(client.texts.at(-1)).toBe(expected);
    }
    const denied = await client.call('delete_b');
    expect(denied.result?.isError).toBe(true);
    expect(denied.result?._meta?.['dev.gatehouse/decision']?.outcome).toBe('deny');
    expect(upstream.calls('delete_b')).toHaveLength(0);
    expect(upstream.calls('hidden_c')).toHaveLength(0);
  });

  it('[GW-SSE-OLD] a body that is no message is told to its POST; several calls run beside each other', async () => {
    const client = await open();
    for (const body of [
      '{',
      '[]',
      '{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}',
      '{"jsonrpc":"1.0","method":"ping","id":1}',
    ]) {
      const response = await client.post(body);
      expect([body, response.status]).toEqual([body, 400]);
      expect(await response.text()).toContain('"error"');
    }
    const waiting: (() => void)[] = [];
    const intercept = upstream.options.intercept;
    upstream.options.intercept = (request, response) => {
      if (request.message?.method !== 'tools/call') return intercept?.(request, response) ?? false;
      const id = JSON.stringify(request.message.id);
      waiting.push(() => {
        response.writeHead(200, { 'content-type': 'application/json' });
        response.end(`{"jsonrpc":"2.0","id":${id},"result":{"content":[]}}`);
      });
      return true;
    };
    for (let id = 100; id < 130; id++) await client.post(CALL.replace('"c1"', String(id)));
    await until(() => waiting.length === 30);
    for (const answer of waiting.reverse()) answer();
    await until(() => client.answer(100) !== undefined && client.answer(129) !== undefined);
    expect(new Set(client.messages.map(({ id }) => id)).size).toBeGreaterThanOrEqual(30);
  });

  it('[GW-SSE-OLD, GW-STREAMS] hears what the server says beside calls, also on a stream that had to be opened again', async () => {
    const client = await open();
    const say = (data: string, id?: string): void => {
      const message = `{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"${data}"}}`;
      for (const stream of streams) stream.write(`${id === undefined ? '' : `id: ${id}\n`}data: ${message}\n\n`);
    };
    say('one', 'e1');
    await until(() => client.texts.some((text) => text.includes('"one"')));
    for (const stream of streams) stream.end();
    await until(() => streams.size === 0);
    await until(() => streams.size === 1, 'the stream again');
    const gets = upstream.requests.filter(({ method }) => method === 'GET');
    expect(gets.at(-1)?.headers['last-event-id']).toBe('e1');
    say('two');
    await until(() => client.texts.some((text) => text.includes('"two"')));
  });

  it('[GW-SSE-OLD, GW-SESSION] the end of the stream ends the session upstream, and its address opens nothing more', async () => {
    const client = await open();
    const { address } = client;
    client.leave();
    await until(() => upstream.requests.some(({ method }) => method === 'DELETE'));
    const ended = upstream.requests.find(({ method }) => method === 'DELETE');
    expect(ended?.headers['mcp-session-id']).toBe(
      upstream.received('notifications/initialized')[0]?.headers['mcp-session-id'],
    );
    expect((await client.post(CALL, {}, address)).status).toBe(404);
    expect(upstream.calls()).toHaveLength(0);
  });

  it('[GW-SSE-OLD, GW-SESSION] a second initialize ends the session of the first', async () => {
    const client = await open();
    await client.initialize();
    await until(() => upstream.requests.some(({ method }) => method === 'DELETE'));
    expect((await client.call('get_a')).result).toBeDefined();
    const [first, second] = upstream
      .received('notifications/initialized')
      .map(({ headers }) => headers['mcp-session-id']);
    expect(upstream.requests.find(({ method }) => method === 'DELETE')?.headers['mcp-session-id']).toBe(first);
    expect(upstream.calls()[0]?.headers['mcp-session-id']).toBe(second);
  });

  it('[GW-SSE-OLD, GW-MAX-STREAMS] streams are as many of a grant as the setting says', async () => {
    for (let count = 0; count < 3; count++) expect((await connect()).status).toBe(200);
    const further = await connect();
    expect(further.status).toBe(429);
    await until(() => further.ended);
    expect(further.body).toContain('max_streams');
    clients[0]?.leave();
    for (let turn = 0; turn < 100 && (await connect()).status !== 200; turn++) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    expect(clients.at(-1)?.status).toBe(200);
  });

  it('[GW-SSE-OLD, GW-STREAMS] a client that does not read gets no further answers made', async () => {
    upstream.options.callResult = () => JSON.stringify({ content: [{ type: 'text', text: 'x'.repeat(4_000_000) }] });
    const client = await open();
    client.response?.pause();
    const statuses: number[] = [];
    for (let id = 1; id < 60 && statuses.at(-1) !== 429; id++) {
      statuses.push((await client.post(CALL.replace('"c1"', String(id)))).status);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    expect(statuses.at(-1)).toBe(429);
    const refused = await harness.gateway.audit.search({ server: 'rec', rule: '(streams)', limit: 1 });
    expect(refused.rows[0]?.message).toContain('is not read');
    client.response?.resume();
    delete upstream.options.callResult;
    await until(() => client.answer(1) !== undefined);
    await until(() => client.texts.length >= upstream.calls().length);
    expect((await client.call('get_a')).result).toBeDefined();
  });

  describe('cannot get round', () => {
    it('[GW-SSE-OLD, T67] an address is its grant’s: nobody else’s, not a chosen one, not one that was changed', async () => {
      const client = await open();
      upstream.forget();
      const good = new URL(client.address).searchParams.get('s') ?? '';
      const bob = (await harness.grant('rec', POLICY, 'bob')).token;
      const at = (query: string) => new URL(`/mcp/rec/message${query}`, harness.base).href;
      expect((await client.post(CALL, { authorization: `Bearer ${bob}` })).status).toBe(404);
      const session = harness.client('rec', token);
      await session.initialize();
      for (const query of [
        '',
        '?s=',
        '?s=x',
        `?S=${good}`,
        `?s=${good}&s=${good}`,
        `?s=${good}=`,
        `?s=${good.slice(0, -1)}`,
        `?s=${good.replace('gss_', 'gs1_')}`,
        `?s=${session.session}`,
        `?sessionId=${good}`,
      ]) {
        expect([query, (await client.post(CALL, {}, at(query))).status]).toEqual([query, 404]);
      }
      // Nor is it a session of the proxy URL, nor does it count there.
      session.session = good;
      expect((await session.call('get_a')).status).toBe(404);
      expect(upstream.calls()).toHaveLength(0);
      // What a header says of a session does not count beside the address.
      expect((await client.post(CALL, { 'mcp-session-id': 'gs1_foreign' })).status).toBe(202);
      await until(() => client.answer('c1') !== undefined);
      expect(upstream.calls()).toHaveLength(1);
    });

    it('[GW-SSE-OLD, T67] an address of another server opens nothing on this one', async () => {
      await harness.record('second', { tools: TOOLS });
      await harness.gateway.services.policies.put('second', 'p-second', POLICY, undefined, ADMIN);
      const { grants, tokens } = harness.gateway.services;
      const second = await grants.create(
        { server: 'second', identity: 'ana', policy: 'p-second', token: false },
        ADMIN,
      );
      const both = await tokens.create({ identity: 'ana', grants: [grant, second.grant.id] }, ADMIN);
      const client = await connect(both.secret);
      await client.initialize();
      const { search } = new URL(client.address);
      const response = await client.post(CALL, {}, new URL(`/mcp/second/message${search}`, harness.base).href);
      expect(response.status).toBe(404);
      expect((await client.post(CALL)).status).toBe(202);
    });

    it('[GW-SSE-OLD, T63] the token is needed on the stream and on each POST, once', async () => {
      const client = await open();
      upstream.forget();
      for (const authorization of [
        undefined,
        '',
        'Bearer gh_x',
        `Basic ${token}`,
        `Bearer ${token}, Bearer ${token}`,
      ]) {
        expect([authorization, (await client.post(CALL, { authorization })).status]).toEqual([authorization, 401]);
      }
      expect(
        (await client.post(CALL, { authorization: undefined }, `${client.address}&access_token=${token}`)).status,
      ).toBe(401);
      const { host, pathname, search, port } = new URL(client.address);
      const bearer = `authorization: Bearer ${token}\r\n`;
      for (const headers of [
        bearer + bearer,
        `${bearer}authorization: Bearer gh_x\r\n`,
        `authorization: x\r\n${bearer}`,
      ]) {
        const head = `${headers}host: ${host}\r\nconnection: close\r\n`;
        const post = `POST ${pathname}${search} HTTP/1.1\r\n${head}content-type: application/json\r\ncontent-length: ${CALL.length}\r\n\r\n${CALL}`;
        expect(await raw(Number(port), post)).toMatch(/^HTTP\/1.1 401 /);
        expect(await raw(Number(port), `GET /mcp/rec/sse HTTP/1.1\r\n${head}\r\n`)).toMatch(/^HTTP\/1.1 401 /);
      }
      expect((await fetch(`${harness.proxyUrl('rec')}/sse`)).status).toBe(401);
      expect((await fetch(`${harness.proxyUrl('rec')}/sse?token=${token}`)).status).toBe(401);
      expect(upstream.requests).toHaveLength(0);
    });

    it('[GW-SSE-OLD, GW-HOST, T119] Host, Origin, type, encoding and size of a POST are checked', async () => {
      const client = await open();
      upstream.forget();
      const cases: [Record<string, string>, string, number][] = [
        [{ origin: 'https://evil.example' }, CALL, 403],
        [{ 'content-type': 'text/plain' }, CALL, 415],
        [{ 'content-type': 'application/json; charset=utf-16' }, CALL, 415],
        [{ 'content-encoding': 'gzip' }, CALL, 415],
        [{}, CALL.replace('get_a', 'a'.repeat(20_000)), 413],
      ];
      for (const [headers, body, status] of cases) {
        expect([headers, (await client.post(body, headers)).status]).toEqual([headers, status]);
      }
      expect((await connect(token, { origin: 'https://evil.example' })).status).toBe(403);
      expect((await connect(token, { host: 'evil.example' })).status).toBe(403);
      expect(upstream.requests).toHaveLength(0);
    });

    it('[GW-SSE-OLD, GW-ERAS] a message of revision 2026-07-28 has no place here', async () => {
      const client = await open();
      upstream.forget();
      const meta = '{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}';
      for (const headers of [{}, { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/list' }]) {
        const before = client.texts.length;
        await client.post(`{"jsonrpc":"2.0","id":5,"method":"tools/list","params":${meta}}`, headers);
        await until(() => client.texts.length > before);
        expect(client.messages.at(-1)?.error?.code).toBe(-32020);
      }
      expect(upstream.requests).toHaveLength(0);
    });

    it('[GW-SSE-OLD, GW-REVOKE, T65] revocation ends the stream within a second, and nothing more is taken', async () => {
      const carl = await harness.grant('rec', POLICY, 'carl');
      const client = await connect(carl.token);
      await client.initialize();
      const { address } = client;
      await harness.gateway.services.grants.revoke(carl.id, ADMIN);
      const began = performance.now();
      expect((await client.post(CALL, {}, address)).status).toBe(401);
      await until(() => client.ended, 'the end of the stream');
      expect(performance.now() - began).toBeLessThan(1_100);
      expect(upstream.calls()).toHaveLength(0);
    });

    it('[GW-SSE-OLD] a change of the server ends the streams that were opened to what it was', async () => {
      const client = await open();
      const { servers } = harness.gateway.services;
      const { revision } = servers.get('rec');
      await servers.update('rec', { settings: { trusted: true } }, revision, ADMIN);
      expect((await client.post(CALL)).status).toBe(404);
      await until(() => client.ended, 'the end of the stream');
    });
  });
});

describe('a client of the SDK', () => {
  it('[GW-SSE-OLD, GW-SSE-UPSTREAM] speaks through the gateway with an old server: calls, progress, questions, logging', async () => {
    const harness = await Harness.open();
    const old = await OldServer.start();
    old.tools = TOOLS;
    try {
      await harness.server('old', { kind: 'sse', url: old.url });
      const { token } = await harness.grant('old', POLICY);
      const headers = { authorization: `Bearer ${token}` };
      const transport = new SSEClientTransport(new URL(`${harness.proxyUrl('old')}/sse`), {
        requestInit: { headers },
        eventSourceInit: { fetch: (url, init) => fetch(url, { ...init, headers: { ...init?.headers, ...headers } }) },
      });
      const client = new Client({ name: 'sdk', version: '1' }, { capabilities: { elicitation: {} } });
      const logged: unknown[] = [];
      client.setNotificationHandler(LoggingMessageNotificationSchema, ({ params }) => {
        logged.push(params.data);
      });
      client.setRequestHandler(ElicitRequestSchema, () => ({ action: 'accept', content: { name: 'Ada' } }));
      await client.connect(transport);
      expect((await client.listTools()).tools.map(({ name }) => name)).toEqual(['get_a', 'delete_b']);
      old.intercept = (request, response) => {
        const { message, session } = request;
        if (message.method === 'tools/call') {
          response.writeHead(202).end();
          const progressToken = (message.params as { _meta: { progressToken: unknown } })._meta.progressToken;
          const params = { progressToken, progress: 1, total: 2 };
          old.say(session, { jsonrpc: '2.0', method: 'notifications/progress', params });
          old.say(session, {
            jsonrpc: '2.0',
            id: 'q1',
            method: 'elicitation/create',
            params: { message: 'Who?', requestedSchema: { type: 'object', properties: { name: { type: 'string' } } } },
          });
          return true;
        }
        if (message.id !== 'q1') return false;
        response.writeHead(202).end();
        const call = old.received('tools/call').at(-1);
        const name = (message.result as { content: { name: string } }).content.name;
        if (call !== undefined) old.reply(call, { content: [{ type: 'text', text: `hello ${name}` }] });
        return true;
      };
      const progress: number[] = [];
      const result = await client.callTool({ name: 'get_a', arguments: {} }, undefined, {
        onprogress: (step) => progress.push(step.progress),
      });
      expect([result.content, progress]).toEqual([[{ type: 'text', text: 'hello Ada' }], [1]]);
      const session = old.received('tools/call')[0]?.session ?? '';
      old.say(session, { jsonrpc: '2.0', method: 'notifications/message', params: { level: 'info', data: 'said' } });
      await until(() => logged.includes('said'));
      await client.close();
      await until(() => !old.streams.has(session), 'the end of the upstream stream');
    } finally {
      await harness.close();
      await old.close();
    }
  });

  it('[GW-SSE-OLD, GW-CLOSE] has the answer under way before a gateway that stops ends its stream and its session', async () => {
    const harness = await Harness.open();
    try {
      const upstream = await harness.record('rec', { tools: TOOLS });
      const { token } = await harness.grant('rec', POLICY);
      const client = await SseClient.open(harness.proxyUrl('rec'), token);
      await client.initialize();
      let answer: (() => void) | undefined;
      let ended = false;
      upstream.options.intercept = (request, response) => {
        if (request.method === 'DELETE') {
          setTimeout(() => {
            ended = !response.destroyed;
            response.end();
          }, 100);
          return true;
        }
        if (request.message?.method !== 'tools/call') return false;
        answer = () => response.end('{"jsonrpc":"2.0","id":"c1","result":{"content":[]}}');
        response.writeHead(200, { 'content-type': 'application/json' }).flushHeaders();
        return true;
      };
      await client.post(CALL);
      await until(() => answer !== undefined);
      const closing = harness.gateway.close();
      answer?.();
      await closing;
      await until(() => client.ended);
      expect(client.answer('c1')).toBeDefined();
      expect(upstream.requests.filter(({ method }) => method === 'DELETE')).toHaveLength(1);
      expect(ended).toBe(true);
    } finally {
      await harness.close();
    }
  });

  it('[GW-SSE-OLD] ends its stream when the stream of the old server ends, with the calls under way', async () => {
    const harness = await Harness.open();
    const old = await OldServer.start();
    old.tools = TOOLS;
    try {
      await harness.server('old', { kind: 'sse', url: old.url });
      const { token } = await harness.grant('old', POLICY);
      const client = await SseClient.open(harness.proxyUrl('old'), token);
      await client.initialize();
      old.intercept = (request, response) => {
        if (request.message.method !== 'tools/call') return false;
        response.writeHead(202).end();
        response.once('close', () => old.streams.get(request.session)?.destroy());
        return true;
      };
      expect((await client.call('get_a')).error?.message).toContain('event stream ended');
      await until(() => client.ended, 'the end of the stream');
    } finally {
      await harness.close();
      await old.close();
    }
  });
});
