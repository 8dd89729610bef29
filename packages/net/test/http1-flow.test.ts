// Back-pressure, giving up, ending, and what is left of it all: nothing.
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Bench, Recorder, send, until } from './http1-harness.ts';

let bench: Bench;
beforeEach(() => {
  bench = new Bench();
});
afterEach(() => bench.close());

/** Pauses at each piece of the body, and goes on a little later. */
function hesitant(wait: (resume: () => void) => void): Recorder {
  const recorder = new Recorder();
  let paused = false;
  recorder.during = (what) => {
    // Nothing is told while it is paused.
    expect(paused).toBe(false);
    if (what !== 'data') return;
    paused = true;
    recorder.exchange?.pause();
    wait(() => {
      paused = false;
      recorder.exchange?.resume();
    });
  };
  return recorder;
}

describe('back-pressure', () => {
  const SIZE = 2_000_000;
  it.each([
    ['with a length', (response: ServerResponse) => response.end(Buffer.alloc(SIZE, 'x'))],
    [
      'in chunks',
      (response: ServerResponse) => {
        for (let at = 0; at < SIZE; at += 5_000) response.write(Buffer.alloc(5_000, 'x'));
        response.end();
      },
    ],
  ])('[NET-HTTP-FLOW] a body %s comes whole through pauses, and its end after it', async (_name, act) => {
    const pool = bench.pool(await bench.http((_request, response) => void act(response)));
    for (const wait of [setImmediate, queueMicrotask, (resume: () => void) => resume()]) {
      const recorder = await send(pool, { method: 'GET' }, hesitant(wait)).done;
      expect(recorder.chunks.reduce((sum, chunk) => sum + chunk.length, 0)).toBe(SIZE);
      expect(recorder.told.at(-1)).toBe('end');
    }
    expect(bench.accepted).toBe(1);
  });

  it('[NET-HTTP-FLOW] a body that ends with the connection comes whole through pauses', async () => {
    const origin = await bench.raw((socket) =>
      socket.once('data', () => {
        socket.write('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n1\r\nb\r\n');
        socket.end('1\r\nc\r\n0\r\n\r\n');
      }),
    );
    const recorder = await send(
      bench.pool(origin),
      {},
      hesitant((resume) => setTimeout(resume, 20)),
    ).done;
    expect([recorder.body, recorder.told.at(-1)]).toEqual(['abc', 'end']);

    const open = await bench.raw((socket) => socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\n\r\nabc')));
    const second = await send(
      bench.pool(open),
      {},
      hesitant((resume) => setTimeout(resume, 20)),
    ).done;
    expect([second.body, second.told.at(-1)]).toEqual(['abc', 'end']);
  });

  it('[NET-HTTP-FLOW] a server whose client does not read is held back', async () => {
    let written = 0;
    const origin = await bench.http((_request, response) => {
      const pour = (): void => {
        while (written < 64_000_000) {
          written += 65_536;
          if (!response.write(Buffer.alloc(65_536))) return void response.once('drain', pour);
        }
        response.end();
      };
      pour();
    });
    const recorder = new Recorder();
    recorder.during = (what) => {
      if (what === 'data') recorder.exchange?.pause();
    };
    send(bench.pool(origin), { method: 'GET' }, recorder);
    let rested = 0;
    for (let before = -1; rested < 5 || written === 0; before = written) {
      rested = before === written ? rested + 1 : 0;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    // What the buffers of both systems take.
    expect(written).toBeLessThan(16_000_000);
    expect(recorder.told).toEqual(['connected', 'head', 'data']);
  });

  it('[NET-HTTP-FLOW] an error comes after what was read before it', async () => {
    let server: Socket | undefined;
    const origin = await bench.raw((socket) => {
      server = socket;
      socket.once('data', () =>
        socket.write('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n1\r\nb\r\n!\r\n'),
      );
    });
    const recorder = new Recorder();
    let resume = (): void => {};
    const held = new Promise<void>((resolve) => {
      recorder.during = (what) => {
        if (what !== 'data' || recorder.chunks.length > 1) return;
        recorder.exchange?.pause();
        resume = () => recorder.exchange?.resume();
        resolve();
      };
    });
    send(bench.pool(origin), {}, recorder);
    await held;
    server?.resetAndDestroy();
    await until(() => bench.open === 0);
    resume();
    await recorder.done;
    expect(recorder.told).toEqual(['connected', 'head', 'data', 'data', 'error']);
  });
});

describe('giving up', () => {
  it.each(['connected', 'head', 'data'])(
    '[NET-HTTP-FLOW] at "%s" closes the connection and tells nothing more',
    async (moment) => {
      const origin = await bench.http((_request, response) => {
        response.write('first');
        response.end('second');
      });
      const pool = bench.pool(origin);
      await send(pool, { method: 'GET' }).done;
      const recorder = new Recorder();
      recorder.during = (what) => {
        if (what === moment) recorder.exchange?.abort();
      };
      const head = pool.prepare({ method: 'GET', path: '/', headers: {} });
      recorder.exchange = pool.request(head, {}, undefined, recorder);
      // The first moment comes inside `request`, before there is an exchange.
      if (moment === 'connected') recorder.exchange.abort();
      await until(() => bench.open === 0);
      expect(recorder.told.at(-1)).toBe(moment);
      // Nothing of it has an effect on the next one.
      const next = send(pool, { method: 'GET' });
      recorder.exchange.pause();
      recorder.exchange.abort();
      recorder.exchange.resume();
      expect((await next.done).body).toBe('firstsecond');
    },
  );

  it('[NET-HTTP-FLOW] an exception of the handler ends its exchange alone', async () => {
    const pool = bench.pool(await bench.http((_request, response) => response.end('ok')));
    const recorder = new Recorder();
    recorder.during = (what) => {
      if (what === 'head') throw new TypeError('broken');
    };
    await send(pool, {}, recorder).done;
    expect(recorder.told).toEqual(['connected', 'head', 'error']);
    expect(recorder.error?.message).toBe('broken');
    await send(pool, {}).done;
    const early = new Recorder();
    early.during = () => {
      throw new TypeError('broken');
    };
    expect(() => send(pool, {}, early)).toThrow('broken');
    expect(early.told).toEqual(['connected']);
    expect((await send(pool, {}).done).body).toBe('ok');
  });

  it('[NET-HTTP-FLOW] a pool that ends tells all its exchanges, and takes no more', async () => {
    const origin = await bench.http((request, response) => {
      if (request.method === 'GET') response.write('open');
    });
    const pool = bench.pool(origin);
    const streaming = send(pool, { method: 'GET' });
    await until(() => streaming.told.includes('data'));
    const waiting = send(pool, {});
    await until(() => waiting.told.includes('connected'));
    const connecting = send(pool, {});
    pool.destroy();
    for (const { told, error, handedOver } of [streaming, waiting, connecting]) {
      expect(told.at(-1)).toBe('error');
      expect(error?.code).toBe('POOL_DESTROYED');
      expect(handedOver).toBe(told.includes('connected'));
    }
    expect(() => send(pool, {})).toThrow(expect.objectContaining({ code: 'POOL_DESTROYED' }));
    await until(() => bench.open === 0);
  });
});

it('[NET-HTTP-FLOW] 1,000 exchanges of every fate leave no socket, timer or listener', async () => {
  const resources = (): string[] => process.getActiveResourcesInfo().filter((one) => /TCP|TLS|Timeout/.test(one));
  const bystanders = resources().length;
  const fates = ['ok', 'chunked', 'close', 'reset', 'garbage', 'extra', 'abort', 'silent', 'pause'];
  let request = 0;
  const origin = await bench.raw((socket) => {
    socket.on('data', (chunk: Buffer) => {
      const fate = /fate: (\w+)/.exec(chunk.toString('latin1'))?.[1];
      if (fate === 'reset') socket.resetAndDestroy();
      else if (fate === 'close') socket.end('HTTP/1.1 200 OK\r\n\r\nok');
      else if (fate === 'garbage') socket.write('garbage\r\n\r\n');
      else if (fate === 'chunked')
        socket.write('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n');
      else if (fate !== 'silent')
        socket.write(`HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok${fate === 'extra' ? 'x' : ''}`);
    });
  });
  const pool = bench.pool(origin);
  const one = async (): Promise<void> => {
    const fate = fates[request++ % fates.length] as string;
    const recorder = fate === 'pause' ? hesitant(setImmediate) : new Recorder();
    if (fate === 'abort') recorder.during = (what) => what === 'head' && recorder.exchange?.abort();
    send(pool, { headers: { fate } }, recorder);
    if (fate === 'silent') setImmediate(() => recorder.exchange?.abort());
    if (fate === 'abort') await until(() => recorder.told.includes('head'));
    else if (fate !== 'silent') await recorder.done;
    const last = recorder.told.filter((what) => what === 'end' || what === 'error');
    const expected = ['reset', 'garbage'].includes(fate)
      ? ['error']
      : ['abort', 'silent'].includes(fate)
        ? []
        : ['end'];
    expect([fate, last]).toEqual([fate, expected]);
  };
  for (let round = 0; round < 50; round++) await Promise.all(Array.from({ length: 20 }, one));
  pool.destroy();
  await bench.close();
  await until(() => resources().length <= bystanders);
}, 30_000);
