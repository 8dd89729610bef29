// What an upstream can do below MCP: break HTTP, answer twice, slip in what nobody asked for.
import type { Socket } from 'node:net';
import type { RecordingUpstream } from '@gatehouse/testkit';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Harness, type RawClient } from './harness.ts';

const TOOLS = [{ name: 'get_a', description: 'Tool get_a', inputSchema: { type: 'object', properties: {} } }];

describe('an upstream that breaks HTTP', () => {
  let harness: Harness;
  let upstream: RecordingUpstream;
  let client: RawClient;

  beforeAll(async () => {
    harness = await Harness.open({ flags: { call_deadline: '2s' } });
    upstream = await harness.record('rec', { tools: TOOLS });
    client = harness.client('rec', (await harness.grant('rec', { version: '1', default: 'allow' })).token);
    await client.initialize();
  });
  beforeEach(() => upstream.forget());
  afterEach(() => {
    delete upstream.options.intercept;
  });
  afterAll(() => harness.close());

  const text = (id: unknown, said: string): string =>
    `{"jsonrpc":"2.0","id":${JSON.stringify(id)},"result":{"content":[{"type":"text","text":"${said}"}]}}`;
  const framed = (body: string): string =>
    `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
  /** Answers calls with these bytes, in place of what a server of Node would say. */
  const saying = (make: (id: unknown) => string): void => {
    upstream.options.intercept = (request, response) => {
      if (request.message?.method !== 'tools/call') return false;
      (response.socket as Socket).write(make(request.message.id), 'latin1');
      return true;
    };
  };

  it.each([
    ['two lengths', 'content-length: 5\r\ncontent-length: 5\r\n', 'it has the header field content-length twice'],
    ['length and chunks', 'content-length: 5\r\ntransfer-encoding: chunked\r\n', 'both content-length and'],
    ['two content types', 'content-type: a/b\r\ncontent-type: text/event-stream\r\n', 'content-type twice'],
    ['an encoding', 'content-encoding: br\r\ncontent-length: 5\r\n', 'it is encoded'],
    ['line ends of its own', 'content-length: 5\n', 'does not end with CRLF'],
  ])('[NET-HTTP-STRICT, LIM-COUNTS] %s: the call fails with the reason, and counts', async (_name, fields, reason) => {
    saying((id) => `HTTP/1.1 200 OK\r\n${fields}\r\n${text(id, 'ran')}`);
    const { status, message, text: seen } = await client.call('get_a');
    expect(status).toBe(502);
    expect(message?.error?.message).toContain(reason);
    expect(seen).not.toContain('"ran"');
    expect(upstream.calls('get_a')).toHaveLength(1);
    expect((await harness.gateway.audit.search({ tool: 'get_a', limit: 1 })).rows[0]?.outcome).toBe('unknown');
  });

  it('[NET-HTTP-REUSE] a second response reaches nobody, whether it comes with the first or after it', async () => {
    saying((id) => framed(text(id, 'first')) + framed(text(id, 'slipped in')));
    expect((await client.call('get_a')).text).toContain('first');
    delete upstream.options.intercept;
    expect((await client.call('get_a')).text).toContain('ran get_a');

    let socket: Socket | undefined;
    upstream.options.intercept = (request, response) => {
      if (request.message?.method !== 'tools/call') return false;
      socket = response.socket as Socket;
      socket.write(framed(text(request.message.id, 'first')));
      return true;
    };
    expect((await client.call('get_a')).text).toContain('first');
    const closed = new Promise((resolve) => socket?.once('close', resolve));
    socket?.write(framed(text(3, 'slipped in')));
    await closed;
    delete upstream.options.intercept;
    expect((await client.call('get_a')).text).toContain('ran get_a');
  });

  it('[NET-HTTP-FRAMING] interim responses and drips are one answer', async () => {
    upstream.options.intercept = (request, response) => {
      if (request.message?.method !== 'tools/call') return false;
      const socket = response.socket as Socket;
      const bytes = `HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n${framed(text(request.message.id, 'dripped'))}`;
      let at = 0;
      const drip = (): void => {
        socket.write(bytes.slice(at, at + 7));
        at += 7;
        if (at < bytes.length) setImmediate(drip);
      };
      drip();
      return true;
    };
    const { status, text: seen } = await client.call('get_a');
    expect(status).toBe(200);
    expect(seen).toContain('dripped');
  });
});
