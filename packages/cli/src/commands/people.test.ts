// identity, token, grant
import { afterEach, describe, expect, it } from 'vitest';
import { type FakeApi, fakeApi } from '../../test/harness.ts';
import { EXIT } from '../exit-codes.ts';

let api: FakeApi;
afterEach(() => api.close());

const ID = { id: 'idn_1', name: 'ana', kind: 'person', groups: ['design'], createdAt: '2026-01-01T00:00:00Z' };
const TOKEN = {
  id: 'tok_1',
  identity: 'ana',
  label: 'laptop',
  hint: 'gh_abcdef',
  grants: [],
  createdAt: '2026-01-01T00:00:00Z',
};
const GRANT = {
  id: 'grt_1',
  label: 'ana on flux',
  identity: 'ana',
  identityId: 'idn_1',
  server: 'flux',
  attributes: {},
  sources: [],
  createdAt: '2026-01-01T00:00:00Z',
  revision: 1,
};
const SECRET = 'gh_the_secret_of_the_token';
const bodies = (): unknown[] => api.seen.filter(({ text }) => text !== '').map(({ text }) => JSON.parse(text));

describe('identity', () => {
  it('create, update, revoke and restore send what was said, and no more', async () => {
    api = await fakeApi({ 'POST /identities': { status: 201, body: ID }, 'PATCH /identities/ana': { body: ID } });
    await api.run(['identity', 'create', 'ana']);
    await api.run([
      'identity',
      'create',
      'bot',
      '--kind',
      'agent',
      '--owner',
      'ana',
      '--email',
      'a@x',
      '--group',
      'g',
      '--group',
      'h',
    ]);
    await api.run(['identity', 'update', 'ana', '--no-groups', '--email', 'b@x']);
    await api.run(['identity', 'update', 'ana', '--group', 'k']);
    await api.run(['identity', 'revoke', 'ana']);
    await api.run(['identity', 'restore', 'ana']);
    expect(bodies()).toEqual([
      { name: 'ana' },
      { name: 'bot', kind: 'agent', owner: 'ana', email: 'a@x', groups: ['g', 'h'] },
      { email: 'b@x', groups: [] },
      { groups: ['k'] },
      { disabled: true },
      { disabled: false },
    ]);
  });

  it('refuses what says nothing, or contradicts itself', async () => {
    api = await fakeApi({});
    for (const rest of [[], ['--group', 'a', '--no-groups']]) {
      expect((await api.run(['identity', 'update', 'ana', ...rest])).code).toBe(EXIT.usage);
    }
    expect((await api.run(['identity', 'create', 'x', '--kind', 'robot'])).code).toBe(EXIT.usage);
    expect(api.seen).toEqual([]);
  });

  it('list and show', async () => {
    api = await fakeApi({
      'GET /identities': { body: { items: [ID] } },
      'GET /identities/ana': { body: ID },
      'GET /grants': { body: { items: [GRANT] } },
    });
    expect((await api.run(['identity', 'list'])).stdout).toMatch(/\nana +person +- +design +- +active +idn_1\n/);
    expect((await api.run(['identity', 'show', 'ana'])).stdout).toMatch(/\ngrt_1 +flux +none +holds\n/);
    expect(api.seen.at(-1)?.path).toBe('/grants?identity=idn_1');
  });
});

describe('token', () => {
  it('create and rotate show the secret once, with times as RFC 3339', async () => {
    const made = { token: TOKEN, secret: SECRET };
    api = await fakeApi({ 'POST /tokens': { status: 201, body: made }, 'POST /tokens/tok_1/rotate': { body: made } });
    const created = await api.run([
      'token',
      'create',
      '--identity',
      'ana',
      '--label',
      'laptop',
      '--grant',
      'grt_1',
      '--expires',
      '90d',
    ]);
    expect(created.stdout.split(SECRET)).toHaveLength(2);
    expect(created.stderr).not.toContain(SECRET);
    await api.run(['token', 'rotate', 'tok_1']);
    await api.run(['token', 'rotate', 'tok_1', '--overlap', '0s', '--json']);
    expect(bodies()).toEqual([
      { identity: 'ana', label: 'laptop', grants: ['grt_1'], expiresAt: '2026-07-30T12:00:00.000Z' },
      { overlapSeconds: 86_400 },
      { overlapSeconds: 0 },
    ]);
  });

  it('says in which state each is', async () => {
    const states = [
      TOKEN,
      { ...TOKEN, id: 'tok_2', expiresAt: '2026-05-01T11:59:59Z' },
      { ...TOKEN, id: 'tok_3', expiresAt: '2026-05-02T00:00:00Z', replacedBy: 'tok_1' },
      { ...TOKEN, id: 'tok_4', revokedAt: '2026-04-01T00:00:00Z', expiresAt: '2027-01-01T00:00:00Z' },
    ];
    api = await fakeApi({ 'GET /tokens': { body: { items: states } }, 'DELETE /tokens/tok_1': { body: TOKEN } });
    const { stdout } = await api.run(['token', 'list', '--identity', 'ana']);
    expect(api.seen[0]?.path).toBe('/tokens?identity=ana');
    expect(
      stdout
        .split('\n')
        .slice(1, 5)
        .map((line) => /gh_abcdef +(.+?) {2}/.exec(line)?.[1]),
    ).toEqual(['holds', 'expired', 'replaced, holds', 'revoked']);
    expect((await api.run(['token', 'show', 'tok_3'])).stdout).toContain('replaced by  tok_1');
    expect((await api.run(['token', 'show', 'tok_9'])).code).toBe(EXIT.notFound);
    expect((await api.run(['token', 'revoke', 'tok_1'])).stdout).toBe('Revoked tok_1.\n');
  });
});

