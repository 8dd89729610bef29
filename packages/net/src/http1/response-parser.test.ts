import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fieldTable, MAX_FIELDS } from './response-head.ts';
import { MAX_HEAD_BYTES, MAX_OVERHEAD_BYTES, ResponseParser } from './response-parser.ts';

const TABLE = fieldTable(['content-type', 'mcp-session-id']);
const RUNS = process.env.FC_RUNS === undefined ? 300 : Number(process.env.FC_RUNS);

interface Seen {
  status?: number;
  headers?: Record<string, string | undefined>;
  body: string;
  heads: number;
  ends: number;
  /** Bytes after the end of the response. */
  leftover: number;
  refusal?: string;
  reusable?: boolean;
  keepAlive?: number;
}

/** What is told of a response that comes in these pieces, after which the server ends the connection if it is to. */
function read(pieces: readonly Buffer[], { head = false, close = true } = {}): Seen {
  const seen: Seen = { body: '', heads: 0, ends: 0, leftover: 0 };
  const parser = new ResponseParser(
    {
      onHead(status, headers) {
        seen.heads += 1;
        Object.assign(seen, { status, headers: { ...headers } });
      },
      onBody(chunk, start, end) {
        seen.body += chunk.toString('latin1', start, end);
      },
      onEnd(leftover) {
        seen.ends += 1;
        seen.leftover += leftover;
        Object.assign(seen, { reusable: parser.reusable, keepAlive: parser.keepAlive });
      },
    },
    TABLE,
  );
  parser.begin(head);
  for (const piece of pieces) {
    if (seen.ends > 0) {
      seen.leftover += piece.length;
      continue;
    }
    // A copy that is overwritten after it was read, as the buffer of a socket is.
    const chunk = Buffer.from(piece);
    expect(parser.push(chunk, 0, chunk.length)).toBe(chunk.length);
    chunk.fill(0x58);
    if (parser.refusal !== undefined) return { ...seen, refusal: parser.refusal };
  }
  if (close && seen.ends === 0 && !parser.close()) seen.refusal = 'incomplete';
  return seen;
}

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1');
const whole = (text: string, options?: { head?: boolean; close?: boolean }): Seen => read([bytes(text)], options);
const singly = (text: string): Buffer[] => [...bytes(text)].map((byte) => Buffer.from([byte]));
const LF = (text: string): string => text.replaceAll('\n', '\r\n');

