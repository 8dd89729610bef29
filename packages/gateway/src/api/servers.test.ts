import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DRAW, LIST_MODELS, openTestApi, type TestApi } from './testing.ts';

let api: TestApi;
beforeAll(async () => {
  api = await openTestApi();
});
afterAll(() => api.close());

const http = { kind: 'http', url: 'http://127.0.0.1:9/mcp' };
const SECRET = 'canary-credential-7d1f';

describe('servers', () => {
  it('registers, reads the tools at once, and accepts them when told so', async () => {
    api.upstream.set('flux', [DRAW, LIST_MODELS]);
    const answer = await api.call('POST', '/servers', { slug: 'flux', transport: http, accept: true });
    expect(answer.status).toBe(201);
    expect(answer.headers.get('location')).toBe('/api/v1/servers/flux');
    expect(answer.headers.get('etag')).toBe(`"${answer.body.server.revision}"`);
    expect(answer.body.warning).toBeUndefined();
    expect(answer.body.url).toBe('http://127.0.0.1:8080/mcp/flux');
    expect(answer.body.intake.new).toEqual(['draw', 'list_models']);
    expect(answer.body.tools.map((tool: { state: string }) => tool.state)).toEqual(['accepted', 'accepted']);
  });

  it('leaves new tools to a person otherwise', async () => {
    api.upstream.set('waiting', [DRAW]);
    const answer = await api.call('POST', '/servers', { slug: 'waiting', transport: http });
    expect(answer.body.tools.map((tool: { state: string }) => tool.state)).toEqual(['new']);
    const status = await api.call('GET', '/status');
    expect(status.body.servers.find((server: { slug: string }) => server.slug === 'waiting').tools).toEqual({
      accepted: 0,
      waiting: 1,
      poisoned: 0,
      gone: 0,
    });
  });

  it('[API-SERVER-KEPT] keeps a server that cannot be reached, and says so', async () => {
    const answer = await api.call('POST', '/servers', { slug: 'down', transport: http });
    expect(answer.status).toBe(201);
    expect(answer.body.warning).toMatch(/could not be read: The server down refused.*gatehouse server refresh down/);
    expect(answer.body.tools).toEqual([]);
    expect((await api.call('GET', '/servers/down')).status).toBe(200);
    expect((await api.call('POST', '/servers/down/refresh')).status).toBe(502);
    api.upstream.set('down', [DRAW]);
    const refreshed = await api.call('POST', '/servers/down/refresh');
    expect(refreshed.body.intake.new).toEqual(['draw']);
    expect(refreshed.body.tools).toHaveLength(1);
  });

  it('[P6] never answers the values of credentials', async () => {
    const credentials = { kind: 'headers', values: { 'X-Api-Key': SECRET } };
    const made = await api.call('POST', '/servers', { slug: 'sealed', transport: http, credentials });
    expect(made.body.server.credentials).toEqual({ kind: 'headers', names: ['X-Api-Key'] });
    const patched = await api.call('PATCH', '/servers/sealed', {
      credentials: { kind: 'headers', values: { Authorization: SECRET } },
    });
    expect(patched.status).toBe(200);
    const refused = await api.call('PATCH', '/servers/sealed', {
      credentials: { kind: 'headers', values: { 'bad name': SECRET } },
    });
    const answers = [
      made,
      patched,
      refused,
      ...(await Promise.all(['/servers', '/servers/sealed', '/status'].map((path) => api.call('GET', path)))),
    ];
    for (const answer of answers) expect(answer.text).not.toContain(SECRET);
    expect((await api.call('GET', '/audit/export')).text).not.toContain(SECRET);
  });

  it('[API-ETAG] changes only what the caller saw', async () => {
    const seen = (await api.call('GET', '/servers/flux')).headers.get('etag')!;
    const changed = await api.call('PATCH', '/servers/flux', { name: 'Flux' }, { 'if-match': seen });
    expect(changed.status).toBe(200);
    expect(changed.body.name).toBe('Flux');
    expect(changed.headers.get('etag')).not.toBe(seen);
    const late = await api.call('PATCH', '/servers/flux', { name: 'Late' }, { 'if-match': seen });
    expect(late.status).toBe(412);
    expect(late.body.code).toBe('precondition_failed');
    expect((await api.call('DELETE', '/servers/flux', undefined, { 'if-match': seen })).status).toBe(412);
    expect((await api.call('GET', '/servers/flux')).body.name).toBe('Flux');
  });

  it('lists, removes, and then knows it no more', async () => {
    expect((await api.call('GET', '/servers')).body.items.map((server: { slug: string }) => server.slug)).toContain(
      'down',
    );
    expect((await api.call('DELETE', '/servers/down')).status).toBe(204);
    expect((await api.call('GET', '/servers/down')).status).toBe(404);
    expect((await api.call('DELETE', '/servers/down')).status).toBe(404);
    expect((await api.call('POST', '/servers/down/refresh')).status).toBe(404);
  });

  it('refuses a slug that is taken, and one that is no slug', async () => {
    expect((await api.call('POST', '/servers', { slug: 'flux', transport: http })).status).toBe(409);
    expect((await api.call('POST', '/servers', { slug: 'No Slug', transport: http })).status).toBe(400);
  });

  it('takes stdio servers with the defaults filled in', async () => {
    const answer = await api.call('POST', '/servers', { slug: 'local', transport: { kind: 'stdio', command: 'npx' } });
    expect(answer.status).toBe(201);
    expect(answer.body.server.transport).toEqual({ kind: 'stdio', command: 'npx', args: [], environment: {} });
  });
});

