import { createSecretKey, randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { open, openEnvelope, type SealingKey, seal, sealEnvelope } from './seal.ts';

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
    expect(openEnvelope(key, one, 'a')).toBe('secret');
    expect(() => openEnvelope(key, { ...one, wrappedKey: two.wrappedKey }, 'a')).toThrow();
    expect(() => openEnvelope(key, one, 'b')).toThrow();
    expect(() => openEnvelope(other, one, 'a')).toThrow();
  });
});
