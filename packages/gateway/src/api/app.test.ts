import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ADMIN_TOKEN, openTestApi, type TestApi } from './testing.ts';

/** The contract that the command line and the console are written against. */
const ROUTES = `
GET /status
GET /servers
POST /servers
GET /servers/{slug}
PATCH /servers/{slug}
DELETE /servers/{slug}
POST /servers/{slug}/refresh
GET /servers/{slug}/tools
GET /servers/{slug}/tools/{tool}
POST /servers/{slug}/tools/accept
GET /servers/{slug}/policies
GET /servers/{slug}/policies/{name}
PUT /servers/{slug}/policies/{name}
DELETE /servers/{slug}/policies/{name}
GET /servers/{slug}/policies/{name}/versions
POST /policies/check
POST /policies/judge
GET /identities
POST /identities
GET /identities/{ref}
PATCH /identities/{ref}
GET /tokens
POST /tokens
POST /tokens/{id}/rotate
DELETE /tokens/{id}
GET /grants
POST /grants
GET /grants/{id}
PATCH /grants/{id}
DELETE /grants/{id}
POST /grants/{id}/rotate
GET /audit/records
GET /audit/records/{requestId}
GET /audit/changes
GET /audit/tail
GET /audit/export
GET /audit/verify
GET /audit/retention
POST /audit/retention
GET /audit/key
GET /why
POST /key/rotate
POST /backups
GET /backups/{id}`
  .trim()
  .split('\n');

interface Operation {
  operationId: string;
  security?: Record<string, string[]>[];
  responses: Record<string, unknown>;
}

let api: TestApi;
let document: { openapi: string; paths: Record<string, Record<string, Operation>>; components: Record<string, object> };

beforeAll(async () => {
  api = await openTestApi();
  document = (await (await api.app.request('/api/v1/openapi.json')).json()) as typeof document;
});
afterAll(() => api.close());

describe('[API-OPENAPI] the OpenAPI document', () => {
  it('is 3.1, needs no token, and names exactly the routes of the contract', () => {
    expect(document.openapi).toBe('3.1.0');
    const routes = Object.entries(document.paths).flatMap(([path, operations]) =>
      Object.keys(operations).map((method) => `${method.toUpperCase()} ${path.replace('/api/v1', '')}`),
    );
    expect(new Set(routes)).toEqual(new Set(ROUTES));
    expect(routes).toHaveLength(ROUTES.length);
  });

  it('has an id for every operation, once, and every reference leads somewhere', () => {
    const ids = Object.values(document.paths).flatMap((operations) =>
      Object.values(operations).map((one) => one.operationId),
    );
    expect(new Set(ids).size).toBe(ids.length);
    const references = [...JSON.stringify(document).matchAll(/"\$ref":"#\/components\/schemas\/([^"]+)"/g)].map(
      ([, name]) => name!,
    );
    expect(references.length).toBeGreaterThan(50);
    for (const name of references) expect(document.components.schemas).toHaveProperty(name);
  });

  it('says of every operation that it demands the admin token', () => {
    for (const operations of Object.values(document.paths)) {
      for (const operation of Object.values(operations)) {
        expect(operation.security, operation.operationId).toEqual([{ adminToken: [] }]);
        expect(operation.responses).toHaveProperty('401');
      }
    }
    expect(document.components.securitySchemes).toHaveProperty('adminToken');
  });
});

describe('the admin token', () => {
  const wrong: [string, string | undefined][] = [
    ['none', undefined],
    ['an empty one', 'Bearer '],
    ['another one', 'Bearer gha_another-admin-token-0123456789abcdef'],
    ['a part of it', `Bearer ${ADMIN_TOKEN.slice(0, -1)}`],
    ['one with more behind it', `Bearer ${ADMIN_TOKEN}x`],
    ['another scheme', `Basic ${ADMIN_TOKEN}`],
    ['no scheme', ADMIN_TOKEN],
    ['two of them', `Bearer ${ADMIN_TOKEN}, Bearer ${ADMIN_TOKEN}`],
  ];

  it.each(wrong)('[API-AUTH] every route answers 401 to %s', async (_what, authorization) => {
    for (const route of ROUTES) {
      const [method, template] = route.split(' ') as [string, string];
      const path = template.replaceAll(/\{[^}]+\}/g, 'x');
      const headers: Record<string, string> = authorization === undefined ? {} : { authorization };
      const response = await api.app.request(`/api/v1${path}`, { method, headers });
      const text = await response.text();
      expect(response.status, route).toBe(401);
      expect(response.headers.get('www-authenticate')).toBe('Bearer realm="gatehouse"');
      expect(response.headers.get('content-type')).toBe('application/problem+json');
      expect(JSON.parse(text)).toMatchObject({
        code: 'unauthorized',
        status: 401,
        requestId: response.headers.get('x-request-id'),
      });
      expect(text).not.toContain(ADMIN_TOKEN);
    }
  });

  it('[API-AUTH] unknown paths and methods answer 401 without it, so that nothing can be found out', async () => {
    for (const [method, path] of [
      ['GET', '/nothing'],
      ['DELETE', '/status'],
      ['OPTIONS', '/servers'],
      ['PROPFIND', '/servers'],
    ]) {
      const response = await api.app.request(`/api/v1${path}`, { method: method! });
      expect(response.status, `${method} ${path}`).toBe(401);
    }
  });

  it('takes the scheme in any case (RFC 9110 §11.1)', async () => {
    expect((await api.call('GET', '/status', undefined, { authorization: `bearer ${ADMIN_TOKEN}` })).status).toBe(200);
  });
});

