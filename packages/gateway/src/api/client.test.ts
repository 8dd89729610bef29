// What is built on the API: the typed client, and a real socket.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { getRequestListener } from '@hono/node-server';
import { hc } from 'hono/client';
import { afterAll, beforeAll, describe, expect, expectTypeOf, it } from 'vitest';
import type { Grant, Server } from '../model.ts';
import type { ApiApp } from './app.ts';
import { ADMIN_TOKEN, fillTestApi, openTestApi, POLICY, type TestApi } from './testing.ts';

let api: TestApi;
beforeAll(async () => {
  api = await openTestApi();
  await fillTestApi(api);
});
afterAll(() => api.close());

const headers = { authorization: `Bearer ${ADMIN_TOKEN}` };

describe('the typed client', () => {
  const client = () => hc<ApiApp>('http://gatehouse.test', { fetch: api.app.request, headers }).api.v1;

  it('knows paths, inputs and answers', async () => {
    const { items } = await (await client().servers.$get()).json();
    expectTypeOf(items).toExtend<Pick<Server, 'slug' | 'revision'>[]>();
    expect(items.map(({ slug }) => slug)).toEqual(['flux']);
    const made = await client().grants.$post({ json: { server: 'flux', identity: 'typed', policy: 'default' } });
    const { grant, secret } = await made.json();
    expectTypeOf(grant).toExtend<Pick<Grant, 'id' | 'label'>>();
    expectTypeOf(secret).toEqualTypeOf<string | undefined>();
    expect(grant.identity).toBe('typed');
    const changed = await client().grants[':id'].$patch({
      param: { id: grant.id },
      header: { 'if-match': made.headers.get('etag') ?? '' },
      json: { label: 'typed on flux' },
    });
    expect((await changed.json()).label).toBe('typed on flux');
  });

  it('saves and judges policies', async () => {
    const saved = await client().servers[':slug'].policies[':name'].$put({
      param: { slug: 'flux', name: 'typed' },
      header: {},
      json: POLICY,
    });
    expect(saved.status).toBe(201);
    const judged = await client().policies.judge.$post({
      json: { server: 'flux', policy: 'typed', tool: 'draw', arguments: { prompt: 'a cat', count: 9 } },
    });
    const { decision } = await judged.json();
    expect(decision.outcome === 'deny' && decision.rule).toBe('/tools/draw/args/count/lte');
  });
});

describe('GET /audit/tail on a socket', () => {
  it('[API-TAIL] answers before the first row, and stops listening when the reader leaves', async () => {
    let listeners = 0;
    const { audit } = api;
    const tail = audit.tail.bind(audit);
    let left: (() => void) | undefined;
    const gone = new Promise<void>((resolve) => {
      left = resolve;
    });
    audit.tail = (listener) => {
      listeners++;
      const stop = tail(listener);
      return () => {
        listeners--;
        stop();
        left?.();
      };
    };
    const listener = getRequestListener(api.app.fetch, { overrideGlobalObjects: false });
    const server = createServer((request, response) => void listener(request, response));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const leave = new AbortController();
    const { port } = server.address() as AddressInfo;
    await api.app.request('/api/v1/audit/tail', { method: 'HEAD', headers });
    expect(listeners).toBe(0);
    const response = await fetch(`http://127.0.0.1:${port}/api/v1/audit/tail`, { headers, signal: leave.signal });
    const reader = response.body!.getReader();
    expect(new TextDecoder().decode((await reader.read()).value)).toBe(': following\n\n');
    expect(listeners).toBe(1);
    leave.abort();
    await gone;
    expect(listeners).toBe(0);
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
});
