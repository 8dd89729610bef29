import { appendFileSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { verifyAuditLog } from '@gatehouse/verify';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { SignedHead } from './chain.ts';
import { HeadExport, type HeadSinkState } from './head-export.ts';
import { fileSink, type HeadSink, webhookSink } from './head-sinks.ts';
import { handTimers, intent, START, testFolder, testLog } from './testing.ts';

const head = (seq: number, writer = 'w1'): SignedHead => ({
  stream: 'calls',
  writer,
  seq,
  hash: 'h',
  time: new Date(START).toISOString(),
  key_id: 'k',
  signature: 's',
});

async function until(what: () => boolean): Promise<void> {
  while (!what()) await new Promise((resolve) => setTimeout(resolve, 2));
}

const headsIn = (path: string): SignedHead[] =>
  readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as SignedHead);

/** A sink that takes heads when the test lets it. */
function handSink(batch = 1) {
  const arrived: number[][] = [];
  let fault: Error | undefined;
  let gate: Promise<void> = Promise.resolve();
  const sink: HeadSink = {
    kind: 'webhook',
    target: 'test',
    batch,
    async send(heads) {
      await gate;
      if (fault) throw fault;
      arrived.push(heads.map(({ seq }) => seq));
    },
    close: async () => {},
  };
  return {
    sink,
    arrived,
    fail: (error: Error | undefined) => {
      fault = error;
    },
    hold: () => {
      const held = Promise.withResolvers<void>();
      gate = held.promise;
      return held.resolve;
    },
  };
}

describe('the export of heads', () => {
  it('[AUD-HEADS-OUT] every head of the log stands in the file, synced there first and here before', async () => {
    const path = join(testFolder(), 'heads.jsonl');
    const out = new HeadExport({ sinks: [fileSink(path)], clock: () => START });
    const pushed: SignedHead[] = [];
    const synced: number[] = [];
    const { log, dir, tick } = await testLog({
      headEvery: 5,
      onHead: (one) => {
        pushed.push(one);
        out.push(one);
      },
      fs: {
        sync: (_fd, done) => {
          synced.push(pushed.length);
          setImmediate(() => done(null));
        },
      },
    });
    for (let i = 0; i < 12; i += 1) await log.append(intent(`r${i}`), 'process');
    await until(() => synced.length >= 2);
    tick();
    await log.close();
    await out.close();
    const heads = headsIn(path);
    expect(heads).toEqual(pushed);
    expect(heads.map(({ stream }) => stream).filter((stream) => stream === 'calls').length).toBeGreaterThanOrEqual(3);
    // A head leaves after the sync that holds it: one that the disk lost would look like records that were cut off.
    expect(synced[0]).toBe(0);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    const report = await verifyAuditLog({ dir, publicKeys: [{ publicKey: log.publicKey() }], externalHeads: heads });
    expect(report).toMatchObject({ ok: true, externalHeadHeld: true, externalHeads: { given: heads.length, cut: 0 } });
    expect(out.states[0]).toMatchObject({ sink: 'file', waiting: 0, dropped: 0, failures: 0, target: path });
  });

  it('[AUD-HEADS-OUT] the end that a killed process left unsigned is signed and sent out by the next', async () => {
    const dir = testFolder();
    const first = await testLog({ dir, writer: 'w1' });
    await first.log.append(intent('r'), 'process');
    const pushed: SignedHead[] = [];
    const next = await testLog({ dir, writer: 'w2', onHead: (one) => pushed.push(one) });
    expect(pushed.map(({ stream, writer, seq }) => [stream, writer, seq])).toEqual([
      ['calls', 'w1', 2],
      ['admin', 'w1', 1],
    ]);
    await next.log.close();
  });

  it('[AUD-HEADS-OUT] a file that is away, or ends in a torn line, gets what waited once it is back', async () => {
    const folder = testFolder();
    const path = join(folder, 'mnt', 'heads.jsonl');
    const timers = handTimers();
    const changes: (string | undefined)[] = [];
    const out = new HeadExport({
      sinks: [fileSink(path)],
      clock: () => START,
      schedule: timers.schedule,
      onChange: (state: HeadSinkState) => changes.push(state.error?.slice(0, 6)),
    });
    out.push(head(1));
    await until(() => out.states[0]!.error !== undefined);
    out.push(head(2));
    expect(out.states[0]).toMatchObject({ waiting: 2, failures: 1, error: expect.stringContaining('ENOENT') });
    mkdirSync(join(folder, 'mnt'));
    writeFileSync(path, '{"torn":');
    timers.run();
    await until(() => out.states[0]!.waiting === 0);
    expect(readFileSync(path, 'utf8').split('\n')[0]).toBe('{"torn":');
    expect(out.states[0]).toMatchObject({ failures: 1, last: { seq: 2, exportedAt: new Date(START).toISOString() } });
    expect(out.states[0]!.error).toBeUndefined();
    expect(changes).toEqual(['ENOENT', undefined]);
    appendFileSync(path, '');
    out.push(head(3));
    await out.close();
    expect(
      readFileSync(path, 'utf8')
        .split('\n')
        .slice(1, -1)
        .map((line) => (JSON.parse(line) as SignedHead).seq),
    ).toEqual([1, 2, 3]);
    rmSync(folder, { recursive: true });
  });

  it('[AUD-HEADS-OUT] a dead sink holds a bounded queue, says what it dropped, and gets the newest of each chain', async () => {
    const { sink, arrived, fail } = handSink();
    const timers = handTimers();
    const out = new HeadExport({ sinks: [sink], clock: () => START, schedule: timers.schedule, maxWaiting: 3 });
    fail(new Error('gone'));
    out.push(head(7, 'other'));
    for (let seq = 1; seq <= 10; seq += 1) out.push(head(seq));
    await until(() => out.states[0]!.failures === 1);
    expect(out.states[0]).toMatchObject({ waiting: 3, dropped: 8, error: 'gone' });
    timers.run();
    await until(() => out.states[0]!.failures === 2);
    fail(undefined);
    timers.run();
    await until(() => out.states[0]!.waiting === 0);
    expect(arrived).toEqual([[7], [9], [10]]);
    await out.close();
  });

  it('waits longer after each failure, up to a minute, and begins anew after a success', async () => {
    const { sink, fail } = handSink();
    const waits: number[] = [];
    let again = (): void => {};
    const out = new HeadExport({
      sinks: [sink],
      clock: () => START,
      schedule: (run, milliseconds) => {
        waits.push(milliseconds);
        again = run;
        return { refresh: () => undefined, cancel: () => undefined };
      },
    });
    fail(new Error('gone'));
    out.push(head(1));
    for (let i = 1; i <= 8; i += 1) {
      await until(() => waits.length === i);
      again();
    }
    await until(() => waits.length === 9);
    expect(waits).toEqual([1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000, 60000]);
    fail(undefined);
    again();
    await until(() => out.states[0]!.waiting === 0);
    fail(new Error('gone'));
    out.push(head(2));
    await until(() => waits.length === 10);
    expect(waits.at(-1)).toBe(1000);
    await out.close();
  });

  it('[AUD-HEADS-OUT] a sink that hangs holds up neither the log nor, for long, the end', async () => {
    const { sink, hold } = handSink();
    const release = hold();
    const out = new HeadExport({ sinks: [sink], clock: () => START, closeMs: 20 });
    const { log } = await testLog({ headEvery: 1, onHead: (one) => out.push(one) });
    for (let i = 0; i < 20; i += 1) await log.append(intent(`r${i}`), 'power');
    await log.close();
    expect(out.states[0]!.waiting).toBeGreaterThan(20);
    const began = performance.now();
    await out.close();
    expect(performance.now() - began).toBeLessThan(2_000);
    release();
  });
});

