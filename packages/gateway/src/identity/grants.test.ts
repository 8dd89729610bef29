import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ADMIN, openTestControl, refusal, START, type TestControl } from '../control/testing.ts';

let control: TestControl;

beforeEach(async () => {
  control = await openTestControl();
  const { servers } = control.services;
  await servers.create({ slug: 'flux', transport: { kind: 'http', url: 'http://127.0.0.1:9/mcp' } }, ADMIN);
  await servers.create({ slug: 'files', transport: { kind: 'http', url: 'http://127.0.0.1:8/mcp' } }, ADMIN);
});

afterEach(() => control.end());

function opens(secret: string | undefined, slug = 'flux', source = '127.0.0.1'): string {
  const result = control.services.directory.authenticate(`Bearer ${secret}`, slug, control.now, source);
  return result.ok ? 'opens' : result.reason;
}

function at(seconds: number): string {
  return new Date(START + seconds * 1000).toISOString();
}

describe('grants', () => {
  it('[GRANT-ONESTEP] are made in one step with the identity and the token that are missing', async () => {
    const { grants, identities } = control.services;
    const made = await grants.create({ server: 'flux', identity: 'ana', attributes: { team: 'art' } }, ADMIN);
    expect(made).toMatchObject({
      identityCreated: true,
      grant: { server: 'flux', identity: 'ana', label: 'ana on flux', attributes: { team: 'art' }, revision: 1 },
      token: { identity: 'ana', grants: [made.grant.id] },
    });
    expect(identities.get('ana')).toMatchObject({ kind: 'person', id: made.grant.identityId });
    expect(opens(made.secret)).toBe('opens');
    expect(opens(made.secret, 'files')).toBe('no_grant');
    const second = await grants.create({ server: 'files', identity: made.grant.identityId, token: false }, ADMIN);
    expect(second).toEqual({ grant: expect.anything(), identityCreated: false });
    expect(control.services.directory.grant(made.grant.id)?.caller).toMatchObject({
      identity: { name: 'ana', groups: [] },
      grant: { attributes: { team: 'art' } },
      server: { slug: 'flux' },
    });
  });

  it('[GRANT-UNIQUE] are one for each identity and server, until they are revoked', async () => {
    const { grants } = control.services;
    const { grant } = await grants.create({ server: 'flux', identity: 'ana' }, ADMIN);
    const error = await refusal(grants.create({ server: 'flux', identity: 'ana' }, ADMIN));
    expect(error).toMatchObject({ code: 'conflict', message: expect.stringContaining(grant.id) });
    await grants.revoke(grant.id, ADMIN);
    const again = await grants.create({ server: 'flux', identity: 'ana' }, ADMIN);
    expect(opens(again.secret)).toBe('opens');
    await control.reopen();
    expect(opens(again.secret)).toBe('opens');
  });

  it('names every fault of the input, and makes nothing of it', async () => {
    const { grants, identities } = control.services;
    const error = await refusal(
      grants.create(
        {
          server: 'flux',
          identity: ' ana\u202e',
          label: 'x'.repeat(200),
          sources: ['10.0.0.1/8', '10.0.0.0/8'],
          expiresAt: 'tomorrow',
          tokenExpiresAt: at(-1),
          attributes: { team: 'a\u0000' },
        },
        ADMIN,
      ),
    );
    expect(error.code).toBe('invalid_input');
    const pointers = new Set(error.items.map(({ pointer }) => pointer));
    expect([...pointers]).toEqual([
      '/identity',
      '/label',
      '/expiresAt',
      '/attributes/team',
      '/sources/0',
      '/tokenExpiresAt',
    ]);
    expect(identities.list()).toEqual([]);
    expect((await refusal(grants.create({ server: 'fluks', identity: 'ana' }, ADMIN))).code).toBe('not_found');
    expect((await refusal(grants.create({ server: 'flux', identity: 'ana', policy: 'none' }, ADMIN))).code).toBe(
      'not_found',
    );
  });

  it('change from the next message on, and only from the revision that was seen', async () => {
    const { grants } = control.services;
    const { grant, secret } = await grants.create({ server: 'flux', identity: 'ana' }, ADMIN);
    const changed = await grants.update(grant.id, { sources: ['192.0.2.0/24'], expiresAt: at(60) }, 1, ADMIN);
    expect(changed).toMatchObject({ revision: 2, sources: ['192.0.2.0/24'], expiresAt: at(60) });
    expect(opens(secret)).toBe('source_not_allowed');
    expect(opens(secret, 'flux', '192.0.2.1')).toBe('opens');
    expect((await refusal(grants.update(grant.id, { sources: [] }, 1, ADMIN))).code).toBe('precondition_failed');
    control.now += 60_000;
    expect(opens(secret, 'flux', '192.0.2.1')).toBe('expired_grant');
    const freed = await grants.update(grant.id, { sources: [], expiresAt: null, label: 'Ana' }, 2, ADMIN);
    expect(freed).not.toHaveProperty('expiresAt');
    expect(opens(secret)).toBe('opens');
  });

  it('[AUTH-REVOKE] end with their revocation, which is final', async () => {
    const { grants } = control.services;
    const { grant, secret } = await grants.create({ server: 'flux', identity: 'ana' }, ADMIN);
    const revoked = await grants.revoke(grant.id, ADMIN);
    expect(revoked.revokedAt).toBe(at(0));
    expect(opens(secret)).toBe('revoked_grant');
    expect(await grants.revoke(grant.id, ADMIN)).toEqual(revoked);
    expect((await refusal(grants.update(grant.id, { label: 'x' }, undefined, ADMIN))).code).toBe('conflict');
    expect((await refusal(grants.rotate(grant.id, 0, ADMIN))).code).toBe('conflict');
  });

  it('[TOK-ROTATE] get a new token, and the old ones of this grant alone end after the overlap', async () => {
    const { grants, tokens } = control.services;
    const { grant, secret, token } = await grants.create(
      { server: 'flux', identity: 'ana', tokenExpiresAt: at(1000) },
      ADMIN,
    );
    const wide = await tokens.create({ identity: 'ana', label: 'all' }, ADMIN);
    control.now += 100_000;
    const rotated = await grants.rotate(grant.id, 60, ADMIN);
    expect(rotated.token).toMatchObject({ grants: [grant.id], expiresAt: at(1100) });
    expect(tokens.list().find(({ id }) => id === token?.id)).toMatchObject({
      expiresAt: at(160),
      replacedBy: rotated.token.id,
    });
    expect([opens(secret), opens(rotated.secret), opens(wide.secret)]).toEqual(['opens', 'opens', 'opens']);
    control.now += 60_000;
    expect([opens(secret), opens(rotated.secret), opens(wide.secret)]).toEqual(['expired_token', 'opens', 'opens']);
  });

  it('never widen a token when their server is removed', async () => {
    const { grants, servers } = control.services;
    const flux = await grants.create({ server: 'flux', identity: 'ana' }, ADMIN);
    await grants.create({ server: 'files', identity: 'ana', token: false }, ADMIN);
    await servers.remove('flux', ADMIN);
    expect(opens(flux.secret, 'files')).toBe('no_grant');
    await control.reopen();
    expect(opens(flux.secret, 'files')).toBe('no_grant');
    expect(grants.list({ identity: 'ana' })).toHaveLength(1);
  });
});
