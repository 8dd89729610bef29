// The HTTP/1.1 client against servers of Node, well-behaved and not.
import type { Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Bench, Recorder, send, until } from './http1-harness.ts';

let bench: Bench;
beforeEach(() => {
  bench = new Bench();
});
afterEach(() => bench.close());

const answer = (body: string, more = ''): string =>
  `HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\n${more}\r\n${body}`;
const BYTES = (size: number): Buffer => Buffer.alloc(size, 'gatehouse ');

describe('requests', () => {
  it('[NET-HTTP-REQUEST] says exactly what it was given, and what belongs to the connection', async () => {
    let seen = '';
    const origin = await bench.raw((socket) =>
      socket.on('data', (chunk: Buffer) => {
        seen += chunk.toString('latin1');
        socket.write(answer('ok'));
      }),
    );
    const pool = bench.pool(origin);
    const head = pool.prepare({ method: 'POST', path: '/mcp?a=b', headers: { Accept: 'text/x', 'x-one': '\xfc' } });
    const recorder = new Recorder();
    pool.request(head, { 'mcp-session-id': 's', accept: 'other' }, Buffer.from('{}'), recorder);
    await recorder.done;
    expect(seen).toBe(
      `POST /mcp?a=b HTTP/1.1\r\nhost: ${origin.slice(7)}\r\nconnection: keep-alive\r\naccept: text/x\r\n` +
        'x-one: \xfc\r\nmcp-session-id: s\r\ncontent-length: 2\r\n\r\n{}',
    );
    seen = '';
    await send(pool, { method: 'GET' }).done;
    expect(seen).not.toContain('content-length');
    seen = '';
    await send(pool, { body: Buffer.alloc(0) }).done;
    expect(seen).toContain('content-length: 0\r\n\r\n');
  });

  it.each([
    ['a line break in a value', { a: 'b\r\nc: d' }],
    ['a line feed', { a: 'b\nc' }],
    ['NUL', { a: 'b\0c' }],
    ['a space before', { a: ' b' }],
    ['a tab after', { a: 'b\t' }],
    ['letters beyond Latin-1', { a: 'č' }],
    ['letters whose low byte is a line break', { a: 'b\u010a' }],
    ['a name that is none', { 'a b': 'c' }],
    ['a name with a colon', { 'a:b': 'c' }],
    ['a name in upper case', { Host: 'c' }],
    ['no name', { '': 'c' }],
    ['a host', { host: 'elsewhere' }],
    ['a length', { 'content-length': '3' }],
    ['a transfer coding', { 'transfer-encoding': 'chunked' }],
    ['an expectation', { expect: '100-continue' }],
    ['a coding that is not read', { 'accept-encoding': 'gzip' }],
  ])('[NET-HTTP-REQUEST] refuses %s before it connects', async (_name, headers) => {
    const pool = bench.pool(await bench.script(answer('ok')));
    const recorder = new Recorder();
    expect(() => send(pool, { headers: headers as Record<string, string> }, recorder)).toThrow(
      expect.objectContaining({ code: 'INVALID_REQUEST', message: expect.not.stringContaining('elsewhere') }),
    );
    await send(pool).done;
    expect(recorder.told).toEqual([]);
    expect(bench.accepted).toBe(1);
  });

  it('[NET-HTTP-REQUEST] refuses a prepared head that is none', async () => {
    const pool = bench.pool('http://127.0.0.1:9');
    const invalid = expect.objectContaining({ code: 'INVALID_REQUEST' });
    expect(() => pool.prepare({ method: 'GET', path: '/a b', headers: {} })).toThrow(invalid);
    expect(() => pool.prepare({ method: 'GET', path: 'a', headers: {} })).toThrow(invalid);
    expect(() => pool.prepare({ method: 'GET', path: '/', headers: { HOST: 'a' } })).toThrow(invalid);
    expect(() => pool.prepare({ method: 'GET', path: '/', headers: { a: 'b', A: 'c' } })).toThrow(invalid);
    expect(() => bench.pool('ftp://127.0.0.1')).toThrow(invalid);
  });

  it.each([0, 1, 1_000, 32_768, 32_769, 3_000_000])(
    '[NET-HTTP-REQUEST] sends %i bytes and reads them back',
    async (size) => {
      const pool = bench.pool(await bench.http((request, response) => void request.pipe(response)));
      const body = BYTES(size);
      const { chunks, status } = await send(pool, { body }).done;
      expect(status).toBe(200);
      expect(Buffer.concat(chunks).equals(body)).toBe(true);
    },
  );
});

