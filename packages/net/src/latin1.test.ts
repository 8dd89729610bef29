import fc from 'fast-check';
import { expect, it } from 'vitest';
import { latin1Of } from './latin1.ts';

it('[P2] gives text that is written back as the very bytes, of a part of a larger piece too', () => {
  fc.assert(
    fc.property(fc.uint8Array(), fc.nat(5), (bytes, from) => {
      const part = bytes.subarray(Math.min(from, bytes.length));
      expect(Buffer.from(latin1Of(part), 'latin1').equals(Buffer.from(part))).toBe(true);
    }),
  );
});
