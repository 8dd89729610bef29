// Identities, tokens and grants, through the API.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Answer, fillTestApi, NOW, openTestApi, type TestApi } from './testing.ts';

let api: TestApi;
let first: { grantId: string; secret: string };
beforeAll(async () => {
  api = await openTestApi();
  first = await fillTestApi(api);
});
afterAll(() => api.close());

const opens = (secret: string): boolean =>
  api.services.directory.authenticate(`Bearer ${secret}`, 'flux', api.now.value, '127.0.0.1').ok;

describe('identities', () => {
  it('are made, found by id and by name, changed and disabled', async () => {
    const made = await api.call('POST', '/identities', { name: 'bo', kind: 'person', groups: ['team'] });
    expect(made.status).toBe(201);
    expect((await api.call('GET', '/identities/bo')).body).toEqual(made.body);
    expect((await api.call('GET', `/identities/${made.body.id}`)).body.name).toBe('bo');
    const changed = await api.call('PATCH', '/identities/bo', { email: 'bo@example.com', disabled: true });
    expect(changed.body).toMatchObject({ email: 'bo@example.com', groups: ['team'] });
    expect(changed.body.disabledAt).toBe(new Date(NOW).toISOString());
    expect((await api.call('GET', '/identities')).body.items.map((one: { name: string }) => one.name).sort()).toEqual([
      'ana',
      'bo',
    ]);
    expect((await api.call('POST', '/identities', { name: 'bo' })).status).toBe(409);
    expect((await api.call('GET', '/identities/nobody')).status).toBe(404);
    expect((await api.call('PATCH', '/identities/nobody', {})).status).toBe(404);
  });

  it('[API-ETAG] have no entity tag, so that none can match', async () => {
    expect((await api.call('GET', '/identities/ana')).headers.get('etag')).toBeNull();
    expect((await api.call('PATCH', '/identities/ana', { groups: [] }, { 'if-match': '"1"' })).status).toBe(412);
    expect((await api.call('PATCH', '/identities/ana', { groups: [] }, { 'if-match': '*' })).status).toBe(200);
  });
});

describe('tokens', () => {
  it('are made, rotated with an overlap, and revoked', async () => {
    const made = await api.call('POST', '/tokens', {
      identity: 'ana',
      label: 'laptop',
      expiresAt: '2026-06-01T00:00:00Z',
    });
    expect(made.status).toBe(201);
    expect(opens(made.body.secret)).toBe(true);
    const rotated = await api.call('POST', `/tokens/${made.body.token.id}/rotate`, { overlapSeconds: 60 });
    expect(rotated.status).toBe(200);
    expect(opens(made.body.secret)).toBe(true);
    expect(opens(rotated.body.secret)).toBe(true);
    api.now.value += 61_000;
    expect(opens(made.body.secret)).toBe(false);
    expect(opens(rotated.body.secret)).toBe(true);
    const revoked = await api.call('DELETE', `/tokens/${rotated.body.token.id}`);
    expect(revoked.status).toBe(200);
    expect(revoked.body.revokedAt).toBeDefined();
    expect(opens(rotated.body.secret)).toBe(false);
  });

  it('hold for a day more when rotated without a body', async () => {
    const made = await api.call('POST', '/tokens', { identity: 'ana' });
    expect((await api.call('POST', `/tokens/${made.body.token.id}/rotate`)).status).toBe(200);
    const ends = (await api.call('GET', '/tokens?identity=ana')).body.items.find(
      (one: { id: string }) => one.id === made.body.token.id,
    );
    expect(Date.parse(ends.expiresAt) - api.now.value).toBe(86_400_000);
  });

  it('refuse bad input by its pointer', async () => {
    expect((await api.call('POST', '/tokens', { identity: 'ana', expiresAt: 'soon' })).body.errors[0].pointer).toBe(
      '/expiresAt',
    );
    expect((await api.call('POST', '/tokens', { identity: 'nobody' })).status).toBe(404);
    const [token] = (await api.call('GET', '/tokens')).body.items;
    expect((await api.call('POST', `/tokens/${token.id}/rotate`, { overlapSeconds: -1 })).status).toBe(400);
    expect((await api.call('POST', '/tokens/none/rotate')).status).toBe(404);
    expect((await api.call('DELETE', '/tokens/none')).status).toBe(404);
  });
});

