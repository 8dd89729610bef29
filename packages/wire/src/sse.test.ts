import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bytesOf, runs } from '../test/arbitraries.ts';
import { encodeSse, SseParser, sseComment } from './sse.ts';

type Seen = { event?: string; data: string; id?: string; retry?: number } | { comment: string };

function parse(chunks: Uint8Array[], maxEventBytes = 1e6): { seen: Seen[]; refusal: string | undefined } {
  const seen: Seen[] = [];
  const parser = new SseParser({
    maxEventBytes,
    onEvent: (event) => seen.push({ ...event, data: new TextDecoder('utf-8', { ignoreBOM: true }).decode(event.data) }),
    onComment: (comment) => seen.push({ comment }),
  });
  let refusal: string | undefined;
  for (const chunk of chunks) {
    refusal = parser.push(chunk);
    // A caller may use its buffer again.
    chunk.fill(0x58);
  }
  return { seen, refusal };
}

const one = (text: string): Seen[] => parse([bytesOf(text)]).seen;

/** Cuts bytes at the given places. */
function split(bytes: Uint8Array, cuts: number[]): Uint8Array[] {
  const places = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).toSorted((a, b) => a - b), bytes.length];
  return places.slice(1).map((end, i) => bytes.slice(places[i], end));
}

describe('SseParser', () => {
  it('[WIRE-SSE] reads fields, comments and joined data', () => {
    expect(one(': hello\nevent: message\nid: 7\nretry: 1500\ndata: a\ndata:b\ndata\n\n')).toEqual([
      { comment: 'hello' },
      { event: 'message', id: '7', retry: 1500, data: 'a\nb\n' },
    ]);
  });

  it('[WIRE-SSE] takes exactly one space after the colon, and fields without a colon', () => {
    expect(one('data:  x\n\n')).toEqual([{ data: ' x' }]);
    expect(one('data:{"a": 1}\nfoo: bar\nData: no\n\n')).toEqual([{ data: '{"a": 1}' }]);
    expect(one('id\ndata: x\n\n')).toEqual([{ id: '', data: 'x' }]);
  });

  it('[WIRE-SSE] ends lines at LF, CR and CRLF', () => {
    for (const end of ['\n', '\r', '\r\n']) {
      expect(one(`data: a${end}data: b${end}${end}data: c${end}${end}`)).toEqual([{ data: 'a\nb' }, { data: 'c' }]);
    }
    expect(one('data: a\r\n\ndata: b\n\r')).toEqual([{ data: 'a' }, { data: 'b' }]);
  });

  it('[WIRE-SSE] passes over a byte order mark at the start alone', () => {
    expect(one('\ufeffdata: a\n\n\ufeffdata: b\n\ndata: \ufeffc\n\n')).toEqual([{ data: 'a' }, { data: '\ufeffc' }]);
    expect(parse([Uint8Array.of(0xef, 0xbb), Uint8Array.of(0xbf), bytesOf('data: a\n\n')]).seen).toEqual([
      { data: 'a' },
    ]);
    // Half a mark is the start of an unknown field.
    expect(parse([Uint8Array.of(0xef, 0xbb), bytesOf('data: a\ndata: b\n\n')]).seen).toEqual([{ data: 'b' }]);
  });

  it('[WIRE-SSE] passes on blocks that give only an id or a delay, and drops empty ones', () => {
    expect(one('id: 5\ndata:\n\n')).toEqual([{ id: '5', data: '' }]);
    expect(one('id: 5\n\nretry: 10\n\nevent: x\n\n\n\ndata: y\n\n')).toEqual([
      { id: '5', data: '' },
      { retry: 10, data: '' },
      { data: 'y' },
    ]);
  });

  it('[WIRE-SSE] ignores an id with NUL and a delay that is no number', () => {
    expect(one('id: a\0b\nretry: 1e3\ndata: x\n\n')).toEqual([{ data: 'x' }]);
  });

  it('does not dispatch what the end of the stream cuts off', () => {
    expect(one('data: a\n\ndata: b\n')).toEqual([{ data: 'a' }]);
  });

  it('[WIRE-SSE] sees the same events however the stream is cut', () => {
    const piece = fc.constantFrom(
      'data: {"a":1}',
      'data:é\u{1f600}',
      ': c',
      'id: 1',
      'event: e',
      'retry: 5',
      '',
      '',
      'data',
      '\ufeff',
      'x: y',
    );
    const line = fc.tuple(piece, fc.constantFrom('\n', '\r', '\r\n')).map((parts) => parts.join(''));
    fc.assert(
      fc.property(fc.array(line, { maxLength: 20 }), fc.array(fc.nat(400), { maxLength: 10 }), (lines, cuts) => {
        const text = lines.join('');
        expect(parse(split(bytesOf(text), cuts)).seen).toEqual(one(text));
        expect(parse([...bytesOf(text)].map((byte) => Uint8Array.of(byte))).seen).toEqual(one(text));
      }),
      runs(300),
    );
  });

  it('[WIRE-SSE] gives up above the limit, in one line, in many, and without an end', () => {
    expect(parse([bytesOf(`data: ${'x'.repeat(94)}\n\n`)], 100)).toMatchObject({ refusal: undefined, seen: [{}] });
    expect(parse([bytesOf(`data: ${'x'.repeat(95)}\n\n`)], 100).refusal).toBe('an event is larger than 100 bytes');
    expect(parse([bytesOf('data: 123456789\n'.repeat(11))], 100).refusal).toBeDefined();
    const endless = parse(
      Array.from({ length: 20 }, () => bytesOf('data: 1234')),
      100,
    );
    expect(endless).toMatchObject({ seen: [], refusal: 'an event is larger than 100 bytes' });
    expect(parse([bytesOf('data: 1\n\n'.repeat(50))], 100).refusal).toBeUndefined();
  });

  it('keeps what a Buffer held, though the caller uses it again', () => {
    const chunks = ['data: 123', '4\ndata: 5\n', '\n'].map((text) => Buffer.from(text));
    expect(parse(chunks).seen).toEqual([{ data: '1234\n5' }]);
  });

  it('takes nothing more once it has given up', () => {
    const { seen } = parse([bytesOf(`data: ${'x'.repeat(200)}\n\n`), bytesOf('data: a\n\n')], 100);
    expect(seen).toEqual([]);
  });
});

