// P1 as a matrix: every route × every method × every kind of caller, and what may reach the upstream of it.
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import type { RecordingUpstream } from '@gatehouse/testkit';
import { CLIENT_METHODS, MODERN_VERSION } from '@gatehouse/wire';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { PROXY_ROUTES, type ProxyPath } from '../src/proxy/routes.ts';
import { ADMIN, Harness } from './harness.ts';
import { SseClient, until } from './sse-peers.ts';

type Fate =
  /** Judged, and allowed by this policy. */
  | 'judged'
  /** Goes on for every grant, with or without a policy. */
  | 'passes'
  | 'refused'
  /** It names a task that is nobody's here. */
  | 'unknown task';

interface Expectation {
  fate: Fate;
  params?: Record<string, unknown>;
}

const VENDOR = 'acme/reindex';
const URI = { uri: 'file:///srv/data/a.txt' };

/** One line for each method of the table: a new method without a line fails below. */
const METHODS: Record<string, Expectation> = {
  initialize: {
    fate: 'passes',
    params: { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'm', version: '1' } },
  },
  'server/discover': { fate: 'passes' },
  ping: { fate: 'passes' },
  'logging/setLevel': { fate: 'passes', params: { level: 'info' } },
  'tools/list': { fate: 'passes' },
  'tools/call': { fate: 'judged', params: { name: 'get_a', arguments: {} } },
  'resources/list': { fate: 'passes' },
  'resources/templates/list': { fate: 'passes' },
  'resources/read': { fate: 'judged', params: URI },
  'resources/subscribe': { fate: 'judged', params: URI },
  'resources/unsubscribe': { fate: 'judged', params: URI },
  'prompts/list': { fate: 'passes' },
  'prompts/get': { fate: 'judged', params: { name: 'hello' } },
  'completion/complete': {
    fate: 'judged',
    params: { ref: { type: 'ref/prompt', name: 'hello' }, argument: { name: 'a', value: 'b' } },
  },
  'subscriptions/listen': { fate: 'judged', params: { notifications: { resourceSubscriptions: [URI.uri] } } },
  'tasks/get': { fate: 'unknown task', params: { taskId: 't1' } },
  'tasks/cancel': { fate: 'unknown task', params: { taskId: 't1' } },
  'tasks/update': { fate: 'unknown task', params: { taskId: 't1' } },
  'tasks/result': { fate: 'unknown task', params: { taskId: 't1' } },
  'tasks/list': { fate: 'judged' },
  'notifications/initialized': { fate: 'passes' },
  'notifications/cancelled': { fate: 'passes', params: { requestId: 1 } },
  'notifications/progress': { fate: 'passes', params: { progressToken: 1, progress: 1 } },
  'notifications/roots/list_changed': { fate: 'passes' },
  'notifications/tasks/status': { fate: 'passes', params: { taskId: 't1' } },
};

/** Methods that are in no table. */
const STRANGERS: Readonly<Record<string, Expectation>> = {
  // Listed by the server's settings; it may do anything, so that it needs a policy at least.
  [VENDOR]: { fate: 'judged' },
  'acme/other': { fate: 'refused' },
  'rpc.discover': { fate: 'refused' },
  'Tools/Call': { fate: 'refused', params: { name: 'get_a' } },
  'tools/call ': { fate: 'refused', params: { name: 'get_a' } },
  'tools//call': { fate: 'refused', params: { name: 'get_a' } },
  'tools/call\u0000': { fate: 'refused', params: { name: 'get_a' } },
  'tools\u2215call': { fate: 'refused', params: { name: 'get_a' } },
  'sampling/createMessage': { fate: 'refused' },
  'elicitation/create': { fate: 'refused' },
  'roots/list': { fate: 'refused' },
  ['__proto__']: { fate: 'refused' },
  hasOwnProperty: { fate: 'refused' as const },
  'notifications/unknown': { fate: 'refused' },
};

/**
 * What becomes of each HTTP method of each address of the data plane: one that the route table gains fails below until it
 * stands here, and what takes messages is sent all of METHODS.
 */
const TAKEN: Record<ProxyPath, Record<string, 'messages' | 'stream' | 'end of a session'>> = {
  '': { GET: 'stream', POST: 'messages', DELETE: 'end of a session' },
  '/sse': { GET: 'stream' },
  '/message': { POST: 'messages' },
};
const PATHS = Object.keys(PROXY_ROUTES) as ProxyPath[];

