import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { LiveDirectory } from './directory.ts';
import { sourceList } from './identity/sources.ts';
import { hashToken, makeToken } from './identity/token-format.ts';
import type { GrantEntry, ServerEntry } from './model.ts';

const NOW = 1_000_000;
const LOCAL = '127.0.0.1';

function entryOf(slug: string): ServerEntry {
  return { server: { slug } } as ServerEntry;
}

function grantOf(id: string, slug: string, identityId = 'idn_1'): GrantEntry {
  return { id, identityId, caller: { server: { slug } } } as GrantEntry;
}

/** One identity with a token and a grant on each of two servers. */
function ready(options: { only?: string[]; tokenEnds?: number; grantEnds?: number; sources?: string[] } = {}) {
  const clock = { now: NOW };
  const directory = new LiveDirectory(() => clock.now);
  const secret = makeToken(randomBytes);
  const token = {
    id: 'tok_1',
    hash: hashToken(secret),
    identityId: 'idn_1',
    only: options.only === undefined ? undefined : new Set(options.only),
    expiresAt: options.tokenEnds ?? Number.POSITIVE_INFINITY,
    revoked: false,
  };
  const grant = {
    entry: grantOf('grt_a', 'a'),
    sources: sourceList(options.sources ?? []),
    expiresAt: options.grantEnds ?? Number.POSITIVE_INFINITY,
    revoked: false,
  };
  directory.putServer(entryOf('a'));
  directory.putServer(entryOf('b'));
  directory.putServer(entryOf('empty'));
  directory.putIdentity('idn_1', false);
  directory.putToken(token);
  directory.putGrant(grant);
  directory.putGrant({ ...grant, entry: grantOf('grt_b', 'b') });
  const why = (authorization: string | undefined, slug = 'a', now = NOW, source = LOCAL): string => {
    const result = directory.authenticate(authorization, slug, now, source);
    return result.ok ? result.grant.id : result.reason;
  };
  return { directory, secret, token, grant, why, bearer: `Bearer ${secret}`, clock };
}

describe('authenticate', () => {
  it('opens the grant of the identity on the server', () => {
    const { why, bearer, secret, directory } = ready();
    expect(why(bearer)).toBe('grt_a');
    expect(why(bearer, 'b')).toBe('grt_b');
    expect(why(`bearer   ${secret} `)).toBe('grt_a');
    expect(directory.authenticate(bearer, 'a', NOW, LOCAL)).toMatchObject({ ok: true, tokenId: 'tok_1' });
  });

  it('[AUTH-DENY] says inside why not, whatever is missing', () => {
    const { why, bearer, secret } = ready();
    expect(why(undefined)).toBe('missing');
    expect(why('')).toBe('missing');
    expect(why(secret)).toBe('malformed');
    expect(why(`Basic ${secret}`)).toBe('malformed');
    expect(why(`Bearer ${secret}x`)).toBe('malformed');
    expect(why(`Bearer ${secret}, Bearer ${secret}`)).toBe('malformed');
    expect(why(`Bearer ${makeToken(randomBytes)}`)).toBe('unknown_token');
    expect(why(bearer, 'nowhere')).toBe('unknown_server');
    expect(why(bearer, 'empty')).toBe('no_grant');
  });

  it('[AUTH-EXPIRY] ends tokens and grants at their very millisecond', () => {
    const token = ready({ tokenEnds: NOW + 1 });
    expect(token.why(token.bearer, 'a', NOW)).toBe('grt_a');
    expect(token.why(token.bearer, 'a', NOW + 1)).toBe('expired_token');
    const grant = ready({ grantEnds: NOW + 1 });
    expect(grant.why(grant.bearer, 'a', NOW)).toBe('grt_a');
    expect(grant.why(grant.bearer, 'a', NOW + 1)).toBe('expired_grant');
  });

  it('[AUTH-REVOKE] refuses what was revoked or disabled from the next message on', () => {
    const { directory, why, bearer, token, grant } = ready();
    directory.putGrant({ ...grant, revoked: true });
    expect(why(bearer)).toBe('revoked_grant');
    expect(why(bearer, 'b')).toBe('grt_b');
    directory.putIdentity('idn_1', true);
    expect(why(bearer, 'b')).toBe('disabled_identity');
    directory.putIdentity('idn_1', false);
    directory.putToken({ ...token, revoked: true });
    expect(why(bearer, 'b')).toBe('revoked_token');
  });

  it('[TOK-NAMED] opens only the grants that the token names', () => {
    const { why, bearer } = ready({ only: ['grt_b'] });
    expect(why(bearer, 'a')).toBe('no_grant');
    expect(why(bearer, 'b')).toBe('grt_b');
  });

  it('[GRANT-SOURCES] opens only from the networks of the grant', () => {
    const { why, bearer } = ready({ sources: ['192.0.2.0/24'] });
    expect(why(bearer, 'a', NOW, '192.0.2.9')).toBe('grt_a');
    expect(why(bearer, 'a', NOW, '::ffff:192.0.2.9')).toBe('grt_a');
    expect(why(bearer, 'a', NOW, '198.51.100.1')).toBe('source_not_allowed');
    expect(why(bearer, 'a', NOW, '')).toBe('source_not_allowed');
  });

  it('prefers the grant that holds to one that was revoked, in whatever order they come', () => {
    const { directory, why, bearer, grant } = ready();
    const revoked = { ...grant, revoked: true };
    directory.putGrant(revoked);
    directory.putGrant({ ...grant, entry: grantOf('grt_new', 'a') });
    directory.putGrant(revoked);
    expect(why(bearer)).toBe('grt_new');
  });

  it('forgets a server with its grants', () => {
    const { directory, why, bearer } = ready();
    directory.dropServer('a');
    expect(why(bearer)).toBe('unknown_server');
    expect(directory.grant('grt_a')).toBeUndefined();
    directory.putServer(entryOf('a'));
    expect(why(bearer)).toBe('no_grant');
    expect(why(bearer, 'b')).toBe('grt_b');
  });
});

