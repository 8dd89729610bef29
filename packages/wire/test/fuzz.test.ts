import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  checkValue,
  InexactNumber,
  type JsonValue,
  type Message,
  type Refusal,
  readMessage,
  readReply,
  readString,
  readValue,
} from '../src/index.ts';
import { bytesOf, jsonText, messageText, mutate, mutation, runs } from './arbitraries.ts';
import { naiveRead, naiveValue } from './naive.ts';

const decode = (bytes: Uint8Array): string => new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes);
const MALFORMED = new Set([
  'empty',
  'byte_order_mark',
  'invalid_utf8',
  'syntax',
  'control_character',
  'lone_surrogate',
  'trailing_bytes',
]);

/** Which fault of two is named may differ where two are there; the class may not. */
function classOf(reason: string): string {
  if (MALFORMED.has(reason)) return 'malformed';
  return reason === 'duplicate_key' || reason === 'folded_key' ? 'keys' : reason;
}

function agree(bytes: Uint8Array): void {
  const read = readMessage(bytes);
  const naive = naiveRead(bytes);
  if (naive.ok) {
    expect(read, decode(bytes)).toMatchObject({ ok: true, kind: naive.kind, inexactNumbers: naive.inexact });
    checkSpans(read as Message);
    return;
  }
  expect(read.ok, `${decode(bytes)} is refused by the naive reader: ${naive.reason}`).toBe(false);
  const refusal = read as Refusal;
  expect(refusal.code).toBe(MALFORMED.has(refusal.reason) ? -32700 : -32600);
  // The naive reader decodes the whole body first, so that it names bad UTF-8 even behind another fault.
  if (naive.reason !== 'invalid_utf8') expect(classOf(refusal.reason), decode(bytes)).toBe(classOf(naive.reason));
}

function checkSpans(message: Message): void {
  const whole = naiveValue(decode(message.bytes)) as Record<string, unknown>;
  const at = (span: { start: number; end: number } | undefined): unknown =>
    span === undefined ? undefined : naiveValue(decode(message.bytes.subarray(span.start, span.end)));
  const params = whole.params as Record<string, unknown> | undefined;
  expect(at(message.idSpan)).toEqual(whole.id);
  expect(at(message.paramsSpan)).toEqual(params);
  expect(at(message.result)).toEqual(whole.result);
  expect(at(message.error)).toEqual(whole.error);
  expect(message.method).toBe(whole.method);
  if (message.argumentsSpan !== undefined) expect(at(message.argumentsSpan)).toEqual(params?.arguments);
  if (message.name !== undefined) expect(message.name).toBe(params?.name);
  expect(new Set(message.params?.keys())).toEqual(new Set(Object.keys(params ?? {})));
  for (const key of message.params?.keys() ?? []) expect(at(message.params?.get(key))).toEqual(params?.[key]);
  const meta = Object.hasOwn(params ?? {}, '_meta') ? (params?._meta as Record<string, unknown>) : undefined;
  for (const key of message.meta?.keys() ?? []) expect(at(message.meta?.get(key))).toEqual(meta?.[key]);
}

const VALID = [
  '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"get_x","arguments":{"é":"\\ud83d\\ude00 ü","n":[1,2.5e3,{"a":null}]},"_meta":{"progressToken":"t"}}}',
  '{"jsonrpc":"2.0","id":"s-1","method":"resources/read","params":{"uri":"file:///tmp/ä"}}',
  '{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}',
  '{"jsonrpc":"2.0","id":7,"result":{"action":"accept","content":{"a":true}}}',
];

