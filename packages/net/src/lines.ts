const LF = 0x0a;
const CR = 0x0d;

/** A line that was thrown away because it was longer than the cap. */
export interface OversizedLine {
  /** The cap, in bytes. */
  limit: number;
  /** The first bytes of the line (at most 4 KiB), enough to find the id of a message in most cases. */
  head: Uint8Array;
  /** What happened and what to do, for a log or an error message. */
  message: string;
}

export interface LineSplitterOptions {
  /** Longest line in bytes, without its end. At least 1. Default 64 MiB. */
  maxLineBytes?: number;
  /** Gets each line without its line end; may be a view of the chunk, so a keeper must copy it. */
  onLine(line: Uint8Array): void;
  /** Gets told once per line that was too long; the lines after it come as usual. */
  onOversize(line: OversizedLine): void;
}

const DEFAULT_MAX_LINE = 64 * 1024 * 1024;
const HEAD_BYTES = 4096;

/**
 * Cuts a stream of bytes into lines at LF, across chunk borders. It never decodes: a multi-byte character that is
 * split over two chunks comes out whole. One trailing CR is stripped; empty lines are skipped.
 */
export class LineSplitter {
  readonly #max: number;
  readonly #onLine: (line: Uint8Array) => void;
  readonly #onOversize: (line: OversizedLine) => void;
  // Pieces of a line that has not ended, joined once when it ends: joining at each chunk would cost the square.
  #pieces: Uint8Array[] = [];
  #held = 0;
  #skipping: boolean = false;

  /** @throws RangeError when the cap is below 1. */
  constructor(options: LineSplitterOptions) {
    this.#max = options.maxLineBytes ?? DEFAULT_MAX_LINE;
    if (!(this.#max >= 1)) throw new RangeError('LineSplitter: maxLineBytes must be at least 1');
    this.#onLine = options.onLine;
    this.#onOversize = options.onOversize;
  }

  push(chunk: Uint8Array): void {
    let start = 0;
    while (start < chunk.length) {
      const end = chunk.indexOf(LF, start);
      if (end === -1) {
        this.#hold(chunk.subarray(start));
        return;
      }
      this.#hold(chunk.subarray(start, end));
      this.#finish();
      start = end + 1;
    }
  }

  /** The stream has ended: hands over what stands after the last LF, if anything does. */
  end(): void {
    this.#finish();
  }

  #hold(piece: Uint8Array): void {
    if (this.#skipping || piece.length === 0) return;
    this.#pieces.push(piece);
    this.#held += piece.length;
    // One byte more than the cap may still be the CR of the line end.
    if (this.#held > this.#max + 1) this.#refuse();
  }

  #refuse(): void {
    const head = join(this.#pieces, this.#held).slice(0, HEAD_BYTES);
    this.#pieces = [];
    this.#held = 0;
    this.#skipping = true;
    this.#onOversize({
      limit: this.#max,
      head,
      message: `a line is longer than ${this.#max} bytes and was thrown away; raise the message size limit of this server if it is meant to send that much`,
    });
  }

  #finish(): void {
    if (this.#skipping) {
      this.#skipping = false;
      return;
    }
    if (this.#held === 0) return;
    let line = join(this.#pieces, this.#held);
    if (line[line.length - 1] === CR) line = line.subarray(0, -1);
    if (line.length > this.#max) {
      this.#refuse();
      this.#skipping = false;
      return;
    }
    this.#pieces = [];
    this.#held = 0;
    if (line.length > 0) this.#onLine(line);
  }
}

function join(pieces: Uint8Array[], length: number): Uint8Array {
  return pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces, length);
}

/**
 * Makes one line of a JSON text: each CR and LF byte becomes a space. In valid JSON a raw CR or LF can only be
 * whitespace between tokens (RFC 8259 §7 wants control characters in strings escaped), and in UTF-8 these bytes are
 * never part of a longer character, so the value and the offsets of all tokens stay as they were.
 * Only for text that a strict tokenizer has accepted.
 * @returns `bytes` itself when there is nothing to change, otherwise a copy.
 */
export function flattenNewlines(bytes: Uint8Array): Uint8Array {
  if (!hasNewline(bytes)) return bytes;
  // Not `slice`, which is a view where the bytes are a Buffer: the caller's own must stay as they are.
  const copy = new Uint8Array(bytes);
  for (let i = 0; i < copy.length; i++) {
    const byte = copy[i];
    if (byte === LF || byte === CR) copy[i] = 0x20;
  }
  return copy;
}

/** Whether a reader could take these bytes for more than one line (some treat a lone CR as a line end). */
export function hasNewline(bytes: Uint8Array): boolean {
  return bytes.includes(LF) || bytes.includes(CR);
}
