import { describe, expect, it } from 'vitest';
import { boundsOf } from './bounds.ts';
import { saturation } from './result.ts';
import type { Comparison, Row } from './summary.ts';

const GATEWAY = { name: 'gateway', root: '/' };
const estimate = (low: number, high: number) => ({ value: (low + high) / 2, low, high });

function row(connections: number, figures: Partial<Row>): Row {
  return {
    workload: 'json 300 B',
    variant: 'gateway, read',
    connections,
    calls: 1,
    rate: 1,
    p50: 1,
    p99: 1,
    loadShare: 0.5,
    upstreamShare: 0.5,
    ...figures,
  };
}

const verdicts = (bounds: ReturnType<typeof boundsOf>) => bounds.map(({ name, verdict }) => [name, verdict]);

describe('boundsOf', () => {
  it.each([
    [1.2, 1.4, 'met'],
    [1.2, 1.5, 'undecided'],
    [1.41, 1.5, 'missed'],
  ])('[BENCH-BOUNDS] of CPU between %d and %d times the bare one: %s', (low, high, verdict) => {
    const rows = [row(64, { cpuRatio: estimate(low, high) }), row(16, { cpuRatio: estimate(9, 9) })];
    expect(verdicts(boundsOf(GATEWAY, { rows }))).toEqual([
      ['CPU, json 300 B, 64 connections, read / bare pass-through', verdict],
    ]);
  });

  it('[BENCH-BOUNDS] looks at added latency with one connection, over the bare one', () => {
    const rows = [row(1, { addedToReference: { p50: estimate(100, 119), p99: estimate(900, 999) } })];
    expect(verdicts(boundsOf(GATEWAY, { rows }))).toEqual([
      ['p50 over bare pass-through, json 300 B, 1 connection, read', 'met'],
    ]);
    expect(boundsOf(GATEWAY, { rows: [row(1, { ...rows[0], variant: 'gateway, write' })] })).toEqual([]);
  });

  it.each([
    [0.95, 1.1, 'met'],
    [1.02, 1.1, 'missed'],
    [0.9, 0.98, 'missed'],
    // It contains 1, and nearly everything else.
    [0.5, 3, 'undecided'],
  ])('[BENCH-BOUNDS] of flatness with an interval from %d to %d: %s', (low, high, verdict) => {
    const comparison: Comparison = {
      workload: 'json 300 B',
      connections: 1,
      variant: 'many',
      against: 'one',
      cpu: estimate(low, high),
      background: estimate(1, 1),
      p50: estimate(1, 1),
      p99: estimate(9, 9),
      rate: estimate(9, 9),
    };
    expect(verdicts(boundsOf(GATEWAY, { flat: [comparison] }))).toEqual([
      ['flat: CPU, many, at 1', verdict],
      ['flat: p50, many, at 1', 'met'],
    ]);
  });

  it('[BENCH-BOUNDS] looks at decisions of the present gateway, and at each pattern', () => {
    const of = (name: string, candidate: string, micros: number) => ({
      name,
      candidate,
      micros: estimate(micros, micros),
    });
    const judge = [
      of('20 predicates', 'gateway', 2.9),
      of('20 predicates', 'gateway abc', 9),
      of('20 predicates, a limit', 'gateway', 9),
      of('pattern on 64 bytes: path', 'gateway', 2.1),
    ];
    expect(verdicts(boundsOf(GATEWAY, { judge }))).toEqual([
      ['judge, 20 predicates', 'met'],
      ['judge, pattern on 64 bytes: path', 'missed'],
    ]);
  });
});

describe('saturation', () => {
  it('names what was measured while the load generator or the upstream had no core left', () => {
    const rows = [
      row(64, { variant: 'direct', loadShare: 0.99 }),
      row(64, { variant: 'nginx', loadShare: 0.93, upstreamShare: 0.97 }),
      row(64, {}),
    ];
    expect(saturation(rows, 'direct')).toEqual([
      'the load generator used a whole core, so that its speed was measured and not that of: nginx (json 300 B, 64)',
      'the upstream used a whole core, so that its speed was measured and not that of: nginx (json 300 B, 64)',
    ]);
    expect(saturation([row(64, {})], 'direct')).toEqual([]);
  });
});
