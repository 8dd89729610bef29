// Session ids of the gateway's own: sealed, so that any process with the key opens them and none stores them (spec: gateway §4).
import { createCipheriv, createDecipheriv, type KeyObject, randomBytes } from 'node:crypto';
import { parsePlainJson } from '@gatehouse/wire';
import type { SealingKeys } from '../key-ring.ts';
import type { GrantEntry } from '../model.ts';

export interface Session {
  /** What the client sends as `Mcp-Session-Id`. */
  readonly id: string;
  /** The upstream's own id; absent for stdio. */
  readonly upstream?: string;
  /** The child or stream that this session lives in, and the process that owns it. */
  readonly lane: string;
  readonly process: string;
  readonly grant: string;
  readonly identity: string;
  readonly server: string;
  readonly revision: number;
  /** As the client asked for it; an upstream may have settled on an older one. */
  readonly version?: string;
  readonly client?: { name: string; version: string };
  /** Milliseconds since 1970. */
  readonly expiresAt: number;
}

export type SessionFields = Omit<Session, 'id' | 'expiresAt' | 'process'>;

/** What an id is for; one is never taken for the other. */
const PURPOSES = {
  /** `Mcp-Session-Id`. */
  session: { prefix: 'gs1_', aad: Buffer.from('gatehouse session v1') },
  /** The `s` of the address that a client of HTTP+SSE posts to (spec: gateway §2). */
  sse: { prefix: 'gss_', aad: Buffer.from('gatehouse sse address v1') },
} as const;
const NONCE = 12;
const TAG = 16;
/**
 * Ended ids that are remembered. Their children are gone and their upstreams were told, so that one that is forgotten
 * opens nothing either; without a bound, a client that opens and ends sessions all day would fill the memory.
 */
const MAX_ENDED = 100_000;
/** Opened ids that are kept at hand; opening one again costs a few microseconds. */
const CACHE = 10_000;

export class Sessions {
  readonly #keys: SealingKeys;
  readonly #clock: () => number;
  readonly #lifetime: number;
  readonly #process: string;
  readonly #purpose: (typeof PURPOSES)[keyof typeof PURPOSES];
  readonly #opened = new Map<string, Session>();
  /** Ended ids, until they would have expired. */
  readonly #ended = new Map<string, number>();

  /**
   * @param lifetime milliseconds
   * @param processId names this process, for what lives in one process only
   */
  constructor(
    keys: SealingKeys,
    clock: () => number,
    lifetime: number,
    processId: string,
    purpose: keyof typeof PURPOSES = 'session',
  ) {
    this.#keys = keys;
    this.#clock = clock;
    this.#lifetime = lifetime;
    this.#process = processId;
    this.#purpose = PURPOSES[purpose];
  }

  seal(fields: SessionFields): Session {
    const body = { ...fields, process: this.#process, expiresAt: this.#clock() + this.#lifetime };
    const id =
      this.#purpose.prefix + sealBytes(this.#keys.current, Buffer.from(JSON.stringify(body)), this.#purpose.aad);
    const session = { id, ...body };
    this.#remember(session);
    return session;
  }

  /**
   * The session, if it holds for this grant on this server as it is now; unknown, foreign, expired and ended ones are
   * all `undefined` (answered 404 without saying which).
   * @param inProcess it lives in one process (stdio), so that another process does not know it
   */
  open(id: string, grant: GrantEntry, inProcess: boolean): Session | undefined {
    const session = this.#opened.get(id) ?? this.#unseal(id);
    if (session === undefined) return undefined;
    const { server } = grant.entry;
    const holds =
      session.expiresAt > this.#clock() &&
      session.grant === grant.id &&
      session.identity === grant.identityId &&
      session.server === server.id &&
      session.revision === server.revision &&
      (!inProcess || session.process === this.#process) &&
      !this.#ended.has(id);
    return holds ? session : undefined;
  }

  end(session: Session): void {
    const now = this.#clock();
    for (const [id, until] of this.#ended) {
      if (until > now && this.#ended.size < MAX_ENDED) break;
      this.#ended.delete(id);
    }
    this.#ended.set(session.id, session.expiresAt);
    this.#opened.delete(session.id);
  }

  #unseal(id: string): Session | undefined {
    const { prefix, aad } = this.#purpose;
    if (!id.startsWith(prefix) || id.length > 4_096) return undefined;
    const body = openWithAny(this.#keys, id.slice(prefix.length), aad);
    if (body === undefined) return undefined;
    const session = { id, ...(parsePlainJson(body.toString('utf8')) as Omit<Session, 'id'>) };
    this.#remember(session);
    return session;
  }

  #remember(session: Session): void {
    this.#opened.set(session.id, session);
    if (this.#opened.size > CACHE) {
      const oldest = this.#opened.keys().next();
      if (!oldest.done) this.#opened.delete(oldest.value);
    }
  }
}

/**
 * AES-256-GCM in base64url: for what a client keeps for the gateway.
 * @param nonce never the same for two texts; default: random
 */
export function sealBytes(key: KeyObject, plain: Uint8Array, aad: Buffer, nonce = randomBytes(NONCE)): string {
  const cipher = createCipheriv('aes-256-gcm', key, nonce);
  cipher.setAAD(aad);
  return Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()]).toString('base64url');
}

/** As {@link openBytes}, under the present key or one before it: what clients carry outlives a rotation. */
export function openWithAny(keys: SealingKeys, sealed: string, aad: Buffer): Buffer | undefined {
  let opened = openBytes(keys.current, sealed, aad);
  for (const key of keys.previous) opened ??= openBytes(key, sealed, aad);
  return opened;
}

/** Undefined for anything that this key did not seal for this purpose. */
export function openBytes(key: KeyObject, sealed: string, aad: Buffer): Buffer | undefined {
  const body = Buffer.from(sealed, 'base64url');
  // base64url decoding is lenient; a second spelling of an id must not be an id.
  if (body.length <= NONCE + TAG || body.toString('base64url') !== sealed) return undefined;
  const decipher = createDecipheriv('aes-256-gcm', key, body.subarray(0, NONCE));
  decipher.setAAD(aad);
  decipher.setAuthTag(body.subarray(body.length - TAG));
  try {
    return Buffer.concat([decipher.update(body.subarray(NONCE, body.length - TAG)), decipher.final()]);
  } catch {
    return undefined;
  }
}
