// Does a call cost the same, however many grants and tools there are? The same call through three gateways: one with a grant
// and a tool, one with many grants, one with many tools. All are started anew several times, since two equal processes
// differ by more than the rounds of one.
import { join } from 'node:path';
import { GatewayHome } from './gateway.ts';
import type { Processes } from './processes.ts';
import { type Latencies, runRounds, type Sample, type Variant } from './rounds.ts';
import { type Candidate, gatewayVariant, startCrew } from './scene.ts';
import { type Comparison, compare } from './summary.ts';
import { type Workload, workloadName } from './workload.ts';

const ONE = '1 grant, 1 tool';
const WORKLOAD: Workload = { reply: 'json', size: 300 };

export interface FlatOptions {
  processes: Processes;
  folder: string;
  candidate: Candidate;
  /** How many are many. */
  grants: number;
  tools: number;
  connections: readonly number[];
  starts: number;
  rounds: number;
  seconds: number;
  compileMs: number;
  random: () => number;
  onRound?: (round: number) => void;
}

export interface FlatResult {
  comparisons: Comparison[];
  samples: Sample[];
}

/** @throws Error when something does not start, or a call is not answered with its result */
export async function benchFlat(options: FlatOptions): Promise<FlatResult> {
  const { processes, folder, candidate, grants, tools, connections, starts, rounds, seconds, compileMs, onRound } =
    options;
  const crew = await startCrew(processes);
  const home = (name: string, shape: { grants: number; tools: number }) => ({
    name,
    home: new GatewayHome({
      root: candidate.root,
      folder: join(folder, name.replaceAll(/\W+/g, '-')),
      upstream: crew.origin,
      shape: { ...shape, replies: [WORKLOAD.reply] },
    }),
  });
  const many = [
    home(`${grants.toLocaleString('en')} grants, 1 tool`, { grants, tools: 1 }),
    home(`1 grant, ${tools.toLocaleString('en')} tools`, { grants: 1, tools }),
  ];
  const homes = [home(ONE, { grants: 1, tools: 1 }), ...many];
  const samples: Sample[] = [];
  const latencies: Latencies = new Map();
  const plan = { rounds, workloads: [workloadName(WORKLOAD)], connections, seconds, compileMs, onRound };
  for (let start = 0; start < starts; start++) {
    const gateways = await Promise.all(homes.map(({ home }) => home.start(processes)));
    const variants: Variant[] = [];
    for (const [index, { name }] of homes.entries()) {
      variants.push(await gatewayVariant(name, gateways[index]!, 'read', [WORKLOAD]));
    }
    samples.push(...(await runRounds(crew, variants, { ...plan, start }, latencies)));
    for (const { started } of gateways) await processes.stop(started);
  }
  await processes.end();
  const comparisons = many.flatMap(({ name }) => compare(samples, { variant: name, against: ONE }, options.random));
  return { comparisons, samples };
}
