// Server-sent events: the format of the HTML standard (§9.2.5, §9.2.6), with events that keep their bytes.
import { concat } from './splices.ts';
import { encodeText, equalsAscii } from './text.ts';

export interface SseEvent {
  /** Type of the event; absent where the stream gives none (which means `message`). */
  readonly event?: string;
  /** The `data` lines joined with LF; empty for a block that only gives an id or a delay. May be a view of the chunk. */
  readonly data: Uint8Array;
  /** Event id; absent where the block gives none. An empty id resets the client's last id. */
  readonly id?: string;
  /** Reconnection delay in milliseconds. */
  readonly retry?: number;
}

export interface SseParserOptions {
  /** Largest event and largest line, in bytes. */
  readonly maxEventBytes: number;
  /** Gets each event that a blank line has ended. A block with id or delay and no data is one, with empty data. */
  readonly onEvent: (event: SseEvent) => void;
  readonly onComment?: (text: string) => void;
}

const LF = 0x0a;
const CR = 0x0d;
const COLON = 0x3a;
const SPACE = 0x20;
const BYTE_ORDER_MARK = Uint8Array.of(0xef, 0xbb, 0xbf);
const EMPTY = new Uint8Array(0);
// The standard decodes with replacement characters; data stays bytes and is checked by the tokenizer.
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

/** Reads an event stream chunk by chunk; chunks may end anywhere. What the end of the stream cuts off is no event. */
export class SseParser {
  readonly #options: SseParserOptions;
  #refusal: string | undefined;
  /** Bytes of a byte order mark seen at the start; -1 once the start is over. */
  #mark = 0;
  #afterCr: boolean;
  /** Parts of a line whose end has not come. */
  #line: Uint8Array[] = [];
  #lineSize = 0;
  #data: Uint8Array[] = [];
  #dataSize = 0;
  /** Data lines up to here are copies; the others are views of the current chunk. */
  #owned = 0;
  #event: string | undefined;
  #id: string | undefined;
  #retry: number | undefined;

  constructor(options: SseParserOptions) {
    this.#options = options;
    this.#afterCr = false;
  }

  /** Takes the next bytes. Gives a reason once the stream must be given up; it takes nothing more then. */
  push(chunk: Uint8Array): string | undefined {
    if (this.#refusal !== undefined) return this.#refusal;
    let at = this.#mark === -1 ? 0 : this.#skipMark(chunk);
    if (this.#afterCr && at < chunk.length) {
      if (chunk[at] === LF) at++;
      this.#afterCr = false;
    }
    let lf = chunk.indexOf(LF, at);
    let cr = chunk.indexOf(CR, at);
    while (this.#refusal === undefined) {
      if (lf !== -1 && lf < at) lf = chunk.indexOf(LF, at);
      if (cr !== -1 && cr < at) cr = chunk.indexOf(CR, at);
      const end = lf === -1 ? cr : cr === -1 ? lf : Math.min(lf, cr);
      if (end === -1) break;
      this.#takeLine(chunk.subarray(at, end));
      at = end + 1;
      if (end === cr) {
        if (at === chunk.length) this.#afterCr = true;
        else if (chunk[at] === LF) at++;
      }
    }
    if (at < chunk.length) this.#keep(copyOf(chunk.subarray(at)));
    while (this.#owned < this.#data.length) {
      this.#data[this.#owned] = copyOf(this.#data[this.#owned]!);
      this.#owned++;
    }
    return this.#refusal;
  }

  /** Skips a byte order mark at the start of the stream, however it is split. */
  #skipMark(chunk: Uint8Array): number {
    let at = 0;
    while (at < chunk.length && this.#mark < 3 && chunk[at] === BYTE_ORDER_MARK[this.#mark]) {
      at++;
      this.#mark++;
    }
    if (this.#mark < 3 && at === chunk.length) return at;
    if (this.#mark < 3 && this.#mark > 0) this.#keep(BYTE_ORDER_MARK.slice(0, this.#mark));
    this.#mark = -1;
    return at;
  }

  #keep(part: Uint8Array): void {
    this.#line.push(part);
    this.#lineSize += part.length;
    this.#checkSize(this.#lineSize);
  }

  #takeLine(rest: Uint8Array): void {
    let line = rest;
    if (this.#line.length > 0) {
      this.#line.push(rest);
      line = concat(this.#line);
      this.#line = [];
      this.#lineSize = 0;
    }
    this.#checkSize(line.length);
    if (this.#refusal !== undefined) return;
    if (line.length === 0) this.#dispatch();
    else if (line[0] === COLON) this.#options.onComment?.(decoder.decode(line.subarray(line[1] === SPACE ? 2 : 1)));
    else this.#takeField(line);
  }

  #takeField(line: Uint8Array): void {
    const colon = line.indexOf(COLON);
    const nameEnd = colon === -1 ? line.length : colon;
    const from = colon === -1 ? line.length : colon + (line[colon + 1] === SPACE ? 2 : 1);
    const value = line.subarray(from);
    if (equalsAscii(line, 0, nameEnd, 'data')) {
      this.#data.push(value);
      this.#dataSize += value.length + 1;
    } else if (equalsAscii(line, 0, nameEnd, 'event')) {
      this.#event = decoder.decode(value);
    } else if (equalsAscii(line, 0, nameEnd, 'id')) {
      if (!value.includes(0)) this.#id = decoder.decode(value);
    } else if (equalsAscii(line, 0, nameEnd, 'retry')) {
      const text = decoder.decode(value);
      if (/^[0-9]{1,15}$/.test(text)) this.#retry = Number(text);
    }
    this.#checkSize(0);
  }

  #dispatch(): void {
    const [event, id, retry, lines] = [this.#event, this.#id, this.#retry, this.#data];
    this.#event = undefined;
    this.#id = undefined;
    this.#retry = undefined;
    this.#data = [];
    this.#dataSize = 0;
    this.#owned = 0;
    if (lines.length === 0 && id === undefined && retry === undefined) return;
    this.#options.onEvent({
      data: joinLines(lines),
      ...(event === undefined || event === '' ? {} : { event }),
      ...(id === undefined ? {} : { id }),
      ...(retry === undefined ? {} : { retry }),
    });
  }

  #checkSize(line: number): void {
    const limit = this.#options.maxEventBytes;
    if (line > limit || this.#dataSize > limit + 1) this.#refusal ??= `an event is larger than ${limit} bytes`;
  }
}

