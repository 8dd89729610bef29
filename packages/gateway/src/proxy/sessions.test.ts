import { createSecretKey, randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { GrantEntry } from '../model.ts';
import { ServerRequestIds } from './inbound.ts';
import { openBytes, Sessions, sealBytes } from './sessions.ts';

const key = createSecretKey(randomBytes(32));
const keys = { current: key, previous: [] };
const HOUR = 3_600_000;

function grant(changes: { id?: string; identityId?: string; server?: string; revision?: number } = {}): GrantEntry {
  const { id = 'grt_1', identityId = 'idn_1', server = 'srv_1', revision = 1 } = changes;
  return { id, identityId, entry: { server: { id: server, revision } } } as unknown as GrantEntry;
}

const FIELDS = { lane: 'session:1', grant: 'grt_1', identity: 'idn_1', server: 'srv_1', revision: 1, upstream: 'up-1' };

describe('sessions', () => {
  it('[GW-SESSION] opens what it sealed, in another process with the same key too', () => {
    const first = new Sessions(keys, () => 0, HOUR, 'process-1');
    const second = new Sessions(keys, () => 0, HOUR, 'process-2');
    const { id } = first.seal(FIELDS);
    expect(second.open(id, grant(), false)).toMatchObject({ upstream: 'up-1', lane: 'session:1' });
    expect(id).not.toContain('up-1');
  });

  it('[GW-SESSION] opens what an earlier key sealed while that one is kept, and not after', () => {
    const ring = { current: key, previous: [] as (typeof key)[] };
    const { id } = new Sessions(ring, () => 0, HOUR, 'p').seal(FIELDS);
    const next = createSecretKey(randomBytes(32));
    const rotated = { current: next, previous: [createSecretKey(randomBytes(32)), key] };
    expect(new Sessions(rotated, () => 0, HOUR, 'p').open(id, grant(), false)).toMatchObject({ upstream: 'up-1' });
    expect(new Sessions({ current: next, previous: [] }, () => 0, HOUR, 'p').open(id, grant(), false)).toBeUndefined();
  });

  it.each([
    ['another grant', { id: 'grt_2' }],
    ['another identity', { identityId: 'idn_2' }],
    ['another server', { server: 'srv_2' }],
    ['a changed server', { revision: 2 }],
  ])('[GW-SESSION] does not open for %s', (_name, changes) => {
    const sessions = new Sessions(keys, () => 0, HOUR, 'p');
    const { id } = sessions.seal(FIELDS);
    expect(sessions.open(id, grant(changes), false)).toBeUndefined();
  });

  it('[GW-SESSION, GW-SSE-OLD] an address for messages is no session, and a session no address', () => {
    const sessions = new Sessions(keys, () => 0, HOUR, 'p');
    const addresses = new Sessions(keys, () => 0, HOUR, 'p', 'sse');
    const [session, address] = [sessions.seal(FIELDS).id, addresses.seal(FIELDS).id];
    expect(addresses.open(address, grant(), true)).toBeDefined();
    for (const id of [session, session.replace('gs1_', 'gss_')]) {
      expect(addresses.open(id, grant(), true)).toBeUndefined();
    }
    for (const id of [address, address.replace('gss_', 'gs1_')]) {
      expect(sessions.open(id, grant(), false)).toBeUndefined();
    }
  });

  it('[GW-SESSION] ends at its time, and when it is ended', () => {
    let now = 0;
    const sessions = new Sessions(keys, () => now, HOUR, 'p');
    const a = sessions.seal(FIELDS);
    const b = sessions.seal(FIELDS);
    sessions.end(a);
    expect(sessions.open(a.id, grant(), false)).toBeUndefined();
    now = HOUR - 1;
    expect(sessions.open(b.id, grant(), false)).toBeDefined();
    now = HOUR;
    expect(sessions.open(b.id, grant(), false)).toBeUndefined();
  });

  it('[GW-SESSION] a child lives in one process, so that another one does not know its session', () => {
    const first = new Sessions(keys, () => 0, HOUR, 'process-1');
    const second = new Sessions(keys, () => 0, HOUR, 'process-2');
    const { id } = first.seal(FIELDS);
    expect(first.open(id, grant(), true)).toBeDefined();
    expect(second.open(id, grant(), true)).toBeUndefined();
  });

  it('[GW-SESSION] no changed, cut or differently spelled id opens', () => {
    const sessions = new Sessions(keys, () => 0, HOUR, 'p');
    const fresh = new Sessions(keys, () => 0, HOUR, 'q');
    const { id } = sessions.seal(FIELDS);
    fc.assert(
      fc.property(fc.nat(id.length - 1), fc.constantFrom('A', 'b', '_', '=', '+', ''), (at, character) => {
        const changed = id.slice(0, at) + character + id.slice(at + 1);
        fc.pre(changed !== id);
        expect(fresh.open(changed, grant(), false)).toBeUndefined();
      }),
    );
    for (const spelled of [`${id}=`, `${id} `, id.toUpperCase(), id.replace('gs1_', '')]) {
      expect(fresh.open(spelled, grant(), false)).toBeUndefined();
    }
  });

  it('opens nothing that was sealed under another key or for another purpose', () => {
    const aad = Buffer.from('a');
    const sealed = sealBytes(key, Buffer.from('x'), aad);
    expect(openBytes(key, sealed, aad)?.toString()).toBe('x');
    expect(openBytes(key, sealed, Buffer.from('b'))).toBeUndefined();
    expect(openBytes(createSecretKey(randomBytes(32)), sealed, aad)).toBeUndefined();
  });
});

describe('ids of server requests', () => {
  it('[GW-ELICIT] open only for their session, and only for their time', () => {
    let now = 0;
    const ids = new ServerRequestIds(keys, () => now);
    const sealed = ids.seal('gs1_a', Buffer.from('"q-1"'), 'elicitation') ?? '';
    expect(Buffer.from(ids.open(sealed, 'gs1_a') ?? []).toString()).toBe('"q-1"');
    expect(ids.open(sealed, 'gs1_b')).toBeUndefined();
    expect(ids.open(sealed.slice(0, -2), 'gs1_a')).toBeUndefined();
    expect(ids.open('"q-1"', 'gs1_a')).toBeUndefined();
    now = HOUR;
    expect(ids.open(sealed, 'gs1_a')).toBeUndefined();
  });

  it('[GW-ELICIT] fit into the length that an id may have', () => {
    const ids = new ServerRequestIds(keys, () => Date.now());
    expect(JSON.stringify(ids.seal('gs1_a', Buffer.alloc(120, 0x61), 'roots')).length).toBeLessThanOrEqual(256);
    expect(ids.seal('gs1_a', Buffer.alloc(121, 0x61), 'roots')).toBeUndefined();
  });
});
