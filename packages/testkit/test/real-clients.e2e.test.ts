// Clients that people use, through the gateway under HTTPS with an authority of one's own: each lists what its policy lets it.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CertificateAuthority, lockedClient, plainPath, type Ran, ROOT, type Running, Sandbox } from '../src/index.ts';

const GATEHOUSE = join(ROOT, 'packages', 'cli', 'bin', 'gatehouse.mjs');
const POLICY = {
  version: '1',
  default: 'deny',
  tools: { flux_list_models: {}, flux_get_task: {} },
  list: 'allowed',
};
const LISTED = ['flux_get_task', 'flux_list_models'];
const UNREACHABLE = 'could not run: npm cannot reach its registry to install it';
/** npm, on a slow line. */
const INSTALL_MS = 300_000;

let sandbox: Sandbox;
let running: Running;
let token: string;
let trust: Record<string, string>;

const url = (): string => running.ready.servers[0]!.url;

async function gatehouse(...argv: string[]): Promise<string> {
  const env = { GATEHOUSE_DATA: sandbox.path('data') };
  const { code, stdout, stderr } = await sandbox.run(process.execPath, [GATEHOUSE, ...argv], { env });
  expect(code, stderr).toBe(0);
  return stdout;
}

beforeAll(async () => {
  sandbox = new Sandbox();
  const authority = new CertificateAuthority();
  const { cert, key } = authority.issue({ names: ['127.0.0.1'] });
  const files = { 'authority.pem': authority.cert, 'cert.pem': cert, 'key.pem': key };
  for (const [name, text] of Object.entries(files)) writeFileSync(sandbox.path(name), text, { mode: 0o600 });
  trust = { NODE_EXTRA_CA_CERTS: sandbox.path('authority.pem') };
  const args = [GATEHOUSE, 'start', '--port', '0', '--data', sandbox.path('data')];
  const env = { GATEHOUSE_TLS_CERT: sandbox.path('cert.pem'), GATEHOUSE_TLS_KEY: sandbox.path('key.pem') };
  running = await sandbox.start(process.execPath, args, { env });
  writeFileSync(sandbox.path('policy.json'), JSON.stringify(POLICY));
  await gatehouse('policy', 'apply', sandbox.path('policy.json'), '--server', 'flux', '--name', 'narrow');
  const made = await gatehouse('grant', 'create', '--json', '--server', 'flux', '--to', 'ana', '--policy', 'narrow');
  token = (JSON.parse(made) as { secret: string }).secret;
});
afterAll(async () => {
  await running?.stop();
  await sandbox?.close();
});

describe('commands on the same machine', () => {
  it('[GW-TLS] reach the gateway, and others do only with its authority', async () => {
    expect(url()).toMatch(/^https:/);
    const { code, stdout } = await sandbox.run(process.execPath, [GATEHOUSE, 'doctor'], {
      env: { GATEHOUSE_DATA: sandbox.path('data') },
    });
    expect([code, stdout]).toEqual([0, expect.stringMatching(/^ok +gateway: runs at https:/m)]);
    const remote = (env: Record<string, string>): Promise<Ran> =>
      sandbox.run(process.execPath, [GATEHOUSE, 'server', 'list'], {
        env: { GATEHOUSE_URL: running.ready.api, GATEHOUSE_ADMIN_TOKEN: running.ready.admin.token, ...env },
      });
    expect((await remote(trust)).code).toBe(0);
    const refused = await remote({});
    expect([refused.code, refused.stderr]).toEqual([5, expect.stringContaining('NODE_EXTRA_CA_CERTS')]);
  });
});

