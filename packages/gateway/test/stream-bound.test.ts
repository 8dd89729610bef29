import type { ServerResponse } from 'node:http';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Harness, type RawClient } from './harness.ts';

const MAX = 3;

let harness: Harness;
let upstreamStreams: Set<ServerResponse>;
let token: string;

beforeEach(async () => {
  harness = await Harness.open({ flags: { max_streams: MAX } });
  upstreamStreams = new Set();
  await harness.record('up', {
    tools: [{ name: 'get_a', inputSchema: { type: 'object' } }],
    sessions: false,
    intercept: (request, response) => {
      if (request.method !== 'GET' && request.message?.method !== 'subscriptions/listen') return false;
      upstreamStreams.add(response);
      response.once('close', () => upstreamStreams.delete(response));
      response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders();
      return true;
    },
  });
  ({ token } = await harness.grant('up', { version: '1', default: 'allow' }));
});
afterEach(() => harness.close());

interface Stream {
  status: number;
  text: () => Promise<string>;
  leave: () => void;
}

async function opened(answer: (signal: AbortSignal) => Promise<Response>): Promise<Stream> {
  const leaving = new AbortController();
  const response = await answer(leaving.signal);
  return { status: response.status, text: () => response.text(), leave: () => leaving.abort() };
}

const listen = (secret = token): Promise<Stream> =>
  opened((signal) =>
    fetch(harness.proxyUrl('up'), {
      headers: { accept: 'text/event-stream', authorization: `Bearer ${secret}` },
      signal,
    }),
  );

const subscribe = (): Promise<Stream> =>
  opened((signal) =>
    fetch(harness.proxyUrl('up'), {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        authorization: `Bearer ${token}`,
        'mcp-protocol-version': '2026-07-28',
        'mcp-method': 'subscriptions/listen',
      },
      body: '{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen","params":{"notifications":{},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}',
      signal,
    }),
  );

async function until(holds: () => boolean): Promise<void> {
  for (let turn = 0; turn < 400 && !holds(); turn++) await new Promise((resolve) => setTimeout(resolve, 5));
  expect(holds()).toBe(true);
}

describe('streams without an end', () => {
  it('[GW-MAX-STREAMS] are as many of a grant as the setting says, of both kinds together; a further one is told so', async () => {
    const streams = [await listen(), await subscribe(), await listen()];
    expect(streams.map(({ status }) => status)).toEqual([200, 200, 200]);
    for (const further of [await listen(), await subscribe()]) {
      expect(further.status).toBe(429);
      expect(await further.text()).toContain('max_streams');
    }
    expect(upstreamStreams.size).toBe(MAX);
    expect((await harness.gateway.audit.search({ server: 'up', rule: '(streams)' })).rows).toHaveLength(2);

    // Calls pass beside them, and another grant has its own.
    const client: RawClient = harness.client('up', token);
    expect((await client.call('get_a')).status).toBe(200);
    const other = await harness.grant('up', { version: '1', default: 'allow' }, 'bob');
    const others = await listen(other.token);
    expect(others.status).toBe(200);

    streams[0]?.leave();
    await until(() => upstreamStreams.size === MAX);
    const again = await listen();
    expect(again.status).toBe(200);
    for (const stream of [...streams, others, again]) stream.leave();
    await until(() => upstreamStreams.size === 0);
  });

  it('[GW-MAX-STREAMS, GW-STREAMS] give their place back however they end', async () => {
    for (let round = 0; round < 5 * MAX; round++) {
      const stream = await listen();
      expect(stream.status).toBe(200);
      await until(() => upstreamStreams.size === 1);
      if (round % 2 === 0) stream.leave();
      else for (const response of upstreamStreams) response.destroy();
      await until(() => upstreamStreams.size === 0);
      await stream.text().catch(() => undefined);
    }
  });
});
