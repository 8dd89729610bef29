import { hashKey, hashStep } from './fold.ts';
import { ANY, EXACT, FOLDED, type KeyFault, KeyGuard, type KeyMode } from './keys.ts';
import { Members } from './members.ts';
import { isExactNumber } from './numbers.ts';
import { type Refusal, refuse } from './refusals.ts';
import { decodeBytes, equalsAscii, readString } from './text.ts';

/**
 * What is looked for besides JSON's grammar.
 * - `client`: duplicate keys anywhere; keys equal after folding in the envelope and at any depth of `params`.
 * - `server`: both in the envelope, directly in `result`, `params` and `error`, and in their `_meta`; nothing deeper.
 * - `value`: one bare value; duplicate keys anywhere, keys equal after folding in its outermost object.
 */
export type Profile = 'client' | 'server' | 'value';

export interface Tokens {
  readonly ok: true;
  /** First byte of the value. */
  readonly start: number;
  /** Members of the outermost object, `undefined` where the value is none. Tables of `params`, `result`, `error` and of their `_meta` are its children. */
  readonly root: Members | undefined;
  /** `client` only: a number in `params` is not what its nearest double prints as. */
  readonly inexactNumbers: boolean;
  /** Duplicate or folded keys: the text is JSON, but its meaning depends on the parser. */
  readonly keyFault: KeyFault | undefined;
}

/** Recursion and offsets stay within what every engine allows. */
const MAX_DEPTH_LIMIT = 1024;
const MAX_BYTES = 2 ** 30;

// Which objects are recorded, and hence what their members mean.
const ROOT = 1;
const SECTION = 2;
const META = 3;
type Role = 0 | typeof ROOT | typeof SECTION | typeof META;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;

// 1: a byte that stands for itself inside a string (printable ASCII but quote and backslash).
const PLAIN = new Uint8Array(256).fill(1, 0x20, 0x80);
PLAIN[QUOTE] = 0;
PLAIN[BACKSLASH] = 0;

const encode = (text: string): readonly number[] => [...text].map((character) => character.charCodeAt(0));
const TRUE = encode('true');
const FALSE = encode('false');
const NULL = encode('null');
const SINGLE_ESCAPES: ReadonlySet<number> = new Set(encode('"\\/bfnrt'));

/**
 * Reads one JSON text from `bytes` in a single pass.
 * `maxDepth` counts open containers, 1 to 1024; a RangeError is thrown outside of that, and above 1 GiB.
 */
export function tokenize(bytes: Uint8Array, profile: Profile, maxDepth: number): Tokens | Refusal {
  if (!(Number.isInteger(maxDepth) && maxDepth >= 1 && maxDepth <= MAX_DEPTH_LIMIT))
    throw new RangeError(`maxDepth must be an integer from 1 to ${MAX_DEPTH_LIMIT}, not ${maxDepth}`);
  if (bytes.length > MAX_BYTES) throw new RangeError(`messages above ${MAX_BYTES} bytes cannot be read`);
  return new Tokenizer(bytes, profile, maxDepth).run();
}

/** Methods take the offset to read at and give the offset after what they read, or -1 after a failure. */
class Tokenizer {
  readonly #bytes: Uint8Array;
  readonly #length: number;
  readonly #profile: Profile;
  readonly #maxDepth: number;
  #failure: Refusal | undefined;
  readonly #guard: KeyGuard;
  #inexact: boolean;
  #inParams: boolean;
  // Of the key read last.
  #keyHash = 0;
  #keyPlain: boolean;

  constructor(bytes: Uint8Array, profile: Profile, maxDepth: number) {
    this.#bytes = bytes;
    this.#length = bytes.length;
    this.#profile = profile;
    this.#maxDepth = maxDepth;
    this.#guard = new KeyGuard(bytes);
    this.#inexact = false;
    this.#inParams = false;
    this.#keyPlain = true;
  }

