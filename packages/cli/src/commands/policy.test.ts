import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type FakeApi, fakeApi, problem, run } from '../../test/harness.ts';
import { EXIT } from '../exit-codes.ts';

const GOOD = 'version: "1"\ndefault: deny\ntools:\n  a: {}\n';
const BAD = 'version: "1"\ndefault: maybe\n';
const POLICY = {
  server: 'flux',
  name: 'p',
  version: 3,
  grants: 0,
  warnings: [],
  document: { version: '1' },
  updatedAt: 'x',
  updatedBy: 'local',
};

let folder: string;
let api: FakeApi | undefined;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'gatehouse-policy-'));
  api = undefined;
});
afterEach(async () => {
  await api?.close();
  rmSync(folder, { recursive: true });
});

function file(text: string, name = 'policy.yaml'): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

describe('policy check', () => {
  it('[CLI-CHECK] needs no gateway without --server, and says by its exit code whether there are errors', async () => {
    const noGateway = { gateway: () => Promise.reject(new Error('the gateway was asked for')) };
    expect(await run(['policy', 'check', file(GOOD)], noGateway)).toMatchObject({ code: EXIT.ok, stderr: '' });
    const bad = await run(['policy', 'check', file(BAD)], noGateway);
    expect(bad.code).toBe(EXIT.denied);
    expect(bad.stdout).toMatch(/policy\.yaml:2:1: error: \/default: /);
    expect((await run(['policy', 'check', '-'], { ...noGateway, stdin: BAD })).code).toBe(EXIT.denied);
    expect((await run(['policy', 'check', file('{"a":1,"a":2}', 'd.json')], noGateway)).code).toBe(EXIT.denied);
    expect((await run(['policy', 'check', join(folder, 'none')], noGateway)).code).toBe(EXIT.notFound);
  });

  it('asks the gateway about the tools of a server; warnings alone are no failure', async () => {
    const warning = { pointer: '/tools/a', message: 'no such tool', severity: 'warning', code: 'x' };
    api = await fakeApi({ 'POST /policies/check': { body: { valid: true, problems: [warning] } } });
    const { code, stdout } = await api.run(['policy', 'check', file(GOOD), '--server', 'flux', '--json']);
    expect([code, JSON.parse(stdout)]).toEqual([EXIT.ok, { valid: true, problems: [warning] }]);
    expect(JSON.parse(api.seen[0]!.text)).toEqual({ text: GOOD, server: 'flux' });
  });
});

describe('policy apply', () => {
  it('sends the text as it was written, and then gives it to the grants', async () => {
    api = await fakeApi({
      'PUT /servers/flux/policies/p': { body: POLICY },
      'PATCH /grants/g1': { body: { id: 'g1', identity: 'ana' } },
    });
    const text = '{"version": "1", "default": "deny",\n "description": "\\u0041"}';
    const { code } = await api.run([
      'policy',
      'apply',
      file(text, 'p.json'),
      '--server',
      'flux',
      '--name',
      'p',
      '--grant',
      'g1',
    ]);
    expect(code).toBe(EXIT.ok);
    expect(api.seen.map(({ method, text: body, headers }) => [method, headers['content-type'], body])).toEqual([
      ['PUT', 'application/json', text],
      ['PATCH', 'application/json', '{"policy":"p"}'],
    ]);
  });

  it('says which version it replaces, when told', async () => {
    api = await fakeApi({ 'PUT /servers/flux/policies/p': { body: POLICY } });
    const apply = (...rest: string[]) =>
      api!.run(['policy', 'apply', file(GOOD), '--server', 'flux', '--name', 'p', ...rest]);
    await apply();
    await apply('--if-version', '2');
    await apply('--if-version', '0');
    expect(api.seen.map(({ headers }) => [headers['if-match'], headers['if-none-match']])).toEqual([
      [undefined, undefined],
      ['"2"', undefined],
      [undefined, '*'],
    ]);
    expect((await apply('--if-version', 'x')).code).toBe(EXIT.usage);
  });

  it('[CLI-EXIT] errors of the policy are exit code 4, a changed version is 6; the grant is left alone', async () => {
    const errors = [{ pointer: '/tools/a', message: 'nonsense', suggestion: 'did you mean b?' }];
    api = await fakeApi({ 'PUT /servers/flux/policies/p': problem(422, 'policy_invalid', 'It has an error.', errors) });
    const argv = ['policy', 'apply', file(GOOD), '--server', 'flux', '--name', 'p', '--grant', 'g1'];
    const { code, stderr } = await api.run(argv);
    expect(code).toBe(EXIT.denied);
    expect(stderr).toContain('/tools/a: nonsense (did you mean b?)');
    expect(api.seen).toHaveLength(1);
    await api.close();
    api = await fakeApi({ 'PUT /servers/flux/policies/p': problem(412, 'precondition_failed', 'It is version 4.') });
    expect((await api.run(argv)).code).toBe(EXIT.conflict);
    const unreadable = await api.run(['policy', 'apply', file('a: [', 'x.yaml'), '--server', 'flux', '--name', 'p']);
    expect([unreadable.code, api.seen.length]).toEqual([EXIT.denied, 1]);
  });
});

