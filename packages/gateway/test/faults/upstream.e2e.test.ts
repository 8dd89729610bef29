// Upstreams that hang, drip, break off or die: the client has its answer by the deadline, the log has the outcome, a
// reservation comes back only if no byte was handed over, and nothing stays open.
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';

import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Harness } from '../harness.ts';

const DEADLINE_MS = 1_000;
/** Above the keep-alive time of the connections to an upstream. */
const SETTLED_MS = 8_000;
const POLICY = {
  version: '1',
  default: 'allow',
  all_tools: { limits: [{ counter: 'c', window: 'hour', max: 1_000_000 }] },
};
const TOOLS = '[{"name":"get_a","inputSchema":{"type":"object"}}]';

const JSON_HEAD = 'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n';
const SSE_HEAD = 'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n';
const chunk = (text: string): string => `${text.length.toString(16)}\r\n${text}\r\n`;
const json = (body: string): string => `${JSON_HEAD}content-length: ${body.length}\r\n\r\n${body}`;

/** What an upstream does to the connection that brought a call. */
type Misdeed = (socket: Socket) => void;

function drip(socket: Socket, text: string): void {
  const timer = setInterval(() => socket.write(text), 50);
  socket.once('close', () => clearInterval(timer));
}

const HANGING: Record<string, Misdeed> = {
  'never answers': () => undefined,
  'answers the head and no body': (socket) => socket.write(`${JSON_HEAD}content-length: 100\r\n\r\n`),
  'answers half a head': (socket) => socket.write('HTTP/1.1 200 OK\r\ncontent-ty'),
  'drips a body': (socket) => {
    socket.write(`${JSON_HEAD}content-length: 1000000\r\n\r\n`);
    drip(socket, ' ');
  },
  'drips a head': (socket) => {
    socket.write('HTTP/1.1 200 OK\r\n');
    drip(socket, 'x-a: b\r\n');
  },
  'opens an event stream and says nothing': (socket) => socket.write(SSE_HEAD),
  'drips comments into an event stream': (socket) => {
    socket.write(SSE_HEAD);
    drip(socket, chunk(': still here\n\n'));
  },
};

const BREAKING: Record<string, Misdeed> = {
  'closes without an answer': (socket) => socket.end(),
  'resets the connection': (socket) => socket.resetAndDestroy(),
  'closes in the middle of the body': (socket) => {
    socket.write(`${JSON_HEAD}content-length: 100\r\n\r\n{"jsonrpc":`);
    setTimeout(() => socket.destroy(), 50);
  },
  'resets in the middle of the body': (socket) => {
    socket.write(`${JSON_HEAD}content-length: 100\r\n\r\n{"jsonrpc":`);
    setTimeout(() => socket.resetAndDestroy(), 50);
  },
  'closes in the middle of an event stream': (socket) => {
    socket.write(`${SSE_HEAD}${chunk('data: {"jsonrpc"')}`);
    setTimeout(() => socket.destroy(), 50);
  },
  'answers what is no HTTP': (socket) => socket.end('no such thing\r\n\r\n'),
  'answers what is no JSON': (socket) => socket.end(json('<html>')),
};

/** An HTTP server made by hand, so that it can do wrong. It answers everything in order but calls. */
class BadUpstream {
  misdeed: Misdeed = () => undefined;
  readonly sockets = new Set<Socket>();
  calls = 0;
  readonly #server: Server;

