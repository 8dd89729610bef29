import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { AuditRow, GrantCreated, ServerAdded } from '../src/api-types.ts';
import { EXIT } from '../src/exit-codes.ts';
import { Home, McpClient, TINY_MCP } from './processes.ts';

const POLICY = `version: "1"
default: deny
tools:
  get_double:
    args: { n: { lte: 5 } }
    rate_limit: 3/minute
`;

let home: Home;
beforeEach(() => {
  home = new Home();
});
afterEach(() => home.close());

async function addTiny(): Promise<ServerAdded> {
  return home.json<ServerAdded>(['server', 'add', 'tiny', '--yes', '--accept', '--', process.execPath, TINY_MCP]);
}

function writePolicy(text = POLICY): string {
  const file = join(home.dir, 'policy.yaml');
  writeFileSync(file, text);
  return file;
}

describe('gatehouse', () => {
  it('registers, grants, judges, serves, records, explains and verifies, with commands alone', async () => {
    const serving = await home.serve();
    expect(statSync(serving.readyFile).mode & 0o777).toBe(0o600);
    expect(statSync(join(home.data, 'server.json')).mode & 0o777).toBe(0o600);
    expect(readFileSync(join(home.data, 'server.json'), 'utf8')).not.toContain(serving.ready.admin.token);

    const added = await addTiny();
    expect(added.tools.map(({ name, state }) => `${name} ${state}`)).toEqual([
      'delete_number accepted',
      'get_double accepted',
    ]);
    const made = await home.json<GrantCreated>(['grant', 'create', '--server', 'tiny', '--to', 'ana']);
    expect(made.identityCreated).toBe(true);
    const file = writePolicy();
    expect((await home.run(['policy', 'check', file, '--server', 'tiny'])).code).toBe(EXIT.ok);
    expect(
      (await home.run(['policy', 'apply', file, '--server', 'tiny', '--name', 'p', '--grant', made.grant.id])).code,
    ).toBe(EXIT.ok);

    const judge = ['policy', 'judge', '--server', 'tiny', '--grant', made.grant.id, '--tool', 'get_double', '--args'];
    expect((await home.run([...judge, '{"n":5}'])).code).toBe(EXIT.ok);
    expect((await home.run([...judge, '{"n":6}'])).code).toBe(EXIT.denied);

    const client = new McpClient(made.url, made.secret!);
    expect(await client.open()).toBe(200);
    expect((await client.call('get_double', { n: 4 })).content[0]?.text).toBe('8');
    const denied = await client.call('get_double', { n: 6 });
    expect(denied.isError).toBe(true);
    const requestId = denied._meta?.['dev.gatehouse/decision']?.requestId ?? '';

    const found = await home.json<{ items: AuditRow[] }>(['audit', 'search', '--tool', 'get_double']);
    expect(found.items.map(({ outcome, identity }) => [outcome, identity?.name])).toEqual([
      ['deny', 'ana'],
      ['allow', 'ana'],
    ]);
    const why = await home.run(['why', requestId]);
    expect([why.code, why.stdout]).toEqual([EXIT.ok, expect.stringContaining('/tools/get_double/args/n/lte')]);

    expect(await home.run(['grant', 'revoke', made.grant.id])).toMatchObject({ code: EXIT.ok });
    expect(await new McpClient(made.url, made.secret!).open()).toBe(401);

    expect((await home.run(['audit', 'verify'])).code).toBe(EXIT.ok);
    const { checks } = await home.json<{ checks: { name: string; status: string }[] }>(['doctor']);
    expect(Object.fromEntries(checks.map(({ name, status }) => [name, status]))).toMatchObject({
      'disk reserve': 'ok',
      retention: 'ok',
      heads: 'warn',
    });
    expect(await serving.stop()).toBe(EXIT.ok);
    expect([existsSync(serving.readyFile), existsSync(join(home.data, 'server.json'))]).toEqual([false, false]);
  });

  it('works on the data folder when nothing runs, and with a running one by its address', async () => {
    await addTiny();
    expect((await home.json<unknown[]>(['server', 'list'])).length).toBe(1);
    const serving = await home.serve();
    expect(serving.ready.servers).toEqual([{ slug: 'tiny', url: `${serving.ready.console}mcp/tiny` }]);
    const { env } = process;
    const answer = spawnSync(
      process.execPath,
      [join(import.meta.dirname, '../bin/gatehouse.mjs'), 'server', 'list', '--json'],
      {
        env: {
          PATH: env.PATH,
          HOME: '/nonexistent',
          GATEHOUSE_URL: serving.ready.api,
          GATEHOUSE_ADMIN_TOKEN: serving.ready.admin.token,
        },
        encoding: 'utf8',
      },
    );
    expect([answer.status, answer.stderr]).toEqual([EXIT.ok, '']);
    expect(JSON.parse(answer.stdout)).toHaveLength(1);
    await serving.stop('SIGINT');
  });

  it('[CLI-EXIT] refuses a second gateway on the same data folder, naming the first', async () => {
    const serving = await home.serve();
    const { code, stderr } = await home.run(['serve', '--port', '0']);
    expect(code).toBe(EXIT.unreachable);
    expect(stderr).toContain(String(serving.child.pid));
    expect((await home.run(['server', 'list'])).code).toBe(EXIT.ok);
  });

  it('[CLI-EXIT] follows a gateway that was killed, and names a taken port', async () => {
    const first = await home.serve();
    await first.stop('SIGKILL');
    expect(existsSync(join(home.data, 'server.json'))).toBe(true);
    expect((await home.run(['server', 'list'])).code).toBe(EXIT.ok);
    const second = await home.serve();
    const other = new Home();
    const { port } = new URL(second.ready.api);
    const taken = await other.run(['serve', '--port', port]);
    await other.close();
    expect([taken.code, taken.stderr]).toEqual([EXIT.conflict, expect.stringContaining(port)]);
  });

  it('[P7] finds a changed record, in place and in an export, and changes nothing itself', async () => {
    await addTiny();
    const key = await home.run(['audit', 'key']);
    const keyFile = join(home.dir, 'key.pem');
    writeFileSync(keyFile, key.stdout);
    const exported = join(home.dir, 'audit.jsonl');
    expect((await home.run(['audit', 'export', '--output', exported])).code).toBe(EXIT.ok);
    const verifyExport = ['audit', 'verify', '--file', exported, '--public-key', keyFile];
    expect((await home.run(verifyExport)).code).toBe(EXIT.ok);
    const text = readFileSync(exported, 'utf8');
    writeFileSync(exported, text.replace('"server.create"', '"server.update"'));
    const found = await home.run(verifyExport);
    expect([found.code, found.stdout]).toEqual([EXIT.denied, expect.stringContaining('admin')]);

    const folder = join(home.data, 'audit', 'admin');
    const before = readdirSync(folder);
    const segment = join(folder, before[0]!);
    writeFileSync(segment, readFileSync(segment, 'utf8').replace('"server.create"', '"server.update"'));
    expect((await home.run(['audit', 'verify'])).code).toBe(EXIT.denied);
    expect(readdirSync(folder)).toEqual(before);
    expect((await home.run(['doctor'])).code).toBe(EXIT.error);
  });

  it('stops without a word when the reader of a pipe goes away', async () => {
    await addTiny();
    const child = home.spawn(['audit', 'export']);
    child.stdout.destroy();
    const [code, stderr] = await new Promise<[number | null, string]>((resolve) => {
      let text = '';
      child.stderr.on('data', (chunk) => (text += chunk));
      child.once('close', (status) => resolve([status, text]));
    });
    expect([code, stderr]).toEqual([EXIT.ok, '']);
  });

  it('[GW-RUN] runs one local server on standard input and output', async () => {
    const messages = [
      {
        id: 1,
        method: 'initialize',
        params: { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'e2e', version: '1' } },
      },
      { method: 'notifications/initialized' },
      { id: 2, method: 'tools/call', params: { name: 'get_double', arguments: { n: 4 } } },
      { id: 3, method: 'tools/call', params: { name: 'get_double', arguments: { n: 6 } } },
    ];
    const child = home.spawn(['run', '--policy', writePolicy(), '--', process.execPath, TINY_MCP]);
    const answers = new Map<number, { result: { isError?: boolean; content: { text: string }[] } }>();
    let rest = '';
    child.stdout.on('data', (chunk: Buffer) => {
      const lines = (rest + chunk.toString('utf8')).split('\n');
      rest = lines.pop()!;
      // Nothing but the protocol may stand on standard output: a line that is not JSON fails here.
      for (const line of lines) {
        const message = JSON.parse(line) as { id?: number };
        if (message.id !== undefined) answers.set(message.id, message as never);
      }
    });
    const answered = async (id: number) => {
      while (!answers.has(id)) {
        if (child.exitCode !== null) throw new Error(`run ended with ${child.exitCode}`);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      return answers.get(id)!.result;
    };
    for (const message of messages) {
      child.stdin.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`);
      if (message.id === 1) await answered(1);
    }
    expect((await answered(2)).content[0]?.text).toBe('8');
    const denied = await answered(3);
    expect(denied.isError).toBe(true);
    expect(denied.content[0]?.text).toContain('[POLICY DENIED]');
    const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
    child.stdin.end();
    expect(await ended).toBe(EXIT.ok);
  });

  it('[GW-RUN-WATCH] reads the policy again only with --watch, and refuses one with errors', async () => {
    const file = writePolicy();
    const child = home.spawn(['run', '--watch', '--policy', file, '--', process.execPath, TINY_MCP]);
    let out = '';
    let said = '';
    child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString('utf8')));
    child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString('utf8')));
    const until = async (holds: () => boolean) => {
      while (!holds()) {
        if (child.exitCode !== null) throw new Error(`run ended with ${child.exitCode}: ${said}`);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    };
    const send = (message: object) => child.stdin.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`);
    const call = async (id: number): Promise<string> => {
      send({ id, method: 'tools/call', params: { name: 'get_double', arguments: { n: 6 } } });
      await until(() => out.includes(`"id":${id}`));
      return out.split('\n').find((line) => line.includes(`"id":${id}`))!;
    };
    const clientInfo = { name: 'e2e', version: '1' };
    send({ id: 1, method: 'initialize', params: { protocolVersion: '2025-06-18', capabilities: {}, clientInfo } });
    await until(() => out.includes('"id":1'));
    send({ method: 'notifications/initialized' });
    expect(await call(2)).toContain('POLICY DENIED');

    writePolicy(POLICY.replace('lte: 5', 'lte: 6'));
    await until(() => said.includes('was read again'));
    expect(await call(3)).toContain('"12"');

    writePolicy('version: "1"\ndefault: perhaps\n');
    await until(() => said.includes('/default'));
    expect(said).toContain('is refused, the one before it stays');
    expect(await call(4)).toContain('"12"');
    child.stdin.end();
  });
});

describe('the launcher', () => {
  const old = ['/usr/bin/node', '/usr/local/bin/node'].find((path) => {
    if (!existsSync(path)) return false;
    const version = spawnSync(path, ['--version'], { encoding: 'utf8' }).stdout;
    const [major = 0, minor = 0] = version.slice(1).split('.').map(Number);
    return major >= 18 && (major < 24 || (major === 24 && minor < 7));
  });

  it('hands exit codes and errors through', async () => {
    expect((await home.run(['--version'])).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
    expect((await home.run(['nope'])).code).toBe(EXIT.usage);
  });

  it.skipIf(old === undefined)(
    '[CLI-LAUNCHER] finds the Node that npm brought when it is started by an older one',
    async () => {
      const judged = await home.run(['policy', 'check', '-'], { node: old!, stdin: 'version: "1"\ndefault: maybe\n' });
      expect(judged.code).toBe(EXIT.denied);
      const serving = await home.serve(old);
      expect((await home.run(['server', 'list'], { node: old! })).code).toBe(EXIT.ok);
      expect(await serving.stop('SIGTERM')).toBe(EXIT.ok);
      expect(existsSync(join(home.data, 'server.json'))).toBe(false);
    },
  );
});
