// Servers that speak HTTP+SSE of 2024-11-05 only, behind the gateway.
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { SSEServerTransport } from '@modelcontextprotocol/sdk/server/sse.js';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { ADMIN, Harness, type RawClient } from './harness.ts';
import { OldServer, until } from './sse-peers.ts';

const TOOLS = ['get_a', 'delete_b', 'hidden_c'].map((name) => ({
  name,
  inputSchema: { type: 'object', properties: {} },
}));
const POLICY = { version: '1', default: 'deny', hide: ['hidden_c'], tools: { get_a: {} } };

let harness: Harness;
let old: OldServer;
let token: string;
let evil = 0;

beforeAll(async () => {
  harness = await Harness.open({ flags: { call_deadline: '2s' } });
  old = await OldServer.start();
  old.tools = TOOLS;
  await harness.gateway.services.servers.create(
    {
      slug: 'old',
      transport: { kind: 'sse', url: old.url },
      settings: { serverRequests: { elicitation: true, sampling: false, roots: false } },
      credentials: { kind: 'headers', values: { 'X-Key': 'k-1' } },
    },
    ADMIN,
  );
  await harness.gateway.readDefinitions('old', { accept: true, actor: ADMIN });
  ({ token } = await harness.grant('old', POLICY));
});
beforeEach(() => {
  old.requests.length = 0;
});
afterEach(() => {
  old.intercept = undefined;
  old.endpoint = undefined;
  old.refuseStream = undefined;
});
afterAll(async () => {
  await harness.close();
  await old.close();
});

