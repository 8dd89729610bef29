// What the gateway promises of its speed. A bound is missed when the whole interval lies above it, and met when the whole
// interval lies below it; between the two, and where an interval is too wide to say anything, more rounds have to say.
import type { JudgeRow } from './judge.ts';
import { BARE, type Candidate, gatewayName } from './scene.ts';
import type { Estimate } from './statistics.ts';
import type { Comparison, Row } from './summary.ts';
import { workloadName } from './workload.ts';

export interface Bound {
  name: string;
  /** In words: `at most 1.4`, `1 in the interval`. */
  limit: string;
  unit: '' | 'µs';
  estimate: Estimate;
  verdict: 'met' | 'missed' | 'undecided';
}

const MAX_CPU_RATIO = 1.4;
const MAX_ADDED_P50 = 120;
const MAX_JUDGE = 3;
const MAX_PATTERN = 2;
/** An interval that reaches further says too little of what is the same. */
const MAX_FLAT = 1.2;
/** Rounds in all without which an interval is none. */
export const BOUND_ROUNDS = 6;

/** Those of all bounds that this run measured. */
export function boundsOf(
  gateway: Candidate,
  {
    rows = [],
    flat = [],
    judge = [],
  }: { rows?: readonly Row[]; flat?: readonly Comparison[]; judge?: readonly JudgeRow[] },
): Bound[] {
  const bounds: Bound[] = [];
  const small = workloadName({ reply: 'json', size: 300 });
  const atMost = (name: string, limit: number, unit: Bound['unit'], estimate: Estimate | undefined) => {
    if (estimate === undefined) return;
    const verdict = estimate.high <= limit ? 'met' : estimate.low > limit ? 'missed' : 'undecided';
    bounds.push({ name, limit: `at most ${limit}`, unit, estimate, verdict });
  };
  const read = (connections: number) =>
    rows.find(
      (row) =>
        row.workload === small && row.connections === connections && row.variant === gatewayName(gateway, 'read'),
    );
  atMost(`CPU, ${small}, 64 connections, read / ${BARE}`, MAX_CPU_RATIO, '', read(64)?.cpuRatio);
  atMost(`p50 over ${BARE}, ${small}, 1 connection, read`, MAX_ADDED_P50, 'µs', read(1)?.addedToReference?.p50);
  for (const { name, candidate, micros } of judge) {
    if (candidate !== gateway.name) continue;
    if (name === '20 predicates') atMost(`judge, ${name}`, MAX_JUDGE, 'µs', micros);
    else if (name.startsWith('pattern ')) atMost(`judge, ${name}`, MAX_PATTERN, 'µs', micros);
  }
  for (const { variant, connections, cpu, p50 } of flat) {
    for (const [what, estimate] of [
      ['CPU', cpu],
      ['p50', p50],
    ] as const) {
      const contained = estimate.low <= 1 && estimate.high >= 1;
      const verdict = !contained ? 'missed' : estimate.high <= MAX_FLAT ? 'met' : 'undecided';
      const name = `flat: ${what}, ${variant}, at ${connections}`;
      bounds.push({ name, limit: '1 in the interval', unit: '', estimate, verdict });
    }
  }
  return bounds;
}
