import { parsePlainJson } from '@gatehouse/wire';
import { GatehouseError } from '../errors.ts';
import type { StoreDatabase } from '../store/open.ts';
import type {
  CredentialsRecord,
  DefinitionRecord,
  GrantRecord,
  IdentityRecord,
  PolicyRecord,
  ServerRecord,
  TokenRecord,
} from '../store/records.ts';
import { openEnvelope, type SealingKey } from '../store/seal.ts';
import { readCredentials } from '../store/tables/credentials.ts';
import { readDefinitions } from '../store/tables/definitions.ts';
import { readGrants } from '../store/tables/grants.ts';
import { readIdentities } from '../store/tables/identities.ts';
import { readPolicies } from '../store/tables/policies.ts';
import { readServers } from '../store/tables/servers.ts';
import { readTokens } from '../store/tables/tokens.ts';

/** Credentials in the clear, in memory only. */
export interface OpenCredentials {
  readonly kind: 'headers' | 'environment';
  readonly names: readonly string[];
  readonly values: Readonly<Record<string, string>>;
}

/**
 * Everything in the store, in memory: one process owns the store, so that reading never waits and never differs from
 * what was committed. Changed only by the `apply` of a change, after its commit.
 */
export class ControlState {
  readonly servers = new Map<string, ServerRecord>();
  readonly credentials = new Map<string, OpenCredentials>();
  readonly definitions = new Map<string, Map<string, DefinitionRecord>>();
  readonly policies = new Map<string, PolicyRecord>();
  readonly identities = new Map<string, IdentityRecord>();
  readonly tokens = new Map<string, TokenRecord>();
  readonly grants = new Map<string, GrantRecord>();
  /** When tokens were used last, by id: no change of state, so it has no record and no part in a change. */
  readonly lastUse = new Map<string, string>();
  readonly #serverBySlug = new Map<string, string>();
  readonly #identityByName = new Map<string, string>();

  putServer(server: ServerRecord): void {
    this.servers.set(server.id, server);
    this.#serverBySlug.set(server.slug, server.id);
    if (!this.definitions.has(server.id)) this.definitions.set(server.id, new Map());
  }

  dropServer(server: ServerRecord): void {
    this.servers.delete(server.id);
    this.#serverBySlug.delete(server.slug);
    this.credentials.delete(server.id);
    this.definitions.delete(server.id);
    for (const policy of this.policiesOf(server.id)) this.policies.delete(policy.id);
    for (const grant of this.grantsOf({ serverId: server.id })) this.grants.delete(grant.id);
  }

  putIdentity(identity: IdentityRecord): void {
    this.identities.set(identity.id, identity);
    this.#identityByName.set(identity.name, identity.id);
  }

  serverBySlug(slug: string): ServerRecord | undefined {
    return this.servers.get(this.#serverBySlug.get(slug) ?? '');
  }

  /** @throws GatehouseError not_found */
  needServer(slug: string): ServerRecord {
    const server = this.serverBySlug(slug);
    if (server === undefined) throw notFound('server', slug, [...this.#serverBySlug.keys()]);
    return server;
  }

  /** @param ref id or name */
  identityByRef(ref: string): IdentityRecord | undefined {
    return this.identities.get(ref) ?? this.identities.get(this.#identityByName.get(ref) ?? '');
  }

  /** @throws GatehouseError not_found */
  needIdentity(ref: string): IdentityRecord {
    const identity = this.identityByRef(ref);
    if (identity === undefined) throw notFound('identity', ref, [...this.#identityByName.keys()]);
    return identity;
  }

  /** @throws GatehouseError not_found */
  needGrant(id: string): GrantRecord {
    const grant = this.grants.get(id);
    if (grant === undefined) throw notFound('grant', id, []);
    return grant;
  }

  /** @throws GatehouseError not_found */
  needToken(id: string): TokenRecord {
    const token = this.tokens.get(id);
    if (token === undefined) throw notFound('token', id, []);
    return token;
  }

  policyByName(serverId: string, name: string): PolicyRecord | undefined {
    return this.policiesOf(serverId).find((policy) => policy.name === name);
  }

  /** @throws GatehouseError not_found */
  needPolicy(server: ServerRecord, name: string): PolicyRecord {
    const policy = this.policyByName(server.id, name);
    if (policy !== undefined) return policy;
    const names = this.policiesOf(server.id).map((other) => other.name);
    throw notFound('policy', `${server.slug}/${name}`, names);
  }

  policiesOf(serverId: string): PolicyRecord[] {
    return [...this.policies.values()].filter((policy) => policy.serverId === serverId);
  }

  grantsOf(filter: { serverId?: string; identityId?: string; policyId?: string }): GrantRecord[] {
    return [...this.grants.values()].filter(
      (grant) =>
        (filter.serverId === undefined || grant.serverId === filter.serverId) &&
        (filter.identityId === undefined || grant.identityId === filter.identityId) &&
        (filter.policyId === undefined || grant.policyId === filter.policyId),
    );
  }
}

/** Where the values of a server's credentials belong; they open nowhere else. */
export function credentialsAad(serverId: string, kind: string): string {
  return `credentials:${serverId}:${kind}`;
}

/**
 * Reads the whole store.
 * @throws GatehouseError key_missing when credentials do not open
 */
export async function loadState(db: StoreDatabase, keys: readonly SealingKey[]): Promise<ControlState> {
  const state = new ControlState();
  for (const server of await readServers(db)) state.putServer(server);
  for (const record of await readCredentials(db)) state.credentials.set(record.serverId, openCredentials(record, keys));
  for (const definition of await readDefinitions(db)) {
    state.definitions.get(definition.serverId)?.set(definition.name, definition);
  }
  for (const policy of await readPolicies(db)) state.policies.set(policy.id, policy);
  for (const identity of await readIdentities(db)) state.putIdentity(identity);
  for (const { token, lastUsedAt } of await readTokens(db)) {
    state.tokens.set(token.id, token);
    if (lastUsedAt !== undefined) state.lastUse.set(token.id, lastUsedAt);
  }
  for (const grant of await readGrants(db)) state.grants.set(grant.id, grant);
  return state;
}

/** @throws GatehouseError key_missing when they do not open */
export function openCredentials(record: CredentialsRecord, keys: readonly SealingKey[]): OpenCredentials {
  const text = openEnvelope(keys, record, credentialsAad(record.serverId, record.kind));
  return { kind: record.kind, names: record.names, values: parsePlainJson(text) as Record<string, string> };
}

function notFound(what: string, ref: string, known: readonly string[]): GatehouseError {
  const list = known.slice(0, 10).join(', ');
  const hint = known.length === 0 ? '' : ` There is: ${list}${known.length > 10 ? ', …' : ''}.`;
  return new GatehouseError('not_found', `There is no ${what} ${JSON.stringify(ref)}.${hint}`);
}
