// The process: streams, signals, exit code. What a command does is in program.ts and commands/.
import { EXIT } from './exit-codes.ts';
import { runCli } from './run-cli.ts';

/** A terminal's Ctrl-C reaches this process directly and through the launcher: two that close together are one. */
const SAME_SIGNAL_MS = 1_000;

const interrupt = new AbortController();
let firstSignalAt: number | undefined;
function onSignal(): void {
  const now = performance.now();
  firstSignalAt ??= now;
  if (now - firstSignalAt > SAME_SIGNAL_MS) process.exit(EXIT.interrupted);
  interrupt.abort();
}
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, onSignal);
// A reader that went away (`| head`) is a reason to stop, not an error.
process.stdout.on('error', (error: NodeJS.ErrnoException) =>
  process.exit(error.code === 'EPIPE' ? EXIT.ok : EXIT.error),
);

process.exitCode = await runCli(process.argv.slice(2), {
  env: process.env,
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  signal: interrupt.signal,
});
// An open terminal or pipe would keep the process from ending.
process.stdin.destroy();