describe('encodeSse', () => {
  it('[WIRE-SSE] is read back as it was, whatever the data', () => {
    const text = fc.string({ unit: fc.constantFrom('a', ' ', ':', '\n', '\r', '\r\n', 'é', '\0'), maxLength: 12 });
    const word = fc.string({ unit: fc.constantFrom('a', ' b', ':', 'é'), minLength: 1, maxLength: 5 });
    const none = { nil: undefined };
    fc.assert(
      fc.property(
        text,
        fc.option(word, none),
        fc.option(word, none),
        fc.option(fc.nat(), none),
        (data, id, event, retry) => {
          const fields = {
            ...(id === undefined ? {} : { id }),
            ...(event === undefined ? {} : { event }),
            ...(retry === undefined ? {} : { retry }),
          };
          const bytes = encodeSse({ ...fields, data: bytesOf(data) });
          expect(parse([bytes.slice()]).seen).toEqual([{ ...fields, data: data.replaceAll(/\r\n|\r/g, '\n') }]);
          expect(encodeSse({ ...fields, data })).toEqual(bytes);
        },
      ),
      runs(300),
    );
  });

  it('writes no data line where there is no data', () => {
    expect(new TextDecoder().decode(encodeSse({ id: '3', retry: 5 }))).toBe('id: 3\nretry: 5\n\n');
  });

  it('[WIRE-SSE] refuses fields that would open another field', () => {
    expect(() => encodeSse({ event: 'a\ndata: b' })).toThrow(TypeError);
    expect(() => encodeSse({ id: 'a\rb' })).toThrow(TypeError);
    expect(() => encodeSse({ id: 'a\0b' })).toThrow(TypeError);
    expect(() => encodeSse({ retry: 1.5 })).toThrow(TypeError);
    expect(() => encodeSse({ retry: -1 })).toThrow(TypeError);
  });
});

describe('sseComment', () => {
  it('[WIRE-SSE] is a comment, whatever the text', () => {
    expect(parse([sseComment('keep\ndata: x\r\nid: 1')]).seen).toEqual([
      { comment: 'keep' },
      { comment: 'data: x' },
      { comment: 'id: 1' },
    ]);
  });
});
