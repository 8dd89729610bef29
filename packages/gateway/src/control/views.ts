// The records as the API and the command line show them: names in place of ids, nothing secret.
import type { PolicyProblem } from '@gatehouse/policy';
import { parsePlainJson } from '@gatehouse/wire';
import { wordDiff } from '../definitions/word-diff.ts';
import type { Definition, DefinitionChange, Grant, Policy, Server, Token } from '../model.ts';
import type { DefinitionRecord, GrantRecord, PolicyRecord, ServerRecord, TokenRecord } from '../store/records.ts';
import type { ControlState } from './state.ts';

export function serverView(state: ControlState, server: ServerRecord): Server {
  const credentials = state.credentials.get(server.id);
  return { ...server, credentials: { kind: credentials?.kind ?? 'none', names: credentials?.names ?? [] } };
}

export function policyView(state: ControlState, policy: PolicyRecord, warnings: readonly PolicyProblem[]): Policy {
  const present = policy.versions.at(-1);
  if (present === undefined) throw new Error(`policy ${policy.id} has no version`);
  return {
    id: policy.id,
    server: slugOf(state, policy.serverId),
    name: policy.name,
    version: present.version,
    document: present.document,
    digest: present.digest,
    warnings,
    grants: state.grantsOf({ policyId: policy.id }).filter((grant) => grant.revokedAt === undefined).length,
    createdAt: policy.createdAt,
    updatedAt: policy.updatedAt,
    updatedBy: policy.updatedBy,
  };
}

export function tokenView(state: ControlState, token: TokenRecord): Token {
  return {
    id: token.id,
    identity: state.identities.get(token.identityId)?.name ?? token.identityId,
    label: token.label,
    hint: token.hint,
    grants: token.grants,
    createdAt: token.createdAt,
    ...given({
      expiresAt: token.expiresAt,
      revokedAt: token.revokedAt,
      lastUsedAt: state.lastUse.get(token.id),
      replacedBy: token.replacedBy,
    }),
  };
}

export function grantView(state: ControlState, grant: GrantRecord): Grant {
  return {
    id: grant.id,
    label: grant.label,
    identity: state.identities.get(grant.identityId)?.name ?? grant.identityId,
    identityId: grant.identityId,
    server: slugOf(state, grant.serverId),
    attributes: grant.attributes,
    sources: grant.sources,
    createdAt: grant.createdAt,
    revision: grant.revision,
    ...given({
      policy: grant.policyId === undefined ? undefined : state.policies.get(grant.policyId)?.name,
      expiresAt: grant.expiresAt,
      revokedAt: grant.revokedAt,
    }),
  };
}

export function definitionView(state: ControlState, definition: DefinitionRecord): Definition {
  return {
    server: slugOf(state, definition.serverId),
    name: definition.name,
    state: definition.state,
    observedDigest: definition.observedDigest,
    class: definition.class,
    classification: definition.classification,
    changes: definition.changes.map(withWords),
    observed: parseBytes(definition.observedBytes),
    firstSeenAt: definition.firstSeenAt,
    ...given({
      acceptedDigest: definition.acceptedDigest,
      classOverride: definition.classOverride,
      acceptedAt: definition.acceptedAt,
      acceptedBy: definition.acceptedBy,
    }),
    ...(definition.acceptedBytes === undefined ? {} : { accepted: parseBytes(definition.acceptedBytes) }),
  };
}

function withWords(change: DefinitionChange): DefinitionChange {
  const { before, after } = change;
  return typeof before === 'string' && typeof after === 'string'
    ? { ...change, words: wordDiff(before, after) }
    : change;
}

const decoder = new TextDecoder();

/** The JSON value of a definition's bytes; they were validated when they were taken in. */
export function parseBytes(bytes: Uint8Array): unknown {
  return parsePlainJson(decoder.decode(bytes));
}

/** Only the members that have a value: absent and `undefined` would differ in JSON and in comparisons. */
function given<T extends Record<string, string | undefined>>(members: T): { [K in keyof T]?: NonNullable<T[K]> } {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: NonNullable<T[K]>;
  };
}

function slugOf(state: ControlState, serverId: string): string {
  return state.servers.get(serverId)?.slug ?? serverId;
}
