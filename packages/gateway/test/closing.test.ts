import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { expect, it } from 'vitest';
import { Harness } from './harness.ts';

it('[GW-CLOSE] ends with the last answer under way, not when the client lets its connection go', async () => {
  const harness = await Harness.open();
  const arrival = Promise.withResolvers<ServerResponse>();
  await harness.record('up', {
    tools: [{ name: 'read_it', inputSchema: { type: 'object' } }],
    intercept: (request, response) => {
      if (request.message?.method !== 'tools/call') return false;
      arrival.resolve(response);
      return true;
    },
  });
  const { token } = await harness.grant('up', { version: '1', default: 'deny', tools: { read_it: {} } });
  const client = harness.client('up', token);
  await client.initialize();
  const answer = client.call('read_it');
  const held = await arrival.promise;

  const began = performance.now();
  const closed = harness.gateway.close();
  held.writeHead(200, { 'content-type': 'application/json' });
  held.end('{"jsonrpc":"2.0","id":2,"result":{"content":[]}}');
  expect((await answer).message?.result).toEqual({ content: [] });
  await closed;
  expect(performance.now() - began).toBeLessThan(2_000);
  await harness.close();
});

it('[GW-CLOSE] does not wait for a connection that was opened and never used', async () => {
  const harness = await Harness.open();
  const socket = connect(Number(new URL(harness.base).port), '127.0.0.1');
  socket.on('error', () => {});
  await once(socket, 'connect');
  // An answer on another connection: by then the gateway knows of the first one.
  expect((await fetch(`${harness.base}healthz`)).status).toBe(200);
  const began = performance.now();
  await harness.close();
  expect(performance.now() - began).toBeLessThan(2_000);
});
