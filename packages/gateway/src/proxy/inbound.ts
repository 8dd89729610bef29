// From the upstream to the client: what may pass beside answers (spec: gateway §4, streams; design: §1 "server to client").
import { hash } from 'node:crypto';
import {
  checkValue,
  type Message,
  type Reply,
  readString,
  readValue,
  replaceId,
  SERVER_METHODS,
  type ServerRequestKind,
} from '@gatehouse/wire';
import type { SealingKeys } from '../key-ring.ts';
import type { ServerSettings } from '../model.ts';
import { openWithAny, type Session, sealBytes } from './sessions.ts';

export type Admission =
  | { action: 'pass'; bytes: Uint8Array; method: string; toolsChanged: boolean }
  /** Answered −32601 to the upstream, for this gateway does not let this kind through. */
  | { action: 'refuse'; method: string }
  | { action: 'drop'; why: string };

const PREFIX = 'gsr_';
const AAD = Buffer.from('gatehouse server request v1');
/** A person may take long to answer an elicitation. */
const LIFETIME_MS = 3_600_000;
/** Bytes of the session's hash that bind a question to its session. */
const SESSION_BYTES = 16;
const TIME_BYTES = 6;
/** An id may have 256 bytes (spec: gateway §4, bodies); longer ones of an upstream cannot be sealed into one. */
const MAX_UPSTREAM_ID = 120;

/** Ids of server requests reach the client sealed, so that an answer can only go where its question came from. */
export class ServerRequestIds {
  readonly #keys: SealingKeys;
  readonly #clock: () => number;

  constructor(keys: SealingKeys, clock: () => number) {
    this.#keys = keys;
    this.#clock = clock;
  }

  /**
   * @param id raw bytes of the upstream's id
   * @returns undefined when the id is too long to be sealed
   */
  seal(session: string, id: Uint8Array, kind: ServerRequestKind): string | undefined {
    if (id.length > MAX_UPSTREAM_ID) return undefined;
    const time = Buffer.alloc(TIME_BYTES);
    time.writeUIntBE(this.#clock() + LIFETIME_MS, 0, TIME_BYTES);
    return (
      PREFIX +
      sealBytes(
        this.#keys.current,
        Buffer.concat([sessionHash(session), time, Buffer.from([KINDS.indexOf(kind)]), id]),
        AAD,
      )
    );
  }

  /** The upstream's id in the bytes it was sent in, if the sealed one was made for this session and still holds. */
  open(sealed: string, session: string): Uint8Array | undefined {
    if (!sealed.startsWith(PREFIX)) return undefined;
    const body = openWithAny(this.#keys, sealed.slice(PREFIX.length), AAD);
    if (body === undefined || body.length <= SESSION_BYTES + TIME_BYTES + 1) return undefined;
    const holds =
      body.subarray(0, SESSION_BYTES).equals(sessionHash(session)) &&
      body.readUIntBE(SESSION_BYTES, TIME_BYTES) > this.#clock();
    return holds ? body.subarray(SESSION_BYTES + TIME_BYTES + 1) : undefined;
  }
}

const KINDS: readonly ServerRequestKind[] = ['elicitation', 'sampling', 'roots', 'ping'];

function sessionHash(session: string): Buffer {
  return hash('sha256', session, 'buffer').subarray(0, SESSION_BYTES);
}

/** Where the protocol has no session there is nobody to ask. */
export function sessionKey(session: Session | undefined): string | undefined {
  return session?.id;
}

/** What becomes of a message of the upstream that answers nothing the client asked. */
export function admit(
  ids: ServerRequestIds,
  settings: ServerSettings,
  session: Session | undefined,
  message: Reply,
): Admission {
  if (message.kind === 'response') return { action: 'drop', why: 'an answer to nothing that was asked' };
  const method = message.method ?? '';
  const rule = SERVER_METHODS.get(method);
  if (message.kind === 'notification') {
    if (rule === undefined && !settings.vendorMethods.includes(method))
      return { action: 'drop', why: 'an unknown notification' };
    return {
      action: 'pass',
      bytes: message.bytes,
      method,
      toolsChanged: method === 'notifications/tools/list_changed',
    };
  }
  const kind = rule?.kind === 'request' ? rule.request : undefined;
  const key = sessionKey(session);
  if (kind === undefined || key === undefined || message.idSpan === undefined || !allows(settings, kind)) {
    return { action: 'refuse', method };
  }
  const id = message.bytes.subarray(message.idSpan.start, message.idSpan.end);
  const sealed = ids.seal(key, id, kind);
  if (sealed === undefined) return { action: 'refuse', method };
  return { action: 'pass', bytes: replaceId(message, JSON.stringify(sealed)).bytes, method, toolsChanged: false };
}

export function allows(settings: ServerSettings, kind: ServerRequestKind): boolean {
  return kind === 'ping' || settings.serverRequests[kind];
}

const KIND_WORDS: Readonly<Record<string, string>> = {
  sampling: 'sampling',
  elicitation: 'elicitation',
  roots: 'its roots',
};

/**
 * Revision 2026-07-28 asks in a result instead of a request (`inputRequests`); the same kinds pass (spec: gateway §4).
 * @returns what is asked for and may not pass; undefined: everything may
 */
export function refusedInput(settings: ServerSettings, reply: Reply): string | undefined {
  const asked = (reply.kind === 'response' ? reply.resultMembers : reply.params)?.get('inputRequests');
  if (asked === undefined) return undefined;
  // Read by its last key or its first: which of two a client takes cannot be known.
  if (reply.bytes[asked.start] !== 0x7b || checkValue(reply.bytes, asked) !== undefined) return 'something unreadable';
  const requests = readValue(reply.bytes, asked) as Readonly<Record<string, unknown>>;
  for (const request of Object.values(requests)) {
    const method = (request as { method?: unknown } | null)?.method;
    const rule = typeof method === 'string' ? SERVER_METHODS.get(method) : undefined;
    if (rule?.kind !== 'request') return 'something unknown';
    if (!allows(settings, rule.request)) return KIND_WORDS[rule.request] ?? rule.request;
  }
  return undefined;
}

/** The answer of a client to a server request, with the upstream's own id; undefined when it answers nothing. */
export function openAnswer(ids: ServerRequestIds, session: Session | undefined, message: Message): Message | undefined {
  const key = sessionKey(session);
  if (key === undefined || message.idSpan === undefined || message.bytes[message.idSpan.start] !== 0x22)
    return undefined;
  const id = ids.open(readString(message.bytes, message.idSpan), key);
  return id === undefined ? undefined : replaceId(message, id);
}
