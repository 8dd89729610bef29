import { resolve } from 'node:path';
import type { Command } from 'commander';
import { type Context, defineCommand, type GlobalOptions, handle } from '../context.ts';
import { usageError } from '../errors.ts';
import type { ExitCode } from '../exit-codes.ts';
import { aborted } from '../serve-gateway.ts';
import { collect, parsePairs } from '../values.ts';

interface RunOptions extends GlobalOptions {
  policy?: string;
  watch?: boolean;
  accept?: boolean;
  env?: string[];
  envFrom?: string[];
  cwd?: string;
}

/** What the command gets besides the clean environment: values that are written out, and variables that are passed on. */
function environmentOf(context: Context, options: RunOptions): Record<string, string> {
  const environment = parsePairs(options.env ?? [], '--env');
  for (const variable of options.envFrom ?? []) {
    const value = context.env[variable];
    if (value === undefined) throw usageError(`--env-from: the environment variable ${variable} is not set.`);
    environment[variable] = value;
  }
  return environment;
}

/** Standard output belongs to the MCP client here: nothing but the protocol may be written to it. */
async function run(context: Context, options: RunOptions): Promise<ExitCode> {
  const [command, ...args] = context.trailing ?? [];
  if (command === undefined) throw usageError('After -- comes the command that starts the MCP server.');
  if (options.json) throw usageError('"run" speaks MCP on standard output and has no --json.');
  const { loadSettings, runStdio } = await context.gateway();
  const { settings } = loadSettings({
    ...(options.config === undefined ? {} : { file: options.config }),
    env: context.env,
    flags: { data: options.data },
  });
  return (await runStdio({
    settings,
    env: context.env,
    environment: environmentOf(context, options),
    stdin: context.stdin,
    stdout: context.stdout,
    say: (line) => context.out.note(line),
    stop: aborted(context.signal),
    ...(options.cwd === undefined ? {} : { cwd: resolve(options.cwd) }),
    ...(options.policy === undefined ? {} : { policyFile: options.policy }),
    command,
    args,
    watch: options.watch ?? false,
    accept: options.accept ?? false,
  })) as ExitCode;
}

export function addRunCommand(program: Command, context: Context): void {
  const command = defineCommand(program, 'run', {
    description: 'the gateway on standard input and output, for one local client and one local server',
    examples: ['gatehouse run --policy files.yaml -- npx -y @modelcontextprotocol/server-filesystem /home/ana/docs'],
    notes: 'Put this line into the MCP client in place of the command of the server.',
  })
    .usage('[options] -- <command> [args...]')
    .option('--policy <file>', 'policy to judge by')
    .option('--env <key=value>', 'environment of the command (repeatable)', collect)
    .option('--env-from <variable>', 'passes on an environment variable; no other one is (repeatable)', collect)
    .option('--cwd <dir>', 'folder that the command starts in')
    .option('--accept', 'accept the tools as they are now, after the server changed them')
    .option('--watch', 'read the policy again when the file changes; one with errors is refused, the old one stays');
  handle<RunOptions>(context, command, (_, options) => run(context, options), { takesTrailing: true });
}