describe('open streams', () => {
  it('[AUTH-REVOKE] see that a grant or its token no longer holds', () => {
    const { directory, token, grant, clock } = ready({
      tokenEnds: NOW + 10,
      grantEnds: NOW + 5,
      sources: ['127.0.0.0/8'],
    });
    const holds = (now = NOW, source = LOCAL): boolean => directory.holds('tok_1', 'grt_a', now, source);
    expect(holds()).toBe(true);
    expect(directory.grant('grt_a')?.id).toBe('grt_a');
    expect(holds(NOW, '10.0.0.1')).toBe(false);
    expect(holds(NOW + 5)).toBe(false);
    clock.now = NOW + 5;
    expect(directory.grant('grt_a')).toBeUndefined();
    clock.now = NOW;
    directory.putIdentity('idn_1', true);
    expect(holds()).toBe(false);
    expect(directory.grant('grt_a')).toBeUndefined();
    directory.putIdentity('idn_1', false);
    directory.putToken({ ...token, revoked: true });
    expect(holds()).toBe(false);
    directory.putToken({ ...token, identityId: 'idn_2' });
    expect(holds()).toBe(false);
    directory.putToken(token);
    directory.putGrant({ ...grant, revoked: true });
    expect(holds()).toBe(false);
    expect(directory.grant('grt_a')).toBeUndefined();
    expect(directory.holds('tok_none', 'grt_a', NOW, LOCAL)).toBe(false);
  });
});

describe('changes', () => {
  it('raise the epoch by one and tell the listeners, until they stop', () => {
    const { directory } = ready();
    const heard: number[] = [];
    const stop = directory.onChange((epoch) => heard.push(epoch));
    directory.changed();
    directory.changed();
    stop();
    directory.changed();
    expect(heard).toEqual([1, 2]);
    expect(directory.epoch).toBe(3);
  });

  it('remember the last use of tokens until it is taken', () => {
    const { directory, why, bearer } = ready();
    why(bearer, 'a', NOW + 1);
    why(bearer, 'b', NOW + 2);
    why(bearer, 'empty', NOW + 3);
    expect([...directory.takeLastUse()]).toEqual([['tok_1', NOW + 2]]);
    expect(directory.takeLastUse().size).toBe(0);
  });
});
