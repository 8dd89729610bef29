// A change of the configuration that changes what a client sees in a list: who is told of it, and who is not.
import type { ServerResponse } from 'node:http';
import { setImmediate } from 'node:timers/promises';
import type { RecordingUpstream } from '@gatehouse/testkit';
import { SseParser } from '@gatehouse/wire';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ADMIN, Harness, type RawClient, type RpcMessage } from './harness.ts';
import { SseClient, until } from './sse-peers.ts';

const tool = (name: string, description = 'Reads') => ({
  name,
  description,
  inputSchema: { type: 'object', properties: {} },
});
const OPEN = { version: '1', default: 'allow' };
const META = {
  'io.modelcontextprotocol/protocolVersion': '2026-07-28',
  'io.modelcontextprotocol/clientCapabilities': {},
};
const TOOLS = 'notifications/tools/list_changed';
const PROMPTS = 'notifications/prompts/list_changed';
const RESOURCES = 'notifications/resources/list_changed';

describe('a list that a change of the configuration changes', () => {
  let harness: Harness;
  let upstream: RecordingUpstream;
  let ana: RawClient;
  let grants: Record<'ana' | 'ben', string>;
  let capabilities: Record<string, unknown>;
  let hasStream: boolean;
  let acknowledged: Record<string, boolean>;
  const ends: AbortController[] = [];
  const held = new Set<ServerResponse>();

  const put = (document: unknown, name = 'p-ana') =>
    harness.gateway.services.policies.put('rec', name, document, undefined, ADMIN);
  /** A change whose notification would be on its way by the end of this. */
  const settled = async (): Promise<void> => {
    for (let turn = 0; turn < 5; turn++) await setImmediate();
  };

  beforeAll(async () => {
    harness = await Harness.open();
    upstream = await harness.record('rec', { tools: [tool('get_a'), tool('get_b')] });
    const [first, second] = [await harness.grant('rec', OPEN), await harness.grant('rec', OPEN, 'ben')];
    grants = { ana: first.id, ben: second.id };
    ana = harness.client('rec', first.token);
    upstream.options.intercept = (request, response) => {
      const hold = (text: string): true => {
        held.add(response);
        response.once('close', () => held.delete(response));
        response.writeHead(200, { 'content-type': 'text/event-stream' }).write(text);
        return true;
      };
      if (request.method === 'GET') return hasStream && hold(': open\n\n');
      const { id, method, params } = request.message ?? {};
      if (method === 'initialize') {
        const result = {
          protocolVersion: params?.protocolVersion,
          capabilities,
          serverInfo: { name: 'r', version: '1' },
        };
        response.writeHead(200, { 'content-type': 'application/json', 'mcp-session-id': 'up' });
        response.end(JSON.stringify({ jsonrpc: '2.0', id, result }));
        return true;
      }
      if (method !== 'subscriptions/listen') return false;
      const _meta = { 'io.modelcontextprotocol/subscriptionId': id };
      const ack = { jsonrpc: '2.0', method: 'notifications/subscriptions/acknowledged' };
      return hold(`data: ${JSON.stringify({ ...ack, params: { notifications: acknowledged, _meta } })}\n\n`);
    };
  });
  beforeEach(async () => {
    capabilities = { tools: { listChanged: true }, prompts: { listChanged: true }, resources: {} };
    hasStream = true;
    acknowledged = { toolsListChanged: true, promptsListChanged: true };
    await put(OPEN);
    await settled();
  });
  afterEach(async () => {
    for (const end of ends.splice(0)) end.abort();
    await until(() => held.size === 0, 'the end of the streams');
  });
  afterAll(() => harness.close());

  /** The messages of a stream, as they come. */
  async function read(client: RawClient, init: RequestInit): Promise<RpcMessage[]> {
    const end = new AbortController();
    ends.push(end);
    const before = held.size;
    const response = await fetch(client.url, {
      ...init,
      signal: end.signal,
      headers: { authorization: `Bearer ${client.token}`, ...init.headers },
    });
    const messages: RpcMessage[] = [];
    const parser = new SseParser({
      maxEventBytes: 1_000_000,
      onEvent: ({ data }) => messages.push(JSON.parse(Buffer.from(data).toString()) as RpcMessage),
    });
    void (async () => {
      for await (const chunk of response.body as ReadableStream<Uint8Array>) parser.push(chunk);
    })().catch(() => undefined);
    await until(() => held.size > before, 'the stream');
    return messages;
  }
  const get = (client: RawClient) =>
    read(client, { headers: { accept: 'text/event-stream', 'mcp-session-id': client.session ?? '' } });
  const listen = (notifications: object, id: string | number = 'l:1') =>
    read(ana, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        'mcp-protocol-version': '2026-07-28',
        'mcp-method': 'subscriptions/listen',
      },
      body: JSON.stringify({
        jsonrpc: '2.0',
        id,
        method: 'subscriptions/listen',
        params: { notifications, _meta: META },
      }),
    });
  const methods = (messages: RpcMessage[]) => messages.map(({ method }) => method);

  it('[GW-LISTCHANGED] an edit of the policy that hides a tool is told once, on the stream of the session', async () => {
    await ana.initialize();
    const messages = await get(ana);
    await put({ ...OPEN, hide: ['get_b'] });
    await until(() => messages.length > 0);
    await settled();
    expect(messages).toEqual([{ jsonrpc: '2.0', method: TOOLS }]);
    expect(await ana.tools()).toEqual(['get_a']);
  });

  it('[GW-LISTCHANGED] an edit that changes no list of this client is not told', async () => {
    await ana.initialize();
    const messages = await get(ana);
    await put({ ...OPEN, tools: { get_a: { limits: [{ counter: 'c', window: 'hour', max: 3 }] } } });
    await settled();
    await put({ ...OPEN, hide: ['get_a'] }, 'p-ben');
    await settled();
    await put({ ...OPEN, hide: ['get_b'] });
    await until(() => messages.length > 0);
    await settled();
    expect(methods(messages)).toEqual([TOOLS]);
  });

  it('[GW-LISTCHANGED] what the server did not declare is not told, and prompts are told apart from tools', async () => {
    await ana.initialize();
    const messages = await get(ana);
    await put({ ...OPEN, resources: { deny: ['file:///a'] } });
    await settled();
    await put({ ...OPEN, prompts: { deny: ['greet'] } });
    await until(() => messages.length > 0);
    await settled();
    expect(methods(messages)).toEqual([PROMPTS]);

    capabilities = { tools: {}, resources: { listChanged: true } };
    const other = harness.client('rec', ana.token);
    await other.initialize();
    const told = await get(other);
    await put({ ...OPEN, hide: ['get_b'], resources: { deny: ['file:///b'] } });
    await until(() => told.length > 0);
    await settled();
    expect(methods(told)).toEqual([RESOURCES]);
  });

  it('[GW-LISTCHANGED] another policy of the grant, and none, are told like an edit', async () => {
    await ana.initialize();
    const messages = await get(ana);
    const { grants: service, policies } = harness.gateway.services;
    await policies.put('rec', 'p-other', { ...OPEN, hide: ['get_a'] }, undefined, ADMIN);
    await service.update(grants.ana, { policy: 'p-other' }, undefined, ADMIN);
    await until(() => messages.length > 0);
    await settled();
    expect(methods(messages)).toEqual([TOOLS]);
    await service.update(grants.ana, { policy: 'p-ana' }, undefined, ADMIN);
    await until(() => messages.length > 1);
    expect(methods(messages)).toEqual([TOOLS, TOOLS]);
    await service.update(grants.ana, { policy: null }, undefined, ADMIN);
    await until(() => messages.length > 3);
    expect(methods(messages.slice(2))).toEqual([TOOLS, PROMPTS]);
    await service.update(grants.ana, { policy: 'p-ana' }, undefined, ADMIN);
  });

  it('[GW-LISTCHANGED, DEF-TEXT] a definition is told when it is accepted, not when it is first seen', async () => {
    await ana.initialize();
    const messages = await get(ana);
    upstream.options.tools = [tool('get_a', 'Reads another thing'), tool('get_b'), tool('get_c')];
    await harness.gateway.readDefinitions('rec', { actor: ADMIN });
    await settled();
    expect(messages).toEqual([]);
    await harness.gateway.services.definitions.accept('rec', 'all', ADMIN);
    await until(() => messages.length > 0);
    await settled();
    expect(methods(messages)).toEqual([TOOLS]);
    expect(await ana.tools()).toEqual(['get_a', 'get_b', 'get_c']);
  });

  it('[GW-LISTCHANGED] of several streams of a session one is told, the newest; each session is told', async () => {
    await ana.initialize();
    const other = harness.client('rec', ana.token);
    await other.initialize();
    const [older, newer, beside] = [await get(ana), await get(ana), await get(other)];
    await put({ ...OPEN, hide: ['get_b'] });
    await until(() => newer.length > 0 && beside.length > 0);
    await settled();
    expect([older, newer, beside].map(methods)).toEqual([[], [TOOLS], [TOOLS]]);
  });

  it('[GW-LISTCHANGED] a session whose server is not known to declare it is told nothing', async () => {
    await ana.initialize();
    const messages = await get(ana);
    harness.gateway.gate.listChanges.forget(ana.session ?? '');
    const other = harness.client('rec', ana.token);
    await other.initialize();
    const told = await get(other);
    await put({ ...OPEN, hide: ['get_b'] });
    await until(() => told.length > 0);
    await settled();
    expect(messages).toEqual([]);
  });

  it.each([true, false])(
    '[GW-LISTCHANGED, GW-SSE-OLD] a client of HTTP+SSE is told once; server stream: %s',
    async (has) => {
      hasStream = has;
      const client = await SseClient.open(harness.proxyUrl('rec'), ana.token);
      try {
        await client.initialize();
        if (has) await until(() => held.size > 0, 'the stream of the upstream');
        const before = client.messages.length;
        await settled();
        await put({ ...OPEN, hide: ['get_b'] });
        await until(() => client.messages.length > before);
        await settled();
        await client.request('ping');
        expect(methods(client.messages.slice(before))).toEqual([TOOLS, undefined]);
      } finally {
        client.leave();
      }
    },
  );

  it('[GW-LISTCHANGED] a subscription is told with its id, of what it asked for and the server granted', async () => {
    const all = { toolsListChanged: true, promptsListChanged: true, resourcesListChanged: true };
    const whole = await listen(all);
    const promptsOnly = await listen({ promptsListChanged: true }, 7);
    await until(() => whole.length === 1 && promptsOnly.length === 1, 'the acknowledgements');
    await put({ ...OPEN, hide: ['get_b'], resources: { deny: ['file:///a'] }, prompts: { deny: ['greet'] } });
    await until(() => whole.length > 2 && promptsOnly.length > 1);
    await settled();
    const tagged = (method: string, id: unknown) => ({
      jsonrpc: '2.0',
      method,
      params: { _meta: { 'io.modelcontextprotocol/subscriptionId': id } },
    });
    expect(whole.slice(1)).toEqual([tagged(TOOLS, 'l:1'), tagged(PROMPTS, 'l:1')]);
    expect(promptsOnly.slice(1)).toEqual([tagged(PROMPTS, 7)]);
  });

  it('[GW-LISTCHANGED, P1] tells clients alone: nothing of it reaches the server, and no closed stream is kept', async () => {
    await ana.initialize();
    const messages = await get(ana);
    upstream.forget();
    await put({ ...OPEN, hide: ['get_b'] });
    await until(() => messages.length > 0);
    expect(upstream.requests).toEqual([]);
    for (const end of ends.splice(0)) end.abort();
    await until(() => held.size === 0);
    await until(() => harness.gateway.gate.listChanges.watching === 0, 'the end of the watch');
  });
});
