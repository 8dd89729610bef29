// The part that measures calls: every variant, every workload, every number of connections.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Processes } from './processes.ts';
import { type Latencies, runRounds, type Sample, type Variant } from './rounds.ts';
import {
  BARE,
  type Candidate,
  DIRECT,
  gatewayName,
  gatewayVariant,
  hopVariant,
  NGINX_MISSING,
  startBare,
  startCrew,
  startFresh,
  startNginxHop,
} from './scene.ts';
import { type Comparison, compare, type Row, summarize } from './summary.ts';
import { type CallClass, type Workload, workloadName } from './workload.ts';

const CLASSES: readonly CallClass[] = ['read', 'write'];

export interface CallsResult {
  rows: Row[];
  /** The present gateway against the other one; empty without another. */
  comparisons: Comparison[];
  samples: Sample[];
}

export interface CallsOptions {
  processes: Processes;
  /** For data and configuration files; removed by the caller. */
  folder: string;
  /** The present gateway, and the one that it is compared with. */
  candidates: readonly Candidate[];
  workloads: readonly Workload[];
  connections: readonly number[];
  /** How often everything is started anew, and rounds of each start. */
  starts: number;
  rounds: number;
  seconds: number;
  compileMs: number;
  /** Folder for CPU profiles of the gateways. */
  profile: string | undefined;
  random: () => number;
  onRound?: (round: number) => void;
  /** Told what could not be measured, with what to do about it. */
  missing: (sentence: string) => void;
}

/** @throws Error when something does not start, or a call is not answered with its result */
export async function benchCalls(options: CallsOptions): Promise<CallsResult> {
  const { processes, candidates, starts, rounds, seconds, compileMs, connections, onRound, random } = options;
  const workloads = options.workloads.map(workloadName);
  const samples: Sample[] = [];
  const latencies: Latencies = new Map();
  for (let start = 0; start < starts; start++) {
    const { crew, variants } = await startAll(options, start);
    const plan = { rounds, workloads, connections, seconds, compileMs, start, onRound };
    samples.push(...(await runRounds(crew, variants, plan, latencies)));
    await processes.end();
  }
  const [present, other] = candidates;
  const comparisons =
    present === undefined || other === undefined
      ? []
      : CLASSES.flatMap((callClass) =>
          compare(
            samples,
            { variant: gatewayName(present, callClass), against: gatewayName(other, callClass) },
            random,
          ),
        );
  return { rows: summarize(samples, latencies, { direct: DIRECT, reference: BARE }, random), comparisons, samples };
}

async function startAll(
  { processes, folder: base, candidates, workloads, profile, missing }: CallsOptions,
  start: number,
) {
  const folder = join(base, `start-${start}`);
  mkdirSync(folder);
  const crew = await startCrew(processes);
  const { origin: upstream } = crew;
  const variants: Variant[] = [
    await hopVariant({ name: DIRECT, origin: upstream, pid: undefined }, workloads),
    await hopVariant(await startBare(processes, upstream), workloads),
  ];
  const nginx = await startNginxHop(processes, folder, upstream);
  if (nginx === undefined) missing(NGINX_MISSING);
  else variants.push(await hopVariant(nginx, workloads));
  const replies = [...new Set(workloads.map(({ reply }) => reply))];
  const gateways = [];
  for (const candidate of candidates) {
    gateways.push({
      candidate,
      started: await startFresh(processes, candidate, { folder, upstream, replies, profile }),
    });
  }
  // The two that are compared stand beside each other.
  for (const callClass of CLASSES) {
    for (const { candidate, started } of gateways) {
      variants.push(await gatewayVariant(gatewayName(candidate, callClass), started, callClass, workloads));
    }
  }
  return { crew, variants };
}