describe('connections', () => {
  it('[NET-HTTP-REUSE] are used again, the last used first', async () => {
    const pool = bench.pool(await bench.http((_request, response) => response.end('ok')));
    for (let turn = 0; turn < 5; turn++) expect((await send(pool, { method: 'GET' }).done).body).toBe('ok');
    expect(bench.accepted).toBe(1);
    await Promise.all(Array.from({ length: 8 }, () => send(pool).done));
    expect(bench.accepted).toBe(8);
    await Promise.all(Array.from({ length: 8 }, () => send(pool).done));
    expect(bench.accepted).toBe(8);
  });

  it('[NET-HTTP-REUSE] take a request that is sent from the end of the one before', async () => {
    const pool = bench.pool(await bench.http((request, response) => void request.pipe(response)));
    const second = new Recorder();
    const first = new Recorder();
    first.during = (what) => {
      if (what === 'end') send(pool, { body: Buffer.from('second') }, second);
    };
    send(pool, { body: Buffer.from('first') }, first);
    expect((await second.done).body).toBe('second');
    expect(first.told.filter((what) => what !== 'data')).toEqual(['connected', 'head', 'end']);
    expect(bench.accepted).toBe(1);
  });

  it.each([
    ['the server closes it', answer('ok', 'connection: close\r\n')],
    ['the server speaks 1.0', 'HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok'],
    ['the server keeps it too short a time', answer('ok', 'keep-alive: timeout=1\r\n')],
    ['bytes follow the response', `${answer('ok')}HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil`],
  ])('[NET-HTTP-REUSE] are not used again where %s', async (_name, first) => {
    const pool = bench.pool(await bench.script(first));
    expect((await send(pool).done).body).toBe('ok');
    expect((await send(pool).done).body).toBe('ok');
    expect(bench.accepted).toBe(2);
  });

  it('[NET-HTTP-REUSE] are closed by any byte that comes while nothing was asked', async () => {
    let last: Socket | undefined;
    const origin = await bench.raw((socket) => {
      last = socket;
      socket.on('data', () => socket.write(answer('ok')));
    });
    const pool = bench.pool(origin);
    expect((await send(pool).done).body).toBe('ok');
    last?.write(answer('evil'));
    await until(() => bench.open === 0);
    expect((await send(pool).done).body).toBe('ok');
    expect(bench.accepted).toBe(2);
  });

  it('[NET-HTTP-REUSE] that the server closed are never used', async () => {
    const sockets: Socket[] = [];
    const origin = await bench.raw((socket) => {
      sockets.push(socket);
      socket.on('data', () => socket.write(answer('ok')));
    });
    const pool = bench.pool(origin);
    for (let turn = 0; turn < 5; turn++) {
      expect((await send(pool).done).body).toBe('ok');
      if (turn % 2 === 0) sockets.at(-1)?.end();
      else sockets.at(-1)?.resetAndDestroy();
      await until(() => bench.open === 0);
    }
    expect(bench.accepted).toBe(5);
  });

  it('[NET-HTTP-REUSE] are closed when they were idle for long enough, or for as long as the server said', async () => {
    let now = 0;
    const clock = (): number => now;
    const hinted = bench.pool(await bench.script(answer('ok', 'Keep-Alive: max=5, timeout=3\r\n')), { clock });
    await send(hinted).done;
    now = 1_990;
    await send(hinted).done;
    expect(bench.accepted).toBe(1);
    now += 2_000;
    await send(hinted).done;
    expect(bench.accepted).toBe(2);

    const swept = bench.pool(await bench.script(answer('ok')), { keepAliveMs: 40 });
    await send(swept).done;
    const open = bench.open;
    await until(() => bench.open === open - 1);
  });

  it('[NET-HTTP-REUSE] are not used again where the request was not written whole', async () => {
    const pool = bench.pool(
      await bench.raw((socket) => {
        socket.once('data', () => {
          socket.pause();
          socket.write(answer('early'));
        });
      }),
    );
    // More than the buffers of both sides hold.
    expect((await send(pool, { body: BYTES(16_000_000) }).done).body).toBe('early');
    await until(() => bench.open === 1);
    expect((await send(pool, { body: Buffer.from('x') }).done).body).toBe('early');
    expect(bench.accepted).toBe(2);
  });
});

