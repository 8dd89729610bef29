// Starts the real binary on a data folder and a home of its own.
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ReadyFile } from '../src/index.ts';
import type { Ran } from './harness.ts';

export const LAUNCHER = fileURLToPath(new URL('../bin/gatehouse.mjs', import.meta.url));
export const TINY_MCP = fileURLToPath(new URL('./tiny-mcp.mjs', import.meta.url));

const READY_MS = 20_000;

export interface Serving {
  ready: ReadyFile;
  readyFile: string;
  child: ChildProcessWithoutNullStreams;
  /** Ends with the exit code. */
  stop(signal?: NodeJS.Signals): Promise<number | null>;
}

export class Home {
  readonly dir = mkdtempSync(join(tmpdir(), 'gatehouse-e2e-'));
  readonly data = join(this.dir, 'data');
  readonly #children = new Set<ChildProcessWithoutNullStreams>();

  spawn(argv: readonly string[], node: string = process.execPath): ChildProcessWithoutNullStreams {
    const env = {
      PATH: process.env.PATH ?? '',
      HOME: this.dir,
      XDG_CONFIG_HOME: join(this.dir, 'config'),
      GATEHOUSE_DATA: this.data,
      GATEHOUSE_LOG_LEVEL: 'error',
    };
    const child = spawn(node, [LAUNCHER, ...argv], { cwd: this.dir, env });
    this.#children.add(child);
    child.once('exit', () => this.#children.delete(child));
    return child;
  }

  async run(argv: readonly string[], options: { stdin?: string; node?: string } = {}): Promise<Ran> {
    const child = this.spawn(argv, options.node);
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk) => (stdout += chunk));
    child.stderr.on('data', (chunk) => (stderr += chunk));
    child.stdin.end(options.stdin ?? '');
    const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
    return { code: code ?? -1, stdout, stderr };
  }

  /** The parsed answer of a command with `--json` that must succeed. */
  async json<T>(argv: readonly string[]): Promise<T> {
    const { code, stdout, stderr } = await this.run([...argv.slice(0, 2), '--json', ...argv.slice(2)]);
    if (code !== 0) throw new Error(`gatehouse ${argv.join(' ')}: exit code ${code}\n${stderr}`);
    return JSON.parse(stdout) as T;
  }

  async serve(node?: string): Promise<Serving> {
    const readyFile = join(this.dir, 'ready.json');
    rmSync(readyFile, { force: true });
    const child = this.spawn(['serve', '--port', '0', '--ready-file', readyFile], node);
    let stderr = '';
    child.stderr.on('data', (chunk) => (stderr += chunk));
    const exited = new Promise<number | null>((resolve) => child.once('exit', resolve));
    for (const start = Date.now(); !existsSync(readyFile); await new Promise((resolve) => setTimeout(resolve, 50))) {
      if (child.exitCode !== null || Date.now() - start > READY_MS)
        throw new Error(`serve did not get ready:\n${stderr}`);
    }
    return {
      ready: JSON.parse(readFileSync(readyFile, 'utf8')) as ReadyFile,
      readyFile,
      child,
      stop: (signal = 'SIGTERM') => {
        child.kill(signal);
        return exited;
      },
    };
  }

  async close(): Promise<void> {
    for (const child of this.#children) {
      const exited = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGKILL');
      await exited;
    }
    rmSync(this.dir, { recursive: true, force: true });
  }
}

/** An MCP client of the 2025 revisions, as far as a test needs one. */
export class McpClient {
  readonly #url: string;
  readonly #token: string;
  #session: string | undefined;
  #id = 0;

  constructor(url: string, token: string) {
    this.#url = url;
    this.#token = token;
  }

  async #post(message: object): Promise<{ status: number; body: unknown }> {
    const response = await fetch(this.#url, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${this.#token}`,
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        ...(this.#session === undefined
          ? {}
          : { 'mcp-session-id': this.#session, 'mcp-protocol-version': '2025-06-18' }),
      },
      body: JSON.stringify({ jsonrpc: '2.0', ...message }),
    });
    this.#session ??= response.headers.get('mcp-session-id') ?? undefined;
    const text = await response.text();
    const data = /^data: ?(.*)$/m.exec(text)?.[1] ?? text;
    return { status: response.status, body: data === '' ? undefined : JSON.parse(data) };
  }

  /** @returns the HTTP status */
  async open(): Promise<number> {
    const params = { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'e2e', version: '1' } };
    const { status } = await this.#post({ id: this.#id++, method: 'initialize', params });
    if (status === 200) await this.#post({ method: 'notifications/initialized' });
    return status;
  }

  async call(
    name: string,
    args: object,
  ): Promise<{ isError?: boolean; content: { text: string }[]; _meta?: Record<string, { requestId: string }> }> {
    const { body } = await this.#post({ id: this.#id++, method: 'tools/call', params: { name, arguments: args } });
    return (body as { result: Awaited<ReturnType<McpClient['call']>> }).result;
  }
}