const NOBODY = ['none', 'bad', 'elsewhere', 'revoked', 'revoked token', 'expired'] as const;
const VERBS = ['GET', 'DELETE', 'PUT', 'PATCH', 'OPTIONS', 'HEAD', 'TRACE', 'PROPFIND'] as const;

describe('P1: route × method × identity', () => {
  let now = Date.parse('2026-11-02T10:00:00Z');
  let harness: Harness;
  let upstream: RecordingUpstream;
  const tokens: Record<string, string> = { none: '', bad: `gh_${'a'.repeat(43)}123456` };

  beforeAll(async () => {
    harness = await Harness.open({ clock: () => now });
    const tools = [{ name: 'get_a', inputSchema: { type: 'object', properties: {} } }];
    upstream = await harness.record('rec', { tools }, { vendorMethods: [VENDOR] });
    await harness.record('other', { tools });
    const policy = { version: '1', default: 'allow', resources: { allow: ['*'] }, prompts: { allow: ['*'] } };
    const { grants, tokens: tokenService } = harness.gateway.services;
    tokens.ordinary = (await harness.grant('rec', policy, 'ana')).token;
    tokens.elsewhere = (await harness.grant('other', policy, 'eve')).token;
    const revoked = await harness.grant('rec', policy, 'rex');
    await grants.revoke(revoked.id, ADMIN);
    tokens.revoked = revoked.token;
    const revokedToken = await harness.grant('rec', policy, 'tom');
    for (const token of tokenService.list('tom')) await tokenService.revoke(token.id, ADMIN);
    tokens['revoked token'] = revokedToken.token;
    const expiresAt = new Date(now + 60_000).toISOString();
    tokens.expired =
      (await grants.create({ server: 'rec', identity: 'kim', policy: 'p-ana', expiresAt }, ADMIN)).secret ?? '';
    tokens['no policy'] = (await grants.create({ server: 'rec', identity: 'noa' }, ADMIN)).secret ?? '';
    now += 120_000;
  });
  afterAll(() => harness.close());
  beforeEach(() => upstream.forget());

  async function send(
    path: string,
    method: string,
    token: string,
    body: string | undefined,
    headers: Record<string, string> = {},
  ) {
    return await new Promise<{ status: number; text: string; headers: IncomingHttpHeaders }>((resolve, reject) => {
      const { hostname, port } = new URL(harness.base);
      const request = httpRequest(
        {
          hostname,
          port,
          path,
          method,
          headers: {
            ...(body === undefined
              ? {}
              : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }),
            ...(token === '' ? {} : { authorization: `Bearer ${token}` }),
            ...headers,
          },
        },
        (response) => {
          const chunks: Buffer[] = [];
          response.on('data', (chunk: Buffer) => chunks.push(chunk));
          response.on('end', () =>
            resolve({
              status: response.statusCode ?? 0,
              text: Buffer.concat(chunks).toString(),
              headers: response.headers,
            }),
          );
        },
      );
      request.setTimeout(5_000, () => request.destroy(new Error('no answer')));
      request.on('error', reject);
      request.end(body);
    });
  }

  function message(
    method: string,
    { params }: Expectation,
    modern = CLIENT_METHODS.get(method)?.eras === 'modern',
  ): { body: string; headers: Record<string, string> } {
    const rule = CLIENT_METHODS.get(method);
    const notification = method.startsWith('notifications/');
    const named = rule?.named === undefined ? undefined : params?.[rule.named];
    const meta = { _meta: { 'io.modelcontextprotocol/protocolVersion': MODERN_VERSION } };
    const body = JSON.stringify({
      jsonrpc: '2.0',
      ...(notification ? {} : { id: 1 }),
      method,
      ...(params === undefined && !modern ? {} : { params: { ...params, ...(modern ? meta : {}) } }),
    });
    if (!modern) return { body, headers: {} };
    return {
      body,
      headers: {
        'mcp-protocol-version': MODERN_VERSION,
        // What no header can hold is in no table, and that comes first.
        ...(/^[ -~]+$/.test(method) ? { 'mcp-method': method } : {}),
        ...(typeof named === 'string' ? { 'mcp-name': named } : {}),
      },
    };
  }

  it('[P1, T118] has an expectation for each method of the table, and for none that is not there', () => {
    expect(Object.keys(METHODS).sort()).toEqual([...CLIENT_METHODS.keys()].sort());
  });

  const all = Object.entries({ ...METHODS, ...STRANGERS });

  // All at once: failures of one source are answered slowly from the twentieth on (spec: gateway §3).
  it('[P1, T22, T63, T65, T69] callers whom nothing opens get one and the same 401, whatever they send', async () => {
    const sent: { what: string; answer: ReturnType<typeof send> }[] = [];
    const stream = await SseClient.open(harness.proxyUrl('rec'), tokens.ordinary ?? '');
    for (const who of NOBODY) {
      const token = tokens[who] ?? '';
      for (const path of PATHS) {
        const address = path === '/message' ? `/mcp/rec${path}${new URL(stream.address).search}` : `/mcp/rec${path}`;
        for (const [method, expectation] of all) {
          const { body, headers } = message(method, expectation);
          sent.push({ what: `${who} ${path} ${method}`, answer: send(address, 'POST', token, body, headers) });
        }
        for (const verb of VERBS) {
          const headers = { origin: harness.base.slice(0, -1), 'access-control-request-method': 'POST' };
          sent.push({ what: `${who} ${path} ${verb}`, answer: send(address, verb, token, undefined, headers) });
        }
      }
      for (const path of ['/mcp/other', '/mcp/nope', '/mcp/rec?token=gh_x']) {
        if (who === 'elsewhere' && path === '/mcp/other') continue;
        sent.push({ what: `${who} ${path}`, answer: send(path, 'POST', token, '{}') });
      }
    }
    for (const path of ['/mcp/other', '/mcp/nope']) {
      sent.push({ what: `ordinary ${path}`, answer: send(path, 'POST', tokens.ordinary ?? '', '{}') });
    }
    const texts = new Set<string>();
    for (const { what, answer } of sent) {
      const { status, text, headers } = await answer;
      expect([what, status]).toEqual([what, 401]);
      expect(Object.keys(headers).filter((name) => name.startsWith('access-control-'))).toEqual([]);
      if (text !== '') texts.add(text.replace(/Request \S+\./, ''));
    }
    expect(texts.size).toBe(1);
    expect(upstream.requests).toHaveLength(0);
    stream.leave();
  }, 30_000);

  it.each(all.flatMap(([method, expectation]) => [false, true].map((modern) => ({ method, modern, expectation }))))(
    '[P1, T21, T22] $method (of 2026-07-28: $modern) of a grant with and without a policy',
    async ({ method, modern, expectation }) => {
      const { body, headers } = message(method, expectation, modern);
      const eras = CLIENT_METHODS.get(method)?.eras ?? 'both';
      const fate = eras === 'both' || modern === (eras === 'modern') ? expectation.fate : 'refused';
      const notification = method.startsWith('notifications/');
      for (const who of ['ordinary', 'no policy']) {
        upstream.forget();
        const { status } = await send('/mcp/rec', 'POST', tokens[who] ?? '', body, headers);
        const goesOn = fate === 'passes' || (fate === 'judged' && who === 'ordinary');
        expect([who, upstream.requests.map((request) => request.body.toString())]).toEqual([who, goesOn ? [body] : []]);
        expect([who, status]).toEqual([who, notification ? 202 : fate === 'refused' && modern ? 404 : 200]);
      }
    },
  );

  it('[P1, T118, T130] each method of each address of the route table has its line', () => {
    const table = Object.entries(PROXY_ROUTES).map(([path, methods]) => [path, [...methods].sort()]);
    expect(table).toEqual(Object.entries(TAKEN).map(([path, methods]) => [path, Object.keys(methods).sort()]));
  });

  describe('over HTTP+SSE', () => {
    const streams: Record<string, SseClient> = {};
    beforeAll(async () => {
      for (const who of ['ordinary', 'no policy']) {
        streams[who] = await SseClient.open(harness.proxyUrl('rec'), tokens[who] ?? '');
      }
    });
    afterAll(async () => {
      upstream.forget();
      for (const stream of Object.values(streams)) stream.leave();
      await until(() => upstream.requests.filter((request) => request.method === 'DELETE').length === 2, 'their end');
    });

    it.each(all)(
      '[P1, T21, T22, T130, GW-SSE-OLD] %s of a grant with and without a policy',
      async (method, expectation) => {
        const { body, headers } = message(method, expectation);
        const modern = headers['mcp-method'] !== undefined;
        const notification = method.startsWith('notifications/');
        for (const who of ['ordinary', 'no policy']) {
          const stream = streams[who] as SseClient;
          upstream.forget();
          const before = stream.texts.length;
          expect([who, (await stream.post(body, headers)).status]).toEqual([who, 202]);
          if (!notification) await until(() => stream.texts.length > before, 'the answer');
          const judged = expectation.fate === 'judged' && who === 'ordinary';
          // Revision 2026-07-28 has no place on a stream of 2024-11-05.
          const goesOn = !modern && (expectation.fate === 'passes' || judged);
          const posts = upstream.requests.filter((request) => request.method === 'POST');
          expect([who, posts.map((request) => request.body.toString())]).toEqual([who, goesOn ? [body] : []]);
        }
      },
    );
  });

  const UNTAKEN = PATHS.flatMap((path) =>
    ['GET', 'POST', 'DELETE', 'PUT', 'PATCH', 'OPTIONS', 'HEAD']
      .filter((method) => !(PROXY_ROUTES[path] as readonly string[]).includes(method))
      .map((method) => [method, path] as const),
  );
  it.each(UNTAKEN)('[P1, P5] %s of /mcp/rec%s with a grant is 405', async (method, path) => {
    expect((await send(`/mcp/rec${path}`, method, tokens.ordinary ?? '', undefined)).status).toBe(405);
    expect(upstream.requests).toHaveLength(0);
  });

  it('[P1] DELETE and GET of a session that is not the caller’s send nothing on', async () => {
    for (const method of ['GET', 'DELETE']) {
      const { status } = await send('/mcp/rec', method, tokens.ordinary ?? '', undefined, {
        'mcp-session-id': 'gs1_x',
      });
      expect([method, status]).toEqual([method, 404]);
    }
    expect(upstream.requests).toHaveLength(0);
  });

  /** Route → status of a call posted there with a grant. */
  const ROUTES: [string, number][] = [
    ['/', 404],
    ['/mcp', 404],
    ['/mcp/', 404],
    ['/mcp/rec/', 404],
    ['/mcp/rec/x', 404],
    ['/mcp/rec/sse', 405],
    ['/mcp/rec/sse/', 404],
    ['/mcp/rec/sse?s=x', 405],
    ['/mcp/rec/message', 404],
    ['/mcp/rec/message?s=x', 404],
    ['/mcp/rec/message/', 404],
    ['/mcp/rec/messages?s=x', 404],
    ['/mcp/rec/SSE', 404],
    ['/mcp/rec/sse/message', 404],
    ['/mcp/rec//message', 404],
    ['/mcp//message', 404],
    ['/sse', 404],
    ['/messages', 404],
    ['/ws', 404],
    ['//mcp/rec', 404],
    ['/mcp//rec', 404],
    ['/MCP/rec', 404],
    ['/mcp/REC', 404],
    ['/mcp/rec%2f', 404],
    ['/mcp%2frec', 404],
    ['/mcp/re%63', 404],
    ['/mcp/rec;a=b', 404],
    ['/mcp/./rec', 404],
    ['/mcp/x/../rec', 404],
    ['/api/../mcp/rec', 404],
    ['/healthz/../mcp/rec', 404],
    ['/mcp/rec\\', 404],
    ['/.well-known/oauth-protected-resource/mcp/rec', 404],
    ['http://localhost/mcp/rec', 404],
    ['*', 404],
    ['/api/v1/servers', 401],
    ['/api/v1/audit', 401],
    ['/mcp/rec?x=1', 200],
  ];
  it.each(ROUTES)('[P1, T119, T130] a call posted to %s', async (path, status) => {
    const { body } = message('tools/call', METHODS['tools/call'] as Expectation);
    expect((await send(path, 'POST', tokens.ordinary ?? '', body)).status).toBe(status);
    expect(upstream.calls()).toHaveLength(status === 200 ? 1 : 0);
  });

  it('[T130] the operations’ addresses answer anybody, and reach no upstream', async () => {
    for (const path of ['/healthz', '/readyz', '/metrics']) {
      expect((await send(path, 'GET', '', undefined)).status).toBe(200);
    }
    expect(upstream.requests).toHaveLength(0);
  });
});
