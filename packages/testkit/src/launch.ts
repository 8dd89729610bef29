// Starts the products as processes, in a folder and a home of their own, as a newcomer's machine would.
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join, sep } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

/** The repository. */
export const ROOT: string = fileURLToPath(new URL('../../..', import.meta.url));

/** What a gateway writes when it is ready. */
export interface ReadyFile {
  console: string;
  api: string;
  servers: { slug: string; url: string; token?: string }[];
  admin: { token: string };
}

export interface Ran {
  /** Exit code; undefined when a signal ended it. */
  code: number | undefined;
  stdout: string;
  stderr: string;
}

export interface CommandOptions {
  cwd?: string;
  /** Beside the clean environment. */
  env?: Readonly<Record<string, string>>;
  /** It is killed after this many milliseconds. Default: 50,000. */
  timeoutMs?: number;
}

export interface Running {
  ready: ReadyFile;
  readyFile: string;
  /** What it said so far, both streams. */
  said(): string;
  /** What Ctrl-C does in a terminal: the whole group of processes gets the signal. Resolves when all of them are gone. */
  stop(signal?: NodeJS.Signals): Promise<void>;
}

const READY_MS = 45_000;
const STOP_MS = 15_000;
const POLL_MS = 50;

/** The path without the repository's own folders: its Node, its tools. */
export function plainPath(): string {
  const outside = (process.env.PATH ?? '').split(delimiter).filter((folder) => !`${folder}${sep}`.startsWith(ROOT));
  return outside.join(delimiter);
}

/** Environment for npm: where its registry, cache and proxy are, and nothing of the npm that runs the tests. */
export function npmEnvironment(): Record<string, string> {
  const env: Record<string, string> = { PATH: plainPath(), HOME: process.env.HOME ?? tmpdir() };
  const wanted = /^npm_config_(userconfig|globalconfig|cache|registry|https?_proxy|proxy|noproxy|cafile)$/i;
  const general = /^(https?_proxy|no_proxy|node_extra_ca_certs|ssl_cert_(file|dir)|tmpdir)$/i;
  for (const [name, value] of Object.entries(process.env)) {
    if (value !== undefined && (wanted.test(name) || general.test(name))) env[name] = value;
  }
  return { ...env, npm_config_audit: 'false', npm_config_fund: 'false', npm_config_update_notifier: 'false' };
}

/** Whether npm failed because it could not reach its registry, which says nothing about the package. */
export function isUnreachable(stderr: string): boolean {
  return /\b(EAI_AGAIN|ENOTFOUND|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH|ERR_SOCKET_TIMEOUT)\b/.test(
    stderr,
  );
}

/** A folder with a home in it; everything that was started in it ends and goes with it. */
export class Sandbox {
  readonly dir: string = mkdtempSync(join(tmpdir(), 'gatehouse-e2e-'));
  readonly home: string = join(this.dir, 'home');
  readonly #groups = new Set<ChildProcess>();

  constructor() {
    mkdirSync(this.home);
  }

  path(...parts: string[]): string {
    return join(this.dir, ...parts);
  }

  #spawn(command: string, args: readonly string[], options: CommandOptions): { child: ChildProcess; said: () => Ran } {
    const child = spawn(command, args, {
      cwd: options.cwd ?? this.dir,
      env: { PATH: plainPath(), HOME: this.home, XDG_CONFIG_HOME: join(this.home, '.config'), ...options.env },
      stdio: ['ignore', 'pipe', 'pipe'],
      // A group of its own, so that nothing that it started can be left behind.
      detached: true,
    });
    this.#groups.add(child);
    let stdout = '';
    let stderr = '';
    child.stdout?.on('data', (chunk: Buffer) => {
      stdout += chunk.toString();
    });
    child.stderr?.on('data', (chunk: Buffer) => {
      stderr += chunk.toString();
    });
    return { child, said: () => ({ code: child.exitCode ?? undefined, stdout, stderr }) };
  }

  /** Runs a command to its end. @throws Error when it cannot be started */
  async run(command: string, args: readonly string[], options: CommandOptions = {}): Promise<Ran> {
    const { child, said } = this.#spawn(command, args, options);
    const timer = setTimeout(() => signalGroup(child, 'SIGKILL'), options.timeoutMs ?? 50_000);
    try {
      await new Promise<void>((resolve, reject) => {
        child.once('error', reject);
        child.once('close', () => resolve());
      });
    } finally {
      clearTimeout(timer);
      this.#groups.delete(child);
    }
    return said();
  }

  /**
   * Starts a gateway and waits until it is ready.
   * @param args the ready file is added to them
   * @throws Error with all that it said when it ends, or is not ready within 45 s
   */
  async start(command: string, args: readonly string[], options: CommandOptions = {}): Promise<Running> {
    const readyFile = this.path('ready.json');
    rmSync(readyFile, { force: true });
    const { child, said } = this.#spawn(command, [...args, '--ready-file', readyFile], options);
    const text = (): string => `${said().stdout}${said().stderr}`;
    const patience = options.timeoutMs ?? READY_MS;
    let failure: Error | undefined;
    child.once('error', (error) => {
      failure = error;
    });
    for (const began = performance.now(); !existsSync(readyFile); await sleep(POLL_MS)) {
      if (failure !== undefined) throw failure;
      if (child.exitCode !== null || child.signalCode !== null)
        throw new Error(`It ended with ${child.exitCode}:\n${text()}`);
      if (performance.now() - began > patience) throw new Error(`It was not ready in ${patience} ms:\n${text()}`);
    }
    return {
      ready: JSON.parse(readFileSync(readyFile, 'utf8')) as ReadyFile,
      readyFile,
      said: text,
      stop: async (signal = 'SIGINT') => {
        signalGroup(child, signal);
        for (const began = performance.now(); groupLives(child); await sleep(POLL_MS)) {
          if (performance.now() - began > STOP_MS) throw new Error(`It did not stop in ${STOP_MS} ms:\n${text()}`);
        }
        this.#groups.delete(child);
      },
    };
  }

  /** Command lines of the processes that name this folder, children in groups of their own included. Linux; else none. */
  leftovers(): string[] {
    if (!existsSync('/proc/self/cmdline')) return [];
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
      .flatMap((pid) => {
        try {
          return [readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim()];
        } catch {
          return []; // It ended while the list was read.
        }
      })
      .filter((line) => line.includes(this.dir));
  }

  async close(): Promise<void> {
    for (const child of this.#groups) signalGroup(child, 'SIGKILL');
    for (const child of this.#groups) while (groupLives(child)) await sleep(POLL_MS);
    rmSync(this.dir, { recursive: true, force: true, maxRetries: 3 });
  }
}

function signalGroup(child: ChildProcess, signal: NodeJS.Signals | 0): boolean {
  try {
    return child.pid !== undefined && process.kill(-child.pid, signal);
  } catch {
    return false; // Nobody is left in it.
  }
}

const groupLives = (child: ChildProcess): boolean => signalGroup(child, 0);
