// HTTP/1.1 replies with a Content-Length or in chunks, as a load generator reads them: one at a time, no pipelining.

/** How far a buffer holds a reply. */
export type ReplyParse =
  | { state: 'partial' }
  | { state: 'whole'; status: number; bodyStart: number; end: number }
  | { state: 'broken'; reason: string };

const CRLF = Buffer.from('\r\n');
const HEAD_END = Buffer.from('\r\n\r\n');
const STATUS = /^HTTP\/1\.1 (\d{3})/;
const LENGTH = /\r\ncontent-length: *(\d+) *(?=\r\n|$)/i;
const CHUNKED = /\r\ntransfer-encoding: *chunked *(?=\r\n|$)/i;
const CHUNK_SIZE = /^[\da-f]{1,8}$/i;

export function parseReply(bytes: Buffer): ReplyParse {
  const headEnd = bytes.indexOf(HEAD_END);
  if (headEnd === -1) return { state: 'partial' };
  const head = bytes.toString('latin1', 0, headEnd);
  const status = STATUS.exec(head)?.[1];
  if (status === undefined) return { state: 'broken', reason: `no HTTP/1.1 status line: ${head.slice(0, 80)}` };
  const bodyStart = headEnd + HEAD_END.length;
  const length = LENGTH.exec(head)?.[1];
  if (length === undefined && !CHUNKED.test(head)) {
    return { state: 'broken', reason: `a reply without Content-Length and chunks: ${head.slice(0, 300)}` };
  }
  const end = length === undefined ? endOfChunks(bytes, bodyStart) : bodyStart + Number(length);
  if (end === 'broken') return { state: 'broken', reason: 'chunks that cannot be read' };
  if (end === 'partial' || bytes.length < end) return { state: 'partial' };
  if (bytes.length > end) return { state: 'broken', reason: `${bytes.length - end} bytes after the reply` };
  return { state: 'whole', status: Number(status), bodyStart, end };
}

/** Where a chunked body ends; trailers are not read, for nobody here sends any. */
function endOfChunks(bytes: Buffer, bodyStart: number): number | 'partial' | 'broken' {
  let at = bodyStart;
  for (;;) {
    const lineEnd = bytes.indexOf(CRLF, at);
    if (lineEnd === -1) return 'partial';
    const size = bytes.toString('latin1', at, lineEnd);
    if (!CHUNK_SIZE.test(size)) return 'broken';
    const length = Number.parseInt(size, 16);
    const next = lineEnd + CRLF.length + length + CRLF.length;
    if (bytes.length < next) return 'partial';
    if (bytes[next - 2] !== 0x0d || bytes[next - 1] !== 0x0a) return 'broken';
    if (length === 0) return next;
    at = next;
  }
}

const OK = Buffer.from('HTTP/1.1 200');
/** Before the id, whose digits change: the size of the first chunk, and the beginning of the event or of the JSON. */
const SAME_START = 16;
/** The last chunk, or the end of the JSON. */
const SAME_END = 5;

/**
 * Recognises the next reply of a connection by the shape of the last one, which spares the load generator the parsing: ids
 * have one width and results one length, so that the date and the id are all that differs.
 */
export class SameReply {
  #last: { bodyStart: number; end: number; start: Buffer; tail: Buffer } | undefined;

  /** The reply, if it is as long as the last one, its head too, and its body begins and ends alike. */
  whole(bytes: Buffer): { state: 'whole'; status: 200; bodyStart: number; end: number } | undefined {
    const last = this.#last;
    if (last === undefined || bytes.length !== last.end) return undefined;
    const { bodyStart, end, start, tail } = last;
    const isSame =
      bytes.indexOf(HEAD_END) === bodyStart - HEAD_END.length &&
      bytes.compare(OK, 0, OK.length, 0, OK.length) === 0 &&
      bytes.compare(start, 0, start.length, bodyStart, bodyStart + start.length) === 0 &&
      bytes.compare(tail, 0, tail.length, end - tail.length, end) === 0;
    return isSame ? { state: 'whole', status: 200, bodyStart, end } : undefined;
  }

  remember(bytes: Buffer, { status, bodyStart, end }: { status: number; bodyStart: number; end: number }): void {
    if (this.#last?.end === end && this.#last.bodyStart === bodyStart) return;
    this.#last = undefined;
    if (status !== 200 || end - bodyStart < SAME_START + SAME_END) return;
    const start = Buffer.from(bytes.subarray(bodyStart, bodyStart + SAME_START));
    this.#last = { bodyStart, end, start, tail: Buffer.from(bytes.subarray(end - SAME_END, end)) };
  }
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