describe('readMessage against a naive reader', () => {
  it('[P2] agrees on generated messages', () => {
    fc.assert(
      fc.property(messageText, (text) => agree(bytesOf(text))),
      runs(1500),
    );
  });

  it('[P2] agrees on mutated messages', () => {
    fc.assert(
      fc.property(fc.constantFrom(...VALID), fc.array(mutation, { minLength: 1, maxLength: 3 }), (text, mutations) =>
        agree(mutations.reduce(mutate, bytesOf(text))),
      ),
      runs(2000),
    );
  });

  it('[P2] agrees on mutated generated messages', () => {
    fc.assert(
      fc.property(messageText, mutation, (text, change) => agree(mutate(bytesOf(text), change))),
      runs(800),
    );
  });

  it('[P2] agrees on every truncation and on every byte in every place of a short message', () => {
    const bytes = bytesOf('{"jsonrpc":"2.0","id":1,"method":"é\\n"}');
    for (let at = 0; at <= bytes.length; at++) {
      agree(bytes.subarray(0, at));
      for (let byte = 0; byte < 256; byte++) agree(mutate(bytes, { at, kind: 'flip', byte }));
    }
  });

  it('[P2] agrees on arguments nested up to and beyond the limit', () => {
    for (const depth of [61, 62, 63, 64, 500]) {
      const nested = `${'['.repeat(depth)}${']'.repeat(depth)}`;
      agree(
        bytesOf(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","arguments":{"a":${nested}}}}`),
      );
    }
  });

  it('[WIRE-DUPKEY] finds duplicate and folded keys among many', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 20, max: 80 }),
        fc.nat(79),
        fc.nat(2),
        fc.boolean(),
        (count, which, style, deep) => {
          const keys = Array.from({ length: count }, (_, i) => `key${i}`);
          const twin = keys[which % count] ?? '';
          keys.push([twin, `\\u006b${twin.slice(1)}`, `\u212a${twin.slice(1)}`][style] ?? '');
          const object = `{${keys.map((key) => `"${key}":0`).join(',')}}`;
          const args = deep ? `{"a":[${object}]}` : object;
          const bytes = bytesOf(
            `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","arguments":${args}}}`,
          );
          expect(readMessage(bytes)).toMatchObject({ ok: false, reason: style === 2 ? 'folded_key' : 'duplicate_key' });
          agree(bytes);
        },
      ),
      runs(100),
    );
  });
});

describe('readReply', () => {
  it('[P2] accepts every JSON value as a result member, and its spans are the members', () => {
    fc.assert(
      fc.property(jsonText, jsonText, (a, b) => {
        const bytes = bytesOf(`{"jsonrpc":"2.0","id":1,"result":{"a": ${a} ,"b":${b}}}`);
        const reply = readReply(bytes);
        if (!reply.ok) throw new Error(reply.message);
        const { resultMembers } = reply;
        const text = (key: string): string => {
          const span = resultMembers?.get(key);
          return span === undefined ? '' : decode(bytes.subarray(span.start, span.end));
        };
        expect(text('a')).toBe(a);
        expect(text('b')).toBe(b);
      }),
      runs(400),
    );
  });

  it('[P2] refuses exactly the mutated replies that are no JSON', () => {
    const valid = bytesOf('{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"x","d":"é\\u00e9"}],"nextCursor":""}}');
    fc.assert(
      fc.property(fc.array(mutation, { minLength: 1, maxLength: 3 }), (mutations) => {
        const bytes = mutations.reduce(mutate, valid);
        const reply = readReply(bytes);
        if (!reply.ok && reply.code === -32600) return;
        let parses = true;
        try {
          JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes));
        } catch {
          parses = false;
        }
        expect(reply.ok, decode(bytes)).toBe(parses);
      }),
      runs(800),
    );
  });
});

/** What a double makes of the inexact numbers. */
function rounded(value: JsonValue): unknown {
  if (value instanceof InexactNumber) return Number(value.source);
  if (Array.isArray(value)) return value.map(rounded);
  if (typeof value !== 'object' || value === null) return value;
  // fromEntries makes own properties, for `__proto__` too.
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, rounded(inner)]));
}

describe('values', () => {
  it('[P2] reads what the naive reader reads, but for inexact numbers', () => {
    fc.assert(
      fc.property(jsonText, (text) => {
        const bytes = bytesOf(`  ${text} `);
        const value = readValue(bytes, { start: 2, end: bytes.length - 1 });
        expect(rounded(value)).toEqual(naiveValue(text));
      }),
      runs(400),
    );
  });

  it('[P2] checkValue refuses what JSON.parse refuses', () => {
    fc.assert(
      fc.property(jsonText, mutation, (text, change) => {
        const bytes = mutate(bytesOf(text), change);
        const refusal = checkValue(bytes, { start: 0, end: bytes.length });
        if (refusal === undefined || refusal.code === -32600) {
          expect(
            () => JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)) as unknown,
          ).not.toThrow();
        }
      }),
      runs(400),
    );
  });

  it('[P2] readString keeps a byte order mark at the start of a string', () => {
    expect(readString(bytesOf('"\ufeffx"'), { start: 0, end: 6 })).toBe('\ufeffx');
  });

  it('[P2] readString gives the string that JSON.parse gives', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const bytes = bytesOf(JSON.stringify(text.toWellFormed()));
        expect(readString(bytes, { start: 0, end: bytes.length })).toBe(text.toWellFormed());
      }),
      runs(200),
    );
  });
});
