import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fillTestApi, openTestApi, POLICY, type TestApi } from './testing.ts';

let api: TestApi;
beforeAll(async () => {
  api = await openTestApi();
  await fillTestApi(api);
});
afterAll(() => api.close());

const path = '/servers/flux/policies/strict';
const wrong = { version: '1', default: 'deny', tools: { draw: { args: { count: { at_most: 4 } } } } };

describe('policies', () => {
  it('[API-ETAG] are made, changed and removed by version', async () => {
    const made = await api.call('PUT', path, POLICY, { 'if-none-match': '*' });
    expect(made.status).toBe(201);
    expect(made.headers.get('etag')).toBe('"1"');
    expect((await api.call('PUT', path, POLICY, { 'if-none-match': '*' })).status).toBe(412);
    const looser = { ...POLICY, default: 'allow' };
    const changed = await api.call('PUT', path, looser, { 'if-match': '"1"' });
    expect(changed.status).toBe(200);
    expect(changed.headers.get('etag')).toBe('"2"');
    expect((await api.call('PUT', path, POLICY, { 'if-match': '"1"' })).status).toBe(412);
    expect((await api.call('PUT', path, POLICY, { 'if-match': '"2"', 'if-none-match': '*' })).status).toBe(400);
    const versions = (await api.call('GET', `${path}/versions`)).body.items;
    expect(versions.map((one: { version: number }) => one.version).sort()).toEqual([1, 2]);
    expect((await api.call('GET', path)).body.document).toEqual(looser);
    expect((await api.call('DELETE', path, undefined, { 'if-match': '"1"' })).status).toBe(412);
    expect((await api.call('DELETE', path, undefined, { 'if-match': '"2"' })).status).toBe(204);
    expect((await api.call('GET', path)).status).toBe(404);
  });

  it('takes YAML, and refuses doubled keys in either form', async () => {
    const yaml = 'version: "1"\ndefault: deny\ntools:\n  draw:\n    args: { count: { lte: 4 } }\n';
    const made = await api.call('PUT', '/servers/flux/policies/yaml', yaml, { 'content-type': 'application/yaml' });
    expect(made.status).toBe(201);
    expect(made.body.document.tools.draw.args.count.lte).toBe(4);
    const doubled = '{"version":"1","default":"deny","default":"allow"}';
    for (const type of ['application/json', 'application/yaml']) {
      const refused = await api.call('PUT', '/servers/flux/policies/doubled', doubled, { 'content-type': type });
      expect(refused.status, type).toBe(422);
      expect(refused.body.code).toBe('policy_invalid');
    }
  });

  it('says of a broken text where it is broken', async () => {
    for (const type of ['application/json', 'application/yaml']) {
      const refused = await api.call('PUT', '/servers/flux/policies/broken', '{"version": "1",\n "default" }{', {
        'content-type': type,
      });
      expect(refused.status, type).toBe(422);
      expect(refused.text, type).toMatch(/line 2/);
    }
    const other = await api.call('PUT', '/servers/flux/policies/broken', 'x', { 'content-type': 'text/plain' });
    expect(other.status).toBe(415);
    expect(other.body.detail).toContain('application/yaml');
  });

  it('[API-POLICY-ERRORS] names all errors by their pointers, and saves nothing', async () => {
    const refused = await api.call('PUT', '/servers/flux/policies/wrong', { ...wrong, defalt: 1 });
    expect(refused.status).toBe(422);
    const pointers = refused.body.errors.map((item: { pointer: string }) => item.pointer);
    expect(pointers).toEqual(expect.arrayContaining(['/defalt', '/tools/draw/args/count/at_most']));
    expect((await api.call('GET', '/servers/flux/policies/wrong')).status).toBe(404);
  });

  it('are not removed while a grant carries them, and unknown servers have none', async () => {
    expect((await api.call('DELETE', '/servers/flux/policies/default')).status).toBe(409);
    expect((await api.call('GET', '/servers/none/policies')).status).toBe(404);
    expect((await api.call('PUT', '/servers/none/policies/x', POLICY)).status).toBe(404);
    expect(
      (await api.call('GET', '/servers/flux/policies')).body.items.map((one: { name: string }) => one.name),
    ).toContain('default');
  });

  it('are checked without being saved', async () => {
    expect((await api.call('POST', '/policies/check', { document: POLICY })).body.valid).toBe(true);
    expect((await api.call('POST', '/policies/check', { document: POLICY, server: 'flux' })).body.valid).toBe(true);
    const bad = await api.call('POST', '/policies/check', { text: JSON.stringify(wrong) });
    expect(bad.status).toBe(200);
    expect(bad.body.valid).toBe(false);
    expect(bad.body.problems[0]).toMatchObject({ pointer: '/tools/draw/args/count/at_most', severity: 'error' });
    const unreadable = await api.call('POST', '/policies/check', { text: '{"version": ' });
    expect(unreadable.body.valid).toBe(false);
    expect((await api.call('POST', '/policies/check', { document: POLICY, server: 'none' })).status).toBe(404);
    expect((await api.call('POST', '/policies/check', {})).status).toBe(400);
    expect((await api.call('POST', '/policies/check', { document: POLICY, text: 'x' })).status).toBe(400);
  });
});

