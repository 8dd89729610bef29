// Finds where one response begins and ends in the bytes of a connection, strictly (RFC 9112): what two readers could
// take for two things is refused. How the network cuts the bytes changes nothing.
import { BAD_SIZE, chunkSize, extensionBytes, MAX_SIZE_DIGITS } from './chunk-size.ts';
import { type FieldTable, ResponseHead, type ResponseHeaders } from './response-head.ts';

/** Bytes of a head, those of interim responses before it included. */
export const MAX_HEAD_BYTES = 64 * 1024;
/** Bytes of all chunk extensions of one response, and of its trailers. */
export const MAX_OVERHEAD_BYTES = 16 * 1024;

export interface ResponseSink {
  /** The final response has begun; interim ones (1xx) are not told. */
  onHead(status: number, headers: ResponseHeaders): void;
  /** Bytes `start` to `end` of the chunk that was pushed belong to the body; they are the sink's only during the call. */
  onBody(chunk: Buffer, start: number, end: number): void;
  /** @param leftover bytes of the chunk that follow the response; no response has them, and they are not looked at. */
  onEnd(leftover: number): void;
}

// What comes next.
const NOTHING = 0;
const STATUS = 1;
const FIELD = 2;
const BODY = 3;
const SIZE = 4;
const DATA = 5;
const DATA_END = 6;
const TRAILER = 7;
const UNTIL_CLOSE = 8;
const END = 9;

const NONE = Buffer.alloc(0);
const FIRST_PARTIAL = 256;
/** A larger one is given back after its use. */
const KEPT_PARTIAL = 4096;

/** Reads one response after another; `begin` is called before each. Nothing throws but what the sink throws. */
export class ResponseParser {
  /** While true nothing is told; `push` returns early. Set and cleared by whoever pushes. */
  paused = false;
  /** What is wrong with the response. Nothing may be pushed any more. */
  refusal: string | undefined;
  readonly #sink: ResponseSink;
  readonly #head: ResponseHead;
  #state = NOTHING;
  #headRequest = false;
  #reusable = false;
  /** Of the body or the chunk, in bytes. */
  #remaining = 0;
  /** How long the next line may be, with its CRLF. */
  #budget = 0;
  #extensions = 0;
  /** A line of which not all has come. */
  #partial: Buffer = NONE;
  #partialSize = 0;
  // The line that `#takeLine` found, without its CRLF.
  #line: Buffer = NONE;
  #lineStart = 0;
  #lineEnd = 0;

  constructor(sink: ResponseSink, table: FieldTable) {
    this.#sink = sink;
    this.#head = new ResponseHead(table);
  }

  /** A request is about to be sent; its response is awaited. @param headRequest it was HEAD, so that no body comes */
  begin(headRequest: boolean): void {
    this.#head.reset();
    this.#headRequest = headRequest;
    this.#reusable = false;
    this.#budget = MAX_HEAD_BYTES;
    this.#partialSize = 0;
    this.#state = STATUS;
    this.refusal = undefined;
  }

  /** True from the end of a response that left the connection open and in order. */
  get reusable(): boolean {
    return this.#reusable;
  }

  /** Seconds for which the server said that it keeps an idle connection; −1: it did not say. */
  get keepAlive(): number {
    return this.#head.keepAlive;
  }

