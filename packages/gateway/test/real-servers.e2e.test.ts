// Real MCP servers from npm behind the gateway, used by real clients of the official SDKs.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client as ClientV2, StreamableHTTPClientTransport as TransportV2 } from '@modelcontextprotocol/client';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Harness } from './harness.ts';

const entry = (name: string): string =>
  join(dirname(fileURLToPath(import.meta.resolve(`${name}/package.json`))), 'dist', 'index.js');
const EVERYTHING = entry('@modelcontextprotocol/server-everything');
const FILESYSTEM = entry('@modelcontextprotocol/server-filesystem');

type CallResult = { isError?: boolean; content: { type: string; text?: string }[] };

async function connect(harness: Harness, slug: string, token: string): Promise<Client> {
  const client = new Client({ name: 'e2e', version: '1' });
  await client.connect(
    new StreamableHTTPClientTransport(new URL(harness.proxyUrl(slug)), {
      requestInit: { headers: { authorization: `Bearer ${token}` } },
    }),
  );
  return client;
}

function text(result: unknown): string {
  return (result as CallResult).content.map((block) => block.text ?? '').join('\n');
}

const ALLOW_ALL = { version: '1', default: 'allow', resources: { allow: ['*'] }, prompts: { allow: ['*'] } };

describe('server-filesystem (stdio) under a path_within policy', () => {
  let harness: Harness;
  let root: string;
  let client: Client;

  beforeAll(async () => {
    root = realpathSync(mkdtempSync(join(tmpdir(), 'gatehouse-files-')));
    mkdirSync(join(root, 'open'));
    mkdirSync(join(root, 'open-evil'));
    writeFileSync(join(root, 'open', 'a.txt'), 'public words');
    writeFileSync(join(root, 'open-evil', 'b.txt'), 'private words');
    writeFileSync(join(root, 'secret.txt'), 'private words');
    harness = await Harness.open();
    await harness.server('files', {
      kind: 'stdio',
      command: process.execPath,
      args: [FILESYSTEM, root],
      environment: {},
    });
    const { token } = await harness.grant('files', {
      version: '1',
      default: 'deny',
      list: 'allowed',
      tools: { read_text_file: { args: { path: { path_within: [join(root, 'open')] } } } },
    });
    client = await connect(harness, 'files', token);
  });
  afterAll(async () => {
    await client?.close();
    await harness?.close();
    rmSync(root, { recursive: true, force: true });
  });

  it('[POL-PATH, GW-STDIO] reads inside the folder', async () => {
    expect((await client.listTools()).tools.map((tool) => tool.name)).toEqual(['read_text_file']);
    const result = await client.callTool({ name: 'read_text_file', arguments: { path: join(root, 'open', 'a.txt') } });
    expect(text(result)).toContain('public words');
  });

  it.each([
    ['a way up', (root: string) => `${root}/open/../secret.txt`],
    ['a folder with the same beginning', (root: string) => `${root}/open-evil/b.txt`],
    ['an encoded way up', (root: string) => `${root}/open/%2e%2e/secret.txt`],
    ['a relative path', () => 'open/a.txt'],
    ['a home', () => '~/a.txt'],
  ])('[POL-PATH] denies %s', async (_name, path) => {
    const result = await client.callTool({ name: 'read_text_file', arguments: { path: path(root) } });
    expect(result.isError).toBe(true);
    expect(text(result)).toContain('[POLICY DENIED]');
    expect(text(result)).not.toContain('private words');
  });

  it('[POL-DEFAULT] denies writing', async () => {
    const result = await client.callTool({
      name: 'write_file',
      arguments: { path: join(root, 'open', 'a.txt'), content: 'x' },
    });
    expect(text(result)).toContain('[POLICY DENIED]');
  });
});

describe.each(['stdio', 'http'] as const)('server-everything over %s', (kind) => {
  let harness: Harness;
  let client: Client;
  let child: ChildProcess | undefined;

  beforeAll(async () => {
    harness = await Harness.open();
    if (kind === 'stdio') {
      await harness.server('all', {
        kind: 'stdio',
        command: process.execPath,
        args: [EVERYTHING, 'stdio'],
        environment: {},
      });
    } else {
      const port = await freePort();
      child = spawn(process.execPath, [EVERYTHING, 'streamableHttp'], {
        env: { ...process.env, PORT: String(port) },
        stdio: 'ignore',
      });
      await reachable(port);
      await harness.server('all', { kind: 'http', url: `http://127.0.0.1:${port}/mcp` });
    }
    const { token } = await harness.grant('all', ALLOW_ALL);
    client = await connect(harness, 'all', token);
  });
  afterAll(async () => {
    await client?.close();
    await harness?.close();
    child?.kill('SIGKILL');
  });

  it('[GW-TRANSPARENT, P8] lists tools, prompts and resources, and calls', async () => {
    const { tools } = await client.listTools();
    expect(tools.length).toBeGreaterThan(8);
    expect((await client.listPrompts()).prompts.length).toBeGreaterThan(0);
    expect((await client.listResources()).resources.length).toBeGreaterThan(0);
    const result = await client.callTool({ name: 'echo', arguments: { message: 'grüße' } });
    expect(text(result)).toContain('grüße');
    await client.ping();
  });

  it('[GW-PROGRESS, P8] passes progress to the call that asked for it, before its answer', async () => {
    const seen: number[] = [];
    const result = await client.callTool(
      { name: 'trigger-long-running-operation', arguments: { duration: 1, steps: 4 } },
      undefined,
      { onprogress: ({ progress }) => seen.push(progress) },
    );
    expect(text(result)).toMatch(/completed/i);
    expect(seen).toEqual([1, 2, 3, 4]);
  });

  it('reads a resource', async () => {
    const first = (await client.listResources()).resources[0];
    const { contents } = await client.readResource({ uri: first?.uri ?? '' });
    expect(contents).toHaveLength(1);
  });
});

describe('a client of the newer SDK', () => {
  it('[GW-ERAS] connects to an old server with version negotiation and calls it', async () => {
    const harness = await Harness.open();
    await harness.server('all', {
      kind: 'stdio',
      command: process.execPath,
      args: [EVERYTHING, 'stdio'],
      environment: {},
    });
    const { token } = await harness.grant('all', ALLOW_ALL);
    const client = new ClientV2({ name: 'e2e', version: '1' }, { versionNegotiation: { mode: 'auto' } });
    await client.connect(
      new TransportV2(new URL(harness.proxyUrl('all')), {
        requestInit: { headers: { authorization: `Bearer ${token}` } },
      }),
    );
    const result = await client.callTool({ name: 'echo', arguments: { message: 'hello' } });
    expect(text(result)).toContain('hello');
    await client.close();
    await harness.close();
  });
});

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer();
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}

async function reachable(port: number): Promise<void> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const up = await fetch(`http://127.0.0.1:${port}/mcp`).then(
      () => true,
      () => false,
    );
    if (up) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error('the server did not start');
}
