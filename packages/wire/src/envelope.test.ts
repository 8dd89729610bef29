import { describe, expect, it } from 'vitest';
import { bytesOf } from '../test/arbitraries.ts';
import { checkValue, readMessage, readReply } from './envelope.ts';

const message = (text: string, options = {}) => readMessage(bytesOf(text), options);
const reply = (text: string, options = {}) => readReply(bytesOf(text), options);
const textAt = (text: string, span: { start: number; end: number } | undefined): string | undefined =>
  span && new TextDecoder().decode(bytesOf(text).subarray(span.start, span.end));

describe('readMessage', () => {
  it('[P2] finds everything that is judged by, and copies nothing', () => {
    const text =
      ' {"x":{"name":"other"},"params":{"arguments":{"city":"Köln"},"_meta":{"progressToken":7},"name":"get\\u005fx"},"method":"tools/call","id":"a\\u0062","jsonrpc":"2.0"} ';
    const bytes = bytesOf(text);
    const read = readMessage(bytes);
    if (!read.ok) throw new Error(read.message);
    expect(read).toMatchObject({ kind: 'request', side: 'client', method: 'tools/call', name: 'get_x', idKey: 's:ab' });
    expect(read.bytes).toBe(bytes);
    expect(textAt(text, read.idSpan)).toBe('"a\\u0062"');
    expect(textAt(text, read.argumentsSpan)).toBe('{"city":"Köln"}');
    expect(textAt(text, read.meta?.get('progressToken'))).toBe('7');
    expect(read.params?.keys()).toEqual(['arguments', '_meta', 'name']);
  });

  it('[WIRE-ID] gives equal keys for equal ids of equal type only', () => {
    const key = (id: string): string | undefined => {
      const read = message(`{"jsonrpc":"2.0","id":${id},"method":"ping"}`);
      return read.ok ? read.idKey : undefined;
    };
    expect(key('12')).toBe('n:12');
    expect(key('"12"')).toBe('s:12');
    expect(key('"\\u0031\\u0032"')).toBe('s:12');
    expect(key('-0')).toBe(key('0'));
    expect(key('9007199254740993')).not.toBe(key('9007199254740992'));
  });

  it('[WIRE-BODY] carries the id of a refused message wherever it is certain', () => {
    const id = (text: string): string | undefined => {
      const read = message(text);
      return read.ok ? 'accepted' : textAt(text, read.id);
    };
    expect(id('{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":7}}')).toBe('5');
    expect(id('{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"x","arguments":{"a":1,"a":2}}}')).toBe(
      '5',
    );
    expect(id('{"jsonrpc":"2.0","params":{"a":1,"a":2},"method":"tools/call","id":"z"}')).toBe('"z"');
    // An ambiguous envelope, bytes that are no JSON, and no legal id.
    expect(id('{"jsonrpc":"2.0","params":{"a":1,"a":2},"id":5,"id":6,"method":"ping"}')).toBeUndefined();
    expect(id('{"jsonrpc":"2.0","id":5,"Id":6,"method":"ping"}')).toBeUndefined();
    expect(id('{"jsonrpc":"2.0","id":5,"method":"ping"')).toBeUndefined();
    expect(id('{"jsonrpc":"2.0","id":1.5,"method":"ping"}')).toBeUndefined();
  });

  it('[WIRE-BODY] says what, where and what to do', () => {
    expect(message('{"jsonrpc":"2.0","id":1,"method":"ping","m\\u0065thod":"tools/call"}')).toEqual({
      ok: false,
      code: -32600,
      reason: 'duplicate_key',
      message: 'Key "method" at byte 40 stands twice in one object: send it once.',
      offset: 40,
    });
    expect(message('{"a":1}}')).toMatchObject({
      code: -32700,
      reason: 'trailing_bytes',
      offset: 7,
      message: 'The JSON text ends before byte 7: send nothing after it.',
    });
    expect(message('{"a":')).toMatchObject({ message: 'The body ends too early: a JSON value is expected there.' });
  });

  it('[WIRE-INEXACT] notes inexact numbers in params, and there alone', () => {
    const inexact = (text: string): boolean | undefined => {
      const read = message(text);
      return read.ok ? read.inexactNumbers : undefined;
    };
    const call = (number: string): string =>
      `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","arguments":{"a":[{"n":${number}}]}}}`;
    expect(
      ['1', '0.1', '1e2', '1e100', '123456789012345', '9007199254740992'].map((n) => inexact(call(n))),
    ).not.toContain(true);
    expect(
      ['9007199254740993', '1e400', '1e999', '1E-400', '0.1000000000000000055511151231257827'].map((n) =>
        inexact(call(n)),
      ),
    ).not.toContain(false);
    expect(inexact('{"jsonrpc":"2.0","id":9007199254740993,"method":"ping","x":1e400}')).toBe(false);
  });

  it('[WIRE-BODY] counts open containers against the limit', () => {
    const nested = (depth: number): string =>
      `{"jsonrpc":"2.0","id":1,"method":"vendor/act","params":{"a":${'['.repeat(depth - 2)}${']'.repeat(depth - 2)}}}`;
    expect(message(nested(64))).toMatchObject({ ok: true });
    expect(message(nested(65))).toMatchObject({ ok: false, reason: 'too_deep' });
    expect(message(nested(5), { maxDepth: 4 })).toMatchObject({ ok: false, reason: 'too_deep' });
    expect(() => message('{}', { maxDepth: 0 })).toThrow(RangeError);
    expect(() => message('{}', { maxDepth: 5000 })).toThrow(RangeError);
  });

  it('[P8] carries unknown members, unknown methods and vendor params as they are', () => {
    for (const text of [
      '{"jsonrpc":"2.0","id":1,"method":"ping","trace":{"a":1}}',
      '{"jsonrpc":"2.0","id":1,"method":"vendor/act","params":{"Name":1,"Arguments":[]}}',
      '{"jsonrpc":"2.0","id":1,"method":"vendor/act","params":{"name":{},"arguments":[]}}',
      '{"jsonrpc":"2.0","method":"notifications/vendor","params":{"arguments":1}}',
    ]) {
      expect(message(text)).toMatchObject({ ok: true });
    }
  });

  it('keeps its hands off the scratch of an earlier, refused message', () => {
    const wide = `{${Array.from({ length: 30 }, (_, i) => `"k${i}":{"a":1,"b":`).join('')}`;
    expect(message(wide)).toMatchObject({ ok: false });
    expect(message('{"jsonrpc":"2.0","id":1,"method":"ping","k0":1,"a":1,"b":2}')).toMatchObject({ ok: true });
  });

  it('grows its scratch for many open objects of many keys', () => {
    const keys = Array.from({ length: 30 }, (_, i) => `"k${i}":0`).join(',');
    const text = `{"jsonrpc":"2.0","id":1,"method":"vendor/act","params":${`{${keys},"x":`.repeat(60)}{}${'}'.repeat(60)}}`;
    expect(message(text)).toMatchObject({ ok: true });
    expect(message(text.replace('"x":{}', '"x":{"q":1,"Q":2}'))).toMatchObject({ reason: 'folded_key' });
  });
});

describe('readReply', () => {
  it('[P2] finds lists, cursor and meta', () => {
    const text =
      '{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"a"}],"nextCursor":"","_meta":{"x":1},"resultType":"complete"}}';
    const read = reply(text);
    if (!read.ok) throw new Error(read.message);
    expect(read).toMatchObject({ kind: 'response', side: 'server', idKey: 'n:1' });
    expect(textAt(text, read.resultMembers?.get('tools'))).toBe('[{"name":"a"}]');
    expect(textAt(text, read.resultMembers?.get('nextCursor'))).toBe('""');
    expect(read.resultMeta?.keys()).toEqual(['x']);
  });

  it('[WIRE-REPLY] refuses a list behind a duplicate or folded key', () => {
    const of = (result: string) => reply(`{"jsonrpc":"2.0","id":1,"result":${result}}`);
    expect(of('{"tools":[],"tools":[{"name":"hidden"}]}')).toMatchObject({ reason: 'duplicate_key' });
    expect(of('{"tools":[],"t\\u006fols":[]}')).toMatchObject({ reason: 'duplicate_key' });
    expect(of('{"tools":[],"Tools":[]}')).toMatchObject({ reason: 'folded_key' });
    expect(of('{"Tools":[]}')).toMatchObject({ reason: 'folded_key' });
    expect(of('{"toolſ":[]}')).toMatchObject({ reason: 'folded_key' });
    expect(of('{"_meta":{"a":1,"a":2}}')).toMatchObject({ reason: 'duplicate_key' });
    expect(reply('{"jsonrpc":"2.0","id":1,"result":{},"Result":{"tools":[]}}')).toMatchObject({ reason: 'folded_key' });
    expect(reply('{"jsonrpc":"2.0","id":1,"Result":{"tools":[]}}')).toMatchObject({ reason: 'folded_key' });
    expect(reply('[{"jsonrpc":"2.0","id":1,"result":{}}]')).toMatchObject({ reason: 'batch' });
    expect(reply('{"jsonrpc":"2.0","method":"x","params":{"a":1,"A":2}}')).toMatchObject({ reason: 'folded_key' });
  });

  it('[P8] lets everything else of a reply be', () => {
    for (const result of [
      '{"structuredContent":{"a":1,"a":2,"A":3}}',
      `{"deep":${'['.repeat(400)}${']'.repeat(400)}}`,
      '5',
      '[]',
      '{"content":[{"type":"text","Type":"x"}]}',
    ]) {
      expect(reply(`{"jsonrpc":"2.0","id":1,"result":${result}}`)).toMatchObject({ ok: true });
    }
    expect(reply('{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"?"}}')).toMatchObject({
      ok: true,
      kind: 'response',
    });
    expect(reply('{"jsonrpc":"2.0","error":{"code":-32700,"message":"?"}}')).toMatchObject({
      ok: true,
      kind: 'response',
    });
    expect(reply('{"jsonrpc":"2.0","method":"tools/call"}')).toMatchObject({ ok: true, kind: 'notification' });
  });

  it('refuses a result that answers nothing, and params that are no object', () => {
    expect(reply('{"jsonrpc":"2.0","id":null,"result":{}}')).toMatchObject({ reason: 'bad_id' });
    expect(reply('{"jsonrpc":"2.0","result":{}}')).toMatchObject({ reason: 'missing_id' });
    expect(reply('{"jsonrpc":"2.0","method":"x","params":[]}')).toMatchObject({ reason: 'bad_params' });
  });

  it('limits the depth at 512', () => {
    expect(reply(`{"jsonrpc":"2.0","id":1,"result":${'['.repeat(512)}${']'.repeat(512)}}`)).toMatchObject({
      reason: 'too_deep',
    });
  });
});

describe('checkValue', () => {
  it('[WIRE-REPLY] finds keys that parsers read in two ways, with offsets of the whole', () => {
    const check = (value: string) => checkValue(bytesOf(`[1,${value}]`), { start: 3, end: 3 + bytesOf(value).length });
    expect(check('{"name":"a","name":"b"}')).toMatchObject({ reason: 'duplicate_key', offset: 15 });
    expect(check('{"name":"a","Name":"b"}')).toMatchObject({ reason: 'folded_key' });
    expect(check('{"inputSchema":{"properties":{"a":{},"a":{}}}}')).toMatchObject({ reason: 'duplicate_key' });
    // Two properties that differ in case are a legal schema.
    expect(check('{"inputSchema":{"properties":{"a":{},"A":{}}}}')).toBeUndefined();
    expect(check('{"a":')).toMatchObject({ reason: 'syntax' });
  });
});
