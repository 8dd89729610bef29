import { describe, expect, it } from 'vitest';
import { Backoff } from './backoff.ts';

describe('Backoff', () => {
  it('[NET-BACKOFF] doubles from 100 ms to 30 s and stays there', () => {
    const backoff = new Backoff();
    const delays = Array.from({ length: 11 }, () => backoff.failed(0));
    expect(delays).toEqual([100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000, 30_000]);
    for (let i = 0; i < 2000; i++) backoff.failed(0);
    expect(backoff.failed(0)).toBe(30_000);
  });

  it('starts anew after a stable run or a reset, not after a short run', () => {
    const backoff = new Backoff({ minMs: 10, maxMs: 1000, stableMs: 500 });
    backoff.failed(0);
    backoff.failed(499);
    expect(backoff.failed(499)).toBe(40);
    expect(backoff.failed(500)).toBe(10);
    backoff.failed(0);
    backoff.reset();
    expect(backoff.failures).toBe(0);
    expect(backoff.failed(0)).toBe(10);
  });

  it('spreads delays between half and all of the nominal value', () => {
    expect(new Backoff({ random: () => 0 }).failed(0)).toBe(50);
    expect(new Backoff({ random: () => 0.5 }).failed(0)).toBe(75);
  });

  it('refuses bounds that make no sense', () => {
    expect(() => new Backoff({ minMs: 0 })).toThrow(/minMs/);
    expect(() => new Backoff({ minMs: 10, maxMs: 5 })).toThrow(/maxMs/);
  });
});
