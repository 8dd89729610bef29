// The configuration as the data plane reads it: immutable pieces in Maps, each replaced as a whole (design §2).
import type { BlockList } from 'node:net';
import { isInSources } from './identity/sources.ts';
import { hashToken, isTokenForm } from './identity/token-format.ts';
import type { Authentication, AuthenticationFailure, Directory, GrantEntry, ServerEntry } from './model.ts';

/** What the directory keeps of a token. Times are milliseconds since the epoch; Infinity: never. */
export interface TokenPiece {
  readonly id: string;
  /** SHA-256, hexadecimal. */
  readonly hash: string;
  readonly identityId: string;
  /** Grants that it opens; undefined: all of the identity. */
  readonly only: ReadonlySet<string> | undefined;
  readonly expiresAt: number;
  readonly revoked: boolean;
}

export interface GrantPiece {
  readonly entry: GrantEntry;
  readonly sources: BlockList | undefined;
  readonly expiresAt: number;
  readonly revoked: boolean;
}

interface IdentityPiece {
  disabled: boolean;
  /** By slug: one grant that holds, or else the last one that was revoked. */
  readonly grants: Map<string, GrantPiece>;
}

const BEARER = /^bearer +([\x21-\x7e]+) *$/i;

/** The Directory with the ways to change it; only the control plane holds this type. */
export class LiveDirectory implements Directory {
  #epoch = 0;
  readonly #clock: () => number;
  readonly #servers = new Map<string, ServerEntry>();
  readonly #identities = new Map<string, IdentityPiece>();
  readonly #tokensByHash = new Map<string, TokenPiece>();
  readonly #tokensById = new Map<string, TokenPiece>();
  readonly #grants = new Map<string, GrantPiece>();
  readonly #lastUse = new Map<string, number>();
  readonly #listeners = new Set<(epoch: number) => void>();

  /** @param clock milliseconds since the epoch */
  constructor(clock: () => number) {
    this.#clock = clock;
  }

  get epoch(): number {
    return this.#epoch;
  }

  server(slug: string): ServerEntry | undefined {
    return this.#servers.get(slug);
  }

  servers(): Iterable<ServerEntry> {
    return this.#servers.values();
  }

  // Four look-ups in Maps, however many tokens, identities, grants and servers there are.
  authenticate(authorization: string | undefined, slug: string, now: number, source: string): Authentication {
    if (authorization === undefined || authorization === '') return failure('missing');
    const secret = BEARER.exec(authorization)?.[1];
    if (secret === undefined) return failure('malformed');
    const token = this.#tokensByHash.get(hashToken(secret));
    // The checksum only tells a mistyped token from an unknown one, so that a good one does not pay for it.
    if (token === undefined) return failure(isTokenForm(secret) ? 'unknown_token' : 'malformed');
    const reason = this.#tokenFailure(token, now);
    if (reason !== undefined) return failure(reason);
    if (!this.#servers.has(slug)) return failure('unknown_server');
    const grant = this.#identities.get(token.identityId)?.grants.get(slug);
    if (grant === undefined || token.only?.has(grant.entry.id) === false) return failure('no_grant');
    if (grant.revoked) return failure('revoked_grant');
    if (now >= grant.expiresAt) return failure('expired_grant');
    if (grant.sources !== undefined && !isInSources(grant.sources, source)) return failure('source_not_allowed');
    this.#lastUse.set(token.id, now);
    return { ok: true, grant: grant.entry, tokenId: token.id };
  }

  grant(id: string): GrantEntry | undefined {
    const grant = this.#grants.get(id);
    if (grant === undefined || grant.revoked || this.#clock() >= grant.expiresAt) return undefined;
    if (this.#identities.get(grant.entry.identityId)?.disabled !== false) return undefined;
    return grant.entry;
  }

  holds(tokenId: string, grantId: string, now: number, source: string): boolean {
    const token = this.#tokensById.get(tokenId);
    const grant = this.#grants.get(grantId);
    if (token === undefined || grant === undefined || grant.entry.identityId !== token.identityId) return false;
    if (this.#tokenFailure(token, now) !== undefined || token.only?.has(grantId) === false) return false;
    if (grant.revoked || now >= grant.expiresAt) return false;
    return grant.sources === undefined || isInSources(grant.sources, source);
  }

  onChange(listener: (epoch: number) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #tokenFailure(token: TokenPiece, now: number): AuthenticationFailure | undefined {
    if (token.revoked) return 'revoked_token';
    if (now >= token.expiresAt) return 'expired_token';
    if (this.#identities.get(token.identityId)?.disabled !== false) return 'disabled_identity';
    return undefined;
  }

  // --- What the control plane calls after a change was stored -------------------------------------------------------

  putServer(entry: ServerEntry): void {
    this.#servers.set(entry.server.slug, entry);
  }

  dropServer(slug: string): void {
    this.#servers.delete(slug);
    for (const [id, grant] of this.#grants) {
      if (grant.entry.caller.server.slug !== slug) continue;
      this.#grants.delete(id);
      this.#identities.get(grant.entry.identityId)?.grants.delete(slug);
    }
  }

  putIdentity(id: string, disabled: boolean): void {
    const known = this.#identities.get(id);
    if (known === undefined) this.#identities.set(id, { disabled, grants: new Map() });
    else known.disabled = disabled;
  }

  putToken(token: TokenPiece): void {
    this.#tokensByHash.set(token.hash, token);
    this.#tokensById.set(token.id, token);
  }

  /** The identity must be there already. */
  putGrant(grant: GrantPiece): void {
    this.#grants.set(grant.entry.id, grant);
    const grants = this.#identities.get(grant.entry.identityId)?.grants;
    if (grants === undefined) throw new Error(`grant ${grant.entry.id} of an unknown identity`);
    const { slug } = grant.entry.caller.server;
    const present = grants.get(slug);
    // A revoked grant never hides the one that took its place.
    const hidesAnother =
      grant.revoked && present !== undefined && !present.revoked && present.entry.id !== grant.entry.id;
    if (!hidesAnother) grants.set(slug, grant);
  }

  /** Ends a change: the epoch grows by one and the listeners hear of it. A listener that throws stops no other. */
  changed(): void {
    this.#epoch += 1;
    const faults: unknown[] = [];
    for (const listener of this.#listeners) {
      try {
        listener(this.#epoch);
      } catch (fault) {
        faults.push(fault);
      }
    }
    // The change is made and stored: a listener's fault must not look like a refusal of the change.
    for (const fault of faults)
      queueMicrotask(() => process.emitWarning(fault instanceof Error ? fault : String(fault)));
  }

  /** Tokens that were used since the last call of this, with the time of their last use. */
  takeLastUse(): Map<string, number> {
    const taken = new Map(this.#lastUse);
    this.#lastUse.clear();
    return taken;
  }
}

function failure(reason: AuthenticationFailure): Authentication {
  return { ok: false, reason };
}
