// What a command may touch, in one object, so that a test can run a command without a process or a terminal.
import type { Command } from 'commander';
import { type Client, type ConnectOptions, connect } from './client.ts';
import { usageError } from './errors.ts';
import { EXIT, type ExitCode } from './exit-codes.ts';
import type { GatewayModule } from './gateway-module.ts';
import type { Output } from './output.ts';

export interface Context {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly out: Output;
  /** A person sits at a terminal, so that a question can be asked; never with --json. */
  readonly interactive: boolean;
  /** What stood after `--`; undefined without one. */
  readonly trailing: readonly string[] | undefined;
  /** Aborted by Ctrl-C or SIGTERM. */
  readonly signal: AbortSignal;
  readonly now: () => number;
  /** For `run`, whose protocol they carry; everything else writes through `out`. */
  readonly stdin: NodeJS.ReadableStream;
  readonly stdout: NodeJS.WritableStream;
  readonly readStdin: () => Promise<string>;
  /** Loads the gateway's code; only commands that need it in this process pay for it. */
  readonly gateway: () => Promise<GatewayModule>;
  readonly prompts: Prompts;
  exitCode: ExitCode;
}

export interface Prompts {
  confirm(message: string): Promise<boolean>;
  /** @returns the chosen values; undefined when the person broke off */
  choose(
    message: string,
    choices: readonly { value: string; label: string; hint?: string }[],
  ): Promise<string[] | undefined>;
}

/** Options that every command takes. */
export interface GlobalOptions {
  data?: string;
  config?: string;
  api?: string;
  json?: boolean;
}

export interface CommandText {
  description: string;
  /** Command lines as one would type them; at least one. */
  examples: readonly string[];
  /** Shown after the options. */
  notes?: string;
}

/** Adds a command with its help; every command has an example. */
export function defineCommand(parent: Command, nameAndArguments: string, text: CommandText): Command {
  const lines = [
    '',
    text.examples.length === 1 ? 'Example:' : 'Examples:',
    ...text.examples.map((line) => `  $ ${line}`),
  ];
  if (text.notes !== undefined) lines.push('', text.notes);
  return parent.command(nameAndArguments).description(text.description).addHelpText('after', lines.join('\n'));
}

/** Adds a command that only groups others; without one of them it shows its help as a usage error. */
export function defineGroup(parent: Command, name: string, description: string): Command {
  return parent.command(name).description(description);
}

export type Handler<Options> = (
  args: readonly (string | undefined)[],
  options: Options & GlobalOptions,
) => Promise<ExitCode | undefined> | ExitCode | undefined;

/** Ties a handler to a command; what it returns is the exit code (nothing: {@link EXIT.ok}). */
export function handle<Options>(
  context: Context,
  command: Command,
  handler: Handler<Options>,
  { takesTrailing = false }: { takesTrailing?: boolean } = {},
): void {
  command.action(async () => {
    if (context.trailing !== undefined && !takesTrailing) {
      throw usageError(`"${command.name()}" takes nothing after --. See: gatehouse help`);
    }
    const args = command.processedArgs.flat() as (string | undefined)[];
    context.exitCode = (await handler(args, command.optsWithGlobals<Options & GlobalOptions>())) ?? EXIT.ok;
  });
}

/**
 * Runs `use` with a connection and closes it whatever happens.
 * @param create a data folder that does not exist yet may be made, since the command puts something into it
 */
export async function withClient<T>(
  context: Context,
  options: GlobalOptions,
  use: (client: Client) => Promise<T>,
  { create = false }: { create?: boolean } = {},
): Promise<T> {
  const connectOptions: ConnectOptions = { ...options, create };
  const client = await connect(context, connectOptions);
  try {
    return await use(client);
  } finally {
    await client.close();
  }
}

/** Asks before something that cannot be undone; without a terminal only `--yes` is an answer. */
export async function confirmed(context: Context, yes: boolean | undefined, question: string): Promise<boolean> {
  if (yes) return true;
  if (!context.interactive)
    throw usageError(`${question} Nobody can be asked here (no terminal): add --yes to say so.`);
  return context.prompts.confirm(question);
}
