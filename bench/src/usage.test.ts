import { describe, expect, it } from 'vitest';
import { cpuMicros } from './usage.ts';

describe.skipIf(process.platform !== 'linux')('cpuMicros', () => {
  it('counts the CPU time that this process uses, in microseconds', () => {
    const before = { measured: cpuMicros(process.pid), ...process.cpuUsage() };
    const until = performance.now() + 60;
    while (performance.now() < until) Math.sqrt(performance.now());
    const after = { measured: cpuMicros(process.pid), ...process.cpuUsage() };
    const known = after.user + after.system - before.user - before.system;
    // The kernel brings a running thread's time up to date once a tick, 10 ms at most.
    expect(Math.abs(after.measured - before.measured - known)).toBeLessThan(20_000);
    expect(known).toBeGreaterThan(0);
  });

  it('fails for a process that is not there', () => {
    expect(() => cpuMicros(2 ** 22 + 1)).toThrow('ENOENT');
  });
});
