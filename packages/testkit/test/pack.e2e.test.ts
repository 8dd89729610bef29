// The package that is published: packed, installed into an empty folder by the machine's own npm and Node, and used.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isUnreachable, npmEnvironment, type Ran, ROOT, type Running, Sandbox } from '../src/index.ts';
import { type Outcome, pngSize } from './client.ts';

/** Longer than an installation takes that finds nothing in npm's cache. */
const INSTALL_MS = 150_000;

let sandbox: Sandbox;
let folder: string;
let tarball: string;
let installed: Ran;

/** The installed command, under whatever `node` comes first outside this repository. */
const gatehouse = (): string => join(folder, 'node_modules', '.bin', 'gatehouse');

beforeAll(async () => {
  sandbox = new Sandbox();
  folder = sandbox.path('project');
  mkdirSync(folder);
  writeFileSync(join(folder, 'package.json'), '{ "private": true }\n');
  const packed = await sandbox.run(
    process.execPath,
    [join(ROOT, 'scripts', 'pack.mjs'), '--out', sandbox.path('out')],
    {
      env: npmEnvironment(),
    },
  );
  expect(packed.code, packed.stderr).toBe(0);
  tarball = packed.stdout.trim();
  // Nothing in it may need an install script to work.
  installed = await sandbox.run('npm', ['install', '--ignore-scripts', '--prefer-offline', tarball], {
    cwd: folder,
    env: npmEnvironment(),
    timeoutMs: INSTALL_MS,
  });
}, INSTALL_MS + 30_000);

afterAll(() => sandbox.close());

async function use(running: Running, tool: string, args: Record<string, unknown>, token?: string): Promise<Outcome> {
  const [server] = running.ready.servers;
  const requestInit = { headers: { authorization: `Bearer ${server!.token ?? token}` } };
  const client = new Client({ name: 'e2e', version: '1.0.0' });
  await client.connect(new StreamableHTTPClientTransport(new URL(server!.url), { requestInit }));
  const outcome = (await client.callTool({ name: tool, arguments: args })) as Outcome;
  await client.close();
  return outcome;
}

describe('the published package', () => {
  it('[PKG-CONTENT] [CFG-SCHEMA] is one scoped tarball of JavaScript, without tests and without a path of this machine', async () => {
    expect(readdirSync(sandbox.path('out'))).toEqual([tarball.slice(sandbox.path('out').length + 1)]);
    const unpacked = sandbox.path('unpacked');
    mkdirSync(unpacked);
    expect((await sandbox.run('tar', ['-xzf', tarball, '-C', unpacked])).code).toBe(0);
    const top = join(unpacked, 'package');
    const files = readdirSync(top, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name));
    expect(files.filter((file) => !/\.(js|mjs|json)$|\/(README\.md|LICENSE)$/.test(file))).toEqual([]);
    expect(files.filter((file) => /\.test\.|\/testing\.js$|\/testdata\//.test(file))).toEqual([]);
    for (const name of ['README.md', 'LICENSE']) expect(files).toContain(join(top, name));
    const schema = JSON.parse(readFileSync(join(top, 'settings.schema.json'), 'utf8')) as { properties: object };
    expect(schema.properties).toHaveProperty('max_body');
    const telling = files.filter((file) => {
      const text = readFileSync(file, 'utf8');
      return text.includes(ROOT) || text.includes('sourceMappingURL') || /from '\.[^']*\.ts'/.test(text);
    });
    expect(telling).toEqual([]);
    const manifest = JSON.parse(readFileSync(join(top, 'package.json'), 'utf8')) as {
      name: string;
      scripts?: unknown;
      dependencies: Record<string, string>;
    };
    expect([manifest.name, manifest.scripts]).toEqual(['@gatehouse-mcp/gatehouse', undefined]);
    for (const version of Object.values(manifest.dependencies)) expect(version).toMatch(/^\d+\.\d+\.\d+$/);
  });

  it('[PKG-INSTALL] installs into an empty folder, runs there, and serves', async ({ skip }) => {
    if (installed.code !== 0 && isUnreachable(installed.stderr))
      return skip('could not run: npm cannot reach its registry');
    expect(installed.code, installed.stderr).toBe(0);
    const { version } = JSON.parse(readFileSync(join(ROOT, 'packages', 'cli', 'package.json'), 'utf8')) as {
      version: string;
    };
    expect(await sandbox.run(gatehouse(), ['--version'])).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' });
    expect((await sandbox.run(`${gatehouse()}-flux`, ['--version'])).stdout).toBe(`${version}\n`);

    const place = ['--port', '0', '--data', sandbox.path('data')];
    const first = await sandbox.start(gatehouse(), ['start', ...place]);
    const { token } = first.ready.servers[0]!;
    const outcome = await use(first, 'flux_generate_image', { prompt: 'a parcel', size: '96x64', inline: 'full' });
    const image = outcome.content.find(({ type }) => type === 'image');
    expect(pngSize(image?.data ?? '')).toEqual({ width: 96, height: 64 });
    await first.stop();

    const second = await sandbox.start(gatehouse(), ['serve', ...place]);
    expect((await use(second, 'flux_list_models', {}, token)).isError).not.toBe(true);
    // The search runs in a thread, which has a file of its own in the package.
    const found = await sandbox.run(gatehouse(), ['audit', 'search', '--data', sandbox.path('data')]);
    expect(found.code, found.stderr).toBe(0);
    expect(found.stdout).toContain('flux_list_models');
    await second.stop('SIGTERM');
    expect(sandbox.leftovers()).toEqual([]);
  });
});
