import { foldKey, hashKey } from './fold.ts';
import { equalsAscii, readString, type Span, stringEnd } from './text.ts';

/** The members of one JSON object, by unescaped key. */
export interface MemberTable {
  /** Number of members. */
  readonly size: number;
  /** Where the value of `key` stands; quotes and brackets are part of it. */
  get(key: string): Span | undefined;
  has(key: string): boolean;
  /** Unescaped keys in the order of the text. */
  keys(): string[];
}

/** Above this a Map of keys is made at the first look-up. */
const LINEAR = 16;
const FIELDS = 6;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;

/** A table that the tokenizer fills as it goes. */
export class Members implements MemberTable {
  readonly bytes: Uint8Array;
  // keyStart, keyEnd, valueStart, valueEnd, hash, plain per member; the key's range is without quotes. Plain (1): ASCII
  // without escapes, so that other bytes are another key.
  readonly #fields: number[] = [];
  #children: (Members | undefined)[] | undefined;
  #index: Map<string, number> | undefined;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  get size(): number {
    return this.#fields.length / FIELDS;
  }

  add(
    keyStart: number,
    keyEnd: number,
    valueStart: number,
    valueEnd: number,
    hash: number,
    plain: boolean,
    child?: Members,
  ): void {
    if (child !== undefined) {
      this.#children ??= [];
      this.#children[this.size] = child;
    }
    this.#fields.push(keyStart, keyEnd, valueStart, valueEnd, hash, plain ? 1 : 0);
  }

  get(key: string): Span | undefined {
    const at = this.indexOf(key);
    return at === -1 ? undefined : this.valueAt(at);
  }

  has(key: string): boolean {
    return this.indexOf(key) !== -1;
  }

  keys(): string[] {
    const keys: string[] = [];
    for (let at = 0; at < this.size; at++) keys.push(this.keyAt(at));
    return keys;
  }

  /** The recorded table of the value of `key`, when that is an object that the tokenizer records. */
  child(key: string): Members | undefined {
    const at = this.indexOf(key);
    return at === -1 ? undefined : this.#children?.[at];
  }

  indexOf(key: string): number {
    if (this.size > LINEAR) {
      if (this.#index === undefined) {
        this.#index = new Map();
        for (let at = this.size - 1; at >= 0; at--) this.#index.set(this.keyAt(at), at);
      }
      return this.#index.get(key) ?? -1;
    }
    const fields = this.#fields;
    for (let at = 0; at < fields.length; at += FIELDS) {
      if (keyEquals(this.bytes, fields[at]!, fields[at + 1]!, fields[at + 5] === 1, key)) return at / FIELDS;
    }
    return -1;
  }

  keyAt(at: number): string {
    return readString(this.bytes, { start: this.keyStart(at) - 1, end: this.#fields[at * FIELDS + 1]! + 1 });
  }

  /** First byte of the key, after its quote. */
  keyStart(at: number): number {
    return this.#fields[at * FIELDS]!;
  }

  valueAt(at: number): Span {
    return { start: this.#fields[at * FIELDS + 2]!, end: this.#fields[at * FIELDS + 3]! };
  }

  /** Where key and value of member `at` stand together, from the key's quote to the end of the value. */
  memberAt(at: number): Span {
    return { start: this.keyStart(at) - 1, end: this.#fields[at * FIELDS + 3]! };
  }

  /** First member whose key meets a known key after case folding but is not that key; -1 if there is none. */
  foldedStranger(known: KnownKeys): number {
    const fields = this.#fields;
    for (let at = 0; at < fields.length; at += FIELDS) {
      const name = known.get(fields[at + 4]!);
      if (name !== undefined && !keyEquals(this.bytes, fields[at]!, fields[at + 1]!, fields[at + 5] === 1, name)) {
        const key = this.keyAt(at / FIELDS);
        if (key !== name && foldKey(key) === foldKey(name)) return at / FIELDS;
      }
    }
    return -1;
  }
}

/** Known keys by the hash of their folded form. */
export type KnownKeys = ReadonlyMap<number, string>;

/** Throws an Error when two of the keys share a hash: the list is a constant, so that this shows at start. */
export function knownKeys(keys: readonly string[]): KnownKeys {
  const known = new Map<number, string>();
  for (const key of keys) {
    if (known.has(hashKey(key))) throw new Error(`known keys with one hash: ${known.get(hashKey(key))}, ${key}`);
    known.set(hashKey(key), key);
  }
  return known;
}

/** Compares the raw content of a key with an unescaped key. */
function keyEquals(bytes: Uint8Array, start: number, end: number, plain: boolean, key: string): boolean {
  if (plain) return equalsAscii(bytes, start, end, key);
  // Raw content that equals a key with a backslash stands for another key.
  if (equalsAscii(bytes, start, end, key)) return !key.includes('\\');
  return readString(bytes, { start: start - 1, end: end + 1 }) === key;
}

/** Whether a key is ASCII without escapes. */
function isPlain(bytes: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at < end; at++) {
    const byte = bytes[at]!;
    if (byte === BACKSLASH || byte >= 0x80) return false;
  }
  return true;
}

/**
 * Where the items of the array at `span` stand, in validated bytes.
 * Throws a TypeError where there is no array.
 */
export function arrayItems(bytes: Uint8Array, span: Span): Span[] {
  if (bytes[span.start] !== 0x5b) throw new TypeError(`no array at byte ${span.start}`);
  const items: Span[] = [];
  let at = skipSpace(bytes, span.start + 1);
  while (bytes[at] !== 0x5d) {
    const end = skipValue(bytes, at);
    items.push({ start: at, end });
    at = skipSpace(bytes, end);
    if (bytes[at] === COMMA) at = skipSpace(bytes, at + 1);
  }
  return items;
}

/**
 * The members of the object at `span`, in validated bytes. Where the bytes were validated leniently (inside replies) and a
 * key stands twice, the first one is found.
 * Throws a TypeError where there is no object.
 */
export function objectMembers(bytes: Uint8Array, span: Span): MemberTable {
  return scanMembers(bytes, span);
}

/** As `objectMembers`, with the offsets that edits need. */
export function scanMembers(bytes: Uint8Array, span: Span): Members {
  if (bytes[span.start] !== 0x7b) throw new TypeError(`no object at byte ${span.start}`);
  const table = new Members(bytes);
  let at = skipSpace(bytes, span.start + 1);
  while (bytes[at] !== 0x7d) {
    const keyEnd = stringEnd(bytes, at + 1);
    const start = skipSpace(bytes, skipSpace(bytes, keyEnd + 1) + 1);
    const end = skipValue(bytes, start);
    table.add(at + 1, keyEnd, start, end, 0, isPlain(bytes, at + 1, keyEnd));
    at = skipSpace(bytes, end);
    if (bytes[at] === COMMA) at = skipSpace(bytes, at + 1);
  }
  return table;
}

function skipSpace(bytes: Uint8Array, at: number): number {
  while (at < bytes.length && bytes[at]! <= 0x20) at++;
  return at;
}

/** End of the value that begins at `at`. */
function skipValue(bytes: Uint8Array, at: number): number {
  let depth = 0;
  for (; at < bytes.length; at++) {
    const byte = bytes[at]!;
    if (byte === QUOTE) at = stringEnd(bytes, at + 1);
    else if (byte === 0x7b || byte === 0x5b) depth++;
    else if (byte === 0x7d || byte === 0x5d) {
      if (depth === 0) return at;
      depth--;
    } else if (depth > 0) continue;
    else {
      while (at < bytes.length && isScalarByte(bytes[at]!)) at++;
      return at;
    }
    if (depth === 0) return at + 1;
  }
  return at;
}

/** Bytes of numbers and literals: what ends them is white space, a comma or a bracket. */
function isScalarByte(byte: number): boolean {
  return byte > 0x20 && byte !== COMMA && byte !== 0x5d && byte !== 0x7d;
}