  /**
   * Reads the bytes from `start` to `end`; none of the chunk is kept.
   * @returns where it stopped: if it was paused, the rest is to be pushed after that, even where it is empty
   */
  push(chunk: Buffer, start: number, end: number): number {
    let at = start;
    for (;;) {
      if (this.paused) return at;
      switch (this.#state) {
        case STATUS:
        case FIELD:
        case SIZE:
        case DATA_END:
        case TRAILER:
          if (at === end) return at;
          at = this.#takeLine(chunk, at, end);
          if (at === -1) return end;
          this.refusal = this.#useLine();
          if (this.refusal !== undefined) return end;
          break;
        case BODY:
        case DATA: {
          if (at === end) return at;
          const taken = Math.min(this.#remaining, end - at);
          this.#remaining -= taken;
          if (this.#remaining === 0) this.#state = this.#state === BODY ? END : DATA_END;
          this.#sink.onBody(chunk, at, at + taken);
          at += taken;
          break;
        }
        case UNTIL_CLOSE:
          if (at === end) return at;
          this.#sink.onBody(chunk, at, end);
          at = end;
          break;
        case END:
          this.#state = NOTHING;
          // The sink may begin the next response: nothing of this one is touched any more.
          this.#sink.onEnd(end - at);
          return end;
        default:
          return end;
      }
    }
  }

  /**
   * The server ends the connection. `onEnd` is called where that ends the body, once nothing is paused.
   * @returns false: the response is not complete
   */
  close(): boolean {
    if (this.#state === UNTIL_CLOSE) this.#state = END;
    if (this.#state !== END) return false;
    this.push(NONE, 0, 0);
    return true;
  }

  /** Forgets the response; nothing is told until `begin`. */
  stop(): void {
    this.#state = NOTHING;
    this.#partial = NONE;
    this.#partialSize = 0;
  }

  /** @returns where the next line begins; −1: the line is not complete, or it was refused */
  #takeLine(chunk: Buffer, start: number, end: number): number {
    let at = start;
    while (at < end && chunk[at] !== 0x0a) at += 1;
    const complete = at < end;
    const taken = complete ? at + 1 - start : end - start;
    const size = this.#partialSize + taken;
    if (size > this.#budget) {
      this.refusal = this.#tooLong();
      return -1;
    }
    if (this.#partialSize > 0 || !complete) {
      this.#keep(chunk, start, start + taken, size);
      if (!complete) return -1;
      this.#line = this.#partial;
      this.#lineStart = 0;
      this.#partialSize = 0;
      if (this.#partial.length > KEPT_PARTIAL) this.#partial = NONE;
    } else {
      this.#line = chunk;
      this.#lineStart = start;
    }
    this.#lineEnd = this.#lineStart + size - 2;
    if (size < 2 || this.#line[this.#lineEnd] !== 0x0d) {
      this.refusal = 'a line of it does not end with CRLF';
      return -1;
    }
    return start + taken;
  }

  #keep(chunk: Buffer, start: number, end: number, size: number): void {
    if (size > this.#partial.length) {
      const larger = Buffer.allocUnsafe(Math.max(FIRST_PARTIAL, size, this.#partial.length * 2));
      this.#partial.copy(larger, 0, 0, this.#partialSize);
      this.#partial = larger;
    }
    chunk.copy(this.#partial, this.#partialSize, start, end);
    this.#partialSize = size;
  }

  #tooLong(): string {
    switch (this.#state) {
      case DATA_END:
        return MISPLACED_CHUNK;
      case SIZE:
        return LONG_EXTENSIONS;
      case TRAILER:
        return `its trailers are longer than ${MAX_OVERHEAD_BYTES} bytes`;
      default:
        return `its head is longer than ${MAX_HEAD_BYTES} bytes`;
    }
  }

  #useLine(): string | undefined {
    const line = this.#line;
    const start = this.#lineStart;
    const end = this.#lineEnd;
    const size = end - start + 2;
    // A reference would keep a whole chunk alive as long as the connection is.
    this.#line = NONE;
    switch (this.#state) {
      case STATUS:
        this.#budget -= size;
        this.#state = FIELD;
        return this.#head.statusLine(line, start, end);
      case FIELD:
        this.#budget -= size;
        return start === end ? this.#headEnd() : this.#head.field(line, start, end, false);
      case TRAILER:
        this.#budget -= size;
        if (start !== end) return this.#head.field(line, start, end, true);
        this.#state = END;
        return undefined;
      case DATA_END:
        if (start !== end) return MISPLACED_CHUNK;
        this.#awaitSize();
        return undefined;
      default:
        return this.#chunk(line, start, end);
    }
  }

  #chunk(line: Buffer, start: number, end: number): string | undefined {
    const size = chunkSize(line, start, end);
    if (size === BAD_SIZE) return 'the size of a chunk is malformed';
    this.#extensions -= extensionBytes(line, start, end);
    if (this.#extensions < 0) return LONG_EXTENSIONS;
    this.#remaining = size;
    this.#state = size === 0 ? TRAILER : DATA;
    if (size === 0) {
      this.#budget = MAX_OVERHEAD_BYTES;
      this.#head.beginTrailers();
    } else {
      this.#budget = 2;
    }
    return undefined;
  }

  #awaitSize(): void {
    this.#state = SIZE;
    this.#budget = MAX_SIZE_DIGITS + 2 + this.#extensions;
  }

  #headEnd(): string | undefined {
    const head = this.#head;
    const { status } = head;
    // Either of two readers could be right about where the body ends (RFC 9112 §6.1, §6.3).
    if (head.chunked && head.length !== -1) return 'it has both content-length and transfer-encoding';
    if (head.chunked && head.minor === 0) return 'it is HTTP/1.0 with transfer-encoding';
    if (status < 200) {
      if (status === 101) return 'it switches protocols, which was not asked for';
      if (head.chunked || head.length !== -1) return 'an interim response has a body';
      this.#interim();
      return undefined;
    }
    this.#reusable = head.persistent;
    if (this.#headRequest || status === 204 || status === 304) {
      // A server that announces what cannot follow may send it all the same.
      if (status === 204 && (head.chunked || head.length > 0)) this.#reusable = false;
      this.#state = END;
    } else if (head.chunked) {
      this.#extensions = MAX_OVERHEAD_BYTES;
      this.#awaitSize();
    } else if (head.length === -1) {
      this.#reusable = false;
      this.#state = UNTIL_CLOSE;
    } else {
      this.#remaining = head.length;
      this.#state = head.length === 0 ? END : BODY;
    }
    this.#sink.onHead(status, head.headers);
    return undefined;
  }

  /** What remains of the budget is left to the responses after it, so that they cannot go on for ever. */
  #interim(): void {
    this.#head.reset();
    this.#state = STATUS;
  }
}

const LONG_EXTENSIONS = 'its chunk extensions are too long';
const MISPLACED_CHUNK = 'a chunk is longer than its size';
