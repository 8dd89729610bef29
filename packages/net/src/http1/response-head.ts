// The head of one response: status line and fields, read line by line (RFC 9112 §4, §5, §6).
import { equalsIgnoringCase, IN_VALUE, isSpace, NAME_LOWER } from './characters.ts';

/** Values of the fields that were asked for, by their names in lower case; Latin-1. */
export type ResponseHeaders = Readonly<Record<string, string | undefined>>;

/** Fields in a head, and again in the trailers. */
export const MAX_FIELDS = 200;

const LENGTH = 0;
const TRANSFER = 1;
const CODING = 2;
const CONNECTION = 3;
const KEEP_ALIVE = 4;
/** Those before it say how the message is framed or coded, or were asked for: they stand once or not at all. */
const FRAMING = ['content-length', 'transfer-encoding', 'content-encoding', 'connection', 'keep-alive'];
/** More are one bit each in a 31 bit integer. */
const MAX_ASKED = 24;

interface KnownField {
  name: string;
  index: number;
}

/** The fields that are read at all, by the length of their names; made once for a pool. */
export type FieldTable = readonly (readonly KnownField[] | undefined)[];

/**
 * @param asked names in lower case of the fields that `ResponseHeaders` shall carry, at most 24
 * @throws RangeError where there are more
 */
export function fieldTable(asked: readonly string[]): FieldTable {
  if (asked.length > MAX_ASKED) throw new RangeError(`at most ${MAX_ASKED} fields can be asked for`);
  const table: KnownField[][] = [];
  [...FRAMING, ...asked].forEach((name, index) => {
    table[name.length] = [...(table[name.length] ?? []), { name, index }];
  });
  return table;
}

/** Methods that give a text refuse: it says what is wrong. */
export class ResponseHead {
  status = 0;
  /** HTTP/1.0 or 1.1. */
  minor = 1;
  /** Of `Content-Length`; −1: there is none. */
  length = -1;
  chunked = false;
  headers: Record<string, string> = {};
  /** What `Keep-Alive: timeout=` promises, in seconds; −1: nothing. */
  keepAlive = -1;
  readonly #table: FieldTable;
  #fields = 0;
  #seen = 0;
  #close = false;
  #persist = false;

  constructor(table: FieldTable) {
    this.#table = table;
  }

  reset(): void {
    this.length = -1;
    this.chunked = false;
    this.headers = {};
    this.keepAlive = -1;
    this.#fields = 0;
    this.#seen = 0;
    this.#close = false;
    this.#persist = false;
  }

  /** Trailers are counted anew. */
  beginTrailers(): void {
    this.#fields = 0;
  }

  /** Whether the server keeps the connection open after this response (RFC 9112 §9.3). */
  get persistent(): boolean {
    return !this.#close && (this.minor === 1 || this.#persist);
  }

  /** `HTTP/1.x NNN reason`. The space before an empty reason may be missing, as it is with some servers. */
  statusLine(bytes: Uint8Array, start: number, end: number): string | undefined {
    const minor = (bytes[start + 7] as number) - 0x30;
    const hundreds = (bytes[start + 9] as number) - 0x30;
    const tens = (bytes[start + 10] as number) - 0x30;
    const ones = (bytes[start + 11] as number) - 0x30;
    if (
      end - start < 12 ||
      bytes[start] !== 0x48 ||
      bytes[start + 1] !== 0x54 ||
      bytes[start + 2] !== 0x54 ||
      bytes[start + 3] !== 0x50 ||
      bytes[start + 4] !== 0x2f ||
      bytes[start + 5] !== 0x31 ||
      bytes[start + 6] !== 0x2e ||
      (minor !== 0 && minor !== 1) ||
      bytes[start + 8] !== 0x20
    ) {
      return 'it does not begin with HTTP/1.1 or HTTP/1.0';
    }
    if (!(hundreds >= 1 && hundreds <= 9 && isDigit(tens) && isDigit(ones))) return 'its status is not three digits';
    if (end - start > 12) {
      if (bytes[start + 12] !== 0x20) return 'its status is not three digits';
      for (let at = start + 13; at < end; at++) {
        if (IN_VALUE[bytes[at] as number] === 0) return 'a control character stands in its status line';
      }
    }
    this.minor = minor;
    this.status = hundreds * 100 + tens * 10 + ones;
    return undefined;
  }

