// Processes that the benchmark starts, ended together however it ends.
import { type ChildProcess, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const STDERR_KEPT = 4_000;
const END_MS = 5_000;

export interface Started {
  readonly child: ChildProcess;
  readonly pid: number;
  /** The end of what it wrote to standard error. */
  errors(): string;
}

export class Processes {
  readonly #children: ChildProcess[] = [];
  #closed = false;

  /** Forks a module of this folder; messages go both ways. */
  fork(module: string, args: readonly string[] = []): Started {
    this.#checkOpen();
    const path = fileURLToPath(new URL(module, import.meta.url));
    return this.#keep(fork(path, [...args], { stdio: ['ignore', 'ignore', 'pipe', 'ipc'] }));
  }

  /** Starts a program; its standard output is not read. */
  spawn(command: string, args: readonly string[], env: NodeJS.ProcessEnv = process.env): Started {
    this.#checkOpen();
    return this.#keep(spawn(command, [...args], { stdio: ['ignore', 'ignore', 'pipe'], env }));
  }

  /** Asks all to end, in reverse order, and makes them after 5 s. */
  async end(): Promise<void> {
    for (const child of this.#children.toReversed()) await endChild(child);
    this.#children.length = 0;
  }

  /** Ends all, and lets nothing be started any more by what still runs. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.end();
  }

  /** Ends one of them in the same way. */
  async stop({ child }: Started): Promise<void> {
    await endChild(child);
    const at = this.#children.indexOf(child);
    if (at !== -1) this.#children.splice(at, 1);
  }

  #checkOpen(): void {
    if (this.#closed) throw new Error('the benchmark is ending');
  }

  #keep(child: ChildProcess): Started {
    this.#children.push(child);
    let tail = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      tail = (tail + text).slice(-STDERR_KEPT);
    });
    child.on('error', (error) => {
      tail += error.message;
    });
    return { child, pid: child.pid ?? -1, errors: () => tail.trim() };
  }
}

async function endChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), END_MS);
  await ended;
  clearTimeout(timer);
}

/**
 * The next message of a forked child.
 * @throws Error when it ends instead, or says nothing for the given milliseconds, with what it said
 */
export function nextMessage<T>(started: Started, milliseconds = 30_000): Promise<T> {
  const { child } = started;
  return new Promise((resolve, reject) => {
    const settle = (): void => {
      clearTimeout(timer);
      child.off('exit', ended);
      child.off('message', told);
    };
    const ended = (): void => {
      settle();
      reject(new Error(`a process of the benchmark ended: ${started.errors()}`));
    };
    const told = (message: unknown): void => {
      settle();
      resolve(message as T);
    };
    const timer = setTimeout(() => {
      settle();
      reject(new Error(`a process of the benchmark was silent for ${milliseconds / 1_000} s: ${started.errors()}`));
    }, milliseconds);
    child.once('exit', ended);
    child.once('message', told);
  });
}

/**
 * Tries until something is there.
 * @throws Error when the process ended, or after the given milliseconds, with what it said
 */
export async function waitFor<T>(
  started: Started,
  what: string,
  attempt: () => Promise<T | undefined>,
  milliseconds = 20_000,
): Promise<T> {
  const until = performance.now() + milliseconds;
  for (;;) {
    const found = await attempt();
    if (found !== undefined) return found;
    const { exitCode, signalCode } = started.child;
    if (exitCode !== null || signalCode !== null || performance.now() > until) {
      throw new Error(`${what} ${performance.now() > until ? 'did not get ready' : 'ended'}: ${started.errors()}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}
