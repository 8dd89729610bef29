// No telemetry, no call home (design: what it stands on): what the processes reach for is recorded while they work.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ROOT, Sandbox } from '../src/index.ts';

const RECORDER = join(import.meta.dirname, 'record-network.mjs');
const FLUX = join(ROOT, 'packages/flux/src/main.ts');
/** Longer than the delays after a start at which either program does something by itself. */
const WORKING_MS = 2_500;

interface Note {
  kind: 'loaded' | 'connect' | 'listen' | 'dns' | 'udp' | 'spawn';
  target: string;
}

let sandbox: Sandbox;
beforeEach(() => {
  sandbox = new Sandbox();
});
afterEach(() => sandbox.close());

const recording = () => ({ NODE_OPTIONS: `--import=${RECORDER}`, NETWORK_RECORD: sandbox.path('network.jsonl') });

function notes(...kinds: Note['kind'][]): string[] {
  const file = sandbox.path('network.jsonl');
  if (!existsSync(file)) return [];
  const all = readFileSync(file, 'utf8').trim().split('\n');
  return all
    .map((line) => JSON.parse(line) as Note)
    .flatMap(({ kind, target }) => (kinds.includes(kind) ? [target] : []));
}

const isOutside = (target: string): boolean => !/^(localhost$|127\.|::1$)/.test(target);

async function makePicture(client: Client): Promise<void> {
  const request = { name: 'flux_generate_image', arguments: { prompt: 'a quiet house', size: '64x64' } };
  expect((await client.callTool(request)).isError).not.toBe(true);
}

describe('nothing calls home', () => {
  it('is recorded by a recorder that misses no way out', async () => {
    const program = `
      import dns from 'node:dns'; import net from 'node:net'; import dgram from 'node:dgram';
      import { execFileSync, spawn } from 'node:child_process'; import { request } from 'node:https';
      const quiet = () => {};
      const socket = net.connect(49151, '127.0.0.2'); socket.on('error', quiet);
      request({ host: '127.0.0.3', port: 49151 }).on('error', quiet).end();
      await fetch('http://127.0.0.4:49151').catch(quiet);
      const { request: undici } = await import(${JSON.stringify(import.meta.resolve('undici'))});
      await undici('http://127.0.0.5:49151').catch(quiet);
      dns.lookup('name.invalid', quiet); await dns.promises.resolve4('other.invalid').catch(quiet);
      const udp = dgram.createSocket('udp4'); udp.send('x', 9, '127.0.0.6', () => udp.close());
      spawn('true'); execFileSync('true');
    `;
    const args = ['--input-type=module', '--eval', program];
    const ran = await sandbox.run(process.execPath, args, { env: recording() });
    expect(ran.code, ran.stderr).toBe(0);
    const connected = notes('connect');
    for (const target of ['127.0.0.2', '127.0.0.3', '127.0.0.4', '127.0.0.5']) expect(connected).toContain(target);
    expect(notes('dns')).toEqual(expect.arrayContaining(['name.invalid', 'other.invalid']));
    expect(notes('udp')).toContain('127.0.0.6');
    expect(notes('spawn').filter((command) => command === 'true').length).toBeGreaterThanOrEqual(2);
  });

  it('[OPS-NO-CALL-HOME] the gateway reaches nothing but this machine while it starts, works and stops', async () => {
    const main = join(ROOT, 'packages/cli/src/main.ts');
    const args = [main, 'start', '--port', '0', '--data', sandbox.path('data')];
    const running = await sandbox.start(process.execPath, args, { env: recording() });
    const [server] = running.ready.servers;
    const requestInit = { headers: { authorization: `Bearer ${server!.token}` } };
    const client = new Client({ name: 'e2e', version: '1.0.0' });
    await client.connect(new StreamableHTTPClientTransport(new URL(server!.url), { requestInit }));
    await makePicture(client);
    await sleep(WORKING_MS);
    await client.close();
    await running.stop();

    expect(notes('loaded')).toContain(main);
    expect(notes('listen')).toEqual(['127.0.0.1']);
    expect(notes('connect', 'dns', 'udp').filter(isOutside)).toEqual([]);
    // Its child gets a clean environment, and so no recorder; what that does is recorded below.
    for (const command of notes('spawn')) expect(command).toContain(FLUX);
  });

  it('[OPS-NO-CALL-HOME] nor does the Flux server', async () => {
    const transport = new StdioClientTransport({
      command: process.execPath,
      args: [FLUX, '--data', sandbox.path('flux')],
      env: { PATH: process.env.PATH ?? '', HOME: sandbox.home, ...recording() },
    });
    const client = new Client({ name: 'e2e', version: '1.0.0' });
    await client.connect(transport);
    await makePicture(client);
    await sleep(WORKING_MS);
    await client.close();

    expect(notes('loaded')).toContain(FLUX);
    expect(notes('listen', 'connect', 'dns', 'udp', 'spawn').filter(isOutside)).toEqual([]);
  });
});
