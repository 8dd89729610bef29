// What a real socket does too seldom to be caught at it: faults while it is paused, and late calls of a past exchange.
import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { beforeEach, describe, expect, it } from 'vitest';
import { Connection, Exchange, type ResponseHandler } from './connection.ts';
import { RequestHead } from './request-head.ts';
import { fieldTable } from './response-head.ts';

const HEAD = new RequestHead('example.com', { method: 'POST', path: '/', headers: {} });

/** Keeps what it is told, and pauses after each piece of the body while `pauses`. */
class Teller implements ResponseHandler {
  readonly told: string[] = [];
  exchange: Exchange | undefined;
  pauses = false;

  onConnected(): void {
    this.told.push('connected');
  }
  onHead(status: number): void {
    this.told.push(`head ${status}`);
  }
  onData(chunk: Buffer): void {
    this.told.push(chunk.toString('latin1'));
    if (this.pauses) this.exchange?.pause();
  }
  onEnd(): void {
    this.told.push('end');
  }
  onError(error: Error, handedOver: boolean): void {
    this.told.push(`${error.message} ${handedOver}`);
  }
}

describe('Connection', () => {
  let socket: Duplex;
  let connection: Connection;
  let events: string[];
  let written: Buffer[];

  beforeEach(() => {
    events = [];
    written = [];
    socket = new Duplex({
      read() {},
      write(chunk: Buffer, _encoding, done) {
        written.push(chunk);
        done();
      },
    });
    connection = new Connection(
      { onIdle: (_connection, seconds) => events.push(`idle ${seconds}`), onClosed: () => events.push('closed') },
      fieldTable([]),
    );
    connection.attach(socket as Socket, 'connect');
  });

  const begin = (): Teller => {
    const teller = new Teller();
    teller.exchange = new Exchange(teller, connection);
    connection.begin(teller.exchange, HEAD, HEAD.text({}, undefined), undefined);
    return teller;
  };
  const receive = (text: string): void => connection.read(Buffer.from(text, 'latin1'), text.length, false);
  const CHUNKED = 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n1\r\nb\r\n';

  it('[NET-HTTP-HANDED-OVER] writes nothing, and says so, until it is connected', () => {
    const teller = begin();
    expect([teller.told, written.length]).toEqual([[], 0]);
    socket.emit('error', new Error('refused'));
    expect(teller.told).toEqual(['refused false']);
    expect(events).toEqual(['closed']);
    // Whatever comes late is told to nobody.
    socket.emit('connect');
    socket.emit('error', new Error('again'));
    receive('x');
    expect([teller.told, written.length]).toEqual([['refused false'], 0]);
  });

  it('[NET-HTTP-FLOW] a fault while it is paused comes after what was read before, the end before nothing', () => {
    const teller = begin();
    teller.pauses = true;
    socket.emit('connect');
    receive(CHUNKED);
    socket.emit('error', new Error('reset'));
    expect(teller.told).toEqual(['connected', 'head 200', 'a']);
    teller.exchange?.resume();
    expect(teller.told).toEqual(['connected', 'head 200', 'a', 'b']);
    expect(events).toEqual([]);
    teller.exchange?.resume();
    expect(teller.told).toEqual(['connected', 'head 200', 'a', 'b', 'reset true']);
    expect(events).toEqual(['closed']);
  });

  it.each([
    ['its last chunk', `${CHUNKED}0\r\n\r\n`],
    ['a body that lasts as long', 'HTTP/1.1 200 OK\r\n\r\na'],
  ])('[NET-HTTP-FLOW] the end of the connection waits behind %s while it is paused', (_name, text) => {
    const teller = begin();
    teller.pauses = true;
    socket.emit('connect');
    receive(text);
    socket.emit('end');
    socket.emit('close');
    expect(teller.told).toEqual(['connected', 'head 200', 'a']);
    for (let turn = 0; turn < 3; turn++) teller.exchange?.resume();
    expect(teller.told.at(-1)).toBe('end');
    expect(teller.told).toContain('a');
  });

  it('[NET-HTTP-FLOW] may be paused before it is connected', () => {
    const teller = begin();
    teller.exchange?.pause();
    socket.emit('connect');
    receive('HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\na');
    expect([teller.told, socket.isPaused()]).toEqual([['connected'], true]);
    teller.exchange?.resume();
    expect([teller.told, socket.isPaused()]).toEqual([['connected', 'head 200', 'a', 'end'], false]);
  });

  it('[NET-HTTP-FLOW] a past exchange has no effect on the next one', () => {
    const first = begin();
    socket.emit('connect');
    receive('HTTP/1.1 200 OK\r\ncontent-length: 1\r\nkeep-alive: timeout=9\r\n\r\na');
    expect(events).toEqual(['idle 9']);
    const second = begin();
    first.exchange?.pause();
    first.exchange?.resume();
    first.exchange?.abort();
    receive('HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nb');
    expect(first.told).toEqual(['connected', 'head 200', 'a', 'end']);
    expect(second.told).toEqual(['connected', 'head 200', 'b', 'end']);
    expect(events).toEqual(['idle 9', 'idle -1']);
    expect(written).toHaveLength(2);
  });

  it('[NET-HTTP-FLOW] nothing follows what its handler gave up on', () => {
    const teller = begin();
    socket.emit('connect');
    teller.onHead = () => teller.exchange?.abort();
    receive(`${CHUNKED}0\r\n\r\n`);
    expect(teller.told).toEqual(['connected']);
    expect([events, socket.destroyed]).toEqual([['closed'], true]);
  });
});