/** Responses as servers send them, with what is read of each. */
const GOOD: Record<string, [string, Partial<Seen>]> = {
  'a length': [
    LF('HTTP/1.1 200 OK\nContent-Type: application/json\nContent-Length: 5\nKeep-Alive: timeout=5\n\nhello'),
    { status: 200, headers: { 'content-type': 'application/json' }, body: 'hello', reusable: true, keepAlive: 5 },
  ],
  'an empty body': [LF('HTTP/1.1 202 Accepted\ncontent-length:0\n\n'), { status: 202, body: '', reusable: true }],
  'no reason': [LF('HTTP/1.1 200\ncontent-length: 1\n\nx'), { body: 'x' }],
  'an empty reason': [LF('HTTP/1.1 200 \ncontent-length: 1\n\nx'), { body: 'x' }],
  'a reason in Latin-1': [LF('HTTP/1.1 404 Pas trouv\xe9\t!\ncontent-length: 1\n\nx'), { status: 404 }],
  'values in Latin-1 with white space around': [
    LF('HTTP/1.1 200 OK\nMCP-Session-ID: \t \xff\tx \t\ncontent-length: 1\n\nx'),
    { headers: { 'mcp-session-id': '\xff\tx' } },
  ],
  'an empty value': [LF('HTTP/1.1 200 OK\ncontent-type:\ncontent-length: 1\n\nx'), { headers: { 'content-type': '' } }],
  'fields nobody asked for, twice': [
    LF('HTTP/1.1 200 OK\nset-cookie: a\nset-cookie: b\n__proto__: x\ncontent-length: 1\n\nx'),
    { headers: {}, body: 'x' },
  ],
  chunks: [
    LF('HTTP/1.1 200 OK\nTransfer-Encoding: Chunked\n\n5\nhello\n0A\n, \r worlds\n0\n\n'),
    { body: 'hello, \r worlds' },
  ],
  'chunk extensions': [
    LF('HTTP/1.1 200 OK\ntransfer-encoding: chunked\n\n5;a;b=c;d="e\\"\xff ;"\nhello\n0;last\n\n'),
    { body: 'hello', reusable: true },
  ],
  trailers: [
    LF('HTTP/1.1 200 OK\ntransfer-encoding: chunked\n\n1\nx\n0\nDigest: abc\ncontent-type: text/evil\n\n'),
    { body: 'x', headers: {}, reusable: true },
  ],
  'a body until the end': [
    LF('HTTP/1.1 200 OK\ncontent-type: text/event-stream\n\ndata: 1\n\n'),
    { body: 'data: 1\r\n\r\n', reusable: false },
  ],
  'HTTP/1.0 until the end': [LF('HTTP/1.0 200 OK\n\nx'), { body: 'x', reusable: false }],
  'HTTP/1.0 with a length': [LF('HTTP/1.0 200 OK\ncontent-length: 1\n\nx'), { body: 'x', reusable: false }],
  'HTTP/1.0 kept alive': [
    LF('HTTP/1.0 200 OK\nconnection: keep-alive\ncontent-length: 1\n\nx'),
    { body: 'x', reusable: true },
  ],
  'a closed connection': [LF('HTTP/1.1 200 OK\nconnection: close\ncontent-length: 1\n\nx'), { reusable: false }],
  'a closed connection among other options': [
    LF('HTTP/1.1 200 OK\nconnection: Keep-Alive, X ,Close\ncontent-length: 1\n\nx'),
    { reusable: false },
  ],
  'interim responses': [
    LF(
      'HTTP/1.1 100 Continue\n\nHTTP/1.1 103 Early Hints\nlink: </x>\nmcp-session-id: no\n\nHTTP/1.1 200 OK\ncontent-length: 1\n\nx',
    ),
    { status: 200, headers: {}, body: 'x', heads: 1, reusable: true },
  ],
  '204': [LF('HTTP/1.1 204 No Content\ncontent-length: 0\n\n'), { status: 204, body: '', reusable: true }],
  '204 that announces a body': [LF('HTTP/1.1 204 No Content\ncontent-length: 3\n\n'), { body: '', reusable: false }],
  '304 with the length of what it is about': [
    LF('HTTP/1.1 304 Not Modified\ncontent-length: 30\n\n'),
    { status: 304, body: '', reusable: true },
  ],
  'identity as an encoding': [LF('HTTP/1.1 200 OK\ncontent-encoding: identity\ncontent-length: 1\n\nx'), { body: 'x' }],
  'what follows the response': [
    LF('HTTP/1.1 200 OK\ncontent-length: 1\n\nxHTTP/1.1 200 OK\ncontent-length: 6\n\nsecond'),
    { body: 'x', leftover: 44 },
  ],
};

const head = (lines: string): string => LF(`HTTP/1.1 200 OK\n${lines}`);

