import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { statSync } from 'node:fs';
import { cleanEnvironment } from './environment.ts';
import { hasNewline, LineSplitter, type OversizedLine } from './lines.ts';
import { TailBuffer } from './tail-buffer.ts';

export interface StdioChildOptions {
  /** The program, found through PATH or by its path. No shell sees it. */
  command: string;
  args?: readonly string[];
  /** Default: the directory of this process. */
  cwd?: string;
  /** What the child gets besides the clean environment (see `cleanEnvironment`). */
  env?: Readonly<Record<string, string>>;
  /** Longest line of stdout in bytes. Default 64 MiB. */
  maxLineBytes?: number;
  /** How much of stderr is kept, in bytes. Default 64 KiB. */
  stderrBytes?: number;
  /** Most bytes that may wait for a child that does not read its stdin. Default 16 MiB. */
  maxPendingBytes?: number;
  /** Gets each line of stdout without its end; a view, so a keeper must copy it. Not only JSON: a child may log there. */
  onLine(line: Uint8Array): void;
  /** Gets told of a line above the cap; the child lives on, but an answer may be lost. */
  onOversize?(line: OversizedLine): void;
  /** The child reads again after a `write` that said `ready: false`. */
  onDrain?(): void;
}

export interface StartError {
  /** The system's code: ENOENT, EACCES, E2BIG, EAGAIN …, or EINVAL for options that cannot be used. */
  code: string;
  /** What, where and what to do. */
  message: string;
}

export type StartResult = { ok: true; child: StdioChild } | { ok: false; error: StartError };

export interface WriteResult {
  /**
   * False: not one byte of the message was handed over, and none will be. True: the child may have seen it, even if
   * it dies before it answers.
   */
  written: boolean;
  /** False: hold further messages back until `onDrain`. */
  ready: boolean;
  /** Why nothing was written. */
  reason?: string;
}

export interface ExitStatus {
  /** Exit code, or null when a signal ended the process. */
  code: number | null;
  signal: NodeJS.Signals | null;
}

export interface StopOptions {
  /** Milliseconds between the end of stdin and SIGTERM. 0 sends it at once. Default 2,000. */
  termAfterMs?: number;
  /** Milliseconds between SIGTERM and SIGKILL. Default 3,000. */
  killAfterMs?: number;
}

// How long stdout and stderr may stay open after the exit: only a process that left the group can hold them.
const DRAIN_MS = 1_000;

// Groups that must not outlive this process. A signal that this process does not handle ends it without the `exit`
// event; the owner of the process turns such signals into an orderly exit.
const alive = new Set<StdioChild>();
let exitHookSet = false;

function killAllGroups(): void {
  for (const child of alive) child.kill('SIGKILL');
}

/**
 * A process that speaks lines over stdin and stdout, in a process group of its own that ends with it.
 * Spec: gateway §4, stdio upstreams. It knows nothing of what the lines mean and restarts nothing.
 */
export class StdioChild {
  /** Resolves when the process has ended, all its lines were delivered and its group is gone. Never rejects. */
  readonly exited: Promise<ExitStatus>;
  readonly pid: number;
  readonly #process: ChildProcessWithoutNullStreams;
  readonly #stderr: TailBuffer;
  readonly #maxPendingBytes: number;
  #stdinOpen: boolean = true;
  #status: ExitStatus | undefined;
  #timers: NodeJS.Timeout[] = [];

  private constructor(
    child: ChildProcessWithoutNullStreams,
    pid: number,
    options: StdioChildOptions,
    splitter: LineSplitter,
    stderr: TailBuffer,
  ) {
    this.#process = child;
    this.pid = pid;
    this.#maxPendingBytes = options.maxPendingBytes ?? 16 * 1024 * 1024;
    this.#stderr = stderr;
    alive.add(this);
    if (!exitHookSet) {
      exitHookSet = true;
      process.on('exit', killAllGroups);
    }
    child.stdout.on('data', (chunk: Buffer) => splitter.push(chunk));
    child.stdout.on('end', () => splitter.end());
    child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
    // Reading errors end in `close` as well, so that the exit tells the whole story.
    child.stdout.on('error', ignore);
    child.stderr.on('error', ignore);
    child.stdin.on('drain', () => options.onDrain?.());
    // EPIPE: the child closed its stdin or died.
    child.stdin.on('error', () => {
      this.#stdinOpen = false;
    });
    child.stdin.on('close', () => {
      this.#stdinOpen = false;
    });
    child.on('error', ignore);
    this.exited = new Promise((resolve) => {
      child.once('exit', (code, signal) => {
        this.#stdinOpen = false;
        // Grandchildren must not go on with nobody in charge of them. Only now: once the group is empty, its number may
        // come to belong to somebody else.
        this.kill('SIGKILL');
        this.#status = { code, signal };
        alive.delete(this);
        this.#clearTimers();
        this.#timers.push(
          setTimeout(() => {
            child.stdout.destroy();
            child.stderr.destroy();
          }, DRAIN_MS),
        );
        // What is left in the pipe is delivered even to an owner that paused, or `close` would never come.
        child.stdout.resume();
      });
      child.once('close', () => {
        this.#clearTimers();
        resolve(this.#status ?? { code: null, signal: null });
      });
    });
  }