/** After a broken stream the next one waits for the back-off, and says so. */
async function open(secret = token): Promise<RawClient> {
  const client = harness.client('old', secret);
  for (let turn = 0; turn < 100; turn++) {
    const answer = await client.initialize();
    if (answer.status === 200) return client;
    expect(answer.message?.error?.message).toContain('tried again in');
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error('the server did not come back');
}
const text = (answer: { message: { result?: { content?: { text: string }[] } } | undefined }) =>
  answer.message?.result?.content?.[0]?.text;
const lastOutcome = async (tool: string) => (await harness.gateway.audit.search({ tool, limit: 1 })).rows[0]?.outcome;

describe('a server of HTTP+SSE', () => {
  it('[GW-SSE-UPSTREAM, P1] is called under policy, each session in a stream of its own, with its credentials', async () => {
    const [one, two] = [await open(), await open()];
    const texts = [text(await one.call('get_a')), text(await two.call('get_a'))];
    expect(texts[0]).toMatch(/^ran get_a in \d+$/);
    expect(new Set(texts).size).toBe(2);
    expect(old.streamHeaders?.['x-key']).toBe('k-1');
    expect(old.received('tools/call')[0]?.headers).toMatchObject({
      'x-key': 'k-1',
      'content-type': 'application/json',
    });
    expect(old.received('tools/call')[0]?.headers.authorization).toBeUndefined();
    expect((await one.call('delete_b')).message?.result?.isError).toBe(true);
    expect(old.received('tools/call').map(({ message }) => message.params?.name)).toEqual(['get_a', 'get_a']);
    expect((await one.call('get_a')).status).toBe(200);
    expect(await one.tools()).toEqual(['get_a', 'delete_b']);
    expect((await one.call('hidden_c')).message?.error?.code).toBe(-32602);
  });

  it('[GW-SSE-UPSTREAM, P2] gets the very bytes, but for the id, and the client the very answer', async () => {
    const client = await open();
    const result = '{"content":[],"n":9007199254740993,"x":1.0,"\\u0041":"ä"}';
    old.intercept = (request, response) => {
      if (request.message.method !== 'tools/call') return false;
      response.writeHead(202).end();
      const id = JSON.stringify(request.message.id);
      old.streams.get(request.session)?.write(`data: {"jsonrpc":"2.0","id":${id},\ndata: "result":${result}}\n\n`);
      return true;
    };
    const body = (id: string): string =>
      `{ "method":"tools/call" ,"id":${id}, "jsonrpc":"2.0","params":{"name":"get_a","arguments":{},"n":1.0}}`;
    const answer = await client.post(body('"ä"'));
    expect(answer.text).toContain(result);
    expect(answer.message?.id).toBe('ä');
    const sent = old.received('tools/call')[0];
    expect(sent?.body).toBe(body(String(sent?.message.id)));
  });

  it('[GW-SSE-UPSTREAM] routes answers by id, whatever their order, and progress by its token', async () => {
    const client = await open();
    const waiting: (() => void)[] = [];
    old.intercept = (request, response) => {
      if (request.message.method !== 'tools/call') return false;
      response.writeHead(202).end();
      const { n, _meta } = request.message.params as { n: number; _meta: { progressToken: unknown } };
      waiting.push(() => {
        const params = { progressToken: _meta.progressToken, progress: n };
        old.say(request.session, { jsonrpc: '2.0', method: 'notifications/progress', params });
        old.reply(request, { content: [{ type: 'text', text: `answer ${n}` }] });
      });
      return true;
    };
    const calls = [1, 2, 3].map((n) =>
      client.request('tools/call', { name: 'get_a', n, _meta: { progressToken: `t${n}` } }),
    );
    await until(() => waiting.length === 3);
    for (const answer of waiting.reverse()) answer();
    const answers = await Promise.all(calls);
    expect(answers.map(text)).toEqual(['answer 1', 'answer 2', 'answer 3']);
    answers.forEach((answer, at) => {
      expect(answer.text).toContain(`"progressToken":"t${at + 1}"`);
    });
  });

  it('[GW-SSE-UPSTREAM, P5] a request of the server that may not pass is answered to it, and does not arrive', async () => {
    const client = await open();
    old.intercept = (request, response) => {
      if (request.message.method !== 'tools/call') return false;
      response.writeHead(202).end();
      old.say(request.session, { jsonrpc: '2.0', id: 77, method: 'sampling/createMessage', params: {} });
      void until(() => old.requests.some(({ message }) => message.id === 77)).then(() => old.reply(request, {}));
      return true;
    };
    const answer = await client.call('get_a');
    expect(answer.text).not.toContain('sampling');
    expect(old.requests.find(({ message }) => message.id === 77)?.message.error).toMatchObject({ code: -32601 });
  });

  it('[GW-SSE-UPSTREAM, LIM-COUNTS] a stream that breaks fails its calls at once, with the outcome unknown, and the session', async () => {
    const client = await open();
    old.intercept = (request, response) => {
      if (request.message.method !== 'tools/call') return false;
      response.writeHead(202).end();
      response.once('close', () => old.streams.get(request.session)?.destroy());
      return true;
    };
    const began = performance.now();
    const answer = await client.call('get_a');
    expect(performance.now() - began).toBeLessThan(1_500);
    expect(answer.message?.error?.message).toContain('event stream ended before it answered');
    expect(await lastOutcome('get_a')).toBe('unknown');
    old.intercept = undefined;
    expect((await client.call('get_a')).status).toBe(404);
    expect(text(await (await open()).call('get_a'))).toContain('ran get_a');
  });

  it('[GW-SSE-UPSTREAM] a stream that breaks fails at once what the server did not take yet', async () => {
    const client = await open();
    old.intercept = (request) => {
      if (request.message.method !== 'notifications/progress') return false;
      old.streams.get(request.session)?.destroy();
      return true;
    };
    const began = performance.now();
    const params = { progressToken: 1, progress: 1 };
    const sent = { jsonrpc: '2.0', method: 'notifications/progress', params };
    expect((await client.post(JSON.stringify(sent))).status).toBe(502);
    expect(performance.now() - began).toBeLessThan(1_500);
  });

  it('[GW-SSE-UPSTREAM] a call whose stream broke may run on: its slot is held until its deadline', async () => {
    const slot = { concurrent: 1 };
    const { token: sam } = await harness.grant(
      'old',
      { version: '1', default: 'deny', tools: { get_a: { limits: [slot] } } },
      'sam',
    );
    const client = await open(sam);
    old.intercept = (request, response) => {
      if (request.message.method !== 'tools/call') return false;
      response.writeHead(202).end();
      response.once('close', () => old.streams.get(request.session)?.destroy());
      return true;
    };
    expect((await client.call('get_a')).message?.error?.message).toContain('event stream ended');
    old.intercept = undefined;
    const again = await open(sam);
    expect((await again.call('get_a')).message?.result?.isError).toBe(true);
  });

  it('[GW-SSE-UPSTREAM] a message that the server does not take fails its call alone', async () => {
    const client = await open();
    old.intercept = (request, response) => {
      if (request.message.method !== 'tools/call') return false;
      response.writeHead(500).end('no');
      return true;
    };
    expect((await client.call('get_a')).message?.error?.message).toContain('did not take the message (HTTP 500)');
    old.intercept = undefined;
    expect((await client.call('get_a')).status).toBe(200);
  });

  it('[GW-SSE-UPSTREAM, T81] a call that is not answered ends at its deadline, and its late answer is dropped', async () => {
    const client = await open();
    let late: (() => void) | undefined;
    old.intercept = (request) => {
      if (request.message.method !== 'tools/call') return false;
      late = () => old.reply(request, { content: [{ type: 'text', text: 'late' }] });
      return true;
    };
    expect((await client.call('get_a')).status).toBe(504);
    late?.();
    old.intercept = undefined;
    expect(text(await client.call('get_a'))).toContain('ran get_a');
  });

  it.each([
    ['another origin', () => 'http://169.254.169.254/latest'],
    ['another port', () => 'http://127.0.0.1:1/messages'],
    ['another scheme', () => old.origin.replace('http:', 'https:')],
    ['an address without a host', () => '//evil.example/messages'],
    ['no URL', () => 'http://['],
    ['a script', () => 'javascript:alert(1)'],
  ])(
    '[GW-SSE-UPSTREAM, T89] an address for messages that is %s is refused, and nothing is sent',
    async (_name, address) => {
      old.endpoint = address;
      evil += 1;
      await expect(harness.server(`evil-${evil}`, { kind: 'sse', url: old.url })).rejects.toThrow(
        /the address for messages that it gives is (no URL|of another origin)/,
      );
      expect(old.requests).toEqual([]);
    },
  );

  it('[GW-SSE-UPSTREAM] an address that has no stream is told so', async () => {
    old.refuseStream = 403;
    await expect(harness.server('shut', { kind: 'sse', url: old.url })).rejects.toThrow(
      /did not accept the credentials/,
    );
    const url = `${old.origin}/elsewhere`;
    await expect(harness.server('elsewhere', { kind: 'sse', url })).rejects.toThrow(/HTTP 404 without an event stream/);
  });

  it('[GW-SSE-UPSTREAM] DELETE of the session ends its stream', async () => {
    const client = await open();
    const before = old.streams.size;
    const response = await fetch(client.url, {
      method: 'DELETE',
      headers: { authorization: `Bearer ${token}`, 'mcp-session-id': client.session ?? '' },
    });
    expect(response.status).toBe(200);
    await until(() => old.streams.size === before - 1);
    expect((await client.call('get_a')).status).toBe(404);
  });

  it('[GW-SSE-UPSTREAM] what it says beside calls comes on the stream of its session, and of no other', async () => {
    const [one, two] = [await open(), await open()];
    const listen = (client: RawClient) =>
      fetch(client.url, {
        headers: { authorization: `Bearer ${token}`, 'mcp-session-id': client.session ?? '' },
      });
    const [mine, others] = [await listen(one), await listen(two)];
    const session =
      text(await one.call('get_a'))
        ?.split(' ')
        .at(-1) ?? '';
    old.say(session, { jsonrpc: '2.0', method: 'notifications/message', params: { level: 'info', data: 'mine' } });
    old.streams.get(session)?.end();
    expect(await mine.text()).toContain('"mine"');
    const other =
      text(await two.call('get_a'))
        ?.split(' ')
        .at(-1) ?? '';
    old.streams.get(other)?.end();
    expect(await others.text()).not.toContain('"mine"');
  });
});

describe('registration', () => {
  it('[GW-SSE-UPSTREAM] an address that speaks HTTP+SSE alone is named so, with what to do', async () => {
    const { servers } = harness.gateway.services;
    await servers.create({ slug: 'wrong', transport: { kind: 'http', url: old.url } }, ADMIN);
    await expect(harness.gateway.readDefinitions('wrong', { accept: true, actor: ADMIN })).rejects.toThrow(
      /HTTP 405.*HTTP\+SSE.*"kind": "sse"/,
    );
    const { revision } = servers.get('wrong');
    await servers.update('wrong', { transport: { kind: 'sse', url: old.url } }, revision, ADMIN);
    await harness.gateway.readDefinitions('wrong', { accept: true, actor: ADMIN });
    expect(harness.gateway.services.definitions.list('wrong').map(({ name }) => name)).toEqual([
      'delete_b',
      'get_a',
      'hidden_c',
    ]);
  });
});

describe('a server of the SDK', () => {
  let listener: Server;
  const transports = new Map<string, SSEServerTransport>();
  beforeAll(async () => {
    listener = createServer((request, response) => {
      const url = new URL(request.url ?? '', 'http://localhost');
      if (request.method === 'GET' && url.pathname === '/sse') {
        const transport = new SSEServerTransport('/messages', response);
        transports.set(transport.sessionId, transport);
        const server = new McpServer({ name: 'sdk-sse', version: '1.0.0' });
        server.registerTool('add', { inputSchema: { a: z.number(), b: z.number() } }, ({ a, b }) => ({
          content: [{ type: 'text', text: String(a + b) }],
        }));
        void server.connect(transport);
      } else {
        void transports.get(url.searchParams.get('sessionId') ?? '')?.handlePostMessage(request, response);
      }
    });
    await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  });
  afterAll(() => {
    listener.closeAllConnections();
    listener.close();
  });

  it('[GW-SSE-UPSTREAM] is registered, listed and called', async () => {
    const url = `http://127.0.0.1:${(listener.address() as AddressInfo).port}/sse`;
    await harness.server('sdk', { kind: 'sse', url });
    const client = harness.client('sdk', (await harness.grant('sdk', { version: '1', default: 'allow' }, 'sue')).token);
    expect((await client.initialize()).message?.result?.serverInfo).toMatchObject({ name: 'sdk-sse' });
    expect(await client.tools()).toEqual(['add']);
    expect(text(await client.call('add', { a: 2, b: 3 }))).toBe('5');
  });
});
