// The examples for a deployment, run by the programs that they are for: nginx in front of a gateway, Caddy, systemd.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CertificateAuthority, type RecordingUpstream } from '@gatehouse/testkit';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { ADMIN, Harness } from './harness.ts';

const example = (file: string): string =>
  readFileSync(fileURLToPath(new URL(`../../../${file}`, import.meta.url)), 'utf8');

/** The command, where it is installed: Debian keeps some where the path of a plain user does not lead. */
const find = (name: string, ...version: string[]): string | undefined =>
  [name, `/usr/sbin/${name}`, `/usr/local/sbin/${name}`].find((path) => spawnSync(path, version).status === 0);

/** Each must be there, or the example changed and this test with it. */
function replaced(text: string, changes: Record<string, string>): string {
  return Object.entries(changes).reduce((done, [from, to]) => {
    expect(done).toContain(from);
    return done.replaceAll(from, to);
  }, text);
}

const NAME = 'gatehouse.example.com';
const TOOL = { name: 'get_a', inputSchema: { type: 'object', properties: {} } };
const CALL = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"get_a","arguments":{}}}';
const nginx = find('nginx', '-v');

describe('nginx in front', () => {
  const authority = new CertificateAuthority();
  let folder: string;
  let harness: Harness;
  let upstream: RecordingUpstream;
  let token: string;
  let child: ChildProcess | undefined;
  let port: number;
  let release: (() => void) | undefined;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'gatehouse-nginx-'));
    const { cert, key } = authority.issue({ names: [NAME] });
    writeFileSync(join(folder, 'cert.pem'), cert);
    writeFileSync(join(folder, 'key.pem'), key);
    harness = await Harness.open({ flags: { public_url: `https://${NAME}`, trusted_proxies: ['127.0.0.1'] } });
    upstream = await harness.record('up', {
      tools: [TOOL],
      sessions: false,
      intercept: ({ message }, response) => {
        if (message?.method !== 'tools/call') return false;
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        response.write(
          'data: {"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"first"}}\n\n',
        );
        release = () => response.end('data: {"jsonrpc":"2.0","id":1,"result":{"content":[]}}\n\n');
        return true;
      },
    });
    const { services } = harness.gateway;
    await services.policies.put('up', 'p', { version: '1', default: 'allow' }, undefined, ADMIN);
    const made = await services.grants.create(
      { server: 'up', identity: 'ana', policy: 'p', sources: ['127.0.0.2'] },
      ADMIN,
    );
    token = made.secret ?? '';
  });
  afterEach(async () => {
    release = undefined;
    if (child === undefined) return;
    const gone = new Promise((resolve) => child?.once('exit', resolve));
    child.kill('SIGTERM');
    await gone;
    child = undefined;
  });
  afterAll(async () => {
    await harness.close();
    rmSync(folder, { recursive: true });
  });

  async function start(changes: Record<string, string> = {}): Promise<void> {
    const { api } = JSON.parse(readFileSync(join(harness.dir, 'server.json'), 'utf8')) as { api: string };
    port = await freePort();
    const site = replaced(example('examples/nginx.conf'), {
      'listen 443 ssl;': `listen 127.0.0.1:${port} ssl;`,
      'server 127.0.0.1:8080;': `server ${new URL(api).host};`,
      [`/etc/letsencrypt/live/${NAME}/fullchain.pem`]: join(folder, 'cert.pem'),
      [`/etc/letsencrypt/live/${NAME}/privkey.pem`]: join(folder, 'key.pem'),
      ...changes,
    });
    const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
    const file = join(folder, 'nginx.conf');
    writeFileSync(
      file,
      `daemon off;\npid ${folder}/nginx.pid;\nerror_log stderr warn;\nevents {}\nhttp {\naccess_log off;
${temporary.map((kind) => `${kind}_temp_path ${folder}/${kind};`).join('\n')}\n${site}}\n`,
    );
    child = spawn(nginx ?? '', ['-c', file, '-p', folder], { stdio: ['ignore', 'ignore', 'pipe'] });
    let said = '';
    child.stderr?.on('data', (chunk) => (said += chunk));
    for (let tries = 0; !(await accepts(port)); tries++) {
      if (child.exitCode !== null || tries > 200) throw new Error(`nginx did not start:\n${said}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    expect(said).toBe('');
  }

  /** @param from the address of this machine that connects to nginx */
  function call(from: string, headers: Record<string, string> = {}): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const sent = request(
        {
          host: '127.0.0.1',
          port,
          localAddress: from,
          path: '/mcp/up',
          method: 'POST',
          agent: false,
          ca: authority.cert,
          servername: NAME,
          headers: {
            host: NAME,
            authorization: `Bearer ${token}`,
            'content-type': 'application/json',
            accept: 'application/json, text/event-stream',
            ...headers,
          },
        },
        resolve,
      );
      sent.on('error', reject);
      sent.end(CALL);
    });
  }

  async function status(from: string, headers: Record<string, string> = {}): Promise<number | undefined> {
    const answer = await call(from, headers);
    release?.();
    answer.resume();
    return answer.statusCode;
  }

  it.skipIf(nginx === undefined)(
    '[GW-PROXIES] events go on as they come, and the client is who connected',
    async () => {
      await start();
      const answer = await call('127.0.0.2');
      expect([answer.statusCode, answer.headers['content-type']]).toEqual([200, 'text/event-stream']);
      const events = answer.setEncoding('utf8')[Symbol.asyncIterator]();
      // The server has not ended its answer yet.
      expect((await events.next()).value).toContain('first');
      release?.();
      let rest = '';
      for (let next = await events.next(); next.done !== true; next = await events.next()) rest += String(next.value);
      expect(rest).toContain('"result"');
      const { rows } = await harness.gateway.audit.search({ tool: 'get_a', limit: 1 });
      expect(rows[0]?.source).toBe('127.0.0.2');
      expect(answer.headers['strict-transport-security']).toBe('max-age=31536000');
    },
  );

  it.skipIf(nginx === undefined).each([
    ['as in the example', {}],
    [
      'appending, and passing Forwarded on',
      { '$remote_addr;': '$proxy_add_x_forwarded_for;', 'proxy_set_header Forwarded "";': '' },
    ],
  ])('[GW-PROXIES-SPOOF] what a client says of itself does not count: %s', async (_, changes) => {
    await start(changes);
    upstream.forget();
    expect(await status('127.0.0.3')).toBe(401);
    expect(await status('127.0.0.3', { 'x-forwarded-for': '127.0.0.2' })).toBe(401);
    expect(await status('127.0.0.3', { 'x-forwarded-for': '127.0.0.2, 127.0.0.1' })).toBe(401);
    expect(await status('127.0.0.3', { forwarded: 'for=127.0.0.2' })).toBe(401);
    expect(await status('127.0.0.3', { host: 'evil.example.com', 'x-forwarded-host': NAME })).toBe(403);
    expect(upstream.calls()).toEqual([]);
    expect(await status('127.0.0.2', { 'x-forwarded-for': '127.0.0.3' })).toBe(200);
  });
});

describe('other examples', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'gatehouse-examples-'));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  const caddy = find('caddy', 'version');
  it.skipIf(caddy === undefined)('Caddy takes its file', () => {
    const file = join(folder, 'Caddyfile');
    writeFileSync(file, example('examples/Caddyfile'));
    const { status, stderr } = spawnSync(caddy ?? '', ['adapt', '--adapter', 'caddyfile', '--config', file]);
    expect([status, stderr.toString()]).toEqual([0, expect.not.stringMatching(/warn|error/i)]);
  });

  const analyze = find('systemd-analyze', '--version');
  it.skipIf(analyze === undefined)('systemd takes the unit', () => {
    const file = join(folder, 'gatehouse.service');
    // It looks for the program.
    const unit = replaced(example('examples/gatehouse.service'), { '/usr/bin/gatehouse ': `${process.execPath} ` });
    writeFileSync(file, unit);
    const { status, stderr } = spawnSync(analyze ?? '', ['verify', '--man=no', file]);
    expect([status, stderr.toString()]).toEqual([0, '']);
  });
});

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer();
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}
