// What a client may see and read: lists on any path, results that ask back, resources, prompts, definitions that flip.
import type { RecordingUpstream } from '@gatehouse/testkit';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ADMIN, Harness, type RawClient } from './harness.ts';
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
const MODERN = { 'io.modelcontextprotocol/protocolVersion': '2026-07-28' };

describe('what may be seen', () => {
  let harness: Harness;
  let upstream: RecordingUpstream;
  let client: RawClient;

  beforeAll(async () => {
    harness = await Harness.open();
    upstream = await harness.record('rec', { tools: TOOLS });
    client = harness.client('rec', (await harness.grant('rec', POLICY)).token);
    await client.initialize();
  });
  beforeEach(() => upstream.forget());
  afterEach(() => {
    delete upstream.options.intercept;
  });
  afterAll(() => harness.close());

  const answering = (method: string, reply: Reply): void => answerWith(upstream, method, reply);
  const modern = (method: string, params: Record<string, unknown>, name?: string) =>
    harness
      .client('rec', client.token)
      .post(JSON.stringify({ jsonrpc: '2.0', id: 7, method, params: { ...params, _meta: MODERN } }), {
        'mcp-protocol-version': '2026-07-28',
        'mcp-method': method,
        ...(name === undefined ? {} : { 'mcp-name': name }),
      });

  it('[T31] a hidden tool stays hidden on later pages, in streams, in notifications’ wake and in other answers', async () => {
    const list = JSON.stringify({ tools: TOOLS, nextCursor: '' });
    answering('tools/list', (response, id) =>
      events(
        response,
        '{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}',
        `{"jsonrpc":"2.0","id":${id},"result":${list}}`,
      ),
    );
    const page = await client.request('tools/list', { cursor: 'next' });
    expect(page.text).toContain('get_a');
    expect(page.text).not.toContain('hidden_b');
    expect(page.message?.result?.nextCursor).toBe('');
    for (const method of ['resources/list', 'prompts/list', 'ping', 'resources/read']) {
      answering(method, (response, id) => json(response, `{"jsonrpc":"2.0","id":${id},"result":${list}}`));
      const { text } = await client.request(method, method === 'resources/read' ? { uri: 'file:///srv/data/a' } : {});
      expect([method, text.includes('hidden_b')]).toEqual([method, false]);
    }
    upstream.options.intercept = (request, response) => {
      if (request.method !== 'GET') return false;
      events(response, `{"jsonrpc":"2.0","id":5,"result":${list}}`);
      return true;
    };
    const stream = await fetch(client.url, {
      headers: {
        authorization: `Bearer ${client.token}`,
        accept: 'text/event-stream',
        'mcp-session-id': client.session ?? '',
      },
    });
    expect(await stream.text()).not.toContain('hidden_b');
  });

  it('[T93] a filtered list is nobody else’s', async () => {
    answering('tools/list', (response, id) =>
      json(response, `{"jsonrpc":"2.0","id":${id},"result":{"cacheScope":"public","tools":[]}}`),
    );
    expect((await client.request('tools/list')).message?.result?.cacheScope).toBe('private');
  });

  it.each([
    ['sampling', { a: { method: 'sampling/createMessage', params: {} } }, false],
    ['roots', { a: { method: 'roots/list' } }, false],
    ['elicitation', { a: { method: 'elicitation/create', params: {} } }, true],
    [
      'elicitation and sampling',
      { a: { method: 'elicitation/create' }, b: { method: 'sampling/createMessage' } },
      false,
    ],
    ['something unknown', { a: { method: 'acme/ask' } }, false],
    ['no method', { a: {} }, false],
    ['no object', ['elicitation/create'], false],
  ])('[GW-INPUT-REQUIRED] a result of 2026-07-28 that asks for %s', async (_name, inputRequests, passes) => {
    answering('tools/call', (response, id) =>
      json(
        response,
        `{"jsonrpc":"2.0","id":${id},"result":{"resultType":"input_required","inputRequests":${JSON.stringify(inputRequests)}}}`,
      ),
    );
    const { text } = await modern('tools/call', { name: 'get_a' }, 'get_a');
    expect(text.includes('inputRequests')).toBe(passes);
  });

  it('[GW-ELICIT] revision 2026-07-28: a capability that will be refused is not declared', async () => {
    const meta = {
      ...MODERN,
      'io.modelcontextprotocol/clientCapabilities': { sampling: {}, elicitation: {}, roots: {} },
    };
    await harness
      .client('rec', client.token)
      .post(JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'get_a', _meta: meta } }), {
        'mcp-protocol-version': '2026-07-28',
        'mcp-method': 'tools/call',
        'mcp-name': 'get_a',
      });
    const sent = upstream.calls()[0]?.message?.params?._meta as Record<string, unknown>;
    expect(sent['io.modelcontextprotocol/clientCapabilities']).toEqual({ elicitation: {} });
  });

  it.each([
    'file:///etc/passwd',
    'file:///srv/data/../../etc/passwd',
    'file:///srv/data/%2e%2e/secret',
    'file:///srv/data-evil/x',
    'FILE:///srv/data/x',
    'file:///srv/data\\..\\x',
    'file://evil/srv/data/x',
    'http://169.254.169.254/latest/meta-data',
  ])('[T86] %s is neither read nor subscribed to', async (uri) => {
    for (const method of ['resources/read', 'resources/subscribe', 'resources/unsubscribe']) {
      expect((await client.request(method, { uri })).message?.error?.code).toBe(-32010);
    }
    expect(
      (
        await client.request('completion/complete', {
          ref: { type: 'ref/resource', uri },
          argument: { name: 'a', value: '' },
        })
      ).message?.error,
    ).toBeDefined();
    for (const notifications of [{ resourceSubscriptions: [uri] }, { ResourceSubscriptions: [uri] }]) {
      expect((await modern('subscriptions/listen', { notifications })).message?.error).toBeDefined();
    }
    expect(upstream.requests).toHaveLength(0);
  });

  it('[T87] a prompt that the policy does not list is denied, and is not completed either', async () => {
    expect((await client.request('prompts/get', { name: 'other' })).message?.error?.code).toBe(-32010);
    expect(
      (await client.request('completion/complete', { ref: { type: 'ref/prompt', name: 'other' } })).message?.error
        ?.code,
    ).toBe(-32010);
    expect(
      (await client.request('completion/complete', { ref: { type: 'ref/prompt', Name: 'hello' } })).message?.error,
    ).toBeDefined();
    expect(upstream.requests).toHaveLength(0);
  });
});