describe('responses of real servers', () => {
  it('[NET-HTTP-FRAMING] in chunks, in drips, with interim ones before', async () => {
    const pool = bench.pool(
      await bench.http((_request, response) => {
        response.writeContinue();
        response.writeEarlyHints({ link: '</style.css>; rel=preload' });
        response.writeHead(200, { 'content-type': 'text/event-stream', 'mcp-session-id': 'abc' });
        let left = 5;
        const timer = setInterval(() => {
          left -= 1;
          if (left > 0) return void response.write(`data: ${left}\n\n`);
          clearInterval(timer);
          response.end();
        }, 2);
      }),
    );
    for (let turn = 0; turn < 2; turn++) {
      const recorder = await send(pool, { method: 'GET' }).done;
      expect(recorder.headers).toEqual({ 'content-type': 'text/event-stream', 'mcp-session-id': 'abc' });
      expect(recorder.body).toBe('data: 4\n\ndata: 3\n\ndata: 2\n\ndata: 1\n\n');
      expect(recorder.told.filter((what) => what !== 'data')).toEqual(['connected', 'head', 'end']);
    }
    expect(bench.accepted).toBe(1);
  });

  it('[NET-HTTP-FRAMING] that end with the connection', async () => {
    const origin = await bench.raw((socket) =>
      socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\n\r\nuntil the end')),
    );
    expect((await send(bench.pool(origin)).done).body).toBe('until the end');
  });

  it.each([
    ['ends the connection', (socket: Socket) => socket.end()],
    ['ends it in the head', (socket: Socket) => socket.end('HTTP/1.1 200 OK\r\n')],
    ['ends it in the body', (socket: Socket) => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nx')],
    ['resets it', (socket: Socket) => socket.resetAndDestroy()],
  ])(
    '[NET-HTTP-HANDED-OVER] a server that %s is one error, after a byte was handed over, and no retry',
    async (_name, act) => {
      let requests = 0;
      const origin = await bench.raw((socket) =>
        socket.once('data', () => {
          requests += 1;
          act(socket);
        }),
      );
      const recorder = await send(bench.pool(origin), { body: BYTES(10) }).done;
      expect(recorder.error?.code).toBe('ECONNRESET');
      expect(recorder.handedOver).toBe(true);
      expect(recorder.told.filter((what) => what === 'error' || what === 'end')).toEqual(['error']);
      await until(() => bench.open === 0);
      expect(requests).toBe(1);
    },
  );

  it('[NET-HTTP-STRICT] a response that breaks the protocol is one error that says what is wrong', async () => {
    const origin = await bench.script(
      'HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
    );
    const recorder = await send(bench.pool(origin)).done;
    expect(recorder.error).toMatchObject({
      code: 'INVALID_RESPONSE',
      message: 'it has both content-length and transfer-encoding',
    });
    expect(recorder.told).toEqual(['connected', 'error']);
    await until(() => bench.open === 0);
  });
});

describe('what cannot be connected', () => {
  it('[NET-HTTP-HANDED-OVER] is refused without a byte handed over', async () => {
    const origin = await bench.script('');
    await bench.close();
    const recorder = send(bench.pool(origin));
    expect(recorder.told).toEqual([]);
    await recorder.done;
    expect([recorder.error?.code, recorder.handedOver, recorder.told]).toEqual(['ECONNREFUSED', false, ['error']]);
  });

  it('[NET-HTTP-HANDED-OVER] runs out of time, TLS included', async () => {
    const origin = await bench.raw((socket) => void socket.resume());
    const pool = bench.pool(origin.replace('http:', 'https:'), { connectTimeoutMs: 40 });
    const recorder = await send(pool).done;
    expect([recorder.error?.code, recorder.handedOver]).toEqual(['ETIMEDOUT', false]);
    await until(() => bench.open === 0);
  });

  it('[NET-HTTP-HANDED-OVER] is nothing any more when it was given up', async () => {
    const pool = bench.pool(await bench.script(answer('ok')));
    const recorder = send(pool);
    recorder.exchange?.abort();
    await send(pool).done;
    expect(recorder.told).toEqual([]);
  });
});
