import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { checkOut, type OtherCheckout } from './against.ts';
import { BOUND_ROUNDS, boundsOf } from './bounds.ts';
import { benchCalls } from './calls.ts';
import { writeFigures } from './docs.ts';
import { benchFlat } from './flat.ts';
import { OWN_ROOT } from './gateway.ts';
import { benchJudge } from './judge.ts';
import { readMachine } from './machine.ts';
import { benchMemory } from './memory.ts';
import { findNginx } from './nginx.ts';
import { HELP, type Options, type Part, readOptions, UsageError } from './options.ts';
import { Processes } from './processes.ts';
import { describeMachine, HOW_TO_READ, reportOf } from './report.ts';
import { RESULT_FORMAT, type Result, saturation } from './result.ts';
import { type Candidate, DIRECT } from './scene.ts';
import { seededRandom } from './statistics.ts';
import type { Workload } from './workload.ts';

async function run(options: Options, args: readonly string[]): Promise<void> {
  if (process.platform !== 'linux' && options.only.some((part) => part !== 'judge')) {
    throw new UsageError(
      'CPU time and memory are read from /proc, which only Linux has. Elsewhere: npm run bench -- --only judge',
    );
  }
  const base = resolve(options.data ?? tmpdir());
  mkdirSync(base, { recursive: true });
  const folder = mkdtempSync(join(base, 'gatehouse-bench-'));
  const processes = new Processes();
  let other: OtherCheckout | undefined;
  const interrupted = new Promise<never>((_, reject) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.on(signal, () => reject(new Error(`ended by ${signal}`)));
    }
  });
  try {
    if (options.against !== undefined) other = checkOut(OWN_ROOT, options.against, join(folder, 'against'));
    const candidates = candidatesOf(other);
    const result = await Promise.race([measure(options, candidates, processes, folder), interrupted]);
    const report = reportOf(result);
    console.log(`${report}\n\n${HOW_TO_READ}`);
    if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(result, undefined, 2)}\n`);
    if (options.writeDocs) {
      writeFigures(join(OWN_ROOT, 'docs/benchmarks.md'), figures(result, report, args));
    }
  } finally {
    await processes.close();
    other?.remove();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The present gateway first. */
function candidatesOf(other: OtherCheckout | undefined): [Candidate, ...Candidate[]] {
  if (other === undefined) return [{ name: 'gateway', root: OWN_ROOT }];
  return [
    { name: 'gateway new', root: OWN_ROOT },
    { name: `gateway ${other.name}`, root: other.root },
  ];
}

async function measure(
  options: Options,
  candidates: readonly [Candidate, ...Candidate[]],
  processes: Processes,
  folder: string,
): Promise<Result> {
  const machine = readMachine(folder, OWN_ROOT, findNginx()?.version);
  console.log(`${describeMachine(machine)}\n`);
  const { connections, starts, rounds, seconds, preset } = options;
  const random = seededRandom(options.seed);
  const missing = new Set<string>();
  const isQuick = preset === 'quick';
  const shared = {
    processes,
    folder,
    candidates,
    random,
    starts,
    rounds,
    seconds,
    connections,
    compileMs: isQuick ? 0 : 700,
    missing: (sentence: string) => missing.add(sentence),
  };
  const has = (part: Part) => options.only.includes(part);
  const progress = (part: Part) => ({ onRound: (round: number) => tell(part, round, starts * rounds) });
  const result: Result = {
    format: RESULT_FORMAT,
    at: new Date().toISOString(),
    machine,
    options,
    bounds: [],
    warnings: [],
    missing: [],
  };
  if (has('judge')) {
    result.judge = await benchJudge({ ...shared, batches: isQuick ? 2 : 20, batch: isQuick ? 50 : 2_000 });
  }
  if (has('memory')) {
    result.memory = await benchMemory({ ...shared, streams: options.streams, settleMs: isQuick ? 20 : 1_500 });
  }
  if (has('flat')) {
    const { grants, tools } = options;
    result.flat = await benchFlat({ ...shared, candidate: candidates[0], grants, tools, ...progress('flat') });
  }
  if (has('calls')) {
    const { profile } = options;
    const calls = await benchCalls({
      ...shared,
      workloads: workloadsOf(options),
      profile: profile === undefined ? undefined : resolve(profile),
      ...progress('calls'),
    });
    result.calls = calls;
    result.warnings.push(...saturation(calls.rows, DIRECT));
  }
  const { calls, flat, judge } = result;
  if (starts * rounds >= BOUND_ROUNDS) {
    result.bounds = boundsOf(candidates[0], {
      ...(calls === undefined ? {} : { rows: calls.rows }),
      ...(flat === undefined ? {} : { flat: flat.comparisons }),
      ...(judge === undefined ? {} : { judge }),
    });
  } else {
    result.warnings.push(
      `intervals need rounds: bounds are looked at from ${BOUND_ROUNDS} on, and here were ${starts * rounds}`,
    );
  }
  if (options.profile !== undefined) result.warnings.push('the gateway was profiled, which slows it down');
  if (machine.changed === true) result.warnings.push('there are changes that were not committed');
  result.missing = [...missing];
  return result;
}

function workloadsOf({ replies, sizes }: Options): Workload[] {
  return replies.flatMap((reply) => sizes.map((size) => ({ reply, size })));
}

function tell(part: Part, round: number, of: number): void {
  if (!process.stderr.isTTY) return;
  process.stderr.write(`\r${part}: round ${round + 1} of ${of}${round + 1 === of ? '\n' : ''}`);
}

function figures({ at, machine }: Result, report: string, args: readonly string[]): string {
  const command = `npm run bench -- ${args.filter((arg) => arg !== '--write-docs').join(' ')}`.replace(/ --\s*$/, '');
  return `${at.slice(0, 10)}, ${describeMachine(machine)};\n\`${command}\`.\n\n\`\`\`\n${report}\n\`\`\``;
}

try {
  const args = process.argv.slice(2);
  const options = readOptions(args);
  if (options.help) console.log(HELP);
  else await run(options, args);
} catch (error) {
  console.error(error instanceof UsageError ? error.message : `bench: ${(error as Error).message}`);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
