import { type KnownKeys, knownKeys, type Members, type MemberTable } from './members.ts';
import { CLIENT_METHODS, META } from './methods.ts';
import { quote, type Refusal, type RefusalReason, refuse } from './refusals.ts';
import { decodeBytes, equalsAscii, readString, type Span } from './text.ts';
import { type Tokens, tokenize } from './tokenizer.ts';

export interface ReadOptions {
  /** Containers open at once, 1 to 1024. Default: 64 for clients' messages, 512 for servers'. */
  readonly maxDepth?: number;
}

interface Accepted {
  readonly ok: true;
  readonly kind: 'request' | 'notification' | 'response';
  /** Where the id stands. Absent in notifications, and in a server's error reply that names no request. */
  readonly idSpan?: Span;
  /** Equal exactly for equal ids of equal type: `n:12`, `s:abc`. */
  readonly idKey?: string;
  readonly method?: string;
  /** Members of `params`. */
  readonly params?: MemberTable;
  readonly paramsSpan?: Span;
  /** Members of `params._meta`. */
  readonly meta?: MemberTable;
  readonly result?: Span;
  readonly error?: Span;
  /** The bytes that all spans refer to; they must not be changed. */
  readonly bytes: Uint8Array;
  /** The depth that it was read with, and is read with again after an edit. */
  readonly maxDepth: number;
}

/** A message from the client that may be judged. */
export interface Message extends Accepted {
  readonly side: 'client';
  /** `params.name` of methods that carry one, checked. */
  readonly name?: string;
  /** `params.uri` of methods that carry one. */
  readonly uri?: string;
  /** Where `params.arguments` stands, always an object. */
  readonly argumentsSpan?: Span;
  /** A number anywhere in `params` is not what its nearest double prints as. */
  readonly inexactNumbers: boolean;
}

/** A message from an upstream server: a reply, or a request or notification of its own. */
export interface Reply extends Accepted {
  readonly side: 'server';
  /** Members of `result`, where it is an object. */
  readonly resultMembers?: MemberTable;
  /** Members of `result._meta`. */
  readonly resultMeta?: MemberTable;
  /** Members of `error`, where it is an object. */
  readonly errorMembers?: MemberTable;
}

const CLIENT_DEPTH = 64;
const SERVER_DEPTH = 512;
const MAX_ID_BYTES = 256;
const NAME = /^[A-Za-z0-9_.\-/]{1,128}$/;

const ENVELOPE_KEYS = knownKeys(['jsonrpc', 'id', 'method', 'params', 'result', 'error']);
const META_KEYS = knownKeys(Object.values(META));
// Members of params that the gateway reads or binds. A server that ignores case (Go's encoding/json does) would take
// `Arguments` for arguments that no rule has seen.
const PARAM_KEYS = knownKeys([
  '_meta',
  'name',
  'uri',
  'arguments',
  'cursor',
  'ref',
  'argument',
  'context',
  'task',
  'taskId',
  'requestId',
  'progressToken',
  'protocolVersion',
  'capabilities',
  'inputResponses',
  'requestState',
  'notifications',
]);
// Members of result that the gateway reads, cuts or rewrites, seen by a client that ignores case.
const RESULT_KEYS = knownKeys([
  '_meta',
  'tools',
  'resources',
  'resourceTemplates',
  'prompts',
  'nextCursor',
  'resultType',
  'cacheScope',
  'inputRequests',
  'requestState',
  'task',
  'taskId',
  'tasks',
]);

