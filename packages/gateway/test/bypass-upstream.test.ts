// What a hostile or broken upstream can do to its clients, to others and to the gateway.

import type { ServerResponse } from 'node:http';
import { connect, type Socket } from 'node:net';
import { gzipSync } from 'node:zlib';
import type { RecordingUpstream } from '@gatehouse/testkit';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Harness, type RawClient } from './harness.ts';
import { answerWith, events, json, type Reply, tool } from './replies.ts';

const TOOLS = [tool('get_a'), tool('hidden_b')];
const POLICY = {
  version: '1',
  default: 'allow',
  hide: ['hidden_b'],
  resources: { allow: ['file:///srv/data/'] },
  prompts: { allow: ['hello'] },
  tools: { get_a: { limits: [{ counter: 'c', window: 'hour', max: 100_000 }] } },
};

describe('a hostile upstream', () => {
  let harness: Harness;
  let upstream: RecordingUpstream;
  let client: RawClient;

  beforeAll(async () => {
    harness = await Harness.open({ flags: { max_result: '64 KiB', idle_stream: '1s', call_deadline: '1s' } });
    upstream = await harness.record('rec', { tools: TOOLS });
    client = harness.client('rec', (await harness.grant('rec', POLICY)).token);
    await client.initialize();
  });
  beforeEach(() => upstream.forget());
  afterEach(() => {
    delete upstream.options.intercept;
    upstream.options.tools = TOOLS;
  });
  afterAll(() => harness.close());

  const answering = (method: string, reply: Reply): void => answerWith(upstream, method, reply);
  const OK = '"result":{"content":[{"type":"text","text":"ran"}]}}';
  const done = (id: string): string => `{"jsonrpc":"2.0","id":${id},${OK}`;
  /** Posts without a session, and never reads the answer. */
  const posting = (body: string): Socket => {
    const url = new URL(client.url);
    const socket = connect(Number(url.port), url.hostname);
    socket.pause();
    socket.write(
      `POST ${url.pathname} HTTP/1.1\r\nhost: ${url.host}\r\nauthorization: Bearer ${client.token}\r\n` +
        `content-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
    );
    return socket;
  };
  /** Waits until a number that grows has rested for a moment. */
  const still = async (read: () => number): Promise<void> => {
    let before = -1;
    for (let turn = 0; turn < 40 && (read() !== before || read() === 0); turn++) {
      before = read();
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  };
  /** Replies to a call that must not reach the client: what it gets is an error, in time. */
  const REFUSED: Record<string, Reply> = {
    'JSON labelled as an event stream': (response, id) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.end(done(id));
    },
    'an event stream labelled as JSON': (response, id) => json(response, `data: ${done(id)}\n\n`),
    'gzip that nobody asked for': (response, id) =>
      json(response, gzipSync(done(id)), 200, { 'content-encoding': 'gzip' }),
    'a redirect with an answer in it': (response, id, request) =>
      json(response, done(id), 302, { location: `http://${request.headers.host}/elsewhere` }),
    'a permanent redirect': (response, _id, request) => {
      response.writeHead(308, { location: `http://${request.headers.host}/elsewhere` });
      response.end();
    },
    '204 without a body': (response) => {
      response.writeHead(204);
      response.end();
    },
    '304 without a body': (response) => {
      response.writeHead(304);
      response.end();
    },
    '401 with an answer': (response, id) => json(response, done(id), 401),
    '403 without one': (response) => {
      response.writeHead(403);
      response.end('no');
    },
    '407 with an answer': (response, id) =>
      json(response, `{"jsonrpc":"2.0","id":${id},"error":{"code":1,"message":"m"}}`, 407),
    '500 with a page': (response) => json(response, '<html>', 500, { 'content-type': 'text/html' }),
    'two messages in one body': (response, id) => json(response, `${done(id)}\n${done(id)}`),
    'a batch': (response, id) => json(response, `[${done(id)}]`),
    'an id as text instead of a number': (response, id) => json(response, done(`"${id}"`)),
    'a key twice': (response, id) => json(response, `{"jsonrpc":"2.0","id":${id},"id":0,${OK}`),
    'a folded key': (response, id) =>
      json(response, `{"jsonrpc":"2.0","id":${id},"result":{"Tools":[{"name":"hidden_b"}]}}`),
    'invalid UTF-8': (response, id) =>
      json(response, Buffer.concat([Buffer.from(done(id).slice(0, -6)), Buffer.from([0xff]), Buffer.from('"}]}}')])),
    'nothing at all': (response) => response.destroy(),
    'a body that breaks off': (response, id) => {
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': '5000' });
      response.write(done(id), () => response.destroy());
    },
    'more than max_result': (response, id) =>
      json(response, `{"jsonrpc":"2.0","id":${id},"result":{"x":"${'x'.repeat(70_000)}"}}`),
    'an event larger than max_result': (response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.end(`data: ${'x'.repeat(70_000)}`);
    },
    'huge headers': (response, id) => json(response, done(id), 200, { 'x-big': 'x'.repeat(100_000) }),
  };
  it.each(Object.entries(REFUSED))('[T81, T82, T89, T94, GW-ANSWERS] %s becomes an error', async (_name, reply) => {
    answering('tools/call', reply);
    const { status, message, headers, text } = await client.call('get_a');
    expect(status === 200 ? message?.error?.code : status).toSatisfy((seen: number) => seen === -32011 || seen >= 500);
    expect(text).not.toContain('"ran"');
    expect(headers.get('location')).toBeNull();
    // Nothing is retried, and no redirect is followed.
    expect(upstream.requests).toHaveLength(1);
  });

  it('[T81] a second answer, and whatever follows the first, is dropped', async () => {
    answering('tools/call', (response, id) =>
      events(
        response,
        done(id),
        done(id).replace('ran', 'ran again'),
        '{"jsonrpc":"2.0","method":"notifications/message","params":{}}',
      ),
    );
    const { text } = await client.call('get_a');
    expect(text.match(/data: /g)).toHaveLength(1);
    expect(text).not.toContain('again');
  });

  it('[T81] an answer to another id and an unknown notification are dropped; the real answer passes', async () => {
    answering('tools/call', (response, id) =>
      events(response, done('99'), '{"jsonrpc":"2.0","method":"notifications/acme","params":{}}', done(id)),
    );
    expect((await client.call('get_a')).text.match(/data: /g)).toHaveLength(1);
  });

  it('[T82] a stream that stays open after its answer is closed', async () => {
    let closed: Promise<unknown> | undefined;
    answering('tools/call', (response, id) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(`data: ${done(id)}\n\n`);
      const timer = setInterval(() => response.write(': still here\n\n'), 100);
      closed = new Promise((resolve) => response.once('close', resolve)).finally(() => clearInterval(timer));
    });
    expect((await client.call('get_a')).text).toContain('"ran"');
    await closed;
  });

  it('[T82] never-ending progress ends with the call’s deadline, and the call counts', async () => {
    let timer: NodeJS.Timeout | undefined;
    answering('tools/call', (response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      timer = setInterval(
        () =>
          response.write(
            'data: {"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1,"progress":1}}\n\n',
          ),
        50,
      );
    });
    const { text } = await client.call('get_a');
    clearInterval(timer);
    expect(text).toContain('deadline');
    expect((await harness.gateway.audit.search({ tool: 'get_a', limit: 1 })).rows[0]?.outcome).toBe('unknown');
    expect(harness.gateway.gate.counters.stats().released).toBe(0);
  });

  it('[T82, GW-REFUSALS] a server that asks without end for what it may not is cut off', async () => {
    const ask = (id: number): string => `{"jsonrpc":"2.0","id":${id},"method":"sampling/createMessage","params":{}}`;
    answering('tools/call', (response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(Array.from({ length: 500 }, (_, id) => `data: ${ask(id)}\n\n`).join(''));
    });
    const { text } = await client.call('get_a');
    expect(text).toContain('keeps sending requests');
    expect(upstream.requests.filter((request) => request.message?.method === undefined).length).toBeLessThanOrEqual(64);
  });

  it('[T82] events without a message hold the upstream back when the client does not read', async () => {
    let written = 0;
    let stopped = false;
    answering('tools/call', (response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      const chunk = `id: ${'x'.repeat(1_000)}\n\n`.repeat(64);
      const pour = (): void => {
        while (!stopped && written < 64_000_000) {
          written += chunk.length;
          if (!response.write(chunk)) {
            response.once('drain', pour);
            return;
          }
        }
      };
      pour();
    });
    const socket = posting('{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"get_a"}}');
    await still(() => written);
    stopped = true;
    socket.destroy();
    expect(written).toBeGreaterThan(0);
    expect(written).toBeLessThan(32_000_000);
  });

  it('[T99, GW-STREAMS] a client that leaves while the upstream is held back lets the call go on to its end', async () => {
    const chunk = `data: {"jsonrpc":"2.0","method":"notifications/message","params":{"data":"${'x'.repeat(30_000)}"}}\n\n`;
    let written = 0;
    answering('tools/call', (response, id) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      const pour = (): void => {
        while (written < 600) {
          written += 1;
          if (!response.write(chunk)) {
            response.once('drain', pour);
            return;
          }
        }
        response.end(`data: ${done(id)}\n\n`);
      };
      pour();
    });
    const socket = posting('{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"get_a"}}');
    await still(() => written);
    expect(written).toBeLessThan(600);
    socket.destroy();
    await still(() => written);
    expect((await harness.gateway.audit.search({ tool: 'get_a', limit: 1 })).rows[0]?.outcome).toBe('allow');
  });

  it('[T83] a tool’s own error with a page in it passes as the data it is, and marks the outcome', async () => {
    const page = '<script>alert(1)</script>';
    answering('tools/call', (response, id) =>
      json(
        response,
        `{"jsonrpc":"2.0","id":${id},"result":{"isError":true,"content":[{"type":"text","text":"${page}"}]}}`,
      ),
    );
    const { headers, message } = await client.call('get_a');
    expect(headers.get('content-type')).toBe('application/json');
    expect(message?.result?.content?.[0]?.text).toBe(page);
    const row = (await harness.gateway.audit.search({ tool: 'get_a', limit: 1 })).rows[0];
    expect(row?.outcome).toBe('error');
    expect(JSON.stringify(row)).not.toContain('script');
  });

  it('[T91] cookies, sessions and CORS headers of the upstream stay there', async () => {
    answering('tools/call', (response, id) =>
      json(response, done(id), 200, {
        'set-cookie': 'a=b',
        'mcp-session-id': 'upstream-session-99',
        'access-control-allow-origin': '*',
        'www-authenticate': 'Bearer',
        'x-powered-by': 'upstream',
      }),
    );
    const { headers } = await client.call('get_a');
    expect([...headers.keys()].sort()).toEqual(['connection', 'content-length', 'content-type', 'date', 'keep-alive']);
  });

  it('[T91] a hostile session id of an upstream neither reaches the client nor ends the process', async () => {
    answering('initialize', (response, id) =>
      json(response, `{"jsonrpc":"2.0","id":${id},"result":{}}`, 200, { 'mcp-session-id': 'ÿ\tx' }),
    );
    const other = harness.client('rec', client.token);
    await other.initialize();
    expect(other.session).toMatch(/^gs1_[\w-]+$/);
    delete upstream.options.intercept;
    expect((await other.request('ping')).status).toBeGreaterThanOrEqual(200);
  });

  it.each([
    ['text', 404, 'Session not found'],
    ['JSON that is no message', 404, '{"error":"Session not found"}'],
  ])('[GW-SESSION] 404 with %s tells the client to open a new session', async (_name, status, text) => {
    answering('tools/call', (response) => json(response, text, status, { 'content-type': 'text/plain' }));
    const answer = await client.call('get_a');
    expect([answer.status, answer.message?.error?.code]).toEqual([404, -32001]);
  });

  it.each([
    [405, 'Cannot GET /mcp', 405],
    [401, 'no', 502],
    [302, '', 502],
    [500, 'oops', 502],
  ])('[GW-STREAMS] a stream that the upstream answers with %i', async (status, text, expected) => {
    upstream.options.intercept = (request, response) => {
      if (request.method !== 'GET') return false;
      response.writeHead(status, { 'content-type': 'text/plain', location: '/x' });
      response.end(text);
      return true;
    };
    const response = await fetch(client.url, {
      redirect: 'manual',
      headers: {
        authorization: `Bearer ${client.token}`,
        accept: 'text/event-stream',
        'mcp-session-id': client.session ?? '',
      },
    });
    expect([response.status, response.headers.get('location')]).toEqual([expected, null]);
  });

  it('[GW-STREAMS] a client that leaves while its GET waits for the log leaves no stream behind', async () => {
    const opened: ServerResponse[] = [];
    upstream.options.intercept = (request, response) => {
      if (request.method !== 'GET') return false;
      opened.push(response);
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(': open\n\n');
      return true;
    };
    const { audit } = harness.gateway;
    const append = audit.append.bind(audit);
    let left = (): void => {};
    const gone = new Promise<void>((resolve) => {
      left = resolve;
    });
    audit.append = async (...args) => {
      await gone;
      await append(...args);
    };
    const url = new URL(client.url);
    const socket = connect(Number(url.port), url.hostname);
    socket.write(
      `GET ${url.pathname} HTTP/1.1\r\nhost: ${url.host}\r\nauthorization: Bearer ${client.token}\r\nmcp-session-id: ${client.session}\r\n\r\n`,
    );
    await new Promise((resolve) => setTimeout(resolve, 50));
    socket.destroy();
    await new Promise((resolve) => setTimeout(resolve, 50));
    left();
    Reflect.deleteProperty(audit, 'append');
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(opened.filter((response) => !response.destroyed)).toHaveLength(0);
  });

  it('[T94] a server that is down or silent is an error in time, and others go on', async () => {
    const other = await harness.record('calm', { tools: TOOLS });
    const calm = harness.client('calm', (await harness.grant('calm', { version: '1', default: 'allow' }, 'zoe')).token);
    await calm.initialize();
    answering('tools/call', () => {});
    const silent = Array.from({ length: 20 }, () => client.call('get_a'));
    expect((await calm.call('get_a')).message?.result?.isError).toBeUndefined();
    expect((await Promise.all(silent)).map((answer) => answer.status)).toEqual(Array.from({ length: 20 }, () => 504));
    await other.close();
    expect((await calm.call('get_a')).status).toBe(502);
  });
});