describe('policy judge', () => {
  const decision = { outcome: 'allow', charges: [], warnings: [], rule: '' };
  const allowed = { decision, trace: { steps: [], decision } };
  const denial = { outcome: 'deny', rule: '/tools/a', reason: 'No \u001b[31m.', concealed: false, failures: [] };
  const denied = {
    decision: denial,
    trace: { steps: [{ step: 6, title: 'action', result: 'deny', predicates: [] }], decision: denial },
  };

  it('[POL-CONCURRENT] shows what a call would take of its limits', async () => {
    const counted = { counter: 'draw_rate', amount: 2, max: 30, scope: 'grant', windowSeconds: 60 };
    const slot = { kind: 'slot', counter: 'draw_concurrent', amount: 1, max: 3, scope: 'server' };
    const taking = { ...decision, charges: [counted, slot] };
    api = await fakeApi({
      'POST /policies/judge': { body: { decision: taking, trace: { steps: [], decision: taking } } },
    });
    const { stdout } = await api.run([
      'policy',
      'judge',
      '--server',
      'flux',
      '--policy',
      file(GOOD),
      '--tool',
      'a',
      '--args',
      '{}',
    ]);
    expect(stdout).toContain('would take 2 of 30 from draw_rate per 60 s and grant');
    expect(stdout).toContain('would take 1 of 3 from draw_concurrent at once and server');
  });

  it('[CLI-JUDGE-BYTES] sends the arguments as they were written, numbers that no double holds included', async () => {
    api = await fakeApi({ 'POST /policies/judge': { body: allowed } });
    const args = '{"id": 12345678901234567890, "x": 1.10}';
    await api.run([
      'policy',
      'judge',
      '--server',
      'flux',
      '--policy',
      'pictures',
      '--tool',
      'a',
      '--args',
      args,
      '--grant',
      'g1',
      '--at',
      '2026-01-01',
    ]);
    expect(api.seen[0]!.text).toBe(
      `{"server":"flux","tool":"a","policy":"pictures","grant":"g1","at":"2026-01-01T00:00:00.000Z","arguments":${args}}`,
    );
  });

  it('takes the policy from a file and the arguments from a file or standard input', async () => {
    api = await fakeApi({ 'POST /policies/judge': { body: allowed } });
    const base = ['policy', 'judge', '--server', 'flux', '--policy', file(GOOD), '--tool', 'a', '--args'];
    await api.run([...base, `@${file('{"n":1}', 'args.json')}`]);
    await api.run([...base, '-'], { stdin: '{"n":2}' });
    expect(api.seen.map(({ text }) => JSON.parse(text) as object)).toEqual([
      { server: 'flux', tool: 'a', text: GOOD, arguments: { n: 1 } },
      { server: 'flux', tool: 'a', text: GOOD, arguments: { n: 2 } },
    ]);
    for (const bad of ['[]', '{', '@/nonexistent']) expect((await api.run([...base, bad])).code).not.toBe(EXIT.ok);
    expect(api.seen).toHaveLength(2);
  });

  it('[CLI-EXIT] a denied call is exit code 4, with the steps; nothing in it reaches the terminal raw', async () => {
    api = await fakeApi({ 'POST /policies/judge': { body: denied } });
    const { code, stdout } = await api.run(['policy', 'judge', '--server', 'flux', '--grant', 'g', '--tool', 'a']);
    expect(code).toBe(EXIT.denied);
    expect(stdout).toBe('deny\n  No \\u{1b}[31m.\n  rule /tools/a\n 6  deny  action\n');
  });
});

describe('policy show, list, versions, remove', () => {
  it('show prints the document alone on standard output, so that it can be saved and applied again', async () => {
    const versions = [
      { version: 1, document: { version: '1', default: 'deny' }, digest: 'd', createdAt: 'x', createdBy: 'local' },
    ];
    api = await fakeApi({
      'GET /servers': { body: { items: [{ slug: 'flux' }] } },
      'GET /servers/flux/policies': { body: { items: [POLICY] } },
      'GET /servers/flux/policies/p': { body: POLICY },
      'GET /servers/flux/policies/p/versions': { body: { items: versions } },
      'DELETE /servers/flux/policies/p': {},
    });
    expect(JSON.parse((await api.run(['policy', 'show', 'flux', 'p'])).stdout)).toEqual(POLICY.document);
    expect(JSON.parse((await api.run(['policy', 'show', 'flux', 'p', '--at-version', '1'])).stdout)).toEqual(
      versions[0]?.document,
    );
    expect((await api.run(['policy', 'show', 'flux', 'p', '--at-version', '2'])).code).toBe(EXIT.notFound);
    expect((await api.run(['policy', 'list'])).stdout).toMatch(/\nflux +p +3 +0 +0 /);
    expect((await api.run(['policy', 'versions', 'flux', 'p'])).stdout).toMatch(/\n1 +x +local +d\n/);
    expect((await api.run(['policy', 'remove', 'flux', 'p', '--yes'])).code).toBe(EXIT.ok);
  });
});
