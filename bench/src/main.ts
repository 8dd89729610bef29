import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { benchCalls } from './calls.ts';
import { benchJudge } from './judge.ts';
import { describeMachine, type Machine } from './machine.ts';
import { findNginx } from './nginx.ts';
import { HELP, type Options, readOptions, UsageError } from './options.ts';
import { Processes } from './processes.ts';
import { callsTable, HOW_TO_READ, judgeTable } from './report.ts';
import { seededRandom } from './statistics.ts';

async function run(options: Options): Promise<void> {
  const base = resolve(options.data ?? tmpdir());
  mkdirSync(base, { recursive: true });
  const folder = mkdtempSync(join(base, 'gatehouse-bench-'));
  const processes = new Processes();
  const interrupted = new Promise<never>((_, reject) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.once(signal, () => reject(new Error(`ended by ${signal}`)));
    }
  });
  try {
    const machine = describeMachine(folder, findNginx()?.version);
    console.log(`${describe(machine)}\n`);
    const judged = options.only === 'calls' ? undefined : benchJudge(seededRandom(options.seed));
    const calls =
      options.only === 'judge'
        ? undefined
        : await Promise.race([measureCalls(options, processes, folder), interrupted]);
    if (calls !== undefined) {
      console.log(`${callsTable(calls.rows)}\n`);
      console.log(
        `Load generator: at most ${percent(Math.max(...calls.samples.map(({ loadShare }) => loadShare)))} of a core.`,
      );
    }
    if (judged !== undefined) console.log(`\n${judgeTable(judged)}`);
    console.log(`\n${HOW_TO_READ}`);
    for (const sentence of calls?.missing ?? []) console.log(`NOT MEASURED: ${sentence}`);
    if (options.json !== undefined) {
      const result = { at: new Date().toISOString(), machine, options, calls, judge: judged };
      writeFileSync(options.json, `${JSON.stringify(result, undefined, 2)}\n`);
    }
  } finally {
    await processes.end();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function measureCalls(options: Options, processes: Processes, folder: string) {
  const isTerminal = process.stderr.isTTY;
  const { rounds, connections, seconds, seed, profile } = options;
  return benchCalls({
    processes,
    folder,
    profile: profile === undefined ? undefined : resolve(profile),
    random: seededRandom(seed),
    rounds,
    connections,
    seconds,
    onRound: (round) => {
      if (isTerminal) process.stderr.write(`\rround ${round + 1} of ${rounds}${round + 1 === rounds ? '\n' : ''}`);
    },
  });
}

function describe({ platform, cpus, model, node, nginx, syncMicros }: Machine): string {
  return `${cpus} × ${model}, ${platform}, Node ${node}, ${nginx ?? 'no nginx'}; one fdatasync of the data folder: ${Math.round(syncMicros)} µs`;
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}

try {
  const options = readOptions(process.argv.slice(2));
  if (options.help) console.log(HELP);
  else await run(options);
} catch (error) {
  console.error(error instanceof UsageError ? error.message : `bench: ${(error as Error).message}`);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