  /** `name: value`, of the head or of the trailers; only those of the table are kept. */
  field(bytes: Buffer, start: number, end: number, trailer: boolean): string | undefined {
    this.#fields += 1;
    if (this.#fields > MAX_FIELDS) return `it has more than ${MAX_FIELDS} header fields`;
    let at = start;
    while (at < end && NAME_LOWER[bytes[at] as number] !== 0) at += 1;
    if (at === start || at === end || bytes[at] !== 0x3a) {
      return isSpace(bytes[start]) && start < end
        ? 'a header field goes on in a second line'
        : 'the name of a header field is malformed';
    }
    const nameEnd = at;
    let from = at + 1;
    let to = end;
    while (from < to && isSpace(bytes[from])) from += 1;
    while (to > from && isSpace(bytes[to - 1])) to -= 1;
    for (at = from; at < to; at++) {
      if (IN_VALUE[bytes[at] as number] === 0) return 'a control character stands in a header field';
    }
    const candidates = this.#table[nameEnd - start];
    if (candidates !== undefined) {
      for (let one = 0; one < candidates.length; one++) {
        const known = candidates[one] as KnownField;
        if (!equalsIgnoringCase(bytes, start, nameEnd, known.name)) continue;
        if (trailer) return known.index <= TRANSFER ? `${known.name} stands in its trailers` : undefined;
        return this.#known(known, bytes, from, to);
      }
    }
    return undefined;
  }

  #known({ index, name }: KnownField, bytes: Buffer, from: number, to: number): string | undefined {
    if (index === CONNECTION) {
      this.#connection(bytes, from, to);
      return undefined;
    }
    if (index === KEEP_ALIVE) {
      this.keepAlive = timeoutOf(bytes, from, to);
      return undefined;
    }
    // Of two, one reader may take the first and another the last.
    if ((this.#seen & (1 << index)) !== 0) return `it has the header field ${name} twice`;
    this.#seen |= 1 << index;
    switch (index) {
      case LENGTH:
        this.length = digitsOf(bytes, from, to);
        return this.length === -1 ? 'its content-length is not a number' : undefined;
      case TRANSFER:
        this.chunked = true;
        return equalsIgnoringCase(bytes, from, to, 'chunked')
          ? undefined
          : 'its transfer-encoding is another than chunked';
      case CODING:
        return equalsIgnoringCase(bytes, from, to, 'identity')
          ? undefined
          : 'it is encoded (content-encoding), which was not asked for';
      default:
        this.headers[name] = bytes.toString('latin1', from, to);
        return undefined;
    }
  }

  #connection(bytes: Buffer, from: number, to: number): void {
    if (equalsIgnoringCase(bytes, from, to, 'keep-alive')) this.#persist = true;
    else if (equalsIgnoringCase(bytes, from, to, 'close')) this.#close = true;
    else {
      for (const option of bytes.toString('latin1', from, to).toLowerCase().split(',')) {
        const name = option.trim();
        if (name === 'close') this.#close = true;
        else if (name === 'keep-alive') this.#persist = true;
      }
    }
  }
}

function isDigit(value: number): boolean {
  return value >= 0 && value <= 9;
}

/** −1 where it is no number, or one that JavaScript does not hold exactly. */
function digitsOf(bytes: Uint8Array, from: number, to: number): number {
  if (to === from || to - from > 15) return -1;
  let value = 0;
  for (let at = from; at < to; at++) {
    const digit = (bytes[at] as number) - 0x30;
    if (!isDigit(digit)) return -1;
    value = value * 10 + digit;
  }
  return value;
}

/** The seconds of `timeout=5, max=100`; −1: none are named. */
function timeoutOf(bytes: Uint8Array, from: number, to: number): number {
  for (let at = from; at + 8 < to; at++) {
    if (!equalsIgnoringCase(bytes, at, at + 7, 'timeout') || bytes[at + 7] !== 0x3d) continue;
    let end = at + 8;
    while (end < to && isDigit((bytes[end] as number) - 0x30)) end += 1;
    return digitsOf(bytes, at + 8, end);
  }
  return -1;
}
