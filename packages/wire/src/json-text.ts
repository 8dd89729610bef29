/**
 * `JSON.parse` for text from anywhere.
 *
 * V8 from 12.8 on (Node 24 and 26) reads an escaped key wrongly where an earlier object of the same shape had a key
 * whose text equals the first characters of the escaped one as written: after `{"id":1,"\\u0061":0}` it reads
 * `{"id":1,"\u0061mount":5000}` as `{"id":1,"\\u0061":5000}` (nodejs/node#63785). Two calls would be enough to hide an
 * argument from a policy. Text with such a key is therefore read here, member by member; all other text by V8.
 */

/** Makes the value of a number from the text written. */
export type ReadNumber = (source: string) => unknown;

// A key stands behind `{` or `,`. Strings in arrays and inside other strings may match too; that only costs time.
const MAY_HAVE_ESCAPED_KEY = /[{,][ \t\n\r]*"[^"\\]*\\/;

// RFC 8259 §6.
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?/y;
const STRING = /"(?:[^"\\]|\\.)*"/sy;
const SPACE = /[ \t\n\r]*/y;
const LITERALS: readonly (readonly [string, unknown])[] = [
  ['true', true],
  ['false', false],
  ['null', null],
];

/** Whether `JSON.parse` may read a key of `text` wrongly. */
export function mayHaveEscapedKey(text: string): boolean {
  return text.includes('\\') && MAY_HAVE_ESCAPED_KEY.test(text);
}

/**
 * What `JSON.parse(text)` should give: numbers are doubles, of a key that stands twice the last one counts, `__proto__`
 * is a key like any other. Throws a SyntaxError where `text` is not one JSON value, and a RangeError where it has
 * escaped keys and is nested some thousands deep.
 */
export function parsePlainJson(text: string): unknown {
  return mayHaveEscapedKey(text) ? new Reader(text, Number).read() : JSON.parse(text);
}

/** Reads `text` without V8's object reader. Throws as `parsePlainJson`. */
export function readByMember(text: string, number: ReadNumber): unknown {
  return new Reader(text, number).read();
}

class Reader {
  readonly #text: string;
  readonly #number: ReadNumber;
  #at = 0;

  constructor(text: string, number: ReadNumber) {
    this.#text = text;
    this.#number = number;
  }

  read(): unknown {
    const value = this.#value();
    if (this.#next() !== '') throw this.#fault();
    return value;
  }

  /** The next character that is no white space, not consumed; `''` at the end. */
  #next(): string {
    this.#take(SPACE);
    return this.#text.charAt(this.#at);
  }

  #take(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0];
    if (found !== undefined) this.#at += found.length;
    return found;
  }

  #value(): unknown {
    const next = this.#next();
    if (next === '{') return this.#object();
    if (next === '[') return this.#array();
    if (next === '"') return this.#string();
    for (const [name, value] of LITERALS) {
      if (this.#text.startsWith(name, this.#at)) {
        this.#at += name.length;
        return value;
      }
    }
    const source = this.#take(NUMBER);
    if (source === undefined) throw this.#fault();
    return this.#number(source);
  }

  /** V8 reads strings rightly, keys alone are at stake; it also refuses control characters and wrong escapes. */
  #string(): string {
    const source = this.#next() === '"' ? this.#take(STRING) : undefined;
    if (source === undefined) throw this.#fault();
    return JSON.parse(source) as string;
  }

  #object(): unknown {
    const members: [string, unknown][] = [];
    this.#at++;
    if (this.#next() !== '}') {
      do {
        const key = this.#string();
        if (this.#next() !== ':') throw this.#fault();
        this.#at++;
        members.push([key, this.#value()]);
      } while (this.#goesOn('}'));
    }
    this.#at++;
    // Defines each member: an assignment to `__proto__` would set the prototype.
    return Object.fromEntries(members);
  }

  #array(): unknown {
    const items: unknown[] = [];
    this.#at++;
    if (this.#next() !== ']') {
      do items.push(this.#value());
      while (this.#goesOn(']'));
    }
    this.#at++;
    return items;
  }

  #goesOn(close: string): boolean {
    const next = this.#next();
    if (next === close) return false;
    if (next !== ',') throw this.#fault();
    this.#at++;
    return true;
  }

  #fault(): SyntaxError {
    return new SyntaxError(
      this.#at >= this.#text.length ? 'The JSON ends too early' : `Not JSON at character ${this.#at + 1}`,
    );
  }
}
