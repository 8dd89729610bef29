// Retries of revision 2026-07-28 (spec: gateway §4, streams): a result may ask the client for something, and the client
// repeats its call with the answers. What the server needs to remember travels through the client, sealed to the call.
import { hash } from 'node:crypto';
import {
  CLIENT_METHODS,
  canonicalize,
  type JsonObject,
  keepInputResponses,
  type Message,
  objectMembers,
  parsePlainJson,
  type Reply,
  readString,
  readValue,
  replaceRequestState,
} from '@gatehouse/wire';
import type { SealingKeys } from '../key-ring.ts';
import type { GrantEntry } from '../model.ts';
import { openWithAny, sealBytes } from './sessions.ts';

const PREFIX = 'gq1_';
const AAD = Buffer.from('gatehouse request state v1');
/** A person may take long to answer an elicitation. */
const LIFETIME_MS = 3_600_000;

/** What a sealed state holds. */
interface Sealed {
  /** What the state belongs to, as {@link bindingOf} gives it. */
  binding: string;
  /** Keys of the answers that were asked for. */
  asked: readonly string[];
  /** The server's own state as it wrote it, raw JSON; absent where it gave none. */
  state?: string;
  expiresAt: number;
}

/** A retry with what only the gateway could read, opened; or why it goes nowhere. */
export type Opened =
  | { readonly message: Message; readonly answers: number; readonly dropped: number }
  | { readonly refused: string };

/** Seals what a client carries from one round of a call to the next. Nothing is kept here. */
export class RequestStates {
  readonly #keys: SealingKeys;
  readonly #clock: () => number;

  constructor(keys: SealingKeys, clock: () => number) {
    this.#keys = keys;
    this.#clock = clock;
  }

  /** The result with its state sealed to the call that it answers; one that asks for nothing is given as it is. */
  seal(grant: GrantEntry, call: Message, reply: Reply): Reply {
    const members = reply.resultMembers;
    if (members === undefined || !(members.has('requestState') || members.has('inputRequests'))) return reply;
    if (!isRound(call)) return reply;
    const state = members.get('requestState');
    const asked = members.get('inputRequests');
    const body: Sealed = {
      binding: bindingOf(grant, call),
      // One that is no object is refused as a whole (inbound.ts).
      asked: asked === undefined || reply.bytes[asked.start] !== 0x7b ? [] : objectMembers(reply.bytes, asked).keys(),
      ...(state === undefined ? {} : { state: textOf(reply.bytes.subarray(state.start, state.end)) }),
      expiresAt: this.#clock() + LIFETIME_MS,
    };
    const sealed = PREFIX + sealBytes(this.#keys.current, Buffer.from(JSON.stringify(body)), AAD);
    return replaceRequestState(reply, JSON.stringify(sealed));
  }

  /**
   * Opens the state of a retry: the server gets its own one back, and answers only to what it asked.
   * @returns undefined where the message is no retry
   */
  open(grant: GrantEntry, call: Message): Opened | undefined {
    const state = call.params?.get('requestState');
    const responses = call.params?.get('inputResponses');
    if ((state === undefined && responses === undefined) || !isRound(call)) return undefined;
    if (responses !== undefined && call.bytes[responses.start] !== 0x7b) {
      return { refused: 'inputResponses is not an object: send one answer under each key that was asked.' };
    }
    let opened: Sealed | undefined;
    if (state !== undefined) {
      opened = call.bytes[state.start] === 0x22 ? this.#unseal(readString(call.bytes, state)) : undefined;
      if (opened === undefined || opened.binding !== bindingOf(grant, call)) return { refused: UNKNOWN };
    }
    const asked = new Set(opened?.asked);
    const given = responses === undefined ? [] : objectMembers(call.bytes, responses).keys();
    const answers = given.filter((key) => asked.has(key)).length;
    const kept = answers === given.length ? call : keepInputResponses(call, asked);
    const message = state === undefined ? kept : replaceRequestState(kept, opened?.state ?? null);
    return { message, answers, dropped: given.length - answers };
  }

  #unseal(text: string): Sealed | undefined {
    if (!text.startsWith(PREFIX)) return undefined;
    const body = openWithAny(this.#keys, text.slice(PREFIX.length), AAD);
    if (body === undefined) return undefined;
    const sealed = parsePlainJson(body.toString('utf8')) as Sealed;
    return sealed.expiresAt > this.#clock() ? sealed : undefined;
  }
}

/** One text for foreign, changed and expired ones: there is nothing to tell them apart by. */
const UNKNOWN =
  'This requestState is not known for this call: it belongs to another one, was changed, or has expired. Make the call again without it.';

/** Vendors may use these names for what they like, and a task's answers are bound to the task (tasks.ts). */
function isRound(call: Message): boolean {
  const method = call.method ?? '';
  return call.kind === 'request' && CLIENT_METHODS.has(method) && !method.startsWith('tasks/');
}

/**
 * What a state is sealed to: grant, server and the call with all of its params, but for what differs from round to round.
 */
function bindingOf(grant: GrantEntry, call: Message): string {
  const { id, revision } = grant.entry.server;
  const params = call.paramsSpan === undefined ? {} : (readValue(call.bytes, call.paramsSpan) as JsonObject);
  const { _meta, requestState, inputResponses, ...same } = params;
  const text = JSON.stringify([grant.id, grant.identityId, id, revision, call.method, canonicalize(same)]);
  return hash('sha256', text, 'base64url');
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8');
}
