// `gatehouse run` over starts: what the first one accepts, what a later one denies, and how a person accepts anew.
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { type SignedHead, verifyAuditLog } from '@gatehouse/verify';
import { afterAll, describe, expect, it } from 'vitest';
import { headSigner, loadSecretKey, loadSettings, runStdio } from '../src/index.ts';
import { SECRET_KEY } from './harness.ts';

const SERVER = `
const schema = JSON.parse(process.env.SCHEMA);
const tools = [{ name: 'get_a', description: 'Reads a thing', inputSchema: { type: 'object', properties: schema } }];
require('node:readline').createInterface({ input: process.stdin }).on('line', (line) => {
  const { id, method, params } = JSON.parse(line);
  if (id === undefined) return;
  const result =
    method === 'initialize'
      ? { protocolVersion: params.protocolVersion, capabilities: { tools: {} }, serverInfo: { name: 't', version: '1' } }
      : method === 'tools/list' ? { tools } : { content: [{ type: 'text', text: 'done' }] };
  process.stdout.write(JSON.stringify({ jsonrpc: '2.0', id, result }) + '\\n');
});`;

describe('gatehouse run', () => {
  const data = mkdtempSync(join(tmpdir(), 'gatehouse-run-test-'));
  afterAll(() => rmSync(data, { recursive: true, force: true }));

  /** One run: lists the tools, calls one, ends. */
  async function run(
    schema: object,
    accept = false,
    flags: Record<string, unknown> = {},
  ): Promise<{ said: string; answer: string }> {
    const [stdin, stdout] = [new PassThrough(), new PassThrough()];
    const said: string[] = [];
    const { settings } = loadSettings({ env: {}, flags: { data, ...flags } });
    const ended = runStdio({
      settings,
      env: { GATEHOUSE_SECRET_KEY: SECRET_KEY },
      watch: false,
      accept,
      command: process.execPath,
      args: ['-e', SERVER],
      environment: { SCHEMA: JSON.stringify(schema) },
      stdin,
      stdout,
      say: (line) => said.push(line),
      stop: new Promise(() => {}),
    });
    let out = '';
    stdout.on('data', (chunk: Buffer) => {
      out += chunk.toString('utf8');
    });
    const ask = async (id: number, method: string, params: object): Promise<string> => {
      stdin.write(`${JSON.stringify({ jsonrpc: '2.0', id, method, params })}\n`);
      await expect.poll(() => out, { timeout: 20_000 }).toContain(`"id":${id}`);
      return out.split('\n').find((line) => line.includes(`"id":${id}`)) ?? '';
    };
    await ask(1, 'initialize', {
      protocolVersion: '2025-06-18',
      capabilities: {},
      clientInfo: { name: 'x', version: '1' },
    });
    await ask(2, 'tools/list', {});
    const answer = await ask(3, 'tools/call', { name: 'get_a', arguments: {} });
    stdin.end();
    expect(await ended).toBe(0);
    return { said: said.join('\n'), answer };
  }

  it('[GW-RUN, DEF-QUARANTINE] accepts at its first start, denies what changed, and accepts it anew when told so', async () => {
    const first = await run({});
    expect(first.said).toBe('First start of this server: 1 tools accepted: get_a (read).');
    expect(first.answer).toContain('done');
    expect(await run({})).toMatchObject({ said: '' });

    const wider = { path: { type: 'string' } };
    const changed = await run(wider);
    expect(changed.said).toContain('denied: get_a. To accept them, start with --accept.');
    expect(changed.answer).toContain('(definition changed)');
    const anew = await run(wider, true);
    expect(anew.said).toBe('Accepted anew: get_a.');
    expect(anew.answer).toContain('done');
    expect(await run(wider)).toMatchObject({ said: '' });
  });

  it('[GW-RUN, GW-LISTCHANGED] tells its client when a policy that is read again changes its tools', async () => {
    const policyFile = join(data, 'policy.json');
    writeFileSync(policyFile, '{"version":"1","default":"allow"}');
    const [stdin, stdout] = [new PassThrough(), new PassThrough()];
    const { settings } = loadSettings({ env: {}, flags: { data } });
    const ended = runStdio({
      settings,
      env: { GATEHOUSE_SECRET_KEY: SECRET_KEY },
      watch: true,
      policyFile,
      command: process.execPath,
      args: ['-e', SERVER.replace('{ tools: {} }', '{ tools: { listChanged: true } }')],
      environment: { SCHEMA: '{}' },
      stdin,
      stdout,
      say: () => {},
      stop: new Promise(() => {}),
    });
    let out = '';
    stdout.on('data', (chunk: Buffer) => {
      out += chunk.toString('utf8');
    });
    const params = { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'x', version: '1' } };
    stdin.write(`${JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'initialize', params })}\n`);
    await expect.poll(() => out, { timeout: 20_000 }).toContain('"id":1');
    stdin.write('{"jsonrpc":"2.0","id":2,"method":"tools/list"}\n');
    await expect.poll(() => out, { timeout: 20_000 }).toContain('get_a');
    writeFileSync(policyFile, '{"version":"1","default":"allow","hide":["get_a"]}');
    await expect
      .poll(() => out, { timeout: 20_000 })
      .toContain('{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}\n');
    stdin.end();
    expect(await ended).toBe(0);
    expect(out.split('list_changed')).toHaveLength(2);
  });

  it('[AUD-HEADS-OUT] sends its heads out, too, and keeps its reserve beside its log', async () => {
    const file = join(data, 'heads.jsonl');
    await run({}, true, { 'audit.heads.file': file, 'audit.reserve': '1 MiB' });
    const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
    const externalHeads = lines.map((line) => JSON.parse(line) as SignedHead);
    const publicKey = headSigner(
      loadSecretKey({ env: { GATEHOUSE_SECRET_KEY: SECRET_KEY }, dataDir: data, create: false }).bytes('audit-signing'),
      'any',
    ).publicKey;
    const report = await verifyAuditLog({
      dir: join(data, 'run', 'audit'),
      publicKeys: [{ publicKey }],
      externalHeads,
    });
    expect(report).toMatchObject({ ok: true, externalHeadHeld: true });
    expect(externalHeads.filter(({ stream }) => stream === 'calls').length).toBeGreaterThan(0);
    expect(statSync(join(data, 'run', 'audit', 'reserve')).size).toBe(1024 ** 2);
  });
});
