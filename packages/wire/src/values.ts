import type { Message } from './envelope.ts';
import { mayHaveEscapedKey, parsePlainJson, readByMember } from './json-text.ts';
import { isExactNumber, isNumberText } from './numbers.ts';
import { decodeBytes, type Span } from './text.ts';

/** A JSON value. Numbers that no double holds exactly are `InexactNumber`. */
export type JsonValue = null | boolean | number | string | InexactNumber | JsonValue[] | { [key: string]: JsonValue };

/** A JSON object: neither an array, null nor an `InexactNumber`. */
export type JsonObject = { [key: string]: JsonValue };

/** A number whose decimal, as written, is not what its nearest double prints as; `source` is the text written. */
export class InexactNumber {
  readonly source: string;

  /** Throws a TypeError where `source` is not a number in JSON's grammar. */
  constructor(source: string) {
    if (!isNumberText(source)) throw new TypeError(`not a JSON number: ${JSON.stringify(source.slice(0, 64))}`);
    this.source = source;
  }

  /** The digits as written, so that `JSON.stringify` does not round them. */
  toJSON(): unknown {
    return rawJson(this.source);
  }
}

// ECMAScript 2026 (JSON.parse source text access), in V8 since 11.4; not in TypeScript's library yet.
const rawJson = (JSON as unknown as { rawJSON: (text: string) => unknown }).rawJSON;
const parseWithSource = JSON.parse as (
  text: string,
  reviver: (key: string, value: unknown, context: { source?: string }) => unknown,
) => JsonValue;

// A number outside this pattern has at most 15 significant digits and an exponent below 100: always exact.
// Text inside strings may match too; that only costs time.
const MAY_BE_INEXACT = /[\d.]{16}|\d[eE][-+]?\d{3}/;

export function isJsonObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof InexactNumber);
}

/**
 * Reads the value at `span` of bytes that the tokenizer accepted. A `__proto__` key is an own property like any other.
 * Throws a SyntaxError where the bytes are not one JSON value.
 */
export function readValue(bytes: Uint8Array, span: Span): JsonValue {
  return parseJson(decodeBytes(bytes, span.start, span.end));
}

/**
 * The `arguments` of a call that the tokenizer accepted; `{}` where there are none.
 * `plain`: they hold neither null nor an `InexactNumber`. Where the word stands inside a string it may be false, never true
 * where they do.
 */
export function readArguments(message: Message): { value: JsonValue; plain: boolean } {
  const span = message.argumentsSpan;
  if (span === undefined) return { value: {}, plain: true };
  const text = decodeBytes(message.bytes, span.start, span.end);
  if (message.inexactNumbers) return { value: parseJson(text), plain: false };
  return { value: parsePlainJson(text) as JsonValue, plain: !text.includes('null') };
}

/** `JSON.parse` that gives `InexactNumber` where a double would lie. Duplicate keys are not looked for. */
export function parseJson(text: string): JsonValue {
  if (mayHaveEscapedKey(text)) return readByMember(text, readNumber) as JsonValue;
  if (!MAY_BE_INEXACT.test(text)) return JSON.parse(text) as JsonValue;
  return parseWithSource(text, (_key, value, context) =>
    typeof value === 'number' && context.source !== undefined ? readNumber(context.source) : value,
  );
}

function readNumber(source: string): number | InexactNumber {
  return isExactNumber(source) ? Number(source) : new InexactNumber(source);
}