/** Responses that two readers could take for two things, or that go beyond a bound; with a word of the refusal. */
const BAD: Record<string, [string, string]> = {
  'another protocol': [LF('HTTP/2.0 200 OK\n\n'), 'begin with HTTP/1.1'],
  'a lower case protocol': [LF('http/1.1 200 OK\n\n'), 'begin with HTTP/1.1'],
  'no status line': [LF('\nHTTP/1.1 200 OK\n\n'), 'begin with HTTP/1.1'],
  'two digits': [LF('HTTP/1.1 20 OK\n\n'), 'three digits'],
  'four digits': [LF('HTTP/1.1 2000 OK\n\n'), 'three digits'],
  'a status of 099': [LF('HTTP/1.1 099 OK\n\n'), 'three digits'],
  'two spaces': [LF('HTTP/1.1  200 OK\n\n'), 'three digits'],
  'a control character in the reason': [LF('HTTP/1.1 200 O\0K\n\n'), 'control character'],
  'LF alone after the status': ['HTTP/1.1 200 OK\ncontent-length: 0\r\n\r\n', 'CRLF'],
  'LF alone after a field': ['HTTP/1.1 200 OK\r\ncontent-length: 0\n\r\n', 'CRLF'],
  'LF alone at the end': ['HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\n', 'CRLF'],
  'CR alone': ['HTTP/1.1 200 OK\r\nx: a\rcontent-length: 0\r\n\r\n', 'control character'],
  'CR CR LF': ['HTTP/1.1 200 OK\r\nx: a\r\r\n\r\n', 'control character'],
  NUL: [head('x: a\0b\n'), 'control character'],
  DEL: [head('x: a\x7fb\n'), 'control character'],
  'a folded field': [head('x: a\n b: c\n'), 'second line'],
  'a space before the colon': [head('content-length : 0\n'), 'malformed'],
  'no name': [head(': 0\n'), 'malformed'],
  'no colon': [head('content-length\n'), 'malformed'],
  'a name of other letters': [head('cont\xe9nt: 0\n'), 'malformed'],
  'two lengths': [head('content-length: 1\ncontent-length: 1\n\nx'), 'content-length twice'],
  'a list of lengths': [head('content-length: 1, 1\n\nx'), 'not a number'],
  'a signed length': [head('content-length: +1\n\nx'), 'not a number'],
  'a hexadecimal length': [head('content-length: 0x1\n\nx'), 'not a number'],
  'no length': [head('content-length:\n\nx'), 'not a number'],
  'a huge length': [head('content-length: 18446744073709551617\n\nx'), 'not a number'],
  'length and chunks': [head('content-length: 1\ntransfer-encoding: chunked\n\n0\n\n'), 'both'],
  'chunks and length': [head('transfer-encoding: chunked\ncontent-length: 1\n\n0\n\n'), 'both'],
  'another coding': [head('transfer-encoding: gzip, chunked\n\n'), 'another than chunked'],
  'chunked twice': [head('transfer-encoding: chunked\ntransfer-encoding: chunked\n\n'), 'twice'],
  'chunked in a list': [head('transfer-encoding: chunked, chunked\n\n'), 'another than chunked'],
  'chunked with a vertical tab': [head('transfer-encoding: \x0bchunked\n\n'), 'control character'],
  'chunks in HTTP/1.0': [LF('HTTP/1.0 200 OK\ntransfer-encoding: chunked\n\n0\n\n'), 'HTTP/1.0'],
  'an encoding': [head('content-encoding: gzip\ncontent-length: 1\n\nx'), 'content-encoding'],
  'two content types': [head('content-type: a/b\ncontent-type: a/b\n\n'), 'content-type twice'],
  'two sessions': [head('mcp-session-id: a\nMcp-Session-Id: b\n\n'), 'mcp-session-id twice'],
  'another protocol from here on': [LF('HTTP/1.1 101 Switching Protocols\nupgrade: x\n\n'), 'switches protocols'],
  'an interim response with a length': [LF('HTTP/1.1 103 x\ncontent-length: 1\n\nx'), 'interim'],
  'no size': [head('transfer-encoding: chunked\n\n\n'), 'size of a chunk'],
  'a signed size': [head('transfer-encoding: chunked\n\n+1\nx\n0\n\n'), 'size of a chunk'],
  'a size with a prefix': [head('transfer-encoding: chunked\n\n0x1\nx\n0\n\n'), 'size of a chunk'],
  'a huge size': [head('transfer-encoding: chunked\n\n10000000000000001\nx\n0\n\n'), 'size of a chunk'],
  'a space after the size': [head('transfer-encoding: chunked\n\n1 \nx\n0\n\n'), 'size of a chunk'],
  'a nameless extension': [head('transfer-encoding: chunked\n\n1;=a\nx\n0\n\n'), 'size of a chunk'],
  'an open quote': [head('transfer-encoding: chunked\n\n1;a="b\nx\n0\n\n'), 'size of a chunk'],
  'LF alone after the size': [`${head('transfer-encoding: chunked\n\n')}1\nx\r\n0\r\n\r\n`, 'CRLF'],
  'LF alone after a chunk': [`${head('transfer-encoding: chunked\n\n')}1\r\nx\n0\r\n\r\n`, 'CRLF'],
  'a chunk longer than its size': [head('transfer-encoding: chunked\n\n1\nxy\n0\n\n'), 'longer than its size'],
  'a length in the trailers': [head('transfer-encoding: chunked\n\n0\ncontent-length: 3\n\n'), 'trailers'],
  'a folded trailer': [head('transfer-encoding: chunked\n\n0\na: b\n c\n\n'), 'second line'],
  'a large head': [head(`x: ${'y'.repeat(MAX_HEAD_BYTES)}\n\n`), 'head is longer'],
  'a head without end': [head('x: y\n'.repeat(199)) + 'z'.repeat(MAX_HEAD_BYTES), 'head is longer'],
  'interim responses without end': [LF('HTTP/1.1 102 x\n\n').repeat(5_000), 'head is longer'],
  'many fields': [head(`${'x: y\n'.repeat(MAX_FIELDS + 1)}\n`), 'more than 200'],
  'many trailers': [head(`transfer-encoding: chunked\n\n0\n${'x: y\n'.repeat(MAX_FIELDS + 1)}\n`), 'more than 200'],
  'large trailers': [
    head(`transfer-encoding: chunked\n\n0\nx: ${'y'.repeat(MAX_OVERHEAD_BYTES)}\n\n`),
    'trailers are longer',
  ],
  'a large extension': [
    head(`transfer-encoding: chunked\n\n1;${'y'.repeat(MAX_OVERHEAD_BYTES)}\nx\n0\n\n`),
    'extensions are too long',
  ],
  'many extensions': [
    head(`transfer-encoding: chunked\n\n${`1;${'y'.repeat(1_000)}\nx\n`.repeat(17)}0\n\n`),
    'extensions are too long',
  ],
};