describe('errors', () => {
  it('are problem documents with a request id', async () => {
    const answer = await api.call('GET', '/servers/none');
    expect(answer.status).toBe(404);
    expect(answer.headers.get('content-type')).toBe('application/problem+json');
    expect(answer.body).toMatchObject({
      type: 'https://gatehouse.dev/errors/not_found',
      title: 'Not found',
      status: 404,
      code: 'not_found',
    });
    expect(answer.body.requestId).toMatch(/^req_[0-9a-f]{32}$/);
    expect(answer.headers.get('cache-control')).toBe('no-store');
  });

  it('names the methods of a path that does not take this one', async () => {
    const answer = await api.call('DELETE', '/status');
    expect(answer.status).toBe(405);
    expect(answer.headers.get('allow')).toBe('GET');
    expect((await api.call('GET', '/nothing')).status).toBe(404);
    expect((await api.app.request('/elsewhere')).status).toBe(404);
  });

  it('[API-STRICT] names every unknown field of a body by its pointer', async () => {
    const transport = { kind: 'http', url: 'http://127.0.0.1:9/mcp', 'u/rl': 1 };
    const answer = await api.call('POST', '/servers', { slug: 'x', transport, colour: 'red', 'a~b': 1 });
    expect(answer.status).toBe(400);
    const pointers = answer.body.errors.map((item: { pointer: string }) => item.pointer);
    expect(pointers).toEqual(expect.arrayContaining(['/transport/u~1rl', '/colour', '/a~0b']));
    expect(JSON.stringify(answer.body.errors)).toContain('the fields are');
    expect((await api.call('GET', '/servers/x')).status).toBe(404);
  });

  it.each([
    ['POST', '/servers'],
    ['PATCH', '/servers/x'],
    ['POST', '/servers/x/tools/accept'],
    ['POST', '/policies/check'],
    ['POST', '/policies/judge'],
    ['POST', '/identities'],
    ['PATCH', '/identities/x'],
    ['POST', '/tokens'],
    ['POST', '/tokens/x/rotate'],
    ['POST', '/grants'],
    ['PATCH', '/grants/x'],
    ['POST', '/grants/x/rotate'],
  ])('[API-STRICT] %s %s refuses an unknown field', async (method, path) => {
    const answer = await api.call(method, path, { colour: 'red' });
    expect(answer.status).toBe(400);
    expect(answer.body.errors.length).toBeGreaterThan(0);
  });

  it.each(['/tokens', '/grants', '/audit/records', '/audit/tail', '/audit/export', '/why'])(
    '[API-STRICT] GET %s refuses an unknown parameter, so that a misspelt filter never shows more',
    async (path) => {
      const answer = await api.call('GET', `${path}?servr=flux`);
      expect(answer.status).toBe(400);
      expect(answer.body.errors[0].pointer).toBe('?servr');
    },
  );

  it('says where JSON is broken without repeating it', async () => {
    const answer = await api.call('POST', '/identities', '{"name": "canary-5f2c", }');
    expect(answer.status).toBe(400);
    expect(answer.body.detail).toMatch(/not valid JSON \(line 1, column \d+\)/);
    expect(answer.text).not.toContain('canary-5f2c');
  });

  it('[API-STRICT] refuses a body that two parsers could read in two ways', async () => {
    for (const body of [
      '{"name":"a","name":"canary-5f2c"}',
      '{"name":"a","Name":"canary-5f2c"}',
      '\ufeff{"name":"a"}',
    ]) {
      const answer = await api.call('POST', '/identities', body);
      expect(answer.status, body).toBe(400);
      expect(answer.text).not.toContain('canary-5f2c');
    }
    expect((await api.call('GET', '/identities')).body.items).toEqual([]);
  });

  it('takes JSON only', async () => {
    const answer = await api.call('POST', '/identities', 'name=ana', {
      'content-type': 'application/x-www-form-urlencoded',
    });
    expect(answer.status).toBe(415);
    expect(answer.body.code).toBe('unsupported_media_type');
    const response = await api.app.request('/api/v1/identities', {
      method: 'POST',
      headers: { authorization: `Bearer ${ADMIN_TOKEN}` },
      body: new TextEncoder().encode('{"name":"ana"}'),
    });
    expect(response.status).toBe(415);
  });

  it('[API-BODY] refuses a body above 4 MiB, with and without a Content-Length', async () => {
    const body = JSON.stringify({ name: 'x'.repeat(4 * 1024 * 1024) });
    const known = await api.call('POST', '/identities', body, { 'content-length': String(body.length) });
    expect(known.status).toBe(413);
    expect(known.body.code).toBe('too_large');
    const stream = new Response(body).body;
    const unknown = await api.app.request('/api/v1/identities', {
      method: 'POST',
      headers: { authorization: `Bearer ${ADMIN_TOKEN}`, 'content-type': 'application/json' },
      body: stream,
      duplex: 'half',
    } as RequestInit);
    expect(unknown.status).toBe(413);
  });

  it('[API-FAULT] an unexpected error keeps its text inside and is told to the program', async () => {
    const list = api.services.identities.list;
    api.services.identities.list = () => {
      throw new Error('canary: /var/lib/secret');
    };
    const answer = await api.call('GET', '/identities');
    api.services.identities.list = list;
    expect(answer.status).toBe(500);
    expect(answer.body.code).toBe('internal');
    expect(answer.text).not.toContain('canary');
    expect(answer.body.detail).toContain(answer.body.requestId);
    expect(String(api.faults.pop())).toContain('canary');
  });
});

describe('GET /status', () => {
  it('shows the gateway at a glance', async () => {
    const answer = await api.call('GET', '/status');
    expect(answer.status).toBe(200);
    expect(answer.body).toMatchObject({
      version: '0.0.0',
      instanceId: 'ins_test',
      servers: [],
      audit: { writable: true },
    });
    expect(answer.body.auditPublicKey).toContain('PUBLIC KEY');
  });
});
