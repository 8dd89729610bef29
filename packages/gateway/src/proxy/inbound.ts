// From the upstream to the client: what may pass beside answers (spec: gateway §4, streams; design: §1 "server to client").
import type { KeyObject } from 'node:crypto';
import { type Message, type Reply, readString, replaceId, SERVER_METHODS, type ServerRequestKind } from '@gatehouse/wire';
import type { ServerSettings } from '../model.ts';
import { openText, type Session, sealText } from './sessions.ts';

export type Admission =
  | { action: 'pass'; bytes: Uint8Array; method: string; toolsChanged: boolean }
  /** Answered −32601 to the upstream, for this gateway does not let this kind through. */
  | { action: 'refuse'; method: string }
  | { action: 'drop'; why: string };

const PREFIX = 'gsr_';
const AAD = Buffer.from('gatehouse server request v1');
/** A person may take long to answer an elicitation. */
const LIFETIME_MS = 3_600_000;

interface SealedRequest {
  session: string;
  id: string;
  kind: ServerRequestKind;
  expiresAt: number;
}

/** Ids of server requests reach the client sealed, so that an answer can only go where its question came from. */
export class ServerRequestIds {
  readonly #key: KeyObject;
  readonly #clock: () => number;

  constructor(key: KeyObject, clock: () => number) {
    this.#key = key;
    this.#clock = clock;
  }

  /** @param id raw bytes of the upstream's id */
  seal(session: string, id: Uint8Array, kind: ServerRequestKind): string {
    const body: SealedRequest = {
      session,
      id: Buffer.from(id).toString('utf8'),
      kind,
      expiresAt: this.#clock() + LIFETIME_MS,
    };
    return PREFIX + sealText(this.#key, JSON.stringify(body), AAD);
  }

  /** The upstream's id in the bytes it was sent in, if the sealed one was made for this session and still holds. */
  open(sealed: string, session: string): Uint8Array | undefined {
    if (!sealed.startsWith(PREFIX) || sealed.length > 2_048) return undefined;
    const text = openText(this.#key, sealed.slice(PREFIX.length), AAD);
    if (text === undefined) return undefined;
    const body = JSON.parse(text) as SealedRequest;
    return body.session === session && body.expiresAt > this.#clock() ? Buffer.from(body.id, 'utf8') : undefined;
  }
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
    if (rule === undefined && !settings.vendorMethods.includes(method)) return { action: 'drop', why: 'an unknown notification' };
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
  return { action: 'pass', bytes: replaceId(message, JSON.stringify(sealed)).bytes, method, toolsChanged: false };
}

export function allows(settings: ServerSettings, kind: ServerRequestKind): boolean {
  return kind === 'ping' || settings.serverRequests[kind];
}

/** The answer of a client to a server request, with the upstream's own id; undefined when it answers nothing. */
export function openAnswer(ids: ServerRequestIds, session: Session | undefined, message: Message): Message | undefined {
  const key = sessionKey(session);
  if (key === undefined || message.idSpan === undefined || message.bytes[message.idSpan.start] !== 0x22) return undefined;
  const id = ids.open(readString(message.bytes, message.idSpan), key);
  return id === undefined ? undefined : replaceId(message, id);
}
