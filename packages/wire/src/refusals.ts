import type { Span } from './text.ts';

/** Why a message is refused: stable names, for records and tests. */
export type RefusalReason =
  // The bytes are not one JSON text (-32700).
  | 'empty'
  | 'byte_order_mark'
  | 'invalid_utf8'
  | 'syntax'
  | 'control_character'
  | 'lone_surrogate'
  | 'trailing_bytes'
  // JSON that two parsers may read in two ways, or cannot read at all (-32600).
  | 'too_deep'
  | 'duplicate_key'
  | 'folded_key'
  // JSON that is not one legal JSON-RPC message (-32600).
  | 'batch'
  | 'not_object'
  | 'bad_jsonrpc'
  | 'bad_id'
  | 'missing_id'
  | 'missing_method'
  | 'bad_method'
  | 'method_with_result'
  | 'result_with_error'
  | 'wrong_kind'
  | 'bad_params'
  | 'bad_meta'
  | 'bad_progress_token'
  | 'bad_name'
  | 'bad_uri'
  | 'bad_arguments';

export type RefusalCode = -32700 | -32600;

export interface Refusal {
  readonly ok: false;
  /** JSON-RPC error code: -32700 where the bytes are not a JSON text, else -32600. */
  readonly code: RefusalCode;
  readonly reason: RefusalReason;
  /** What is wrong, where, and what to do. Quotes at most 64 characters of the message, escaped. */
  readonly message: string;
  /** Byte at which the fault was found. */
  readonly offset: number;
  /** Where the id stands, when the message is JSON, its envelope is unambiguous and the id is legal. */
  readonly id?: Span;
}

const MALFORMED: ReadonlySet<RefusalReason> = new Set([
  'empty',
  'byte_order_mark',
  'invalid_utf8',
  'syntax',
  'control_character',
  'lone_surrogate',
  'trailing_bytes',
]);

export function refuse(reason: RefusalReason, offset: number, message: string, id?: Span): Refusal {
  const code = MALFORMED.has(reason) ? -32700 : -32600;
  return id === undefined
    ? { ok: false, code, reason, message, offset }
    : { ok: false, code, reason, message, offset, id };
}

/** A key or another text of the message, escaped and shortened for an error message. */
export function quote(text: string): string {
  return JSON.stringify(text.length > 64 ? `${text.slice(0, 64)}…` : text).replace(
    /[\u007f-\u{10ffff}]/gu,
    (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`,
  );
}
