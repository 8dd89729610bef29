import { createSecretKey, randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { open, openEnvelope, rewrapEnvelope, type SealingKey, seal, sealEnvelope } from './seal.ts';

const key: SealingKey = { key: createSecretKey(randomBytes(32)), keyId: 'aabbccdd' };
const other: SealingKey = { key: createSecretKey(randomBytes(32)), keyId: 'aabbccdd' };

describe('seal and open', () => {
  it('opens to the same bytes, and never seals the same twice', () => {
    fc.assert(
      fc.property(fc.uint8Array(), fc.string(), (plain, aad) => {
        const sealed = seal(key, plain, aad, randomBytes);
        expect(new Uint8Array(open(key, sealed, aad))).toEqual(plain);
        expect(seal(key, plain, aad, randomBytes)).not.toBe(sealed);
      }),
    );
  });

  it('[KEY-SEALED] opens nowhere else: another place, another key, any changed character', () => {
    const sealed = seal(key, 'secret', 'credentials:srv_1', randomBytes);
    expect(() => open(key, sealed, 'credentials:srv_2')).toThrow(/changed, or belongs to another record/);
    expect(() => open(other, sealed, 'credentials:srv_1')).toThrow(/changed, or belongs/);
    expect(() => open({ ...key, keyId: '00000000' }, sealed, 'credentials:srv_1')).toThrow(
      /needs the secret key aabbccdd/,
    );
    expect(() => open(key, `x1${sealed.slice(2)}`, 'credentials:srv_1')).toThrow(/unknown form/);
    expect(() => open(key, 'g1.aabbccdd.', 'credentials:srv_1')).toThrow(/changed/);
    for (let at = sealed.lastIndexOf('.') + 1; at < sealed.length; at++) {
      const flipped = sealed.slice(0, at) + (sealed[at] === 'A' ? 'Q' : 'A') + sealed.slice(at + 1);
      expect(() => open(key, flipped, 'credentials:srv_1'), `character ${at}`).toThrow();
    }
  });

  it('[KEY-SEALED] gives each record a data key of its own, wrapped by the long-lived key', () => {
    const one = sealEnvelope(key, 'secret', 'a', randomBytes);
    const two = sealEnvelope(key, 'secret', 'a', randomBytes);
    expect(openEnvelope([key], one, 'a')).toBe('secret');
    expect(() => openEnvelope([key], { ...one, wrappedKey: two.wrappedKey }, 'a')).toThrow();
    expect(() => openEnvelope([key], one, 'b')).toThrow();
    expect(() => openEnvelope([other], one, 'a')).toThrow();
  });

  it('[CRED-REKEY] wraps a data key anew without touching the record; then only the new key opens it', () => {
    const next: SealingKey = { key: createSecretKey(randomBytes(32)), keyId: '11223344' };
    const one = sealEnvelope(key, 'secret', 'a', randomBytes);
    const moved = rewrapEnvelope([next, key], next, one, 'a', randomBytes);
    expect(moved.sealed).toBe(one.sealed);
    expect(openEnvelope([next], moved, 'a')).toBe('secret');
    expect(openEnvelope([next, key], one, 'a')).toBe('secret');
    expect(() => openEnvelope([key], moved, 'a')).toThrow(/needs the secret key 11223344/);
    expect(() => rewrapEnvelope([next, key], next, one, 'b', randomBytes)).toThrow(/another record/);
    // And once more, from a record that two keys have held already.
    const last: SealingKey = { key: createSecretKey(randomBytes(32)), keyId: '55667788' };
    expect(openEnvelope([last], rewrapEnvelope([last, next], last, moved, 'a', randomBytes), 'a')).toBe('secret');
  });
});