describe('grants', () => {
  it('[API-GRANT] one step makes identity, grant and token', async () => {
    const made = await api.call('POST', '/grants', {
      server: 'flux',
      identity: 'robot',
      identityKind: 'agent',
      policy: 'default',
    });
    expect(made.status).toBe(201);
    expect(made.body).toMatchObject({
      identityCreated: true,
      url: 'http://127.0.0.1:8080/mcp/flux',
      grant: { identity: 'robot', policy: 'default' },
    });
    expect(made.headers.get('etag')).toBe(`"${made.body.grant.revision}"`);
    expect(opens(made.body.secret)).toBe(true);
    expect((await api.call('POST', '/grants', { server: 'flux', identity: 'robot' })).status).toBe(409);
    const bare = await api.call('POST', '/grants', { server: 'flux', identity: 'bare', token: false });
    expect(bare.body.secret).toBeUndefined();
    expect(bare.body.token).toBeUndefined();
  });

  it('[API-ETAG] change only as the caller saw them; null takes the policy away', async () => {
    const seen = await api.call('GET', `/grants/${first.grantId}`);
    const tag = { 'if-match': seen.headers.get('etag')! };
    const changed = await api.call(
      'PATCH',
      `/grants/${first.grantId}`,
      { policy: null, attributes: { team: 'a' } },
      tag,
    );
    expect(changed.status).toBe(200);
    expect(changed.body.policy).toBeUndefined();
    expect(changed.body.attributes).toEqual({ team: 'a' });
    expect((await api.call('PATCH', `/grants/${first.grantId}`, { policy: 'default' }, tag)).status).toBe(412);
    expect((await api.call('DELETE', `/grants/${first.grantId}`, undefined, tag)).status).toBe(412);
    expect((await api.call('PATCH', `/grants/${first.grantId}`, { policy: 'default' })).body.policy).toBe('default');
  });

  it('are listed by server and identity, rotated and revoked', async () => {
    expect((await api.call('GET', '/grants?server=flux&identity=ana')).body.items).toHaveLength(1);
    const rotated = await api.call('POST', `/grants/${first.grantId}/rotate`, { overlapSeconds: 0 });
    expect(rotated.status).toBe(200);
    expect(opens(first.secret)).toBe(false);
    expect(opens(rotated.body.secret)).toBe(true);
    const revoked = await api.call('DELETE', `/grants/${first.grantId}`);
    expect(revoked.body.revokedAt).toBeDefined();
    expect(opens(rotated.body.secret)).toBe(false);
    expect((await api.call('GET', '/grants/none')).status).toBe(404);
  });
});

describe('secrets', () => {
  it('[P6] of tokens are in the answer that makes them and nowhere else', async () => {
    const made: Answer[] = [
      await api.call('POST', '/tokens', { identity: 'robot' }),
      await api.call('POST', '/grants', { server: 'flux', identity: 'late' }),
    ];
    made.push(await api.call('POST', `/tokens/${made[0]!.body.token.id}/rotate`, {}));
    made.push(await api.call('POST', `/grants/${made[1]!.body.grant.id}/rotate`, {}));
    const secrets = made.map((answer) => answer.body.secret as string);
    for (const secret of secrets) expect(secret).toMatch(/^gh_[0-9A-Za-z]{49}$/);
    const paths = [
      '/status',
      '/servers',
      '/identities',
      '/tokens',
      '/grants',
      `/grants/${made[1]!.body.grant.id}`,
      '/audit/export',
      '/audit/records',
    ];
    for (const path of paths) {
      const { text } = await api.call('GET', path);
      for (const secret of secrets) expect(text, path).not.toContain(secret);
    }
  });
});