  /** Starts the process. A start that fails is a value, never an exception. */
  static start(options: StdioChildOptions): Promise<StartResult> {
    let child: ChildProcessWithoutNullStreams;
    let splitter: LineSplitter;
    let stderr: TailBuffer;
    try {
      splitter = new LineSplitter({
        ...(options.maxLineBytes === undefined ? {} : { maxLineBytes: options.maxLineBytes }),
        onLine: (line) => options.onLine(line),
        onOversize: (line) => options.onOversize?.(line),
      });
      stderr = new TailBuffer(options.stderrBytes);
      child = spawn(options.command, [...(options.args ?? [])], {
        ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
        env: cleanEnvironment(options.env),
        // On Windows `detached` would open a console window; the tree is ended by its parent there.
        detached: process.platform !== 'win32',
        shell: false,
        stdio: ['pipe', 'pipe', 'pipe'],
        windowsHide: true,
      });
    } catch (error) {
      return Promise.resolve({ ok: false, error: describeStartError(error, options) });
    }
    return new Promise((resolve) => {
      child.once('error', (error) => resolve({ ok: false, error: describeStartError(error, options) }));
      child.once('spawn', () => {
        resolve({ ok: true, child: new StdioChild(child, child.pid!, options, splitter, stderr) });
      });
    });
  }

  /** How the process ended; undefined while it runs. */
  get status(): ExitStatus | undefined {
    return this.#status;
  }

  /** Whether a message can still be written. */
  get writable(): boolean {
    return this.#stdinOpen && this.#process.stdin.writable;
  }

  /** Bytes handed to `write` that the child has not taken yet. */
  get pendingBytes(): number {
    return this.#process.stdin.writableLength;
  }

  /** The last lines of stderr, oldest first; a line may be cut at the front. */
  stderrLines(): string[] {
    return this.#stderr.lines();
  }

  /**
   * Writes one message and its line end. The message is not copied: its bytes must not change afterwards.
   * @param message one line; a JSON text with raw newlines goes through `flattenNewlines` first.
   */
  write(message: Uint8Array): WriteResult {
    if (hasNewline(message)) {
      return { written: false, ready: true, reason: 'the message has a raw newline in it, which would end it early' };
    }
    if (!this.writable) {
      return { written: false, ready: false, reason: 'the process has ended or has closed its input' };
    }
    const stdin = this.#process.stdin;
    if (stdin.writableLength > 0 && stdin.writableLength + message.length + 1 > this.#maxPendingBytes) {
      return {
        written: false,
        ready: false,
        reason: `the process does not read its input (${stdin.writableLength} bytes are waiting)`,
      };
    }
    // Corked, so that message and line end go out in one system call.
    stdin.cork();
    stdin.write(message);
    const ready = stdin.write(NEWLINE);
    stdin.uncork();
    return { written: true, ready };
  }

  /** Stops reading stdout, so that the child feels the back-pressure of whoever takes the lines. */
  pause(): void {
    this.#process.stdout.pause();
  }

  /** Reads stdout again. */
  resume(): void {
    this.#process.stdout.resume();
  }

  /**
   * Ends the process: closes its stdin, then SIGTERM, then SIGKILL to the whole group. Calling it again with shorter
   * times hurries it.
   */
  stop(options: StopOptions = {}): Promise<ExitStatus> {
    if (this.#status !== undefined) return this.exited;
    const termAfterMs = options.termAfterMs ?? 2_000;
    const killAfterMs = options.killAfterMs ?? 3_000;
    this.#clearTimers();
    this.#stdinOpen = false;
    this.#process.stdin.end();
    // Nobody may be left to take the lines, and a child that cannot write does not end.
    this.#process.stdout.resume();
    const terminate = () => {
      this.kill('SIGTERM');
      this.#timers.push(setTimeout(() => this.kill('SIGKILL'), killAfterMs));
    };
    if (termAfterMs <= 0) terminate();
    else this.#timers.push(setTimeout(terminate, termAfterMs));
    return this.exited;
  }

  /** Sends a signal to the process and all of its group; does nothing once the process has ended. */
  kill(signal: NodeJS.Signals): void {
    if (this.#status !== undefined) return;
    if (process.platform === 'win32') {
      // Windows has no groups and no signals: taskkill ends the tree.
      spawn('taskkill', ['/pid', String(this.pid), '/T', '/F'], { windowsHide: true, stdio: 'ignore' }).on(
        'error',
        ignore,
      );
      return;
    }
    try {
      process.kill(-this.pid, signal);
    } catch {
      // ESRCH: the group is gone already, which is what was wanted.
    }
  }

  #clearTimers(): void {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers = [];
  }
}

const NEWLINE = Uint8Array.of(0x0a);

function ignore(): void {}

function describeStartError(error: unknown, options: StdioChildOptions): StartError {
  const raw = error instanceof Error ? error : new Error(String(error));
  const code = (raw as NodeJS.ErrnoException).code ?? 'EINVAL';
  const what = JSON.stringify(options.command);
  // The system reports a missing working directory with the code of a missing program.
  if (options.cwd !== undefined && !isDirectory(options.cwd)) {
    return {
      code,
      message: `cannot start ${what}: the working directory ${JSON.stringify(options.cwd)} is not a directory; create it or change "cwd"`,
    };
  }
  if (code === 'ENOENT') {
    return {
      code,
      message: `cannot start ${what}: no such program in PATH or at that path; install it, or give its full path (a shell is not used, so arguments belong in "args")`,
    };
  }
  if (code === 'EACCES') {
    return { code, message: `cannot start ${what}: it may not be executed; check that it is a program and its mode` };
  }
  if (code.startsWith('ERR_') || code === 'EINVAL') {
    return { code: 'EINVAL', message: `cannot start ${what}: ${raw.message}` };
  }
  return { code, message: `cannot start ${what}: ${raw.message} (${code})` };
}

function isDirectory(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
}
