// HTTPS through the real listener: what is spoken, which certificate is shown, and what stays plain.
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { request } from 'node:https';
import { connect as connectPlain, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import { CertificateAuthority } from '@gatehouse/testkit';
import { type Logger, pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Harness, type HarnessOptions } from './harness.ts';

const authority = new CertificateAuthority();
const first = authority.issue({ names: ['gate.example.com', '127.0.0.1'] });
const second = authority.issue({ names: ['gate.example.com', '127.0.0.1'] });

let folder: string;
let flags: { 'tls.cert': string; 'tls.key': string };
let harness: Harness | undefined;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'gatehouse-tls-'));
  flags = { 'tls.cert': join(folder, 'cert.pem'), 'tls.key': join(folder, 'key.pem') };
  writeFileSync(flags['tls.cert'], first.cert);
  writeFileSync(flags['tls.key'], first.key);
});
afterEach(async () => {
  await harness?.close();
  harness = undefined;
  rmSync(folder, { recursive: true });
});

async function open(options: HarnessOptions = {}): Promise<Harness> {
  harness = await Harness.open({ ...options, flags: { ...flags, ...options.flags } });
  return harness;
}

/** Where it listens, whatever its public URL is. */
function local({ dir }: Harness, path: string): URL {
  const { api } = JSON.parse(readFileSync(join(dir, 'server.json'), 'utf8')) as { api: string };
  return new URL(path, api);
}

interface Got {
  status: number;
  headers: IncomingHttpHeaders;
  body: string;
}

function get(url: string | URL, options: { host?: string; method?: string; headers?: object; body?: string } = {}) {
  return new Promise<Got>((resolve, reject) => {
    const { host, method = 'GET', headers = {}, body } = options;
    const sent = request(
      url,
      {
        method,
        ca: authority.cert,
        servername: 'gate.example.com',
        agent: false,
        headers: { ...(host === undefined ? {} : { host }), ...headers },
      },
      (response) => {
        let text = '';
        response.on('data', (chunk) => (text += chunk));
        response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text }));
      },
    );
    sent.on('error', reject);
    sent.end(body);
  });
}

function handshake(options: ConnectionOptions): Promise<TLSSocket> {
  const { port } = new URL(harness?.base ?? '');
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port: Number(port), ca: authority.cert, ...options }, () =>
      resolve(socket),
    );
    socket.once('error', reject);
  });
}

const serial = async (): Promise<string> => {
  const socket = await handshake({});
  const { serialNumber } = socket.getPeerCertificate();
  socket.destroy();
  return serialNumber;
};