describe('definitions', () => {
  it('lists and shows them, also one with a slash in its name', async () => {
    api.upstream.set('slashed', [{ ...DRAW, name: 'files/read' }]);
    await api.call('POST', '/servers', { slug: 'slashed', transport: http });
    expect((await api.call('GET', '/servers/slashed/tools')).body.items).toHaveLength(1);
    const one = await api.call('GET', '/servers/slashed/tools/files%2Fread');
    expect(one.status).toBe(200);
    expect(one.body.observed).toEqual({ ...DRAW, name: 'files/read' });
    expect((await api.call('GET', '/servers/slashed/tools/none')).status).toBe(404);
    expect((await api.call('GET', '/servers/none/tools')).status).toBe(404);
  });

  it('[API-ACCEPT] accepts what was looked at, and refuses what changed since', async () => {
    const [tool] = (await api.call('GET', '/servers/waiting/tools')).body.items;
    api.upstream.set('waiting', [{ ...DRAW, description: 'Draws two pictures.' }]);
    await api.call('POST', '/servers/waiting/refresh');
    const stale = await api.call('POST', '/servers/waiting/tools/accept', {
      tools: [{ name: 'draw', digest: tool.observedDigest }],
    });
    expect(stale.status).toBe(412);
    const [now] = (await api.call('GET', '/servers/waiting/tools')).body.items;
    const accepted = await api.call('POST', '/servers/waiting/tools/accept', {
      tools: [{ name: 'draw', digest: now.observedDigest, class: 'financial' }],
    });
    expect(accepted.status).toBe(200);
    expect(accepted.body.items[0]).toMatchObject({
      name: 'draw',
      state: 'accepted',
      class: 'financial',
      classOverride: 'financial',
    });
  });

  it('accepts all at once, and wants one of both forms', async () => {
    expect((await api.call('POST', '/servers/slashed/tools/accept', { all: true })).body.items).toHaveLength(1);
    for (const body of [{}, { all: false }, { all: true, tools: [] }, { tools: [] }]) {
      expect((await api.call('POST', '/servers/slashed/tools/accept', body)).status, JSON.stringify(body)).toBe(400);
    }
  });
});
