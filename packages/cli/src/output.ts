// What people and scripts read. Names, texts and arguments come from MCP servers and agents, so nothing is printed before
// it went through `printable`: a description must not move the cursor, colour the screen or hide a part of itself.

/** Characters that a terminal acts on or does not show: C0, DEL, C1, soft hyphen, bidi controls, zero-width, separators, tags. */
const UNPRINTABLE =
  /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}]|\p{Surrogate}/gu;

const SHORT: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/** The text with every character escaped that a terminal would act on or hide; one line. */
export function printable(text: string): string {
  return text.replace(UNPRINTABLE, (c) => SHORT[c] ?? `\\u{${c.codePointAt(0)!.toString(16)}}`);
}

/** As {@link printable}, but keeps line breaks, for texts of several lines that Gatehouse itself composed. */
export function printableLines(text: string): string {
  return text.split('\n').map(printable).join('\n');
}

/** JSON for scripts: the same value, with the characters of {@link printable} as \u escapes, so that it can be shown too. */
export function jsonText(value: unknown, indent?: number): string {
  return (JSON.stringify(value, undefined, indent) ?? 'null').replace(UNPRINTABLE, (c) =>
    // Only these stand outside of strings, as the white space of the indentation.
    c === '\n'
      ? c
      : Array.from({ length: c.length }, (_, i) => `\\u${c.charCodeAt(i).toString(16).padStart(4, '0')}`).join(''),
  );
}

const graphemes = new Intl.Segmenter('en', { granularity: 'grapheme' });
const WIDE =
  /^[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\ua960-\ua97f\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{20000}-\u{3fffd}]|^\p{Emoji_Presentation}/u;

/** Columns that a text takes in a terminal. */
export function widthOf(text: string): number {
  let width = 0;
  for (const { segment } of graphemes.segment(text)) width += WIDE.test(segment) ? 2 : 1;
  return width;
}

export type Style = 'bold' | 'dim' | 'red' | 'green' | 'yellow';
const SGR: Readonly<Record<Style, string>> = { bold: '1', dim: '2', red: '31', green: '32', yellow: '33' };

export interface OutputOptions {
  /** One JSON value (or one per line, for streams) on standard output, and errors as JSON on standard error. */
  json: boolean;
  colour: boolean;
  /** @returns false when the reader is behind, as a stream's `write` does. */
  write: (text: string) => unknown;
  /** Resolves when the reader has caught up. */
  drained?: () => Promise<void>;
  writeError: (text: string) => void;
}

/** Colour only on a terminal, and never with NO_COLOR set to something (no-color.org) or TERM=dumb. */
export function wantsColour(env: Readonly<Record<string, string | undefined>>, isTerminal: boolean): boolean {
  return isTerminal && !env.NO_COLOR && env.TERM !== 'dumb';
}

export type Cell = string | number | boolean | null | undefined;

function cellText(cell: Cell): string {
  return cell === undefined || cell === null || cell === '' ? '-' : printable(String(cell));
}

export class Output {
  readonly #options: OutputOptions;

  constructor(options: OutputOptions) {
    this.#options = options;
  }

  get isJson(): boolean {
    return this.#options.json;
  }

  style(style: Style, text: string): string {
    return this.#options.colour ? `\u001b[${SGR[style]}m${text}\u001b[0m` : text;
  }

  /** One value on standard output, as JSON. */
  json(value: unknown): void {
    this.#options.write(`${jsonText(value, 2)}\n`);
  }

  /** One value of a stream, as a line of JSON. */
  jsonLine(value: unknown): void {
    this.#options.write(`${jsonText(value)}\n`);
  }

  /** A line for people; foreign parts must have gone through `printable` (use {@link text} otherwise). */
  line(text = ''): void {
    this.#options.write(`${text}\n`);
  }

  /** A text of one or more lines that may hold anything. */
  text(text: string): void {
    this.#options.write(`${printableLines(text)}\n`);
  }

  /** Text as it is: help, and exports, whose form is not for us to change. */
  raw(text: string): void {
    this.#options.write(text);
  }

  /** As {@link raw}, for much of it: waits for a slow reader instead of keeping what it has not read. */
  async rawAwaited(text: string): Promise<void> {
    if (this.#options.write(text) === false) await this.#options.drained?.();
  }

  /** Text of the command line's own on standard error. */
  errorRaw(text: string): void {
    this.#options.writeError(text);
  }

  /** A remark beside the result; on standard error, so that the result can be piped. */
  note(text: string): void {
    this.#options.writeError(`${printableLines(text)}\n`);
  }

  warn(text: string): void {
    this.#options.writeError(`${this.style('yellow', 'warning:')} ${printableLines(text)}\n`);
  }

  table(columns: readonly string[], rows: readonly (readonly Cell[])[], empty: string): void {
    if (rows.length === 0) {
      this.note(empty);
      return;
    }
    const cells = rows.map((row) => columns.map((_, i) => cellText(row[i])));
    const widths = columns.map((name, i) => Math.max(widthOf(name), ...cells.map((row) => widthOf(row[i]!))));
    const lineOf = (row: readonly string[]): string =>
      row.map((cell, i) => (i === row.length - 1 ? cell : cell + ' '.repeat(widths[i]! - widthOf(cell)))).join('  ');
    this.line(this.style('dim', lineOf(columns)));
    for (const row of cells) this.line(lineOf(row));
  }

  /** Name and value, one a line; values that are undefined are left out. */
  fields(pairs: readonly (readonly [string, Cell])[]): void {
    const shown = pairs.filter(([, value]) => value !== undefined && value !== '');
    const width = Math.max(0, ...shown.map(([name]) => name.length));
    for (const [name, value] of shown) this.line(`${this.style('dim', name.padEnd(width))}  ${cellText(value)}`);
  }
}
