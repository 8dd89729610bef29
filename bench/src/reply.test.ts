import { describe, expect, it } from 'vitest';
import { parseReply, SameReply, whatIsWrong } from './reply.ts';

const body = '{"jsonrpc":"2.0","id":1000000007,"result":{"content":[]}}';
const reply = (text: string, more = '') =>
  Buffer.from(`HTTP/1.1 200 OK\r\n${more}Content-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`);

describe('parseReply', () => {
  it('reads a whole reply, and calls every shorter piece of it partial', () => {
    const bytes = reply(body, 'Content-Type: application/json\r\n');
    expect(parseReply(bytes)).toEqual({
      state: 'whole',
      status: 200,
      bodyStart: bytes.length - body.length,
      end: bytes.length,
    });
    for (let length = 0; length < bytes.length; length++) {
      expect(parseReply(bytes.subarray(0, length)).state).toBe('partial');
    }
  });

  it('reads chunks, and calls every shorter piece of them partial', () => {
    const event = 'event: message\ndata: {"id":1}';
    const chunks = `${event.length.toString(16)}\r\n${event}\r\n2\r\n\n\n\r\n0\r\n\r\n`;
    const bytes = Buffer.from(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${chunks}`);
    expect(parseReply(bytes)).toMatchObject({ state: 'whole', status: 200, end: bytes.length });
    for (let length = 0; length < bytes.length; length++) {
      expect(parseReply(bytes.subarray(0, length)).state).toBe('partial');
    }
    expect(parseReply(Buffer.concat([bytes, Buffer.from('HT')]))).toMatchObject({ reason: '2 bytes after the reply' });
  });

  it('names what it cannot read', () => {
    expect(parseReply(Buffer.from('HTTP/1.1 200 OK\r\nServer: x\r\n\r\n'))).toMatchObject({
      state: 'broken',
      reason: expect.stringContaining('without Content-Length and chunks'),
    });
    for (const chunks of ['zz\r\n', '\r\n', '1\r\nabcd\r\n']) {
      const bytes = Buffer.from(`HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n${chunks}`);
      expect(parseReply(bytes)).toEqual({ state: 'broken', reason: 'chunks that cannot be read' });
    }
    expect(parseReply(Buffer.from('SSH-2.0-x\r\n\r\n')).state).toBe('broken');
    expect(parseReply(Buffer.concat([reply(body), Buffer.from('HT')]))).toEqual({
      state: 'broken',
      reason: '2 bytes after the reply',
    });
  });
});

describe('whatIsWrong', () => {
  const check = (text: string, status = 200, id = '1000000007') =>
    whatIsWrong(Buffer.from(text), { status, bodyStart: 0 }, Buffer.from(id));

  it('takes the result of that very call only', () => {
    expect(check(body)).toBeUndefined();
    expect(check(body, 202)).toBe('status 202');
    expect(check(body, 200, '1000000008')).toBe('not the answer to id 1000000008');
    expect(check('{"jsonrpc":"2.0","id":1000000007,"error":{}}')).toBe('no result');
    expect(check('{"id":1000000007,"result":{"isError":true}}')).toContain('isError');
  });
});

describe('SameReply', () => {
  const next = reply(body.replace('1000000007', '1000000008'), 'Date: now\r\n');
  const remembered = () => {
    const bytes = reply(body, 'Date: old\r\n');
    const parsed = parseReply(bytes);
    if (parsed.state !== 'whole') throw new Error('not whole');
    const same = new SameReply();
    same.remember(bytes, parsed);
    return same;
  };

  it('says of the next reply what parsing it says', () => {
    expect(remembered().whole(next)).toEqual(parseReply(next));
  });

  it('leaves to the parser whatever looks otherwise', () => {
    const same = remembered();
    expect(new SameReply().whole(next)).toBeUndefined();
    expect(same.whole(next.subarray(0, -1))).toBeUndefined();
    expect(same.whole(Buffer.concat([next, Buffer.from('x')]))).toBeUndefined();
    expect(same.whole(Buffer.from(next.toString().replace('200', '404')))).toBeUndefined();
    expect(same.whole(Buffer.from(next.toString().replace('{"json', '{"xson')))).toBeUndefined();
    expect(same.whole(Buffer.from(next.toString().replace(/\}\}$/, '} ')))).toBeUndefined();
    expect(same.whole(Buffer.from(next.toString().replace('now\r\n\r\n', 'now12\r\n').concat('xy')))).toBeUndefined();
  });
});