describe('grant', () => {
  it('create sends all of it and shows URL and token', async () => {
    const made = {
      grant: GRANT,
      identityCreated: true,
      token: TOKEN,
      secret: SECRET,
      url: 'http://127.0.0.1:8080/mcp/flux',
    };
    api = await fakeApi({ 'POST /grants': { status: 201, body: made } });
    const argv = ['grant', 'create', '--server', 'flux', '--to', 'ana'];
    const { stdout, stderr } = await api.run(argv);
    expect(stdout).toContain('URL    http://127.0.0.1:8080/mcp/flux\ntoken  gh_the_secret_of_the_token\n');
    expect(stderr).toContain('ana is new and was added.');
    expect(stderr).toContain('It has no policy yet');
    const options = [
      '--kind',
      'agent',
      '--policy',
      'p',
      '--label',
      'l',
      '--attribute',
      'team=a',
      '--source',
      '10.0.0.0/8',
      '--expires',
      '2027-01-01',
    ];
    await api.run([...argv, ...options, '--no-token']);
    await api.run([...argv, '--token-expires', '1d', '--json']);
    const base = { server: 'flux', identity: 'ana' };
    const more = { identityKind: 'agent', policy: 'p', label: 'l', attributes: { team: 'a' }, sources: ['10.0.0.0/8'] };
    expect(bodies()).toEqual([
      base,
      { ...base, ...more, expiresAt: '2027-01-01T00:00:00.000Z', token: false },
      { ...base, tokenExpiresAt: '2026-05-02T12:00:00.000Z' },
    ]);
  });

  it('update tells "take away" from "leave as it is"', async () => {
    api = await fakeApi({ 'PATCH /grants/grt_1': { body: GRANT } });
    const update = (...rest: string[]) => api.run(['grant', 'update', 'grt_1', ...rest]);
    await update('--no-policy', '--no-expires', '--any-source');
    await update('--policy', 'p', '--attribute', 'a=1', '--label', '');
    expect(bodies()).toEqual([
      { policy: null, sources: [], expiresAt: null },
      { policy: 'p', label: '', attributes: { a: '1' } },
    ]);
    expect((await update()).code).toBe(EXIT.usage);
    expect((await update('--any-source', '--source', '::/0')).code).toBe(EXIT.usage);
  });

  it('list, show, rotate, revoke', async () => {
    api = await fakeApi({
      'GET /grants': { body: { items: [GRANT, { ...GRANT, id: 'grt_2', expiresAt: '2026-01-02T00:00:00Z' }] } },
      'GET /grants/grt_1': { body: GRANT },
      'POST /grants/grt_1/rotate': { body: { token: TOKEN, secret: SECRET } },
      'DELETE /grants/grt_1': { body: { ...GRANT, revokedAt: '2026-05-01T12:00:00Z' } },
    });
    const { stdout } = await api.run(['grant', 'list', '--server', 'flux', '--identity', 'a&b']);
    expect(api.seen[0]?.path).toBe('/grants?server=flux&identity=a%26b');
    expect(stdout).toMatch(/grt_1 .* holds +never\ngrt_2 .* expired +2026-01-02/);
    expect((await api.run(['grant', 'show', 'grt_1'])).stdout).toContain('policy    none: every call is denied');
    expect((await api.run(['grant', 'rotate', 'grt_1', '--overlap', '1h'])).stdout).toContain(SECRET);
    expect(bodies()).toEqual([{ overlapSeconds: 3600 }]);
    const revoked = await api.run(['grant', 'revoke', 'grt_1', '--json']);
    expect(JSON.parse(revoked.stdout)).toMatchObject({ id: 'grt_1', revokedAt: '2026-05-01T12:00:00Z' });
  });
});