/** Ends before the response does. */
const SHORT: Record<string, string> = {
  nothing: '',
  'half a status line': 'HTTP/1.1 2',
  'half a head': LF('HTTP/1.1 200 OK\ncontent-length: 0\n'),
  'half a body': head('content-length: 5\n\nhell'),
  'half a chunk': head('transfer-encoding: chunked\n\n5\nhell'),
  'no last chunk': head('transfer-encoding: chunked\n\n5\nhello\n'),
  'no end of the trailers': head('transfer-encoding: chunked\n\n0\nx: y\n'),
  'an interim response alone': LF('HTTP/1.1 100 Continue\n\n'),
};

describe('ResponseParser', () => {
  it.each(Object.entries(GOOD))('[NET-HTTP-FRAMING] reads %s, however it is cut', (_name, [text, expected]) => {
    const seen = whole(text);
    expect(seen).toMatchObject({ heads: 1, ends: 1, leftover: 0, ...expected });
    expect(seen.refusal).toBeUndefined();
    expect(read(singly(text))).toEqual(seen);
    for (let at = 1; at < text.length; at++) {
      expect(read([bytes(text.slice(0, at)), bytes(text.slice(at))])).toEqual(seen);
    }
  });

  it.each(Object.entries(BAD))('[NET-HTTP-STRICT] refuses %s, however it is cut', (_name, [text, reason]) => {
    const seen = whole(text);
    expect(seen.refusal).toContain(reason);
    expect(seen.ends).toBe(0);
    expect(read(singly(text))).toEqual(seen);
  });

  it.each(Object.entries(SHORT))('[NET-HTTP-FRAMING] takes %s for no response', (_name, text) => {
    expect(whole(text)).toMatchObject({ refusal: 'incomplete', ends: 0 });
    expect(read(singly(text))).toMatchObject({ refusal: 'incomplete', ends: 0 });
  });

  it('[NET-HTTP-FRAMING] reads no body after HEAD', () => {
    const text = LF('HTTP/1.1 200 OK\ncontent-length: 5\n\n');
    expect(whole(text, { head: true, close: false })).toMatchObject({ body: '', ends: 1, reusable: true });
  });

  it('[NET-HTTP-FRAMING] tells nothing while it is paused, and the rest in order after it', () => {
    const text = bytes(head('transfer-encoding: chunked\n\n1\na\n1\nb\n0\n\n'));
    const told: string[] = [];
    const parser = new ResponseParser(
      {
        onHead: () => told.push('head'),
        onBody: (chunk, start, end) => {
          told.push(chunk.toString('latin1', start, end));
          parser.paused = true;
        },
        onEnd: (leftover) => told.push(`end ${leftover}`),
      },
      TABLE,
    );
    parser.begin(false);
    let at = parser.push(text, 0, text.length);
    expect(told).toEqual(['head', 'a']);
    expect(parser.push(text, at, text.length)).toBe(at);
    parser.paused = false;
    at = parser.push(text, at, text.length);
    expect(told).toEqual(['head', 'a', 'b']);
    parser.paused = false;
    expect(parser.push(text, at, text.length)).toBe(text.length);
    expect(told).toEqual(['head', 'a', 'b', 'end 0']);
  });

  const fixtures = [...Object.values(GOOD), ...Object.values(BAD)]
    .map(([text]) => text)
    .filter((text) => text.length < 2_000);

  it('[NET-HTTP-FRAMING] tells the same of what was mutated at random, cut at random, and never more than one response', () => {
    const mutation = fc.record({
      at: fc.nat(),
      length: fc.nat(4),
      put: fc.oneof(
        fc.constantFrom('\r\n', '\n', '\r', ' ', ':', '\0', '0', '1', 'f', ';', ',', '\r\n\r\n', 'chunked'),
        fc.constantFrom(...fixtures),
      ),
    });
    fc.assert(
      fc.property(
        fc.constantFrom(...fixtures),
        fc.array(mutation, { maxLength: 4 }),
        fc.array(fc.nat(), { maxLength: 8 }),
        (fixture, mutations, cuts) => {
          let text = fixture;
          for (const { at, length, put } of mutations) {
            const from = at % (text.length + 1);
            text = text.slice(0, from) + put + text.slice(from + length);
          }
          const seen = whole(text);
          expect(seen.heads).toBeLessThanOrEqual(1);
          expect(seen.ends).toBe(seen.refusal === undefined ? 1 : 0);
          expect(read(singly(text))).toEqual(seen);
          const edges = [0, ...cuts.map((cut) => cut % (text.length + 1)).sort((a, b) => a - b), text.length];
          expect(read(edges.slice(1).map((edge, one) => bytes(text.slice(edges[one], edge))))).toEqual(seen);
        },
      ),
      { numRuns: RUNS },
    );
  });

  it('[NET-HTTP-FRAMING] reads any body as it was written, in any chunks', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ minLength: 1, maxLength: 300, unit: 'binary-ascii' })), (parts) => {
        const text =
          head('transfer-encoding: chunked\n\n') +
          parts.map((part) => `${part.length.toString(16)}\r\n${part}\r\n`).join('') +
          '0\r\n\r\n';
        expect(whole(text)).toMatchObject({ body: parts.join(''), ends: 1, leftover: 0 });
      }),
      { numRuns: RUNS },
    );
  });
});
