import { Worker } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import { cpuMicros, cpuTimes, residentBytes } from './usage.ts';

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

describe.skipIf(process.platform !== 'linux')('cpuTimes', () => {
  it('counts the thread that builds the index apart', async () => {
    const spin = 'while (process.threadCpuUsage().user < 40_000) Math.sqrt(2);';
    const worker = new Worker(
      `${spin} require('node:worker_threads').parentPort.once('message', () => {}).postMessage(1)`,
      {
        eval: true,
        name: 'audit-index',
      },
    );
    await new Promise((resolve) => worker.once('message', resolve));
    const after = cpuTimes(process.pid);
    await worker.terminate();
    // The kernel brings a running thread's time up to date once a tick.
    expect(after.index).toBeGreaterThan(20_000);
    expect(cpuTimes(process.pid).index).toBeLessThan(after.index);
  });
});

describe.skipIf(process.platform !== 'linux')('residentBytes', () => {
  it('reads about what Node says of itself', () => {
    const known = process.memoryUsage.rss();
    expect(Math.abs(residentBytes(process.pid) / known - 1)).toBeLessThan(0.2);
  });
});
