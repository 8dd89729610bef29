import { parseArgs } from 'node:util';
import { CALL_SIZES, type CallSize, REPLY_KINDS, type ReplyKind } from './workload.ts';

export type Part = 'calls' | 'flat' | 'memory' | 'judge';
export const PARTS: readonly Part[] = ['calls', 'flat', 'memory', 'judge'];

/** How long and how much; each preset gives all of them. */
export interface Effort {
  /** Numbers of connections, each measured in every round. */
  connections: number[];
  replies: ReplyKind[];
  sizes: CallSize[];
  /** How often everything is started anew. */
  starts: number;
  /** Rounds of each start. */
  rounds: number;
  /** Measured length of one slice, after its warm-up. */
  seconds: number;
  /** Grants and tools that are many. */
  grants: number;
  tools: number;
  /** Idle streams; a multiple of 8. */
  streams: number;
}

export interface Options extends Effort {
  preset: 'quick' | 'default' | 'full';
  /** Seed of the bootstrap. */
  seed: number;
  only: Part[];
  /** Commit, or folder of a checkout, that is measured beside the present one. */
  against: string | undefined;
  /** Where the whole result goes as JSON. */
  json: string | undefined;
  /** Puts the tables into docs/benchmarks.md. */
  writeDocs: boolean;
  /** Folder in which the gateway's data folder is made; undefined: the system's folder for temporary files. */
  data: string | undefined;
  /** Folder for CPU profiles of the gateway; undefined: none are made. */
  profile: string | undefined;
  help: boolean;
}

const PRESETS: Readonly<Record<Options['preset'], Effort>> = {
  quick: {
    connections: [2],
    replies: ['json', 'sse'],
    sizes: [300, 20_000],
    starts: 1,
    rounds: 1,
    seconds: 0.05,
    grants: 20,
    tools: 20,
    streams: 16,
  },
  default: {
    connections: [1, 64],
    replies: ['json'],
    sizes: [300],
    starts: 3,
    rounds: 3,
    seconds: 0.4,
    grants: 10_000,
    tools: 1_000,
    streams: 2_000,
  },
  full: {
    connections: [1, 16, 64, 500],
    replies: ['json', 'sse'],
    sizes: [300, 20_000],
    starts: 4,
    rounds: 3,
    seconds: 0.5,
    grants: 10_000,
    tools: 1_000,
    streams: 2_000,
  },
};

export const HELP = `npm run bench -- [options]

Measures the gateway, a bare pass-through, nginx and the direct way to one upstream, in one run.

  --full               every kind of reply, size and number of connections, 12 rounds: about half an hour
  --quick              everything once, as briefly as can be: does it run at all? Its figures say nothing
  --only PARTS         of ${PARTS.join(',')}
  --against COMMIT     measure the gateway of that commit too, in the same rounds, and print ratios new/old.
                       Or a folder with a checkout of it, its dependencies installed
  --connections 1,64   numbers of connections (default 1,64; full 1,16,64,500)
  --replies json,sse   how the upstream answers (default json)
  --sizes 300,20000    bytes of a call and of its result (default 300)
  --starts N           how often everything is started anew (default 3, full 4)
  --rounds N           rounds of each start, each with every variant (default 3)
  --seconds S          measured seconds of one slice (default 0.4, full 0.5)
  --grants N           grants that are many, in the part flat (default 10000)
  --tools N            tools that are many, in the part flat (default 1000)
  --streams N          idle streams, in the part memory (default 2000)
  --seed N             seed of the bootstrap (default 1)
  --data DIR           folder for the gateway's data: the file system that fsync is measured on (default: the system's
                       temporary folder)
  --profile DIR        write CPU profiles of the gateway there (slows it down: its figures then say nothing)
  --json FILE          write everything that was measured, each slice included (schema: bench/result.schema.json)
  --write-docs         put machine and tables into docs/benchmarks.md
  --help

Example: npm run bench -- --only calls --connections 1,16,64 --rounds 8 --seconds 1 --json result.json`;