export interface SseFields {
  readonly event?: string;
  readonly id?: string;
  /** Split at CR, LF and CRLF into `data` lines. No `data` line where it is absent. */
  readonly data?: Uint8Array | string;
  /** Milliseconds: an integer of at most 15 digits. */
  readonly retry?: number;
}

/** One event with its closing blank line. Throws a TypeError for a field value that the format cannot carry. */
export function encodeSse(fields: SseFields): Uint8Array {
  const { event, id, data, retry } = fields;
  let head = '';
  if (event !== undefined) head += `event: ${singleLine(event, 'event')}\n`;
  if (id !== undefined) {
    if (id.includes('\0')) throw new TypeError('an SSE id cannot hold NUL');
    head += `id: ${singleLine(id, 'id')}\n`;
  }
  if (retry !== undefined) {
    if (!(Number.isInteger(retry) && retry >= 0 && retry < 1e15))
      throw new TypeError(`an SSE retry cannot be ${retry}`);
    head += `retry: ${retry}\n`;
  }
  const parts = [encodeText(head)];
  if (data !== undefined) {
    for (const line of splitLines(typeof data === 'string' ? encodeText(data) : data)) parts.push(DATA, line, NEWLINE);
  }
  parts.push(NEWLINE);
  return concat(parts);
}

const DATA = encodeText('data: ');
const NEWLINE = Uint8Array.of(LF);

/** A comment, which clients skip: keeps a silent stream alive. Line breaks in `text` make several comment lines. */
export function sseComment(text: string): Uint8Array {
  const lines = text.split(/\r\n|\r|\n/).map((line) => `: ${line}\n`);
  return encodeText(`${lines.join('')}\n`);
}

function singleLine(text: string, what: string): string {
  if (/[\r\n]/.test(text)) throw new TypeError(`an SSE ${what} cannot hold a line break`);
  return text;
}

function splitLines(bytes: Uint8Array): Uint8Array[] {
  const lines: Uint8Array[] = [];
  let from = 0;
  if (bytes.includes(LF) || bytes.includes(CR)) {
    for (let at = 0; at < bytes.length; at++) {
      if (bytes[at] !== LF && bytes[at] !== CR) continue;
      lines.push(bytes.subarray(from, at));
      if (bytes[at] === CR && bytes[at + 1] === LF) at++;
      from = at + 1;
    }
  }
  lines.push(bytes.subarray(from));
  return lines;
}

/** A Buffer's own `slice` would be a view of bytes that the caller may use again. */
function copyOf(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes);
}

function joinLines(lines: readonly Uint8Array[]): Uint8Array {
  if (lines.length <= 1) return lines[0] ?? EMPTY;
  return concat(lines.flatMap((line, index) => (index === 0 ? [line] : [NEWLINE, line])));
}