  run(): Tokens | Refusal {
    const bytes = this.#bytes;
    if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf)
      return refuse('byte_order_mark', 0, 'The body begins with a byte order mark: send UTF-8 without one.');
    const start = this.#space(0);
    if (start === this.#length) return refuse('empty', start, 'The body is empty: send one JSON-RPC message.');
    const root = bytes[start] === 0x7b ? new Members(bytes) : undefined;
    const end = this.#value(start, 1, FOLDED, root, ROOT);
    if (end === -1) return this.#failure!;
    const rest = this.#space(end);
    if (rest !== this.#length)
      return refuse('trailing_bytes', rest, `The JSON text ends before byte ${rest}: send nothing after it.`);
    return { ok: true, start, root, inexactNumbers: this.#inexact, keyFault: this.#guard.fault };
  }

  #value(at: number, depth: number, mode: KeyMode, table: Members | undefined, role: Role): number {
    const byte = this.#bytes[at];
    switch (byte) {
      case QUOTE: {
        const end = this.#string(at + 1);
        return end === -1 ? -1 : end + 1;
      }
      case 0x7b:
        return depth > this.#maxDepth ? this.#tooDeep(at) : this.#object(at + 1, depth, mode, table, role);
      case 0x5b:
        return depth > this.#maxDepth ? this.#tooDeep(at) : this.#array(at + 1, depth, mode);
      case 0x74:
        return this.#literal(at, TRUE);
      case 0x66:
        return this.#literal(at, FALSE);
      case 0x6e:
        return this.#literal(at, NULL);
      default:
        return this.#number(at);
    }
  }

  #object(at: number, depth: number, mode: KeyMode, table: Members | undefined, role: Role): number {
    const bytes = this.#bytes;
    const guard = this.#guard;
    const base = guard.open;
    let many: Map<string, number> | undefined;
    at = this.#space(at);
    if (bytes[at] === 0x7d) return at + 1;
    for (;;) {
      if (bytes[at] !== QUOTE) return this.#syntax(at, 'a key in double quotes');
      const keyStart = at + 1;
      const keyEnd = this.#key(keyStart);
      if (keyEnd === -1) return -1;
      const hash = this.#keyHash;
      const plain = this.#keyPlain;
      if (mode !== ANY) many = guard.note(keyStart, keyEnd, hash, plain, base, many, mode, role === ROOT);
      at = this.#space(keyEnd + 1);
      if (bytes[at] !== COLON) return this.#syntax(at, 'a colon');
      at = this.#space(at + 1);
      let end: number;
      if (table === undefined) {
        end = this.#value(at, depth + 1, mode, undefined, 0);
      } else {
        const child = bytes[at] === 0x7b ? this.#childTable(role, keyStart, keyEnd) : undefined;
        const inner = this.#childMode(role, mode, keyStart, keyEnd);
        end = this.#value(at, depth + 1, inner, child, child === undefined ? 0 : role === ROOT ? SECTION : META);
        if (role === ROOT) this.#inParams = false;
        if (end !== -1) table.add(keyStart, keyEnd, at, end, hash, plain, child);
      }
      if (end === -1) return -1;
      at = this.#space(end);
      const byte = bytes[at];
      if (byte === COMMA) at = this.#space(at + 1);
      else if (byte === 0x7d) {
        guard.open = base;
        return at + 1;
      } else return this.#syntax(at, 'a comma or a closing brace');
    }
  }

