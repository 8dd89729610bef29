// The run: in each round every variant at every number of connections, in alternating order, one at a time.
import { Histogram } from './histogram.ts';
import type { Slice, SliceResult } from './load.ts';
import { nextMessage, type Started } from './processes.ts';
import { cpuMicros } from './usage.ts';

/** One column of what is compared. */
export interface Variant {
  readonly name: string;
  readonly host: string;
  readonly port: number;
  readonly request: string;
  /** Process whose CPU time counts; undefined where nothing stands between. */
  readonly pid: number | undefined;
  /** Makes the process do at once what it put off during the load. */
  readonly settle?: () => Promise<void>;
}

export interface Sample {
  round: number;
  variant: string;
  connections: number;
  calls: number;
  /** Calls per second. */
  rate: number;
  /** Microseconds. */
  p50: number;
  p99: number;
  /** CPU time of the variant's process per call, while it was under load, in microseconds; undefined for direct. */
  cpu: number | undefined;
  /** CPU time that it used afterwards until it was quiet, per call: work put off, such as the search index. */
  cpuBehind: number | undefined;
  /** Share of one core that the load generator used: near 1, its speed was measured and not the variant's. */
  loadShare: number;
}

export interface RoundsOptions {
  rounds: number;
  connections: readonly number[];
  seconds: number;
  onRound?: (round: number) => void;
}

export interface RoundsResult {
  samples: Sample[];
  /** All latencies of a variant at a number of connections, under `key`. */
  latencies: Map<string, Histogram>;
}

export function key(variant: string, connections: number): string {
  return `${variant}/${connections}`;
}

const WARM_UP_SHARE = 0.3;
const LEAST_WARM_UP_MS = 100;
/** Before the first round each variant runs this long unmeasured, so that its code is compiled. */
const COMPILE_MS = 700;
const QUIET_STEP_MS = 40;
const QUIET_SHARE = 0.04;
const QUIET_LIMIT_MS = 3_000;

/** @throws Error when a call is not answered with its result */
export async function runRounds(
  load: Started,
  variants: readonly Variant[],
  options: RoundsOptions,
): Promise<RoundsResult> {
  const samples: Sample[] = [];
  const latencies = new Map<string, Histogram>();
  const measureMs = options.seconds * 1_000;
  const warmUpMs = Math.max(LEAST_WARM_UP_MS, measureMs * WARM_UP_SHARE);
  const most = Math.max(...options.connections);
  for (const variant of variants) {
    await runSlice(load, variant, { connections: most, warmUpMs: COMPILE_MS, measureMs: 1 });
    await settleDown(variant);
  }
  const plan = options.connections.flatMap((connections) => variants.map((variant) => ({ variant, connections })));
  for (let round = 0; round < options.rounds; round++) {
    // Every other round backwards: what changes steadily during a round does not favour a place in the order.
    for (const { variant, connections } of round % 2 === 0 ? plan : plan.toReversed()) {
      const result = await runSlice(load, variant, { connections, warmUpMs, measureMs });
      const behind = await settleDown(variant);
      const histogram = Histogram.from(result.latencies);
      samples.push(sampleOf(round, variant, connections, result, histogram, behind));
      const name = key(variant.name, connections);
      const all = latencies.get(name) ?? new Histogram();
      all.merge(histogram);
      latencies.set(name, all);
    }
    options.onRound?.(round);
  }
  return { samples, latencies };
}

function sampleOf(
  round: number,
  variant: Variant,
  connections: number,
  result: SliceResult,
  histogram: Histogram,
  behind: number,
): Sample {
  const { calls, micros, allCalls } = result;
  const measured = variant.pid !== undefined;
  return {
    round,
    variant: variant.name,
    connections,
    calls,
    rate: (calls * 1e6) / micros,
    p50: histogram.percentile(0.5),
    p99: histogram.percentile(0.99),
    cpu: measured ? result.cpuMicros / calls : undefined,
    cpuBehind: measured ? behind / allCalls : undefined,
    loadShare: result.loadMicros / micros,
  };
}

async function runSlice(
  load: Started,
  { name, host, port, request, pid }: Variant,
  times: { connections: number; warmUpMs: number; measureMs: number },
): Promise<SliceResult> {
  const answer = nextMessage<{ result: SliceResult } | { error: string }>(load);
  const slice: Slice = { host, port, request, pid, ...times };
  load.child.send(slice);
  const message = await answer;
  if ('error' in message) throw new Error(`${name}, ${times.connections} connections: ${message.error}`);
  if (times.measureMs > 1 && message.result.calls === 0) {
    throw new Error(`${name}, ${times.connections} connections: no call was answered in ${times.measureMs} ms`);
  }
  return message.result;
}

/**
 * Waits until a process has nothing left to do, so that it takes no time from the next variant.
 * @returns microseconds of CPU that it used meanwhile
 */
async function settleDown({ pid, settle }: Variant): Promise<number> {
  if (pid === undefined) return 0;
  const start = cpuMicros(pid);
  await settle?.();
  const until = performance.now() + QUIET_LIMIT_MS;
  let last = cpuMicros(pid);
  for (;;) {
    const from = performance.now();
    await new Promise((resolve) => setTimeout(resolve, QUIET_STEP_MS));
    const now = cpuMicros(pid);
    const share = (now - last) / ((performance.now() - from) * 1_000);
    last = now;
    if (share < QUIET_SHARE || performance.now() > until) return last - start;
  }
}
