// Everything that one run found, as it is written with --json. bench/result.schema.json says the same as a JSON Schema.
import type { Bound } from './bounds.ts';
import type { CallsResult } from './calls.ts';
import type { FlatResult } from './flat.ts';
import type { JudgeRow } from './judge.ts';
import type { Machine } from './machine.ts';
import type { MemoryRow } from './memory.ts';
import type { Options } from './options.ts';
import type { Row } from './summary.ts';

/** Changes when a reader of older results would misread a newer one. */
export const RESULT_FORMAT = 'gatehouse-bench/1';

export interface Result {
  format: typeof RESULT_FORMAT;
  /** RFC 3339. */
  at: string;
  machine: Machine;
  options: Options;
  calls?: CallsResult;
  flat?: FlatResult;
  memory?: MemoryRow[];
  judge?: JudgeRow[];
  bounds: Bound[];
  /** Why some figures do not say what they seem to say. */
  warnings: string[];
  /** What could not be measured, with what to do about it. */
  missing: string[];
}

/** Above these shares of one core, a program was about as busy as it can be. */
const LOAD_LIMIT = 0.9;
const UPSTREAM_LIMIT = 0.95;

/** Where the load generator or the upstream was the bottleneck: calls/s and latency are then theirs, CPU per call is not. */
export function saturation(rows: readonly Row[], direct: string): string[] {
  const sentences: string[] = [];
  for (const [what, share, limit] of [
    ['load generator', 'loadShare', LOAD_LIMIT],
    ['upstream', 'upstreamShare', UPSTREAM_LIMIT],
  ] as const) {
    const busy = rows.filter((row) => row.variant !== direct && row[share] >= limit);
    if (busy.length === 0) continue;
    const names = busy.map((row) => `${row.variant} (${row.workload}, ${row.connections})`);
    sentences.push(
      `the ${what} used a whole core, so that its speed was measured and not that of: ${names.join('; ')}`,
    );
  }
  return sentences;
}