describe('POST /policies/judge', () => {
  const judge = (more: object, tool = 'draw', args: unknown = { prompt: 'a cat', count: 2 }) =>
    api.call('POST', '/policies/judge', { server: 'flux', tool, arguments: args, ...more });

  it('judges by a document, a text, a saved policy, or what a grant carries', async () => {
    const sources = [
      { document: POLICY },
      { text: JSON.stringify(POLICY) },
      { policy: 'default' },
      { grant: 'ana on flux' },
    ];
    for (const source of sources) {
      const answer = await judge(source);
      expect(answer.status, JSON.stringify(source)).toBe(200);
      expect(answer.body.decision.outcome).toBe('allow');
      expect(answer.body.decision.charges[0]).toMatchObject({ counter: 'draw_rate', max: 30 });
      expect(answer.body.trace.decision).toEqual(answer.body.decision);
    }
    expect((await judge({ policy: 'default' })).body.policy).toEqual({ name: 'default', version: 1 });
    expect((await judge({ document: POLICY })).body.policy).toBeUndefined();
  });

  it('[POL-CONCURRENT] shows the slot that a call would take', async () => {
    const document = { version: '1', default: 'deny', tools: { draw: { limits: [{ concurrent: 2 }] } } };
    const { status, body } = await judge({ document });
    expect(status).toBe(200);
    expect(body.decision.charges).toEqual([
      expect.objectContaining({ kind: 'slot', counter: 'draw_concurrent', max: 2 }),
    ]);
    expect(JSON.stringify(body.trace.steps)).toContain('/tools/draw/limits/0 takes a slot');
  });

  it('shows which rule denied, and what it read', async () => {
    const answer = await judge({ policy: 'default' }, 'draw', { prompt: 'a cat', count: 8 });
    expect(answer.body.decision).toMatchObject({ outcome: 'deny', rule: '/tools/draw/args/count/lte' });
    expect(JSON.stringify(answer.body.trace.steps)).toContain('"value":8');
    expect((await judge({ policy: 'default' }, 'list_models', {})).body.decision.rule).toBe('(default deny)');
    expect((await judge({ policy: 'default' }, 'none', {})).body.decision.rule).toBe('(unknown tool)');
  });

  it('[API-JUDGE-EXACT] judges numbers as they were written, not as a double has them', async () => {
    const body =
      '{"server":"flux","policy":"default","tool":"draw","arguments":{"prompt":"a","count":3.00000000000000000001}}';
    const answer = await api.call('POST', '/policies/judge', body);
    expect(answer.status).toBe(200);
    expect(answer.body.decision.outcome).toBe('deny');
  });

  it('counts nothing', async () => {
    for (let i = 0; i < 40; i++) await judge({ grant: 'ana on flux' });
    expect((await judge({ grant: 'ana on flux' })).body.decision.outcome).toBe('allow');
    expect(api.counters.stats()).toMatchObject({ reserved: 0, counters: 0 });
  });

  it('judges for another time and identity', async () => {
    const document = { version: '1', default: 'deny', tools: { draw: {} } };
    expect((await judge({ document, identity: 'ana', at: '2020-01-01T03:00:00+01:00' })).status).toBe(200);
    expect((await judge({ document, identity: 'nobody' })).status).toBe(404);
    expect((await judge({ document, at: 'yesterday' })).body.errors[0].pointer).toBe('/at');
  });

  it('refuses what it cannot judge', async () => {
    expect((await judge({})).status).toBe(400);
    expect((await judge({ document: POLICY, policy: 'default' })).status).toBe(400);
    expect((await judge({ policy: 'none' })).status).toBe(404);
    expect((await judge({ grant: 'none' })).status).toBe(404);
    expect((await judge({ document: wrong })).status).toBe(422);
    expect((await judge({ text: '{' })).status).toBe(422);
    expect((await judge({ document: POLICY }, 'draw', [1])).status).toBe(400);
    expect(
      (await api.call('POST', '/policies/judge', { server: 'none', tool: 'x', arguments: {}, document: POLICY }))
        .status,
    ).toBe(404);
  });
});
