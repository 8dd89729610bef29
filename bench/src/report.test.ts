import { describe, expect, it } from 'vitest';
import { callsTable, judgeTable, memoryTable, table } from './report.ts';

describe('tables', () => {
  it('align their columns', () => {
    expect(
      table(
        ['name', 'n'],
        [
          ['a', '1'],
          ['long name', '1,000'],
        ],
      ),
    ).toBe(['name           n', '---------  -----', 'a              1', 'long name  1,000'].join('\n'));
  });

  it('show what a variant has, and a dash for what it cannot have', () => {
    const busy = { loadShare: 0.2, upstreamShare: 0.2 };
    const workload = 'json 300 B';
    const text = callsTable([
      { workload, variant: 'direct', connections: 1, calls: 10, rate: 4_321.4, p50: 200.4, p99: 900, ...busy },
      {
        workload,
        variant: 'gateway, read',
        connections: 64,
        calls: 10,
        rate: 1_000,
        p50: 300,
        p99: 1_200,
        ...busy,
        added: { p50: { value: 101.4, low: 90, high: 120 }, p99: { value: 300, low: 280, high: 320 } },
        addedToReference: { p50: { value: 51, low: 40, high: 60 }, p99: { value: 80, low: 70, high: 90 } },
        cpu: 150,
        index: 2.04,
        behind: 0.5,
        cpuRatio: { value: 1.349, low: 1.3, high: 1.4 },
        rateRatio: { value: 0.8, low: 0.7, high: 0.9 },
      },
    ]);
    expect(text).toContain('json 300 B, 1 connection\n');
    expect(text).toContain('json 300 B, 64 connections\n');
    expect(text).toMatch(/^direct {2,}4,321 {2,}200 {2,}900 {2,}– .*–$/m);
    expect(text).toMatch(
      /101 \[90, 120\] {2,}300 \[280, 320\] {2,}51 \[40, 60\] {2,}80 \[70, 90\] {2,}150 {2,}2\.0 {2,}0\.5 {2,}1\.35 \[1\.30, 1\.40\]$/m,
    );
  });

  it('print decisions in hundredths of a microsecond, with a ratio where two were measured', () => {
    const micros = { value: 2.714, low: 2.7, high: 2.8 };
    expect(judgeTable([{ name: 'x', candidate: 'gateway', micros }])).toMatch(/^x {2,}2\.71 \[2\.70, 2\.80\]$/m);
    const two = judgeTable([
      { name: 'x', candidate: 'new', micros, ratio: { value: 0.9, low: 0.8, high: 1 } },
      { name: 'x', candidate: 'old', micros },
    ]);
    expect(two).toMatch(/^x \(new\) .* {2,}0\.90 \[0\.80, 1\.00\]$/m);
    expect(two).toMatch(/^x \(old\) .* {2,}–$/m);
  });

  it('print memory in units that a person reads', () => {
    const perStream = { value: 25_600, low: 20_480, high: 30_720 };
    const text = memoryTable([
      { variant: 'gateway', streams: 2_000, idleBytes: 100 * 1_024 ** 2, fullBytes: 150 * 1_024 ** 2, perStream },
    ]);
    expect(text).toMatch(/^gateway {2,}2,000 {2,}100\.0 {2,}150\.0 {2,}25\.0 \[20\.0, 30\.0\]$/m);
  });
});
