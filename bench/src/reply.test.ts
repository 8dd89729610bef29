import { describe, expect, it } from 'vitest';
import { parseReply, whatIsWrong } from './reply.ts';

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

  it('names what it cannot read', () => {
    expect(parseReply(Buffer.from('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'))).toMatchObject({
      state: 'broken',
      reason: expect.stringContaining('without Content-Length'),
    });
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