  constructor() {
    this.#server = createServer((socket) => {
      this.sockets.add(socket);
      socket.on('error', () => undefined);
      socket.once('close', () => this.sockets.delete(socket));
      let text = '';
      socket.on('data', (data: Buffer) => {
        text += data.toString();
        const length = Number(/content-length: (\d+)/i.exec(text)?.[1] ?? 0);
        const start = text.indexOf('\r\n\r\n') + 4;
        if (start < 4 || text.length < start + length) return;
        const body = text.slice(start, start + length);
        text = '';
        this.#answer(socket, JSON.parse(body === '' ? '{}' : body) as { id?: number; method?: string });
      });
    });
  }

  async listen(): Promise<string> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/mcp`;
  }

  close(): void {
    for (const socket of this.sockets) socket.destroy();
    this.#server.close();
  }

  #answer(socket: Socket, rpc: { id?: number; method?: string }): void {
    if (rpc.id === undefined) {
      socket.write('HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n');
    } else if (rpc.method === 'tools/call') {
      this.calls += 1;
      this.misdeed(socket);
    } else {
      const initialized =
        '{"protocolVersion":"2025-06-18","capabilities":{"tools":{}},"serverInfo":{"name":"bad","version":"1"}}';
      const result = rpc.method === 'tools/list' ? `{"tools":${TOOLS}}` : initialized;
      socket.write(json(`{"jsonrpc":"2.0","id":${rpc.id},"result":${result}}`));
    }
  }
}

let harness: Harness;
let upstream: BadUpstream;
let token: string;
let url: string;

beforeAll(async () => {
  harness = await Harness.open({ flags: { call_deadline: DEADLINE_MS / 1000 } });
  upstream = new BadUpstream();
  url = await upstream.listen();
  await harness.server('bad', { kind: 'http', url });
  ({ token } = await harness.grant('bad', POLICY));
});
afterAll(async () => {
  await harness.close();
  upstream.close();
});

interface Ended {
  status: number;
  error: { code: number; message: string } | undefined;
  ms: number;
  outcome: string | undefined;
  /** Units that the counters hold of this call. */
  held: number;
}

async function callOf(slug: string, secret: string, name = 'get_a', session?: string): Promise<Ended> {
  const { counters } = harness.gateway.gate;
  const before = counters.stats();
  const client = harness.client(slug, secret);
  client.session = session;
  const began = performance.now();
  const answer = await client.call(name);
  const after = counters.stats();
  return {
    status: answer.status,
    error: answer.message?.error,
    ms: performance.now() - began,
    outcome: (await harness.gateway.audit.search({ server: slug, tool: name, limit: 1 })).rows[0]?.outcome,
    held: after.reserved - before.reserved - (after.released - before.released),
  };
}

/** Timers that keep the process, and those that do not, as the program has them now. */
const timers = (): number => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;

async function settled(holds: () => boolean): Promise<void> {
  for (const began = performance.now(); !holds(); await sleep(50)) {
    if (performance.now() - began > SETTLED_MS) return;
  }
}

describe('an HTTP upstream', () => {
  for (const [name, misdeed] of Object.entries(HANGING)) {
    it(`[GW-DEADLINE, LIM-COUNTS] that ${name}: the client is answered at the deadline, and the call counts`, async () => {
      upstream.misdeed = misdeed;
      const ended = await callOf('bad', token);
      expect(ended.error?.message).toContain('deadline');
      // A stream that was opened has its status already.
      expect([200, 504]).toContain(ended.status);
      expect(ended.ms).toBeGreaterThan(DEADLINE_MS - 50);
      expect(ended.ms).toBeLessThan(DEADLINE_MS + 1_500);
      expect(ended).toMatchObject({ outcome: 'unknown', held: 1 });
    });
  }

  for (const [name, misdeed] of Object.entries(BREAKING)) {
    it(`[GW-FAULTS, LIM-COUNTS] that ${name}: the client is told at once, the call counts, and it is not made again`, async () => {
      upstream.misdeed = misdeed;
      const { calls } = upstream;
      const ended = await callOf('bad', token);
      expect(ended.error?.code).toBe(-32011);
      expect([200, 502]).toContain(ended.status);
      expect(ended.ms).toBeLessThan(DEADLINE_MS - 100);
      expect(['unknown', 'error']).toContain(ended.outcome);
      expect(ended.held).toBe(1);
      expect(upstream.calls).toBe(calls + 1);
    });
  }

  it('[LIM-RELEASE, GW-FAULTS] that refuses connections: nothing was sent, and the reservation comes back', async () => {
    const gone = new BadUpstream();
    await harness.server('gone', { kind: 'http', url: await gone.listen() });
    const grant = await harness.grant('gone', POLICY, 'bob');
    gone.close();
    await settled(() => gone.sockets.size === 0);
    const ended = await callOf('gone', grant.token);
    expect(ended).toMatchObject({ status: 502, outcome: 'not_sent', held: 0 });
    expect(ended.error?.message).toContain('refused');
  });

  it('[GW-FAULTS] that did all of this leaves no socket and no timer behind, and the next call passes', async () => {
    upstream.misdeed = (socket) => socket.write(json('{"jsonrpc":"2.0","id":1,"result":{"content":[]}}'));
    expect((await callOf('bad', token)).outcome).toBe('allow');
    await settled(() => upstream.sockets.size === 0);
    expect(upstream.sockets.size).toBe(0);
    const idle = timers();
    upstream.misdeed = HANGING['opens an event stream and says nothing'] as Misdeed;
    await Promise.all(Array.from({ length: 20 }, () => callOf('bad', token)));
    await settled(() => upstream.sockets.size === 0 && timers() <= idle);
    expect(upstream.sockets.size).toBe(0);
    expect(timers()).toBeLessThanOrEqual(idle);
  });
});

const CHILD = `
const tools = ['get_hung', 'get_dead', 'get_killed', 'get_garbage', 'get_torn', 'get_deaf', 'get_well'].map((name) => ({ name, inputSchema: { type: 'object' } }));
require('node:readline').createInterface({ input: process.stdin }).on('line', (line) => {
  const { id, method, params } = JSON.parse(line);
  if (id === undefined) return;
  const answer = (result) => process.stdout.write(JSON.stringify({ jsonrpc: '2.0', id, result }) + '\\n');
  if (method === 'initialize') return answer({ protocolVersion: params.protocolVersion, capabilities: { tools: {} }, serverInfo: { name: 'c', version: '1' } });
  if (method === 'tools/list') return answer({ tools });
  switch (params.name) {
    case 'get_dead': process.exit(3);
    case 'get_killed': process.kill(process.pid, 'SIGKILL'); return;
    case 'get_garbage': process.stdout.write('no json\\n{"jsonrpc":"2.0"}\\n\\n'); return;
    case 'get_torn': process.stdout.write('{"jsonrpc":"2.0","id":' + id + ',"result":'); return;
    case 'get_deaf': require('node:fs').closeSync(1); return;
    case 'get_well': answer({ content: [] });
  }
});`;

describe('a child', () => {
  let secret: string;
  beforeAll(async () => {
    const transport = { kind: 'stdio', command: process.execPath, args: ['-e', CHILD], environment: {} } as const;
    await harness.server('child', transport, { children: { max: 20, idleSeconds: 600 } });
    secret = (await harness.grant('child', POLICY, 'carl')).token;
  });

  /** A session with a child of its own; after one that died the next waits for its back-off. */
  async function session(): Promise<string> {
    for (let tries = 0; tries < 100; tries++) {
      const client = harness.client('child', secret);
      if ((await client.initialize()).status === 200 && client.session !== undefined) return client.session;
      await sleep(100);
    }
    throw new Error('the child does not start');
  }

  for (const name of ['get_hung', 'get_garbage', 'get_torn']) {
    it(`[GW-DEADLINE, LIM-COUNTS] that is ${name.slice(4)}: the client is answered at the deadline, and the call counts`, async () => {
      const ended = await callOf('child', secret, name, await session());
      expect(ended).toMatchObject({ status: 504, outcome: 'unknown', held: 1 });
      expect(ended.ms).toBeLessThan(DEADLINE_MS + 1_500);
    });
  }

  for (const name of ['get_dead', 'get_killed', 'get_deaf']) {
    it(`[GW-CHILDREN, LIM-COUNTS] that is ${name.slice(4)}: the call is answered by the deadline, and counts`, async () => {
      const ended = await callOf('child', secret, name, await session());
      expect(ended).toMatchObject({ outcome: 'unknown', held: 1 });
      expect([502, 504]).toContain(ended.status);
      expect(ended.ms).toBeLessThan(DEADLINE_MS + 1_500);
    });
  }

  it('[LIM-RELEASE] that cannot be started: nothing was sent, and the reservation comes back', async () => {
    await harness.server('never', { kind: 'stdio', command: process.execPath, args: ['-e', CHILD], environment: {} });
    const grant = await harness.grant('never', POLICY, 'dora');
    await harness.gateway.services.servers.update(
      'never',
      { transport: { kind: 'stdio', command: '/no/such/command', args: [], environment: {} } },
      undefined,
      { kind: 'local-admin', id: 'local' },
    );
    const { counters } = harness.gateway.gate;
    const before = counters.stats();
    const message = {
      jsonrpc: '2.0',
      id: 1,
      method: 'tools/call',
      params: {
        name: 'get_well',
        arguments: {},
        _meta: {
          'io.modelcontextprotocol/protocolVersion': '2026-07-28',
          'io.modelcontextprotocol/clientCapabilities': {},
        },
      },
    };
    const headers = { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/call', 'mcp-name': 'get_well' };
    const answer = await harness.client('never', grant.token).post(JSON.stringify(message), headers);
    expect(answer.status).toBe(502);
    const after = counters.stats();
    expect([after.reserved - before.reserved, after.released - before.released]).toEqual([1, 1]);
    const { rows } = await harness.gateway.audit.search({ server: 'never', tool: 'get_well', limit: 1 });
    expect(rows[0]?.outcome).toBe('not_sent');
  });

  it('[GW-CHILDREN] that did well goes on doing so beside those that did not', async () => {
    expect((await callOf('child', secret, 'get_well', await session())).outcome).toBe('allow');
  });
});