/** A wrong command line: its message says what to write instead. */
export class UsageError extends Error {
  override name = 'UsageError';
}

/** @throws UsageError naming the option and what it takes */
export function readOptions(args: readonly string[]): Options {
  const values = parse(args);
  if (values.quick === true && values.full === true) throw new UsageError('--quick and --full exclude each other.');
  const preset = values.quick === true ? 'quick' : values.full === true ? 'full' : 'default';
  const usual = PRESETS[preset];
  const whole = (name: string, text: string | undefined, otherwise: number, to: number, from = 1) =>
    text === undefined ? otherwise : number(name, text, { from, to, whole: true });
  const options: Options = {
    preset,
    connections: numbers('--connections', values.connections, { from: 1, to: 1_000 }) ?? usual.connections,
    replies: words('--replies', values.replies, REPLY_KINDS) ?? usual.replies,
    sizes: sizes(values.sizes) ?? usual.sizes,
    starts: whole('--starts', values.starts, usual.starts, 1_000),
    rounds: whole('--rounds', values.rounds, usual.rounds, 10_000),
    seconds:
      values.seconds === undefined
        ? usual.seconds
        : number('--seconds', values.seconds, { from: 0.05, to: 600, whole: false }),
    grants: whole('--grants', values.grants, usual.grants, 100_000, 2),
    tools: whole('--tools', values.tools, usual.tools, 10_000, 2),
    streams: whole('--streams', values.streams, usual.streams, 8_000, 8),
    seed: whole('--seed', values.seed, 1, 2 ** 32 - 1, 0),
    only: words('--only', values.only, PARTS) ?? [...PARTS],
    against: values.against,
    json: values.json,
    writeDocs: values['write-docs'] === true,
    data: values.data,
    profile: values.profile,
    help: values.help === true,
  };
  if (options.streams % 8 !== 0) throw new UsageError(`--streams takes a multiple of 8, not "${options.streams}".`);
  if (options.writeDocs && preset === 'quick')
    throw new UsageError('The figures of --quick say nothing: they go into no docs.');
  if (options.writeDocs && options.against !== undefined) {
    throw new UsageError('--write-docs is for a run of one gateway: leave out --against.');
  }
  return options;
}

function parse(args: readonly string[]) {
  const text = { type: 'string' } as const;
  const flag = { type: 'boolean' } as const;
  try {
    return parseArgs({
      args: [...args],
      options: {
        connections: text,
        replies: text,
        sizes: text,
        starts: text,
        rounds: text,
        seconds: text,
        grants: text,
        tools: text,
        streams: text,
        seed: text,
        only: text,
        against: text,
        json: text,
        data: text,
        profile: text,
        'write-docs': flag,
        quick: flag,
        full: flag,
        help: { ...flag, short: 'h' },
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

function numbers(name: string, text: string | undefined, range: { from: number; to: number }): number[] | undefined {
  if (text === undefined) return undefined;
  return distinct(
    name,
    text.split(',').map((item) => number(name, item, { ...range, whole: true })),
  );
}

function sizes(text: string | undefined): CallSize[] | undefined {
  if (text === undefined) return undefined;
  return distinct(
    '--sizes',
    text.split(',').map((item) => {
      const found = CALL_SIZES.find((size) => String(size) === item);
      if (found === undefined) throw new UsageError(`--sizes takes ${CALL_SIZES.join(' and ')}, not "${item}".`);
      return found;
    }),
  );
}

function words<T extends string>(name: string, text: string | undefined, known: readonly T[]): T[] | undefined {
  if (text === undefined) return undefined;
  return distinct(
    name,
    text.split(',').map((item) => {
      const found = known.find((word) => word === item);
      if (found === undefined) throw new UsageError(`${name} takes ${known.join(', ')}, not "${item}".`);
      return found;
    }),
  );
}

function distinct<T>(name: string, values: T[]): T[] {
  if (new Set(values).size !== values.length)
    throw new UsageError(`${name} names something twice: ${values.join(',')}.`);
  return values;
}
