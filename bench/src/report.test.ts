import { describe, expect, it } from 'vitest';
import { callsTable, judgeTable, table } from './report.ts';

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
    const text = callsTable([
      { variant: 'direct', connections: 1, calls: 10, rate: 4_321.4, p50: 200.4, p99: 900 },
      {
        variant: 'gateway, read',
        connections: 64,
        calls: 10,
        rate: 1_000,
        p50: 300,
        p99: 1_200,
        addedP50: { value: 101.4, low: 90, high: 120 },
        cpu: 150,
        cpuBehind: 2.04,
        cpuRatio: { value: 1.349, low: 1.3, high: 1.4 },
        rateRatio: { value: 0.8, low: 0.7, high: 0.9 },
      },
    ]);
    expect(text).toContain('1 connection\n');
    expect(text).toContain('64 connections\n');
    expect(text).toMatch(/^direct {2,}4,321 {2,}200 {2,}900 {2,}– .*–$/m);
    expect(text).toMatch(/101 \[90, 120\] {2,}150 {2,}2\.0 {2,}1\.35 \[1\.30, 1\.40\] {2,}0\.80 \[0\.70, 0\.90\]$/m);
  });

  it('print decisions in hundredths of a microsecond', () => {
    expect(judgeTable([{ name: 'x', micros: { value: 2.714, low: 2.7, high: 2.8 } }])).toContain('2.71 [2.70, 2.80]');
  });
});