describe('clients', () => {
  it('[GW-CLIENTS] the MCP Inspector on the command line', { timeout: INSTALL_MS }, async ({ skip }) => {
    const inspector = await lockedClient(sandbox, 'inspector');
    if (inspector === undefined) return skip(UNREACHABLE);
    const how = ['--transport', 'http', '--header', `Authorization: Bearer ${token}`, '--method', 'tools/list'];
    const ran = await sandbox.run(process.execPath, [inspector, '--cli', url(), ...how], { env: trust });
    expect(ran.code, ran.stderr).toBe(0);
    const { tools } = JSON.parse(ran.stdout) as { tools: { name: string }[] };
    expect(tools.map(({ name }) => name).sort()).toEqual(LISTED);
  });

  it('[GW-CLIENTS] mcp-remote, which others start as a command', { timeout: INSTALL_MS }, async ({ skip }) => {
    const remote = await lockedClient(sandbox, 'mcp-remote');
    if (remote === undefined) return skip(UNREACHABLE);
    const connect = async (env: Record<string, string>): Promise<Client> => {
      const client = new Client({ name: 'e2e', version: '1' });
      await client.connect(
        new StdioClientTransport({
          command: process.execPath,
          args: [remote, url(), '--transport', 'http-only', '--header', `Authorization: Bearer ${token}`],
          env: { PATH: plainPath(), HOME: sandbox.home, ...env },
          stderr: 'ignore',
        }),
      );
      return client;
    };
    const client = await connect(trust);
    expect((await client.listTools()).tools.map(({ name }) => name).sort()).toEqual(LISTED);
    expect((await client.callTool({ name: 'flux_list_models', arguments: {} })).isError).not.toBe(true);
    const denied = await client.callTool({ name: 'flux_generate_image', arguments: { prompt: 'x' } });
    expect(JSON.stringify(denied.content)).toContain('[POLICY DENIED]');
    await client.close();
    // Without the authority it sends nothing.
    await expect(connect({})).rejects.toThrow(/closed/i);
  });

  it('[GW-CLIENTS] Gemini CLI finds it well, and a wrong token not', { timeout: INSTALL_MS }, async ({ skip }) => {
    const gemini = await lockedClient(sandbox, 'gemini-cli');
    if (gemini === undefined) return skip(UNREACHABLE);
    const project = sandbox.path('gemini');
    mkdirSync(project);
    mkdirSync(join(sandbox.home, '.gemini'));
    // Servers of a folder that nobody trusts are not asked.
    writeFileSync(join(sandbox.home, '.gemini', 'trustedFolders.json'), JSON.stringify({ [project]: 'TRUST_FOLDER' }));
    const run = (...argv: string[]): Promise<Ran> =>
      sandbox.run(process.execPath, [gemini, ...argv], { cwd: project, env: trust });
    for (const [name, secret] of Object.entries({ good: token, wrong: `${token.slice(0, -1)}_` })) {
      const header = `Authorization: Bearer ${secret}`;
      const { code, stderr } = await run('mcp', 'add', '--transport', 'http', '--header', header, name, url());
      expect(code, stderr).toBe(0);
    }
    const { stdout, stderr } = await run('mcp', 'list');
    const states = [...`${stdout}${stderr}`.matchAll(/(\w+): https:\S+ \(http\) - (\w+)/g)].map(
      ([, ...state]) => state,
    );
    expect(states).toEqual([
      ['good', 'Connected'],
      ['wrong', 'Disconnected'],
    ]);
  });

  it('[GW-CLIENTS] Claude Code finds it well', async ({ skip }) => {
    const env = { ...trust, DISABLE_AUTOUPDATER: '1', CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1' };
    const run = (...argv: string[]): Promise<Ran> => sandbox.run('claude', argv, { env });
    const version = await run('--version').catch(() => undefined);
    // Its 380 MB are no part of what tests install.
    if (version?.code !== 0) return skip('could not run: there is no command claude on the path');
    const header = `Authorization: Bearer ${token}`;
    expect((await run('mcp', 'add', '--transport', 'http', 'flux', url(), '--header', header)).code).toBe(0);
    const { stdout } = await run('mcp', 'list');
    expect(stdout).toMatch(/^flux: https:.* - .*Connected/m);
  });
});