describe('definitions that flip', () => {
  const first = [tool('get_a'), tool('get_b')];
  const worse = [
    tool('get_a', { inputSchema: { type: 'object', properties: { path: { type: 'string' } } } }),
    tool('get_b'),
  ];
  let harness: Harness;
  let client: RawClient;
  let serve: (tools: Record<string, unknown>[]) => Promise<void>;
  const denied = async (): Promise<string | undefined> =>
    (await client.call('get_a')).message?.result?._meta?.['dev.gatehouse/decision']?.rule;
  const accept = () => harness.gateway.services.definitions.accept('rec', [{ name: 'get_a' }], ADMIN);

  beforeEach(async () => {
    harness = await Harness.open();
    const upstream = await harness.record('rec', { tools: first });
    client = harness.client('rec', (await harness.grant('rec', { version: '1', default: 'allow' })).token);
    await client.initialize();
    serve = async (tools) => {
      upstream.options.tools = tools;
      await client.request('tools/list');
    };
  });
  afterEach(() => harness.close());

  it('[T33, T34, T35] a definition that flips is denied until a person accepts it; neither leaving the list nor going back heals it', async () => {
    await serve(worse);
    expect(await denied()).toBe('(definition changed)');
    await serve([tool('get_b')]);
    await harness.gateway.readDefinitions('rec', { actor: ADMIN });
    expect(await denied()).toBe('(definition changed)');
    await serve(first);
    expect(await denied()).toBe('(definition changed)');
    await serve(worse);
    expect(await denied()).toBe('(definition changed)');
    await serve(first);
    await accept();
    expect(await denied()).toBeUndefined();
  });

  it('[T35, DEF-INPUT] a definition that was seen long ago is a change again, once another one was accepted', async () => {
    await serve(first);
    await serve(first);
    await serve(worse);
    await accept();
    expect(await denied()).toBeUndefined();
    await serve(first);
    expect(await denied()).toBe('(definition changed)');
  });
});