/** Reads one message from the client, or says why it may not go on (spec: gateway §4 Bodies). */
export function readMessage(bytes: Uint8Array, options: ReadOptions = {}): Message | Refusal {
  const maxDepth = options.maxDepth ?? CLIENT_DEPTH;
  const tokens = tokenize(bytes, 'client', maxDepth);
  if (!tokens.ok) return tokens;
  const envelope = readEnvelope(bytes, tokens, false);
  if (!envelope.ok) return envelope;
  const { root, id, idKey, method, kind } = envelope;
  const fail = (reason: RefusalReason, at: Span, what: string): Refusal => refuse(reason, at.start, what, id);

  const known = method === undefined ? undefined : CLIENT_METHODS.get(method);
  if (method !== undefined) {
    const wanted = known?.kind ?? (method.startsWith('notifications/') ? 'notification' : kind);
    if (wanted !== kind) {
      const advice =
        wanted === 'request' ? 'is a request: send it with an id' : 'is a notification: send it without an id';
      return fail('wrong_kind', root.get('method')!, `Method ${quote(method)} ${advice}.`);
    }
  }

  const paramsSpan = root.get('params');
  const params = root.child('params');
  const meta = params?.child('_meta');
  let name: string | undefined;
  let uri: string | undefined;
  let argumentsSpan: Span | undefined;
  if (paramsSpan !== undefined) {
    if (params === undefined) return fail('bad_params', paramsSpan, describe('params', paramsSpan, 'an object'));
    const stranger = known === undefined ? undefined : (strangerIn(params, PARAM_KEYS) ?? strangerIn(meta, META_KEYS));
    if (stranger !== undefined) return fail('folded_key', stranger.span, stranger.message);
    const refusal = checkMeta(params, meta, id);
    if (refusal !== undefined) return refusal;
    if (known?.kind === 'request' && known.named !== 'uri') {
      argumentsSpan = params.get('arguments');
      if (argumentsSpan !== undefined && bytes[argumentsSpan.start] !== 0x7b)
        return fail('bad_arguments', argumentsSpan, describe('params.arguments', argumentsSpan, 'an object'));
    }
  }
  // What the message's own era does not have is no such method, whatever it is about.
  const version = known?.eras === 'legacy' ? meta?.get(META.protocolVersion) : undefined;
  const outOfEra = version !== undefined && bytes[version.start] === 0x22;
  if (known?.named !== undefined && !outOfEra) {
    const span = params?.get(known.named);
    const text = span === undefined || bytes[span.start] !== 0x22 ? undefined : readString(bytes, span);
    const at = span ?? paramsSpan ?? root.get('method')!;
    if (known.named === 'name') {
      if (text === undefined || !NAME.test(text))
        return fail('bad_name', at, describe('params.name', at, 'a string of 1 to 128 letters, digits and _ . - /'));
      name = text;
    } else {
      if (text === undefined) return fail('bad_uri', at, describe('params.uri', at, 'a string'));
      uri = text;
    }
  }
  return {
    ok: true,
    side: 'client',
    kind,
    idSpan: id,
    idKey,
    method,
    params,
    paramsSpan,
    meta,
    name,
    uri,
    argumentsSpan,
    inexactNumbers: tokens.inexactNumbers,
    result: root.get('result'),
    error: root.get('error'),
    bytes,
    maxDepth,
  };
}

/**
 * Reads one message from an upstream server. What lies deeper than the members that the gateway reads is only checked
 * for being JSON: the reply goes on as it is.
 */
export function readReply(bytes: Uint8Array, options: ReadOptions = {}): Reply | Refusal {
  const maxDepth = options.maxDepth ?? SERVER_DEPTH;
  const tokens = tokenize(bytes, 'server', maxDepth);
  if (!tokens.ok) return tokens;
  const envelope = readEnvelope(bytes, tokens, true);
  if (!envelope.ok) return envelope;
  const { root, id, idKey, method, kind } = envelope;
  const paramsSpan = root.get('params');
  const params = root.child('params');
  if (paramsSpan !== undefined && params === undefined)
    return refuse('bad_params', paramsSpan.start, describe('params', paramsSpan, 'an object'), id);
  const meta = params?.child('_meta');
  const resultMembers = root.child('result');
  const resultMeta = resultMembers?.child('_meta');
  const stranger =
    strangerIn(params, PARAM_KEYS) ??
    strangerIn(meta, META_KEYS) ??
    strangerIn(resultMembers, RESULT_KEYS) ??
    strangerIn(resultMeta, META_KEYS);
  if (stranger !== undefined) return refuse('folded_key', stranger.span.start, stranger.message, id);
  return {
    ok: true,
    side: 'server',
    kind,
    idSpan: id,
    idKey,
    method,
    params,
    paramsSpan,
    meta,
    result: root.get('result'),
    resultMembers,
    resultMeta,
    error: root.get('error'),
    errorMembers: root.child('error'),
    bytes,
    maxDepth,
  };
}

/**
 * Looks for keys that parsers may read in two ways, in one value of validated bytes: duplicate keys anywhere in it, keys
 * equal after folding in its outermost object. For items of a server's list, which `readReply` does not look into.
 * `undefined` when there are none.
 */
export function checkValue(bytes: Uint8Array, span: Span, options: ReadOptions = {}): Refusal | undefined {
  const tokens = tokenize(bytes.subarray(span.start, span.end), 'value', options.maxDepth ?? SERVER_DEPTH);
  if (!tokens.ok) return { ...tokens, offset: tokens.offset + span.start };
  const refusal = tokens.keyFault?.refusal;
  return refusal === undefined ? undefined : { ...refusal, offset: refusal.offset + span.start };
}

interface Envelope {
  readonly ok: true;
  readonly root: Members;
  readonly id: Span | undefined;
  readonly idKey: string | undefined;
  readonly method: string | undefined;
  readonly kind: Accepted['kind'];
}

