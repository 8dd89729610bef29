// HTTP/1.1 replies with a Content-Length, as a load generator reads them: one at a time, no pipelining.

/** How far a buffer holds a reply. */
export type ReplyParse =
  | { state: 'partial' }
  | { state: 'whole'; status: number; bodyStart: number; end: number }
  | { state: 'broken'; reason: string };

const HEAD_END = Buffer.from('\r\n\r\n');
const STATUS = /^HTTP\/1\.1 (\d{3})/;
const LENGTH = /\r\ncontent-length: *(\d+) *(?=\r\n|$)/i;

export function parseReply(bytes: Buffer): ReplyParse {
  const headEnd = bytes.indexOf(HEAD_END);
  if (headEnd === -1) return { state: 'partial' };
  const head = bytes.toString('latin1', 0, headEnd);
  const status = STATUS.exec(head)?.[1];
  if (status === undefined) return { state: 'broken', reason: `no HTTP/1.1 status line: ${head.slice(0, 80)}` };
  const length = LENGTH.exec(head)?.[1];
  if (length === undefined) return { state: 'broken', reason: `a reply without Content-Length: ${head.slice(0, 300)}` };
  const bodyStart = headEnd + HEAD_END.length;
  const end = bodyStart + Number(length);
  if (bytes.length < end) return { state: 'partial' };
  if (bytes.length > end) return { state: 'broken', reason: `${bytes.length - end} bytes after the reply` };
  return { state: 'whole', status: Number(status), bodyStart, end };
}

const RESULT = Buffer.from('"result":');
const TOOL_ERROR = Buffer.from('"isError":true');

/** Why a reply is not the result of that call; undefined when it is. A denied call is a result with `isError`. */
export function whatIsWrong(
  bytes: Buffer,
  reply: { status: number; bodyStart: number },
  id: Buffer,
): string | undefined {
  if (reply.status !== 200) return `status ${reply.status}`;
  if (bytes.indexOf(TOOL_ERROR, reply.bodyStart) !== -1) return 'a result with isError, as denied calls have it';
  if (bytes.indexOf(RESULT, reply.bodyStart) === -1) return 'no result';
  if (bytes.indexOf(id, reply.bodyStart) === -1) return `not the answer to id ${id.toString()}`;
  return undefined;
}