async function receiver(serve: (request: IncomingMessage, response: ServerResponse, body: string) => void) {
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => {
      body += chunk.toString();
    });
    request.on('end', () => serve(request, response, body));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook/secret-part`;
}

describe('the webhook', () => {
  const options = { userAgent: 'gatehouse/test', allow: ['127.0.0.1'] };

  it('[AUD-HEADS-OUT] gets each head as JSON, again after an answer that is no success', async () => {
    const bodies: string[] = [];
    let status = 500;
    const url = await receiver((request, response, body) => {
      bodies.push(`${request.method} ${request.headers['content-type']} ${body}`);
      response.writeHead(status).end();
      status = 204;
    });
    const timers = handTimers();
    const out = new HeadExport({
      sinks: [webhookSink({ ...options, url })],
      clock: () => START,
      schedule: timers.schedule,
    });
    out.push(head(1));
    await until(() => out.states[0]!.failures === 1);
    expect(out.states[0]!.error).toBe('it answered 500');
    expect(out.states[0]!.target).not.toContain('secret-part');
    out.push(head(2));
    timers.run();
    await until(() => out.states[0]!.waiting === 0);
    const expected = [head(1), head(1), head(2)].map((one) => `POST application/json ${JSON.stringify(one)}\n`);
    expect(bodies).toEqual(expected);
    await out.close();
  });

  it('a receiver that never answers is given up', async () => {
    const url = await receiver(() => {});
    const sink = webhookSink({ ...options, url, timeoutMs: 50 });
    await expect(sink.send([head(1)])).rejects.toThrow('did not answer within 50 ms');
    await sink.close();
  });

  it('[AUD-HEADS-OUT] is reached through the egress guard: not public, not listed, not reached', async () => {
    for (const url of [
      'http://heads.example.com/',
      'https://127.0.0.1/',
      'https://localhost/',
      'https://169.254.169.254/',
    ]) {
      expect(() => webhookSink({ url, allow: [], userAgent: 'x' }), url).toThrow(TypeError);
    }
    expect(() => webhookSink({ url: 'https://heads.example.com/', allow: ['not a host!'], userAgent: 'x' })).toThrow(
      'allow list',
    );
    const sink = webhookSink({ url: 'https://heads.example.com/', allow: [], userAgent: 'x' });
    await sink.close();
  });

  it('a redirect is no success, and is not followed', async () => {
    let hits = 0;
    const url = await receiver((_request, response) => {
      hits += 1;
      response.writeHead(302, { location: '/elsewhere' }).end();
    });
    const sink = webhookSink({ ...options, url });
    await expect(sink.send([head(1)])).rejects.toThrow('it answered 302');
    expect(hits).toBe(1);
    await sink.close();
  });
});
