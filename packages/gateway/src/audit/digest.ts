import { createHmac, hash, type KeyObject } from 'node:crypto';
import { canonicalize, InexactNumber, isJsonObject, type JsonValue } from '@gatehouse/wire';
import { escapeUnsafe } from './unsafe-text.ts';

/** What the log keeps of one argument: never its value. */
export interface ArgumentDigest {
  type: 'string' | 'number' | 'boolean' | 'null' | 'array' | 'object';
  /** UTF-16 units of a string, items of an array, keys of an object. */
  length?: number;
  /** HMAC-SHA-256 of the value's canonical JSON under the log key, base64url. Equal values have equal digests. */
  digest: string;
}

/** What the log keeps of a call's arguments (spec: audit, member `arguments`). */
export interface ArgumentsDigest {
  /** HMAC-SHA-256 of the canonical JSON of all arguments. */
  digest: string;
  /** Length of that text in UTF-16 units. */
  length: number;
  keys: Record<string, ArgumentDigest>;
  /** Keys left out of `keys` because there were more than {@link MAX_KEYS}, or their names were too long. */
  omitted?: number;
}

/** Keys that one record describes. The digest of the whole covers the rest; a caller cannot make a record grow. */
export const MAX_KEYS = 64;
const MAX_KEY_LENGTH = 128;

/** The members `type` and `length` as JSON text, with a comma at the end. */
function described(value: JsonValue): string {
  switch (typeof value) {
    case 'string':
      return `"type":"string","length":${value.length},`;
    case 'number':
      return '"type":"number",';
    case 'boolean':
      return '"type":"boolean",';
    default:
      if (value === null) return '"type":"null",';
      if (value instanceof InexactNumber) return '"type":"number",';
      if (Array.isArray(value)) return `"type":"array","length":${value.length},`;
      return `"type":"object","length":${Object.keys(value).length},`;
  }
}

/** Canonical JSON of one value; strings, finite numbers and literals already have it from `JSON.stringify`. */
function canonicalText(value: JsonValue): string {
  return typeof value === 'object' && value !== null ? canonicalize(value) : JSON.stringify(value);
}

/** One of some hundred values: what is kept of them stays small, and tells nothing. */
function isCommon(value: JsonValue): boolean {
  return value === null || typeof value === 'boolean' || (typeof value === 'number' && COMMON_NUMBER.has(value));
}

const COMMON_NUMBER: ReadonlySet<number> = new Set(Array.from({ length: 256 }, (_, number) => number));

const BLOCK = 64;
const HASH = 32;
/** Longer texts are rare, and pay for a hash object. */
const SCRATCH = 16 * 1024;

/**
 * HMAC-SHA-256 under one key (RFC 2104), by two one-shot hashes over prepared pads: a third of the cost of an object per
 * value, of which a call needs one per argument.
 */
export class Mac {
  readonly #key: KeyObject;
  readonly #inner = Buffer.alloc(BLOCK + SCRATCH);
  readonly #outer = Buffer.alloc(BLOCK + HASH);
  readonly #common = new Map<string, string>();

  /** @param key at most 64 bytes, as the log key is: a longer one would have to be hashed first */
  constructor(key: KeyObject) {
    const raw = key.export();
    if (raw.length > BLOCK) throw new RangeError(`a log key has at most ${BLOCK} bytes`);
    this.#key = key;
    for (let at = 0; at < BLOCK; at++) {
      const byte = raw[at] ?? 0;
      this.#inner[at] = byte ^ 0x36;
      this.#outer[at] = byte ^ 0x5c;
    }
  }

  /** Of a value that has so few others that its digest is worth keeping: a truth value, null, a small number. */
  ofCommon(content: string): string {
    let digest = this.#common.get(content);
    if (digest === undefined) {
      digest = this.of(content);
      this.#common.set(content, digest);
    }
    return digest;
  }

  /** base64url */
  of(content: string): string {
    // A UTF-16 unit takes at most three bytes of UTF-8.
    if (content.length * 3 > SCRATCH) return createHmac('sha256', this.#key).update(content).digest('base64url');
    const length = this.#inner.write(content, BLOCK, 'utf8');
    // As a string: a Buffer for the 32 bytes would cost more than the hash itself.
    const inner = hash('sha256', this.#inner.subarray(0, BLOCK + length), 'binary');
    this.#outer.write(inner, BLOCK, 'latin1');
    return hash('sha256', this.#outer, 'base64url');
  }
}

/**
 * Digests of a call's arguments, as the JSON text of an {@link ArgumentsDigest}: it is made on the path of every call, and
 * only ever written. The key makes the digests useless for guessing a value back, and lets equal values be found.
 * @param mac under the log key
 * @param args the arguments; anything but an object gives a digest of the whole only
 * @throws TypeError when `args` is not JSON
 */
export function digestArguments(mac: Mac, args: JsonValue): string {
  if (!isJsonObject(args)) {
    const whole = canonicalize(args);
    return `{"digest":"${mac.of(whole)}","length":${whole.length},"keys":{}}`;
  }
  let keys = '';
  let kept = 0;
  let whole = '';
  // RFC 8785 §3.2.3: by UTF-16 units, which is how ECMAScript sorts strings.
  const names = Object.keys(args).sort();
  for (const name of names) {
    const value = args[name] as JsonValue;
    const text = canonicalText(value);
    const key = JSON.stringify(name);
    whole += `${whole === '' ? '{' : ','}${key}:${text}`;
    if (kept === MAX_KEYS || name.length > MAX_KEY_LENGTH) continue;
    keys += `${kept === 0 ? '' : ','}${escapeUnsafe(key)}:{${described(value)}"digest":"${isCommon(value) ? mac.ofCommon(text) : mac.of(text)}"}`;
    kept += 1;
  }
  whole = whole === '' ? '{}' : `${whole}}`;
  const omitted = names.length === kept ? '' : `,"omitted":${names.length - kept}`;
  return `{"digest":"${mac.of(whole)}","length":${whole.length},"keys":{${keys}}${omitted}}`;
}
