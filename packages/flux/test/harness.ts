import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';

export const MAIN = fileURLToPath(new URL('../src/main.ts', import.meta.url));

export type Era = 'legacy' | 'modern';
export const ERAS: readonly Era[] = ['legacy', 'modern'];

function newClient(era: Era): Client {
  const info = { name: 'flux-tests', version: '1.0.0' };
  return era === 'legacy'
    ? new Client(info)
    : new Client(info, { versionNegotiation: { mode: { pin: '2026-07-28' } } });
}

/** Folders and processes of a test file, ended and removed together. */
export class Workbench {
  readonly #folders: string[] = [];
  readonly #clients: Client[] = [];
  readonly #children: ChildProcess[] = [];

  folder(): string {
    const folder = mkdtempSync(join(tmpdir(), 'flux-e2e-'));
    this.#folders.push(folder);
    return folder;
  }

  async stdio(
    era: Era,
    data: string,
    environment: Record<string, string> = {},
  ): Promise<{ client: Client; pid: number; logged: () => string }> {
    const transport = new StdioClientTransport({
      command: process.execPath,
      args: [MAIN, '--data', data],
      env: { PATH: process.env.PATH ?? '', HOME: data, ...environment },
      stderr: 'pipe',
    });
    let logged = '';
    transport.stderr?.on('data', (chunk: Buffer) => {
      logged += chunk.toString();
    });
    const client = newClient(era);
    await client.connect(transport);
    this.#clients.push(client);
    return { client, pid: transport.pid ?? 0, logged: () => logged };
  }

  /** Starts the server on a free port. @returns its origin */
  async serve(data: string, ...more: string[]): Promise<string> {
    const args = [MAIN, '--transport', 'http', '--port', '0', '--data', data, ...more];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'pipe'] });
    this.#children.push(child);
    return new Promise((resolve, reject) => {
      let said = '';
      child.stderr.on('data', (chunk: Buffer) => {
        said += chunk.toString();
        const origin = /listens on (http:\S+)\/mcp/.exec(said)?.[1];
        if (origin) resolve(origin);
      });
      child.once('exit', (code) => reject(new Error(`the server ended with ${code}: ${said}`)));
    });
  }

  async http(era: Era, origin: string, token?: string): Promise<Client> {
    const client = newClient(era);
    const headers: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` };
    await client.connect(new StreamableHTTPClientTransport(new URL(`${origin}/mcp`), { requestInit: { headers } }));
    this.#clients.push(client);
    return client;
  }

  async close(): Promise<void> {
    await Promise.all(this.#clients.splice(0).map((client) => client.close().catch(() => {})));
    await Promise.all(
      this.#children.splice(0).map(
        (child) =>
          new Promise<void>((resolve) => {
            if (child.exitCode !== null || child.signalCode !== null) return resolve();
            child.once('exit', () => resolve());
            child.kill();
          }),
      ),
    );
    for (const folder of this.#folders.splice(0)) rmSync(folder, { recursive: true, force: true });
  }
}

/** Width and height from the head of a PNG. @throws Error when the bytes are none */
export function pngSize(bytes: Buffer): { width: number; height: number } {
  if (bytes.subarray(0, 8).toString('hex') !== '89504e470d0a1a0a' || bytes.toString('latin1', 12, 16) !== 'IHDR') {
    throw new Error('no PNG');
  }
  return { width: bytes.readUInt32BE(16), height: bytes.readUInt32BE(20) };
}

export interface Block {
  type: string;
  text?: string;
  uri?: string;
  data?: string;
  mimeType?: string;
}

export interface TaskResult {
  isError: boolean;
  text: string;
  blocks: Block[];
  task: {
    task_id: string;
    state: string;
    success?: boolean;
    notice?: string;
    size?: string;
    seed: number;
    images: { uri: string; url?: string; width: number; height: number; mime_type: string }[];
    mcp_async_submission?: { should_poll: boolean; next_step: string };
    mcp_task_polling?: { should_poll: boolean; is_complete: boolean };
    items?: { task_id: string; state: string }[];
    unknown?: string[];
  };
}

export async function call(
  client: Client,
  name: string,
  args: Record<string, unknown> = {},
  options: Parameters<Client['callTool']>[1] = {},
): Promise<TaskResult> {
  const result = await client.callTool({ name, arguments: args }, options);
  const blocks = result.content as Block[];
  return {
    isError: result.isError === true,
    text: blocks.map((block) => block.text ?? '').join('\n'),
    blocks,
    task: result.structuredContent as unknown as TaskResult['task'],
  };
}

export async function readImage(client: Client, uri: string): Promise<Buffer> {
  const { contents } = await client.readResource({ uri });
  const [first] = contents as { blob?: string }[];
  return Buffer.from(first?.blob ?? '', 'base64');
}