function readEnvelope(bytes: Uint8Array, tokens: Tokens, fromServer: boolean): Envelope | Refusal {
  const { root, keyFault, start } = tokens;
  if (root === undefined) {
    return bytes[start] === 0x5b
      ? refuse('batch', start, 'The body is a batch: send one JSON-RPC message at a time.')
      : refuse('not_object', start, 'The body is not an object: send one JSON-RPC message.');
  }
  if (keyFault?.inRoot) return keyFault.refusal;
  const stranger = root.foldedStranger(ENVELOPE_KEYS);
  if (stranger !== -1) {
    const span = root.memberAt(stranger);
    return refuse('folded_key', span.start, strangerMessage(root.keyAt(stranger), span));
  }

  const result = root.get('result');
  const error = root.get('error');
  let id = root.get('id');
  let idKey: string | undefined;
  // JSON-RPC §5: the id of an error reply is null where the request's could not be read.
  if (fromServer && id !== undefined && error !== undefined && equalsAscii(bytes, id.start, id.end, 'null')) {
    id = undefined;
  } else if (id !== undefined) {
    idKey = readIdKey(bytes, id);
    if (idKey === undefined)
      return refuse('bad_id', id.start, describe('id', id, `a string or an integer of at most ${MAX_ID_BYTES} bytes`));
  }
  if (keyFault !== undefined) return id === undefined ? keyFault.refusal : { ...keyFault.refusal, id };
  const jsonrpc = root.get('jsonrpc');
  if (jsonrpc === undefined || !isVersion(bytes, jsonrpc)) {
    const at = jsonrpc ?? { start, end: start };
    return refuse('bad_jsonrpc', at.start, describe('jsonrpc', at, 'the string "2.0"'), id);
  }

  const methodSpan = root.get('method');
  if (methodSpan !== undefined && (result ?? error) !== undefined)
    return refuse('method_with_result', methodSpan.start, 'A message has method beside result or error: send one.', id);
  if (result !== undefined && error !== undefined)
    return refuse('result_with_error', error.start, 'A message has both result and error: send one of them.', id);
  if (methodSpan === undefined) {
    if (result === undefined && error === undefined)
      return refuse('missing_method', start, 'The message has none of method, result and error: send a method.', id);
    if (id === undefined && !(fromServer && error !== undefined))
      return refuse('missing_id', start, 'The response has no id: send the id of the request that it answers.');
    return { ok: true, root, id, idKey, method: undefined, kind: 'response' };
  }
  if (bytes[methodSpan.start] !== 0x22)
    return refuse('bad_method', methodSpan.start, describe('method', methodSpan, 'a string'), id);
  // Nearly every message that costs anything is a call: comparing is cheaper than making the string.
  const method = equalsAscii(bytes, methodSpan.start, methodSpan.end, '"tools/call"')
    ? 'tools/call'
    : readString(bytes, methodSpan);
  return { ok: true, root, id, idKey, method, kind: id === undefined ? 'notification' : 'request' };
}

function isVersion(bytes: Uint8Array, span: Span): boolean {
  if (equalsAscii(bytes, span.start, span.end, '"2.0"')) return true;
  return bytes[span.start] === 0x22 && readString(bytes, span) === '2.0';
}

/** `undefined` where the id is neither a string nor an integer, or too long. */
function readIdKey(bytes: Uint8Array, span: Span): string | undefined {
  if (span.end - span.start > MAX_ID_BYTES) return undefined;
  if (bytes[span.start] === 0x22) return `s:${readString(bytes, span)}`;
  if (!isInteger(bytes, span)) return undefined;
  const text = decodeBytes(bytes, span.start, span.end);
  return text === '-0' ? 'n:0' : `n:${text}`;
}

/** Whether a value is an integer written without fraction and exponent. */
function isInteger(bytes: Uint8Array, span: Span): boolean {
  for (let at = span.start; at < span.end; at++) {
    const byte = bytes[at]!;
    if ((byte < 0x30 || byte > 0x39) && byte !== 0x2d) return false;
  }
  return true;
}

function checkMeta(params: Members, meta: Members | undefined, id: Span | undefined): Refusal | undefined {
  const metaSpan = params.get('_meta');
  if (metaSpan === undefined) return undefined;
  if (meta === undefined)
    return refuse('bad_meta', metaSpan.start, describe('params._meta', metaSpan, 'an object'), id);
  const token = meta.get(META.progressToken);
  if (token === undefined || meta.bytes[token.start] === 0x22 || isInteger(meta.bytes, token)) return undefined;
  const what = describe('params._meta.progressToken', token, 'a string or an integer');
  return refuse('bad_progress_token', token.start, what, id);
}

/** A member whose key meets one of `known` only after case folding. */
function strangerIn(table: Members | undefined, known: KnownKeys): { span: Span; message: string } | undefined {
  const at = table?.foldedStranger(known) ?? -1;
  if (table === undefined || at === -1) return undefined;
  const span = table.memberAt(at);
  return { span, message: strangerMessage(table.keyAt(at), span) };
}

function strangerMessage(key: string, span: Span): string {
  return `Key ${quote(key)} at byte ${span.start} is the name of another member but for its case: spell it exactly.`;
}

function describe(what: string, at: Span, wanted: string): string {
  return `${what} (byte ${at.start}) is not ${wanted}: send it so.`;
}
