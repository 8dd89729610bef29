// The run: in each round every variant does every workload at every number of connections, in alternating order, one at a
// time.
import { Histogram } from './histogram.ts';
import type { Slice, SliceResult } from './load.ts';
import { nextMessage, type Started } from './processes.ts';
import { type CpuTimes, cpuTimes } from './usage.ts';

/** A program that is measured, as it runs now. */
export interface Variant {
  readonly name: string;
  /** Process whose CPU time counts; undefined where nothing stands between. */
  readonly pid: number | undefined;
  /** Makes the process do at once what it put off during the load. */
  readonly settle?: () => Promise<void>;
  /** What it is asked, by the name of the workload. */
  readonly targets: ReadonlyMap<string, Target>;
}

export interface Target {
  readonly host: string;
  readonly port: number;
  readonly request: string;
}

/** One slice: a variant, a workload, a number of connections, a round. */
export interface Sample {
  round: number;
  /** How often everything had been started anew before. */
  start: number;
  workload: string;
  variant: string;
  connections: number;
  calls: number;
  /** Calls per second. */
  rate: number;
  /** Microseconds. */
  p50: number;
  p99: number;
  /** CPU time of the variant's process per call, while it was under load, in microseconds; absent for direct. */
  cpu?: number;
  /**
   * CPU time of the thread that builds the search index, under load and afterwards, per call. 0 without such a thread.
   * Absent for direct.
   */
  index?: number;
  /** CPU time that the other threads used after the load until they were quiet, per call: work put off. Absent for direct. */
  behind?: number;
  /** Shares of one core that the load generator and the upstream used: near 1, their speed was measured. */
  loadShare: number;
  upstreamShare: number;
}

export interface RoundsOptions {
  rounds: number;
  workloads: readonly string[];
  connections: readonly number[];
  seconds: number;
  /** How long each variant does each workload unmeasured before the first round, so that its code is compiled; 0: not at all. */
  compileMs: number;
  /** Put into the samples; rounds are counted from `start × rounds`. */
  start: number;
  onRound?: ((round: number) => void) | undefined;
}

export interface Crew {
  readonly load: Started;
  readonly upstream: Started;
}

/** All latencies of a variant, under `key`. */
export type Latencies = Map<string, Histogram>;

export function key({ workload, variant, connections }: Pick<Sample, 'workload' | 'variant' | 'connections'>): string {
  return `${workload}/${variant}/${connections}`;
}

/** Per connection, in the measured time. */
const LEAST_CALLS = 4;
const WARM_UP_SHARE = 0.3;
const LEAST_WARM_UP_MS = 50;
const QUIET_STEP_MS = 40;
const QUIET_SHARE = 0.04;
const QUIET_LIMIT_MS = 10_000;
/** How long the load generator may be silent beyond the slice itself: a hung variant ends the run. */
const SLICE_GRACE_MS = 90_000;

/**
 * @param latencies what it adds to
 * @throws Error when a call is not answered with its result
 */
export async function runRounds(
  crew: Crew,
  variants: readonly Variant[],
  options: RoundsOptions,
  latencies: Latencies,
): Promise<Sample[]> {
  const samples: Sample[] = [];
  const measureMs = options.seconds * 1_000;
  const warmUpMs = Math.max(LEAST_WARM_UP_MS, measureMs * WARM_UP_SHARE);
  const most = Math.max(...options.connections);
  for (const workload of options.compileMs > 0 ? options.workloads : []) {
    for (const variant of variants) {
      await runSlice(crew, variant, workload, {
        connections: most,
        warmUpMs: options.compileMs,
        measureMs: 1,
        leastCalls: 0,
      });
      await settleDown(variant);
    }
  }
  const plan = options.workloads.flatMap((workload) =>
    options.connections.flatMap((connections) => variants.map((variant) => ({ workload, variant, connections }))),
  );
  for (let index = 0; index < options.rounds; index++) {
    const round = options.start * options.rounds + index;
    // Every other round backwards: what changes steadily during a round does not favour a place in the order.
    for (const { workload, variant, connections } of round % 2 === 0 ? plan : plan.toReversed()) {
      const result = await runSlice(crew, variant, workload, {
        connections,
        warmUpMs,
        measureMs,
        leastCalls: LEAST_CALLS,
      });
      const after = await settleDown(variant);
      const histogram = Histogram.from(result.latencies);
      const place = { round, start: options.start, workload, variant: variant.name, connections };
      const sample = { ...place, ...figures(variant, result, histogram, after) };
      samples.push(sample);
      const name = key(sample);
      const all = latencies.get(name) ?? new Histogram();
      all.merge(histogram);
      latencies.set(name, all);
    }
    options.onRound?.(round);
  }
  return samples;
}

function figures({ pid }: Variant, result: SliceResult, histogram: Histogram, after: CpuTimes) {
  const { calls, micros, allCalls } = result;
  const own =
    pid === undefined
      ? {}
      : {
          cpu: result.cpuMicros / calls,
          index: result.indexMicros / calls + after.index / allCalls,
          behind: after.calls / allCalls,
        };
  return {
    calls,
    rate: (calls * 1e6) / micros,
    p50: histogram.percentile(0.5),
    p99: histogram.percentile(0.99),
    ...own,
    loadShare: result.loadMicros / micros,
    upstreamShare: result.upstreamMicros / micros,
  };
}

async function runSlice(
  { load, upstream }: Crew,
  { name, pid, targets }: Variant,
  workload: string,
  times: Pick<Slice, 'connections' | 'warmUpMs' | 'measureMs' | 'leastCalls'>,
): Promise<SliceResult> {
  const what = `${name}, ${workload}, ${times.connections} connections`;
  const target = targets.get(workload);
  if (target === undefined) throw new Error(`${what}: there is no such workload`);
  const answer = nextMessage<{ result: SliceResult } | { error: string }>(
    load,
    times.warmUpMs + times.measureMs + SLICE_GRACE_MS,
  );
  const slice: Slice = { ...target, pid, upstreamPid: upstream.pid, ...times };
  load.child.send(slice);
  const message = await answer;
  if ('error' in message) throw new Error(`${what}: ${message.error}`);
  if (times.measureMs > 1 && message.result.calls === 0) {
    throw new Error(`${what}: no call was answered in ${Math.round(message.result.micros / 1_000)} ms`);
  }
  return message.result;
}

/**
 * Waits until a process has nothing left to do, so that it takes no time from the next variant.
 * @returns CPU that it used meanwhile
 */
async function settleDown({ pid, settle }: Variant): Promise<CpuTimes> {
  if (pid === undefined) return { calls: 0, index: 0 };
  const start = cpuTimes(pid);
  await settle?.();
  const until = performance.now() + QUIET_LIMIT_MS;
  let last = cpuTimes(pid);
  for (;;) {
    const from = performance.now();
    await new Promise((resolve) => setTimeout(resolve, QUIET_STEP_MS));
    const now = cpuTimes(pid);
    const used = now.calls + now.index - last.calls - last.index;
    last = now;
    if (used / ((performance.now() - from) * 1_000) < QUIET_SHARE || performance.now() > until) {
      return { calls: last.calls - start.calls, index: last.index - start.index };
    }
  }
}