  #array(at: number, depth: number, mode: KeyMode): number {
    const bytes = this.#bytes;
    at = this.#space(at);
    if (bytes[at] === 0x5d) return at + 1;
    const inner = this.#profile === 'value' && depth === 1 ? EXACT : mode;
    for (;;) {
      const end = this.#value(at, depth + 1, inner, undefined, 0);
      if (end === -1) return -1;
      at = this.#space(end);
      const byte = bytes[at];
      if (byte === COMMA) at = this.#space(at + 1);
      else if (byte === 0x5d) return at + 1;
      else return this.#syntax(at, 'a comma or a closing bracket');
    }
  }

  #childTable(role: Role, keyStart: number, keyEnd: number): Members | undefined {
    const recorded =
      this.#profile !== 'value' &&
      ((role === ROOT && this.#isSection(keyStart, keyEnd)) ||
        (role === SECTION && this.#keyIs(keyStart, keyEnd, '_meta')));
    return recorded ? new Members(this.#bytes) : undefined;
  }

  #childMode(role: Role, mode: KeyMode, keyStart: number, keyEnd: number): KeyMode {
    switch (this.#profile) {
      case 'client':
        if (role !== ROOT) return mode;
        this.#inParams = this.#keyIs(keyStart, keyEnd, 'params');
        return this.#inParams ? FOLDED : EXACT;
      case 'server':
        if (role === ROOT) return this.#isSection(keyStart, keyEnd) ? FOLDED : ANY;
        return role === SECTION && this.#keyIs(keyStart, keyEnd, '_meta') ? FOLDED : ANY;
      case 'value':
        return EXACT;
    }
  }

  #isSection(keyStart: number, keyEnd: number): boolean {
    return (
      this.#keyIs(keyStart, keyEnd, 'params') ||
      this.#keyIs(keyStart, keyEnd, 'result') ||
      this.#keyIs(keyStart, keyEnd, 'error')
    );
  }

  #keyIs(start: number, end: number, name: string): boolean {
    return this.#keyPlain ? equalsAscii(this.#bytes, start, end, name) : this.#text(start, end) === name;
  }

  #text(start: number, end: number): string {
    return readString(this.#bytes, { start: start - 1, end: end + 1 });
  }

  /** Reads a key after its quote; gives the offset of the closing quote. */
  #key(start: number): number {
    const bytes = this.#bytes;
    const length = this.#length;
    let at = start;
    let hash = 0;
    while (at < length) {
      const byte = bytes[at]!;
      if (PLAIN[byte] !== 1) break;
      hash = hashStep(hash, byte);
      at++;
    }
    this.#keyPlain = at < length && bytes[at] === QUOTE;
    if (!this.#keyPlain) {
      at = this.#string(at);
      if (at === -1) return -1;
      hash = hashKey(this.#text(start, at));
    }
    this.#keyHash = hash;
    return at;
  }

  /** Reads a string after its quote; gives the offset of the closing quote. */
  #string(at: number): number {
    const bytes = this.#bytes;
    const length = this.#length;
    for (;;) {
      while (at < length && PLAIN[bytes[at]!] === 1) at++;
      const byte = bytes[at];
      if (byte === QUOTE) return at;
      if (byte === undefined) return this.#syntax(at, 'a closing quote');
      if (byte === BACKSLASH) at = this.#escape(at);
      else if (byte >= 0x80) at = this.#multibyte(at, byte);
      else
        return this.#fail(
          refuse('control_character', at, `A string holds a bare control character at byte ${at}: escape it.`),
        );
      if (at === -1) return -1;
    }
  }

  #escape(at: number): number {
    const byte = this.#bytes[at + 1];
    if (byte !== 0x75) {
      if (byte !== undefined && SINGLE_ESCAPES.has(byte)) return at + 2;
      return this.#syntax(at, 'a legal escape');
    }
    const unit = this.#hex4(at + 2);
    if (unit === -1) return this.#syntax(at, 'four hexadecimal digits after \\u');
    if (unit < 0xd800 || unit > 0xdfff) return at + 6;
    if (unit <= 0xdbff && this.#bytes[at + 6] === BACKSLASH && this.#bytes[at + 7] === 0x75) {
      const low = this.#hex4(at + 8);
      if (low >= 0xdc00 && low <= 0xdfff) return at + 12;
    }
    return this.#fail(
      refuse('lone_surrogate', at, `A string holds half a surrogate pair at byte ${at}: send both halves or neither.`),
    );
  }

  #hex4(at: number): number {
    let unit = 0;
    for (let i = at; i < at + 4; i++) {
      const byte = this.#bytes[i] ?? 0;
      const letter = byte | 0x20;
      if (byte >= 0x30 && byte <= 0x39) unit = unit * 16 + byte - 0x30;
      else if (letter >= 0x61 && letter <= 0x66) unit = unit * 16 + letter - 0x57;
      else return -1;
    }
    return unit;
  }

  /** RFC 3629 §4: shortest forms only, no surrogates, nothing above U+10FFFF. */
  #multibyte(at: number, lead: number): number {
    const bytes = this.#bytes;
    const second = bytes[at + 1] ?? 0;
    if (lead >= 0xc2 && lead <= 0xdf) {
      if (isContinuation(second)) return at + 2;
    } else if (lead >= 0xe0 && lead <= 0xef) {
      const from = lead === 0xe0 ? 0xa0 : 0x80;
      const to = lead === 0xed ? 0x9f : 0xbf;
      if (second >= from && second <= to && isContinuation(bytes[at + 2])) return at + 3;
    } else if (lead >= 0xf0 && lead <= 0xf4) {
      const from = lead === 0xf0 ? 0x90 : 0x80;
      const to = lead === 0xf4 ? 0x8f : 0xbf;
      if (second >= from && second <= to && isContinuation(bytes[at + 2]) && isContinuation(bytes[at + 3]))
        return at + 4;
    }
    return this.#fail(refuse('invalid_utf8', at, `The body is not UTF-8 at byte ${at}: send UTF-8.`));
  }

  #number(start: number): number {
    const bytes = this.#bytes;
    let at = start;
    if (bytes[at] === 0x2d) at++;
    const first = bytes[at];
    if (first === undefined || first < 0x30 || first > 0x39) return this.#syntax(start, 'a JSON value');
    at = first === 0x30 ? at + 1 : this.#digits(at);
    if (bytes[at] === 0x2e) {
      const fraction = this.#digits(at + 1);
      if (fraction === at + 1) return this.#syntax(fraction, 'a digit after the decimal point');
      at = fraction;
    }
    const mantissaEnd = at;
    if (bytes[at] === 0x65 || bytes[at] === 0x45) {
      at++;
      if (bytes[at] === 0x2b || bytes[at] === 0x2d) at++;
      const exponent = this.#digits(at);
      if (exponent === at) return this.#syntax(exponent, 'a digit in the exponent');
      at = exponent;
    }
    // At most 15 digits with an exponent below 100 always survive the way through a double.
    if (this.#inParams && !this.#inexact && (mantissaEnd - start > 15 || at - mantissaEnd > 3)) {
      this.#inexact = !isExactNumber(decodeBytes(bytes, start, at));
    }
    return at;
  }

  #digits(at: number): number {
    const bytes = this.#bytes;
    while (at < this.#length && bytes[at]! >= 0x30 && bytes[at]! <= 0x39) at++;
    return at;
  }

  #literal(at: number, literal: readonly number[]): number {
    for (let i = 1; i < literal.length; i++) {
      if (this.#bytes[at + i] !== literal[i]) return this.#syntax(at, 'a JSON value');
    }
    return at + literal.length;
  }

  /** RFC 8259 §2: space, tab, line feed, carriage return. */
  #space(at: number): number {
    const bytes = this.#bytes;
    while (at < this.#length) {
      const byte = bytes[at]!;
      if (byte > 0x20 || (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09)) return at;
      at++;
    }
    return at;
  }

  #tooDeep(at: number): number {
    return this.#fail(
      refuse('too_deep', at, `More than ${this.#maxDepth} containers are open at byte ${at}: send a flatter message.`),
    );
  }

  #syntax(at: number, expected: string): number {
    const where = at >= this.#length ? 'The body ends too early' : `The body is not JSON at byte ${at}`;
    return this.#fail(refuse('syntax', Math.min(at, this.#length), `${where}: ${expected} is expected there.`));
  }

  #fail(refusal: Refusal): -1 {
    this.#failure = refusal;
    return -1;
  }
}

function isContinuation(byte: number | undefined): boolean {
  return byte !== undefined && (byte & 0xc0) === 0x80;
}
