import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ADMIN, openTestControl, refusal, START, type TestControl } from '../control/testing.ts';

let control: TestControl;

beforeEach(async () => {
  control = await openTestControl();
  const { servers, grants } = control.services;
  await servers.create({ slug: 'flux', transport: { kind: 'http', url: 'http://127.0.0.1:9/mcp' } }, ADMIN);
  await grants.create({ server: 'flux', identity: 'ana', token: false }, ADMIN);
});

afterEach(() => control.end());

function opens(secret: string): string {
  const result = control.services.directory.authenticate(`Bearer ${secret}`, 'flux', control.now, '::1');
  return result.ok ? 'opens' : result.reason;
}

function at(seconds: number): string {
  return new Date(START + seconds * 1000).toISOString();
}

describe('tokens', () => {
  it('[TOK-ONCE] show their secret once and are recognised by a hint', async () => {
    const { tokens } = control.services;
    const { token, secret } = await tokens.create({ identity: 'ana', label: 'laptop' }, ADMIN);
    expect(opens(secret)).toBe('opens');
    expect(secret.startsWith(token.hint)).toBe(true);
    expect(tokens.list('ana')).toEqual([{ ...token, lastUsedAt: at(0) }]);
    expect(JSON.stringify(tokens.list())).not.toContain(secret.slice(9));
  });

  it('[AUTH-EXPIRY] end at their expiry', async () => {
    const { secret } = await control.services.tokens.create(
      { identity: 'ana', expiresAt: '2026-05-01T14:01:00+02:00' },
      ADMIN,
    );
    control.now = START + 59_999;
    expect(opens(secret)).toBe('opens');
    control.now = START + 60_000;
    expect(opens(secret)).toBe('expired_token');
  });

  it('[TOK-ROTATE] rotate with an overlap that ends by itself, and live as long as before', async () => {
    const { tokens } = control.services;
    const { token, secret } = await tokens.create({ identity: 'ana', label: 'ci', expiresAt: at(1000) }, ADMIN);
    control.now += 500_000;
    const rotated = await tokens.rotate(token.id, 30, ADMIN);
    expect(rotated.token).toMatchObject({ label: 'ci', grants: [], expiresAt: at(1500) });
    expect([opens(secret), opens(rotated.secret)]).toEqual(['opens', 'opens']);
    expect((await refusal(tokens.rotate(token.id, 30, ADMIN))).message).toContain(rotated.token.id);
    control.now += 30_000;
    expect([opens(secret), opens(rotated.secret)]).toEqual(['expired_token', 'opens']);
    await control.reopen();
    expect([opens(secret), opens(rotated.secret)]).toEqual(['expired_token', 'opens']);
  });

  it('[TOK-ROTATE] never live longer through an overlap than they would have', async () => {
    const { tokens } = control.services;
    const { token } = await tokens.create({ identity: 'ana', expiresAt: at(10) }, ADMIN);
    await tokens.rotate(token.id, 3600, ADMIN);
    expect(tokens.list().find(({ id }) => id === token.id)?.expiresAt).toBe(at(10));
  });

  it.each([-1, 0.5, 30 * 86_400 + 1, Number.NaN])('refuse an overlap of %s seconds', async (overlap) => {
    const { tokens } = control.services;
    const { token } = await tokens.create({ identity: 'ana' }, ADMIN);
    expect((await refusal(tokens.rotate(token.id, overlap, ADMIN))).items[0]?.pointer).toBe('/overlapSeconds');
  });

  it('[AUTH-REVOKE] end with their revocation, or while their identity is disabled', async () => {
    const { tokens, identities } = control.services;
    const { token, secret } = await tokens.create({ identity: 'ana' }, ADMIN);
    expect((await identities.update('ana', { disabled: true }, ADMIN)).disabledAt).toBe(at(0));
    expect(opens(secret)).toBe('disabled_identity');
    expect(await identities.update('ana', { disabled: false }, ADMIN)).not.toHaveProperty('disabledAt');
    expect(opens(secret)).toBe('opens');
    await tokens.revoke(token.id, ADMIN);
    expect(opens(secret)).toBe('revoked_token');
    expect((await refusal(tokens.rotate(token.id, 30, ADMIN))).code).toBe('conflict');
    await control.reopen();
    expect(opens(secret)).toBe('revoked_token');
  });

  it('open no grant of somebody else', async () => {
    const { grants, tokens } = control.services;
    const { grant } = await grants.create({ server: 'flux', identity: 'bo' }, ADMIN);
    const error = await refusal(tokens.create({ identity: 'ana', grants: [grant.id, 'grt_none'] }, ADMIN));
    expect(error.items.map(({ pointer }) => pointer)).toEqual(['/grants/0', '/grants/1']);
  });

  it('keep the time of their last use over a restart, without a record for each use', async () => {
    const { tokens } = control.services;
    const { secret } = await tokens.create({ identity: 'ana' }, ADMIN);
    const records = control.audit.records.length;
    control.now += 5000;
    opens(secret);
    await control.reopen();
    expect(control.services.tokens.list()[0]?.lastUsedAt).toBe(at(5));
    expect(control.audit.records.length).toBe(records);
  });

  it('keep the time of their last use through a change made in the meantime', async () => {
    const { tokens } = control.services;
    const { token, secret } = await tokens.create({ identity: 'ana' }, ADMIN);
    opens(secret);
    expect((await tokens.revoke(token.id, ADMIN)).lastUsedAt ?? tokens.list()[0]?.lastUsedAt).toBe(at(0));
    await control.reopen();
    expect(control.services.tokens.list()[0]).toMatchObject({ revokedAt: at(0), lastUsedAt: at(0) });
  });
});

describe('identities', () => {
  it('are found by name and id, and are unique by name', async () => {
    const { identities } = control.services;
    const bot = await identities.create(
      { name: 'bot', kind: 'agent', owner: 'ana', groups: ['ci'], email: 'bot@example.com' },
      ADMIN,
    );
    expect(bot).toMatchObject({ kind: 'agent', owner: 'ana', groups: ['ci'] });
    expect(identities.get(bot.id)).toEqual(identities.get('bot'));
    expect((await refusal(identities.create({ name: 'bot' }, ADMIN))).code).toBe('conflict');
    expect(identities.list().map(({ name }) => name)).toEqual(['ana', 'bot']);
  });

  it('are refused with all their faults', async () => {
    const { identities } = control.services;
    const input = { name: 'idn_x', kind: 'agent' as const, email: 'no', groups: ['a', 'a', ''], owner: 'nobody' };
    const error = await refusal(identities.create(input, ADMIN));
    expect(error.items.map(({ pointer }) => pointer)).toEqual(['/name', '/email', '/groups/2', '/groups', '/owner']);
    expect((await refusal(identities.create({ name: 'cy', owner: 'ana' }, ADMIN))).items[0]?.message).toBe(
      'Only an agent has an owner.',
    );
  });

  it('bring new groups into the context of their grants at once', async () => {
    const { identities, grants, directory } = control.services;
    await identities.update('ana', { groups: ['art'] }, ADMIN);
    const grant = grants.list({ identity: 'ana' })[0];
    expect(directory.grant(grant?.id ?? '')?.caller.identity.groups).toEqual(['art']);
  });
});
