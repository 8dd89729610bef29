// Revision 2026-07-28: no sessions; the version is in every message, and headers must say what the body says.
import type { RecordingUpstream } from '@gatehouse/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Answer, Harness, type RawClient } from './harness.ts';

const META = {
  'io.modelcontextprotocol/protocolVersion': '2026-07-28',
  'io.modelcontextprotocol/clientCapabilities': {},
};

describe('the stateless revision', () => {
  let harness: Harness;
  let upstream: RecordingUpstream;
  let client: RawClient;
  const send = (method: string, params: Record<string, unknown>, headers: Record<string, string>): Promise<Answer> =>
    client.post(JSON.stringify({ jsonrpc: '2.0', id: 1, method, params: { ...params, _meta: META } }), headers);
  const right = { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/call', 'mcp-name': 'get_a' };

  beforeAll(async () => {
    harness = await Harness.open();
    upstream = await harness.record('rec', {
      tools: [
        {
          name: 'get_a',
          inputSchema: { type: 'object', properties: { region: { type: 'string', 'x-mcp-header': 'Region' } } },
        },
        { name: 'hidden_b', inputSchema: { type: 'object', properties: {} } },
      ],
    });
    const { token } = await harness.grant('rec', { version: '1', default: 'allow', hide: ['hidden_b'] });
    client = harness.client('rec', token);
  });
  afterAll(() => harness.close());

  it('[GW-ERAS] judges and forwards a call without a session, with its headers', async () => {
    upstream.forget();
    const answer = await send('tools/call', { name: 'get_a', arguments: {} }, right);
    expect(answer.message?.result?.content?.[0]?.text).toBe('ran get_a');
    expect(upstream.calls()[0]?.headers).toMatchObject(right);
    expect(upstream.calls()[0]?.headers['mcp-session-id']).toBeUndefined();
  });

  it('[GW-ERAS] says that a denied call is complete', async () => {
    const { message } = await send(
      'tools/call',
      { name: 'get_a', arguments: { region: 7 } },
      { ...right, 'mcp-param-region': '7' },
    );
    expect(message?.result).toMatchObject({ isError: true, resultType: 'complete' });
  });

  it.each([
    ['another tool in the header', { ...right, 'mcp-name': 'get_b' }, {}],
    ['another method in the header', { ...right, 'mcp-method': 'tools/list' }, {}],
    ['no method in the header', { 'mcp-protocol-version': '2026-07-28', 'mcp-name': 'get_a' }, {}],
    ['no version in the header', { 'mcp-method': 'tools/call', 'mcp-name': 'get_a' }, {}],
    ['another version in the header', { ...right, 'mcp-protocol-version': '2025-06-18' }, {}],
    ['a session', { ...right, 'mcp-session-id': 'gs1_x' }, {}],
    ['another argument in the header', { ...right, 'mcp-param-region': 'eu' }, { region: 'us' }],
    ['an argument without its header', right, { region: 'us' }],
    ['another version in the body', { ...right, 'mcp-protocol-version': '2025-11-25' }, {}],
    ['an argument in base64 without its padding', { ...right, 'mcp-param-region': '=?base64?dXM?=' }, { region: 'us' }],
    ['an argument in base64 with spare bits', { ...right, 'mcp-param-region': '=?base64?dXN=?=' }, { region: 'us' }],
    ['a name in base64 that is another one', { ...right, 'mcp-name': '=?base64?Z2V0X2I=?=' }, {}],
  ])('[GW-HEADERS] refuses %s', async (_name, headers, args) => {
    upstream.forget();
    const { status, message } = await send('tools/call', { name: 'get_a', arguments: args }, headers);
    expect([status, message?.error?.code]).toEqual([400, -32020]);
    expect(upstream.requests).toHaveLength(0);
  });

  it('[GW-HEADERS] takes a name in base64 and an argument that its header carries', async () => {
    const headers = { ...right, 'mcp-name': '=?base64?Z2V0X2E=?=', 'mcp-param-region': 'us' };
    const { message } = await send('tools/call', { name: 'get_a', arguments: { region: 'us' } }, headers);
    expect(message?.result?.isError).toBeUndefined();
  });

  it('[GW-HEADERS] tells nothing of a hidden tool by its headers', async () => {
    const { status, message } = await send('tools/call', { name: 'hidden_b', arguments: {} }, right);
    expect([status, message?.error?.code]).toEqual([200, -32602]);
  });

  it('[GW-HEADERS] refuses a version that it does not speak, and a legacy body under a modern header', async () => {
    const meta = { ...META, 'io.modelcontextprotocol/protocolVersion': '2031-01-01' };
    const unknown = await client.post(
      JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/list', params: { _meta: meta } }),
    );
    expect([unknown.status, unknown.message?.error?.code]).toEqual([400, -32022]);
    expect(unknown.message?.error?.data).toEqual({ supported: ['2026-07-28'], requested: '2031-01-01' });
    const mixed = await client.post('{"jsonrpc":"2.0","id":1,"method":"tools/list"}', {
      'mcp-protocol-version': '2026-07-28',
    });
    expect([mixed.status, mixed.message?.error?.code]).toEqual([400, -32602]);
    const told = await client.post('{"jsonrpc":"2.0","id":1,"method":"tools/list"}', {
      'mcp-protocol-version': '2031-01-01',
    });
    expect(told.message?.error).toMatchObject({ code: -32022, data: { requested: '2031-01-01' } });
  });

  it.each([
    ['initialize', { capabilities: {} }],
    ['ping', {}],
    ['resources/subscribe', { uri: 'a://b' }],
    ['resources/subscribe', {}],
  ])('[GW-METHODS, GW-ERAS] answers %s %j with 404: this revision does not have it', async (method, params) => {
    upstream.forget();
    const { status, message } = await send(method, params, { ...right, 'mcp-method': method });
    expect([status, message?.error?.code]).toEqual([404, -32601]);
    expect(upstream.requests).toHaveLength(0);
  });

  it.each(['initialize', 'ping', 'logging/setLevel', 'resources/subscribe', 'resources/unsubscribe', 'tasks/list'])(
    '[GW-METHODS] %s of the revisions with sessions is unknown to the stateless one',
    async (method) => {
      upstream.forget();
      const { status, message } = await send(method, { uri: 'file:///a' }, { ...right, 'mcp-method': method });
      expect([status, message?.error?.code]).toEqual([404, -32601]);
      expect(upstream.requests).toHaveLength(0);
      const { rows } = await harness.gateway.audit.search({ limit: 1 });
      expect(rows[0]).toMatchObject({ outcome: 'refuse', rule: '(unknown method)', method });
    },
  );

  it.each(['server/discover', 'subscriptions/listen', 'tasks/update'])(
    '[GW-METHODS] %s of the stateless revision is unknown to those with sessions',
    async (method) => {
      const legacy = harness.client('rec', client.token);
      await legacy.initialize();
      upstream.forget();
      const { status, message } = await legacy.request(method, {});
      expect([status, message?.error?.code]).toEqual([200, -32601]);
      expect(upstream.requests).toHaveLength(0);
    },
  );

  it('[GW-METHODS] a notification of another revision goes nowhere', async () => {
    upstream.forget();
    const body = JSON.stringify({ jsonrpc: '2.0', method: 'notifications/initialized', params: { _meta: META } });
    const headers = { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'notifications/initialized' };
    expect((await client.post(body, headers)).status).toBe(202);
    expect(upstream.requests).toHaveLength(0);
  });

  it('[GW-METHODS] answers an unknown method with 404', async () => {
    const { status, message } = await send('rpc.discover', {}, { ...right, 'mcp-method': 'rpc.discover' });
    expect([status, message?.error?.code]).toEqual([404, -32601]);
  });
});
