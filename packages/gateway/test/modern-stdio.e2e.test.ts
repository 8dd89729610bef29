// Revision 2026-07-28 to a stdio server: the gateway is its HTTP side, and several clients' requests share a child.
import { FIXTURE_MAIN } from '@gatehouse/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Answer, Harness, type RawClient } from './harness.ts';

const META = {
  'io.modelcontextprotocol/protocolVersion': '2026-07-28',
  'io.modelcontextprotocol/clientCapabilities': {},
};

describe('the stateless revision to a child', () => {
  let harness: Harness;
  let client: RawClient;

  beforeAll(async () => {
    harness = await Harness.open();
    await harness.server('pipe', {
      kind: 'stdio',
      command: process.execPath,
      args: [FIXTURE_MAIN, 'stdio'],
      environment: {},
    });
    const { token } = await harness.grant('pipe', { version: '1', default: 'allow' });
    client = harness.client('pipe', token);
  });
  afterAll(() => harness.close());

  const headers = (method: string, name?: string): Record<string, string> => ({
    'mcp-protocol-version': '2026-07-28',
    'mcp-method': method,
    ...(name === undefined ? {} : { 'mcp-name': name }),
  });
  const send = (method: string, params: Record<string, unknown>, meta: object = META): Promise<Answer> =>
    client.post(
      JSON.stringify({ jsonrpc: '2.0', id: 'one', method, params: { ...params, _meta: meta } }),
      headers(method, params.name as string | undefined),
    );

  it('[GW-ERAS, P8] gives its refusals the status that HTTP wants', async () => {
    const missing = await send('tools/call', { name: 'test_missing_capability', arguments: {} });
    expect([missing.status, missing.message?.error?.code]).toEqual([400, -32021]);
    const version = { 'io.modelcontextprotocol/protocolVersion': '2026-07-28' };
    const bare = await send('tools/list', {}, version);
    expect([bare.status, bare.message?.error?.code]).toEqual([400, -32602]);
    const called = await send('tools/call', { name: 'test_simple_text', arguments: {} });
    expect([called.status, called.message?.id]).toEqual([200, 'one']);
  });

  it('[GW-ERAS, P8] names a subscription by the id that its client gave it', async () => {
    const end = new AbortController();
    const response = await fetch(client.url, {
      method: 'POST',
      signal: end.signal,
      headers: {
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        authorization: `Bearer ${client.token}`,
        ...headers('subscriptions/listen'),
      },
      body: JSON.stringify({
        jsonrpc: '2.0',
        id: 'listen:1',
        method: 'subscriptions/listen',
        params: { notifications: { toolsListChanged: true }, _meta: META },
      }),
    });
    const seen: { method: string; params: { _meta: Record<string, unknown> } }[] = [];
    let text = '';
    for await (const chunk of response.body as ReadableStream<Uint8Array>) {
      text += Buffer.from(chunk).toString();
      const data = text.split('\n').filter((line) => line.startsWith('data: {') && line.endsWith('}'));
      for (const line of data.slice(seen.length)) {
        seen.push(JSON.parse(line.slice(6)));
        if (seen.length === 1) await send('tools/call', { name: 'test_trigger_tool_change', arguments: {} });
      }
      if (seen.length === 2) break;
    }
    end.abort();
    expect(seen.map(({ method, params }) => [method, params._meta['io.modelcontextprotocol/subscriptionId']])).toEqual([
      ['notifications/subscriptions/acknowledged', 'listen:1'],
      ['notifications/tools/list_changed', 'listen:1'],
    ]);
  });
});
