import type { LookupAddress } from 'node:dns';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { createEgressGuard, type EgressGuard, type EgressGuardOptions } from './egress.ts';
import { EgressError } from './egress-rules.ts';

const cleanups: (() => Promise<unknown> | unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function listen(handler: (request: IncomingMessage, response: ServerResponse) => void) {
  const server = createServer(handler);
  let connections = 0;
  server.on('connection', () => {
    connections += 1;
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  cleanups.push(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return { port, connections: () => connections };
}

function guardWith(options: EgressGuardOptions): EgressGuard {
  const guard = createEgressGuard({ allowHttp: true, ...options });
  cleanups.push(() => guard.close());
  return guard;
}

const loopback: LookupAddress[] = [{ address: '127.0.0.1', family: 4 }];

async function failure(promise: Promise<unknown>): Promise<EgressError> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(EgressError);
  return error as EgressError;
}

describe('check', () => {
  it.each([
    ['not a url', /absolute URL/],
    ['/relative', /absolute URL/],
    ['file:///etc/passwd', /scheme file/],
    ['gopher://a.example/', /scheme gopher/],
    ['http://a.example/', /plain http/],
    ['https://user:pw@a.example/', /user name or password/],
    ['https://127.0.0.1/', /loopback/],
    ['https://127.1/', /loopback/],
    ['https://2130706433/', /loopback/],
    ['https://0x7f000001/', /loopback/],
    ['https://0177.0.0.1/', /loopback/],
    ['https://[::1]/', /loopback/],
    ['https://[::ffff:10.0.0.1]/', /private/],
    ['https://169.254.169.254/latest/meta-data/', /cloud metadata/],
    ['https://localhost/', /this machine/],
    ['https://LOCALHOST./', /this machine/],
    ['https://a.localhost:8080/', /this machine/],
  ])('[NET-EGRESS] refuses %s', (url, reason) => {
    expect(createEgressGuard().check(url)).toEqual({ ok: false, reason: expect.stringMatching(reason) });
  });

  it('allows public hosts over https, and http only when told', () => {
    expect(createEgressGuard().check('https://a.example:8443/x?y#z')).toEqual({ ok: true });
    expect(createEgressGuard({ allowHttp: true }).check(new URL('http://8.8.8.8/'))).toEqual({ ok: true });
  });

  it('allows what is listed', () => {
    const guard = createEgressGuard({ allow: ['localhost', '10.0.0.0/8'], allowHttp: true });
    expect(guard.check('http://localhost:8188/')).toEqual({ ok: true });
    expect(guard.check('http://10.9.8.7/')).toEqual({ ok: true });
    expect(guard.check('http://192.168.0.1/').ok).toBe(false);
  });
});

describe('checkResolved', () => {
  it('refuses a name when any of its addresses is not public', async () => {
    const guard = guardWith({ resolve: async () => [{ address: '8.8.8.8', family: 4 }, ...loopback] });
    expect(await guard.checkResolved('https://mixed.example/')).toEqual({
      ok: false,
      reason: expect.stringMatching(/mixed\.example leads to 127\.0\.0\.1/),
    });
  });

  it('tells a name without address and a failing look-up', async () => {
    expect((await guardWith({ resolve: async () => [] }).checkResolved('https://a.example/')).ok).toBe(false);
    const failing = guardWith({ resolve: async () => Promise.reject(new Error('no resolver')) });
    expect(await failing.checkResolved('https://a.example/')).toEqual({
      ok: false,
      reason: expect.stringMatching(/no resolver/),
    });
  });

  it('allows public names', async () => {
    const guard = guardWith({ resolve: async () => [{ address: '8.8.8.8', family: 4 }] });
    expect(await guard.checkResolved('https://a.example/')).toEqual({ ok: true });
  });
});

describe('request', () => {
  it('[NET-REBIND] judges the address connected to: a public-looking name on a private address gets no connection', async () => {
    const { port, connections } = await listen((_, response) => response.end('secret'));
    // The first answer is public, as a check before the request would see it; the next ones are not.
    let asked = 0;
    const guard = guardWith({
      resolve: async () => (asked++ === 0 ? [{ address: '8.8.8.8', family: 4 }] : loopback),
    });
    expect(await guard.checkResolved(`http://rebind.example:${port}/`)).toEqual({ ok: true });
    const error = await failure(guard.request(`http://rebind.example:${port}/`));
    expect(error.code).toBe('blocked');
    expect(error.message).toMatch(/rebind\.example leads to 127\.0\.0\.1/);
    expect(connections()).toBe(0);
  });

  it('[NET-REBIND] refuses a literal address on the dispatcher as well', async () => {
    const { port, connections } = await listen((_, response) => response.end());
    const guard = guardWith({});
    const outcome = new Promise((resolve, reject) => {
      guard.dispatcher.dispatch(
        { origin: `http://127.0.0.1:${port}`, path: '/', method: 'GET' },
        {
          onRequestStart() {},
          onResponseStart() {},
          onResponseData() {},
          onResponseEnd: () => resolve('answered'),
          onResponseError: (_controller, error) => reject(error),
        },
      );
    });
    await expect(outcome).rejects.toThrow(/loopback/);
    expect(connections()).toBe(0);
  });

  it('sends method, headers and body to an allowed host, and gives status, headers and body', async () => {
    const { port } = await listen((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        response.writeHead(201, { 'x-seen': `${request.method} ${request.url} ${request.headers['x-a']}` });
        response.end(Buffer.concat(chunks));
      });
    });
    const guard = guardWith({ allow: ['hook.lan'], resolve: async () => loopback });
    const response = await guard.request(`http://hook.lan:${port}/p?q=1`, {
      method: 'POST',
      headers: { 'x-a': 'b' },
      body: 'payload',
    });
    expect(response.status).toBe(201);
    expect(response.headers['x-seen']).toBe('POST /p?q=1 b');
    expect(Buffer.from(response.body).toString()).toBe('payload');
  });

  it('[NET-REDIRECT] gives a redirect back and does not follow it', async () => {
    let hits = 0;
    const { port } = await listen((_, response) => {
      hits += 1;
      response.writeHead(302, { location: '/other' }).end();
    });
    const guard = guardWith({ allow: ['127.0.0.1'] });
    const response = await guard.request(`http://127.0.0.1:${port}/`);
    expect(response.status).toBe(302);
    expect(response.headers.location).toBe('/other');
    expect(hits).toBe(1);
  });

  it('stops at the size bound', async () => {
    const { port } = await listen((_, response) => response.end(Buffer.alloc(2000)));
    const guard = guardWith({ allow: ['127.0.0.1'] });
    expect((await failure(guard.request(`http://127.0.0.1:${port}/`, { maxBytes: 1999 }))).code).toBe('too_large');
    expect((await guard.request(`http://127.0.0.1:${port}/`, { maxBytes: 2000 })).body.length).toBe(2000);
  });

  it('stops at the time bound, in the head and in the body', async () => {
    const { port } = await listen((request, response) => {
      if (request.url === '/body') response.writeHead(200).write('a');
    });
    const guard = guardWith({ allow: ['127.0.0.1'] });
    for (const path of ['/head', '/body']) {
      const error = await failure(guard.request(`http://127.0.0.1:${port}${path}`, { timeoutMs: 60 }));
      expect(error.code).toBe('timeout');
      expect(error.message).toMatch(/60 ms/);
    }
  });

  it('obeys the signal of the caller', async () => {
    const { port } = await listen(() => {});
    const guard = guardWith({ allow: ['127.0.0.1'] });
    const controller = new AbortController();
    const pending = failure(guard.request(`http://127.0.0.1:${port}/`, { signal: controller.signal }));
    controller.abort();
    expect((await pending).code).toBe('aborted');
  });

  it('reports a refused scheme, a failing look-up and a closed port, each by its kind', async () => {
    const { port } = await listen(() => {});
    const failing = guardWith({ resolve: async () => Promise.reject(new Error('no resolver')) });
    expect((await failure(failing.request('ftp://a.example/'))).code).toBe('blocked');
    const lookup = await failure(failing.request(`http://a.example:${port}/`));
    expect([lookup.code, lookup.message]).toEqual(['failed', expect.stringMatching(/a\.example.*no resolver/)]);
    const guard = guardWith({ allow: ['127.0.0.1'] });
    expect((await failure(guard.request('http://127.0.0.1:1/'))).code).toBe('failed');
  });
});
