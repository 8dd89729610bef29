import { parseArgs } from 'node:util';

export type Part = 'calls' | 'judge';
const PARTS: readonly Part[] = ['calls', 'judge'];

export interface Options {
  /** Numbers of connections, each measured in every round. */
  connections: number[];
  rounds: number;
  /** Measured length of one slice, after its warm-up. */
  seconds: number;
  /** Seed of the bootstrap. */
  seed: number;
  /** undefined: all parts. */
  only: Part | undefined;
  /** Where the whole result goes as JSON. */
  json: string | undefined;
  /** Folder in which the gateway's data folder is made; undefined: the system's folder for temporary files. */
  data: string | undefined;
  /** Folder for a CPU profile of the gateway; undefined: none is made. */
  profile: string | undefined;
  help: boolean;
}

export const HELP = `npm run bench -- [options]

Measures the gateway, a bare pass-through, nginx and the direct way to one upstream, in one run.

  --connections 1,64   numbers of connections (default 1,64)
  --rounds N           rounds, each with every variant at every number of connections (default 6)
  --seconds S          measured seconds of one slice (default 0.4)
  --quick              3 rounds of 0.2 s: does it run at all? Its figures say nothing
  --only PART          calls or judge
  --seed N             seed of the bootstrap (default 1)
  --data DIR           folder for the gateway's data: the file system that fsync is measured on (default: the system's temporary folder)
  --profile DIR        write a CPU profile of the gateway there (slows it down: its figures then say nothing)
  --json FILE          write everything that was measured, each slice included
  --help

Example: npm run bench -- --connections 1,16,64 --rounds 20 --seconds 1 --json result.json`;

/** A wrong command line: its message says what to write instead. */
export class UsageError extends Error {
  override name = 'UsageError';
}

/** @throws UsageError naming the option and what it takes */
export function readOptions(args: readonly string[]): Options {
  const values = parse(args);
  const quick = values.quick === true;
  return {
    connections: list(values.connections ?? '1,64'),
    rounds: number('--rounds', values.rounds ?? (quick ? '3' : '6'), { from: 1, to: 10_000, whole: true }),
    seconds: number('--seconds', values.seconds ?? (quick ? '0.2' : '0.4'), { from: 0.05, to: 600, whole: false }),
    seed: number('--seed', values.seed ?? '1', { from: 0, to: 2 ** 32 - 1, whole: true }),
    only: part(values.only),
    json: values.json,
    data: values.data,
    profile: values.profile,
    help: values.help === true,
  };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        connections: { type: 'string' },
        rounds: { type: 'string' },
        seconds: { type: 'string' },
        seed: { type: 'string' },
        only: { type: 'string' },
        json: { type: 'string' },
        data: { type: 'string' },
        profile: { type: 'string' },
        quick: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    }).values;
  } catch (error) {
    throw new UsageError(`${(error as Error).message} See --help.`);
  }
}

function number(name: string, text: string, { from, to, whole }: { from: number; to: number; whole: boolean }): number {
  const value = text.trim() === '' ? Number.NaN : Number(text);
  if (!(value >= from && value <= to) || (whole && !Number.isInteger(value))) {
    throw new UsageError(`${name} takes a ${whole ? 'whole ' : ''}number from ${from} to ${to}, not "${text}".`);
  }
  return value;
}

function list(text: string): number[] {
  const values = text.split(',').map((item) => number('--connections', item, { from: 1, to: 1_000, whole: true }));
  if (new Set(values).size !== values.length) {
    throw new UsageError(`--connections names a number twice: "${text}".`);
  }
  return values;
}

function part(text: string | undefined): Part | undefined {
  if (text === undefined) return undefined;
  const found = PARTS.find((candidate) => candidate === text);
  if (found === undefined) throw new UsageError(`--only takes ${PARTS.join(' or ')}, not "${text}".`);
  return found;
}
