import { text as readAll } from 'node:stream/consumers';
import { CommanderError } from 'commander';
import type { Context, Prompts } from './context.ts';
import { CliError, fromGatewayError } from './errors.ts';
import { EXIT, type ExitCode } from './exit-codes.ts';
import { loadGateway } from './gateway-module.ts';
import { jsonText, Output, printable, printableLines, wantsColour } from './output.ts';
import { createProgram } from './program.ts';
import { terminalPrompts } from './prompts.ts';

export interface CliEnvironment {
  env: Readonly<Record<string, string | undefined>>;
  stdin: NodeJS.ReadableStream & { isTTY?: boolean };
  stdout: NodeJS.WritableStream & { isTTY?: boolean };
  stderr: NodeJS.WritableStream;
  signal: AbortSignal;
  /** Default: the system's clock. */
  now?: () => number;
  /** Default: `@gatehouse/gateway`, loaded when needed. */
  gateway?: Context['gateway'];
  /** Default: questions on the terminal. */
  prompts?: Prompts;
}

/**
 * Runs one command line.
 * @param argv without the program's name
 * @returns the exit code; nothing is thrown
 */
export async function runCli(argv: readonly string[], environment: CliEnvironment): Promise<ExitCode> {
  const { env, stdin, stdout, stderr } = environment;
  // Everything behind `--` belongs to another program and is not read as options of this one.
  const cut = argv.indexOf('--');
  const own = cut === -1 ? argv : argv.slice(0, cut);
  const json = own.includes('--json');
  const out = new Output({
    json,
    colour: wantsColour(env, stdout.isTTY === true),
    write: (text) => stdout.write(text),
    drained: () => new Promise((resolve) => void stdout.once('drain', resolve)),
    writeError: (text) => stderr.write(text),
  });
  const context: Context = {
    env,
    out,
    interactive: !json && stdin.isTTY === true && stdout.isTTY === true,
    trailing: cut === -1 ? undefined : argv.slice(cut + 1),
    signal: environment.signal,
    now: environment.now ?? Date.now,
    stdin,
    stdout,
    readStdin: () => readAll(stdin),
    gateway: environment.gateway ?? loadGateway,
    prompts: environment.prompts ?? terminalPrompts,
    exitCode: EXIT.ok,
  };
  const program = createProgram(context);
  try {
    await program.parseAsync([...own], { from: 'user' });
    return context.exitCode;
  } catch (error) {
    return report(error, context, (text) => stderr.write(text));
  }
}

function report(error: unknown, context: Context, write: (text: string) => unknown): ExitCode {
  // Commander has said what was wrong, or has shown what was asked for (--help, --version: exit code 0).
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  if (context.signal.aborted && error instanceof Error && error.name === 'AbortError') return EXIT.interrupted;
  const known = error instanceof CliError ? error : fromGatewayError(error);
  if (known === undefined) {
    const { stack, message } = error instanceof Error ? error : { stack: undefined, message: String(error) };
    write(`${context.out.style('red', 'error:')} ${printable(message)}\n`);
    if (context.env.GATEHOUSE_LOG_LEVEL === 'debug' && stack) write(`${printableLines(stack)}\n`);
    return EXIT.error;
  }
  if (context.out.isJson) {
    const { code, message, details, requestId } = known;
    write(
      `${jsonText({ error: { code, message, ...(details.length > 0 && { details }), ...(requestId && { requestId }) } })}\n`,
    );
    return known.exitCode;
  }
  write(`${context.out.style('red', 'error:')} ${printableLines(known.message)}\n`);
  for (const { pointer, message, suggestion } of known.details) {
    const line = `${pointer === '' ? '' : `${pointer}: `}${message}${suggestion ? ` (${suggestion})` : ''}`;
    write(`  ${printable(line)}\n`);
  }
  if (known.requestId !== undefined) write(`  request ${printable(known.requestId)}\n`);
  return known.exitCode;
}