describe('HTTPS', () => {
  it('[GW-TLS] serves the data plane, the API and the page, and says https wherever it says an address', async () => {
    const { base, gateway } = await open();
    expect(base).toMatch(/^https:\/\/127\.0\.0\.1:\d+\/$/);
    const upstream = await harness?.record('rec', { tools: [] });
    const { token } = (await harness?.grant('rec', { version: '1', default: 'allow' })) ?? { token: '' };
    const answer = await get(harness?.proxyUrl('rec') ?? '', {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', accept: 'application/json' },
      body: '{"jsonrpc":"2.0","id":1,"method":"tools/list"}',
    });
    expect([answer.status, upstream?.received('tools/list').length]).toEqual([200, 1]);
    const status = await get(new URL('/api/v1/status', base), {
      headers: { authorization: `Bearer ${gateway.adminToken}` },
    });
    expect(status.body).toContain(`"${base}mcp/rec"`);
    expect((await get(base)).body).toContain(`${base}mcp/rec`);
    expect((await get(new URL('/healthz', base))).status).toBe(200);
  });

  it('[GW-TLS] is TLS 1.2 or 1.3 and HTTP/1.1, and plain HTTP gets no answer', async () => {
    const { base } = await open();
    for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
      const socket = await handshake({ minVersion: version, maxVersion: version, ALPNProtocols: ['h2', 'http/1.1'] });
      expect([socket.getProtocol(), socket.alpnProtocol]).toEqual([version, 'http/1.1']);
      socket.destroy();
    }
    await expect(
      handshake({ minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' }),
    ).rejects.toThrow(/version|protocol/i);
    const plain = new Promise((resolve, reject) => {
      httpRequest(base.replace('https:', 'http:'), resolve).on('error', reject).end();
    });
    await expect(plain).rejects.toThrow(/hang up|ECONNRESET/);
  });

  it('[GW-HOST, GW-TLS] the checks of Host hold', async () => {
    const public_url = 'https://gate.example.com';
    const page = local(await open({ flags: { public_url } }), '/');
    expect((await get(page, { host: 'gate.example.com' })).status).toBe(200);
    expect((await get(page, { host: 'evil.example.com' })).status).toBe(403);
  });

  it('[GW-TLS] browsers are kept to HTTPS under the public name, and under no other', async () => {
    const public_url = 'https://gate.example.com';
    const opened = await open({ flags: { public_url } });
    const strict = async (path: string, host: string): Promise<unknown> =>
      (await get(local(opened, path), { host })).headers['strict-transport-security'];
    expect(await strict('/', 'gate.example.com')).toBe('max-age=31536000');
    expect(await strict('/api/v1/status', 'GATE.example.com')).toBe('max-age=31536000');
    expect(await strict('/', 'localhost')).toBeUndefined();
    await harness?.close();
    harness = await Harness.open({ flags: { public_url } });
    const { headers } = await fetch(local(harness, '/'));
    expect(headers.has('strict-transport-security')).toBe(false);
  });

  it('[GW-TLS, GW-HEALTH] a port for operations stays plain', async () => {
    const port = await freePort();
    const { base } = await open({ flags: { ops_port: port } });
    expect((await fetch(`http://127.0.0.1:${port}/healthz`)).status).toBe(200);
    expect((await get(new URL('/healthz', base))).status).toBe(404);
  });

  it('[GW-TLS] a start without a certificate that can be used fails and names it', async () => {
    writeFileSync(flags['tls.key'], second.key);
    await expect(open()).rejects.toMatchObject({
      code: 'config_invalid',
      items: [{ pointer: 'tls.key', message: expect.stringContaining('is not the key of the first') as string }],
    });
  });

  it('[GW-TLS, GW-CLOSE] a stop waits for no idle connection and no half handshake', async () => {
    await open();
    const idle = await handshake({});
    const { port } = new URL(harness?.base ?? '');
    const half = connectPlain(Number(port), '127.0.0.1');
    const closed = new Promise((resolve) => half.once('close', resolve));
    half.on('error', () => undefined);
    await new Promise<void>((resolve) => half.once('connect', resolve));
    // The beginning of a ClientHello, and nothing more.
    await new Promise<void>((resolve) => half.write(Buffer.from([0x16, 0x03, 0x01]), () => resolve()));
    const started = performance.now();
    await harness?.gateway.close();
    await closed;
    // The drain of calls under way takes five seconds; a handshake may take fifteen.
    expect(performance.now() - started).toBeLessThan(4_000);
    idle.destroy();
  });

  it('[GW-TLS, GW-CLOSE] a stop lets a call under way end', async () => {
    await open();
    let release: (() => void) | undefined;
    const arrived = new Promise<void>((resolve) => {
      release = resolve;
    });
    let answer: (() => void) | undefined;
    await harness?.record('rec', {
      tools: [{ name: 'get_a', inputSchema: { type: 'object' } }],
      sessions: false,
      intercept: ({ message }, response) => {
        if (message?.method !== 'tools/call') return false;
        response.setHeader('content-type', 'application/json');
        answer = () => response.end(`{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"whole"}]}}`);
        release?.();
        return true;
      },
    });
    const { token } = (await harness?.grant('rec', { version: '1', default: 'allow' })) ?? { token: '' };
    const called = get(harness?.proxyUrl('rec') ?? '', {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', accept: 'application/json' },
      body: '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"get_a","arguments":{}}}',
    });
    await arrived;
    const closing = harness?.gateway.close();
    // Later than the first sweep of what is not needed.
    setTimeout(() => answer?.(), 120);
    expect((await called).body).toContain('whole');
    await closing;
  });
});

describe('a changed certificate', () => {
  const lines: string[] = [];
  const logger = (): Logger => pino({ level: 'info' }, { write: (line: string) => void lines.push(line) });
  beforeEach(() => {
    lines.length = 0;
  });

  it('[GW-TLS-RELOAD] is shown without a restart, and open connections go on', async () => {
    const { base, dir } = await open({ logger: logger() });
    const serverFile = () =>
      JSON.parse(readFileSync(join(dir, 'server.json'), 'utf8')) as { api: string; certificate: string };
    expect(serverFile().api).toBe(`${base}api/v1`);
    expect(serverFile().certificate.trim()).toBe(first.cert.trim());
    expect(statSync(join(dir, 'server.json')).mode & 0o777).toBe(0o600);
    const before = await serial();
    const kept = await handshake({});

    writeFileSync(flags['tls.cert'], second.cert);
    writeFileSync(flags['tls.key'], second.key);
    await vi.waitFor(async () => expect(await serial()).not.toBe(before), { timeout: 8_000, interval: 100 });
    expect(serverFile().certificate.trim()).toBe(second.cert.trim());
    expect(lines.join('')).toContain('the certificate changed and is in use');

    const answered = new Promise<string>((resolve) => kept.once('data', (chunk) => resolve(chunk.toString())));
    kept.write('GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n');
    expect(await answered).toMatch(/^HTTP\/1\.1 200 /);
    kept.destroy();
  });

  it('[GW-TLS-RELOAD] that is broken is not taken: the one before stays, and the log says why', async () => {
    await open({ logger: logger() });
    const before = await serial();
    writeFileSync(flags['tls.cert'], authority.issue({ names: ['x'], until: new Date('2021-01-01') }).cert);
    await vi.waitFor(() => expect(lines.join('')).toContain('the one before stays'), { timeout: 8_000 });
    expect(lines.join('')).toContain('tls.key: ');
    expect(await serial()).toBe(before);
    expect((await get(harness?.base ?? '')).status).toBe(200);
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
