// From the records to the pieces of the Directory: what the data plane reads is made here, when something changes.
import type { ArgumentValidator, CompiledPolicy, PolicyProblem, SchemaCompiler } from '@gatehouse/policy';
import { compilePolicy } from '@gatehouse/policy';
import type { LiveDirectory } from '../directory.ts';
import { sourceList } from '../identity/sources.ts';
import type { DefinitionState, ServedTool, ServerEntry } from '../model.ts';
import type { DefinitionRecord, GrantRecord, PolicyRecord, ServerRecord, TokenRecord } from '../store/records.ts';
import type { ControlState } from './state.ts';
import { parseBytes, serverView } from './views.ts';

const NONE: Readonly<Record<string, string>> = Object.freeze({});

/** A policy compiled for its server's tools. One that this version no longer takes has no `policy`: its grants deny everything. */
export interface CompiledPiece {
  readonly policy: CompiledPolicy | undefined;
  readonly problems: readonly PolicyProblem[];
}

/** What the policy engine makes of a definition's state; `undefined` while nobody accepted it. */
function judgedState(state: DefinitionState, everAccepted: boolean): ServedTool['state'] {
  if (!everAccepted) return 'new';
  return state === 'accepted' || state === 'text_changed' || state === 'gone' ? 'accepted' : 'changed';
}

export class Pieces {
  readonly #state: ControlState;
  readonly #directory: LiveDirectory;
  readonly #compileSchema: SchemaCompiler;
  /** A record is immutable, so its tool is made once; compiled schemas live as long as the record. */
  readonly #servedTools = new WeakMap<DefinitionRecord, ServedTool>();
  readonly #toolsOf = new Map<string, ReadonlyMap<string, ServedTool>>();
  readonly #entries = new Map<string, ServerEntry>();
  readonly #compiled = new Map<string, CompiledPiece>();

  constructor(state: ControlState, directory: LiveDirectory, compileSchema: SchemaCompiler) {
    this.#state = state;
    this.#directory = directory;
    this.#compileSchema = compileSchema;
  }

  /** Fills the directory at the start. */
  all(): void {
    for (const { id, disabledAt } of this.#state.identities.values()) {
      this.#directory.putIdentity(id, disabledAt !== undefined);
    }
    for (const token of this.#state.tokens.values()) this.token(token);
    for (const server of this.#state.servers.values()) this.definitions(server);
  }

  toolsOf(serverId: string): ReadonlyMap<string, ServedTool> {
    return this.#toolsOf.get(serverId) ?? new Map<string, ServedTool>();
  }

  problemsOf(policyId: string): readonly PolicyProblem[] {
    return this.#compiled.get(policyId)?.problems ?? [];
  }

  /** Compiles as {@link policy} does, without changing anything. */
  compile(policy: PolicyRecord, tools: ReadonlyMap<string, ServedTool>): CompiledPiece {
    const compiled = compilePolicy(policy.versions.at(-1)?.document, { tools });
    return compiled.ok
      ? { policy: compiled.policy, problems: compiled.warnings }
      : { policy: undefined, problems: compiled.problems };
  }

  /** After a change of a server's definitions. */
  definitions(server: ServerRecord): void {
    const tools = new Map<string, ServedTool>();
    // By name, as the store gives them at a start, so that warnings keep their order over a restart.
    const sorted = [...(this.#state.definitions.get(server.id)?.values() ?? [])].sort((a, b) =>
      a.name < b.name ? -1 : 1,
    );
    for (const definition of sorted) {
      tools.set(definition.name, this.#servedTool(definition));
    }
    this.#toolsOf.set(server.id, tools);
    for (const policy of this.#state.policiesOf(server.id)) {
      this.#compiled.set(policy.id, this.compile(policy, this.toolsOf(server.id)));
    }
    this.server(server);
  }

  /** After a change of a server's transport, settings or credentials. */
  server(server: ServerRecord): void {
    const credentials = this.#state.credentials.get(server.id);
    const entry: ServerEntry = {
      server: serverView(this.#state, server),
      tools: this.toolsOf(server.id),
      credentialHeaders: credentials?.kind === 'headers' ? credentials.values : NONE,
      credentialEnvironment: credentials?.kind === 'environment' ? credentials.values : NONE,
      vendorMethods: new Set(server.settings.vendorMethods),
      toleratedArguments: new Set(server.settings.toleratedArguments),
    };
    this.#entries.set(server.id, entry);
    this.#directory.putServer(entry);
    for (const grant of this.#state.grantsOf({ serverId: server.id })) this.grant(grant);
  }

  /** @param policyIds of the server, since the state no longer has them */
  dropServer(server: ServerRecord, policyIds: readonly string[]): void {
    this.#toolsOf.delete(server.id);
    this.#entries.delete(server.id);
    for (const id of policyIds) this.#compiled.delete(id);
    this.#directory.dropServer(server.slug);
  }

  /** After a new version of a policy: compiled once, shared by all grants that carry it. */
  policy(policy: PolicyRecord): void {
    this.#compiled.set(policy.id, this.compile(policy, this.toolsOf(policy.serverId)));
    for (const grant of this.#state.grantsOf({ policyId: policy.id })) this.grant(grant);
  }

  dropPolicy(policyId: string): void {
    this.#compiled.delete(policyId);
  }

  identity(id: string): void {
    const identity = this.#state.identities.get(id);
    if (identity === undefined) return;
    this.#directory.putIdentity(id, identity.disabledAt !== undefined);
    for (const grant of this.#state.grantsOf({ identityId: id })) this.grant(grant);
  }

  token(token: TokenRecord): void {
    this.#directory.putToken({
      id: token.id,
      hash: token.hash,
      identityId: token.identityId,
      only: token.grants.length === 0 ? undefined : new Set(token.grants),
      expiresAt: instant(token.expiresAt),
      revoked: token.revokedAt !== undefined,
    });
  }

  grant(grant: GrantRecord): void {
    const entry = this.#entries.get(grant.serverId);
    const identity = this.#state.identities.get(grant.identityId);
    if (entry === undefined || identity === undefined) return;
    const policy = grant.policyId === undefined ? undefined : this.#state.policies.get(grant.policyId);
    this.#directory.putGrant({
      entry: {
        id: grant.id,
        label: grant.label,
        identityId: identity.id,
        identityName: identity.name,
        caller: {
          identity: {
            id: identity.id,
            name: identity.name,
            groups: identity.groups,
            ...(identity.email === undefined ? {} : { email: identity.email }),
          },
          grant: { id: grant.id, label: grant.label, attributes: grant.attributes },
          server: { slug: entry.server.slug },
        },
        entry,
        policy: policy === undefined ? undefined : this.#compiled.get(policy.id)?.policy,
        ...(policy === undefined ? {} : { policyName: policy.name, policyVersion: policy.versions.length }),
      },
      sources: sourceList(grant.sources),
      expiresAt: instant(grant.expiresAt),
      revoked: grant.revokedAt !== undefined,
    });
  }

  #servedTool(definition: DefinitionRecord): ServedTool {
    const known = this.#servedTools.get(definition);
    if (known !== undefined) return known;
    const value = parseBytes(definition.acceptedBytes ?? definition.observedBytes) as Record<string, unknown>;
    const inputSchema = value.inputSchema ?? { type: 'object' };
    const compiled = this.#compileSchema(inputSchema);
    const state = judgedState(definition.state, definition.acceptedBytes !== undefined);
    const tool: ServedTool = {
      name: definition.name,
      class: definition.class,
      digest: definition.acceptedDigest ?? definition.observedDigest,
      // What was accepted once and cannot be compiled by this version must be looked at again.
      state: compiled.ok || state === 'new' ? state : 'changed',
      inputSchema,
      ...(isObject(value.annotations) ? { annotations: value.annotations } : {}),
      validator: compiled.ok ? compiled.validator : uncompiled(compiled.reason),
      ...(definition.acceptedBytes === undefined ? {} : { acceptedBytes: definition.acceptedBytes }),
      definitionState: definition.state,
    };
    this.#servedTools.set(definition, tool);
    return tool;
  }
}

/** Stands for a schema that does not compile: its tool is quarantined, and if it were not, nothing would pass. */
function uncompiled(reason: string): ArgumentValidator {
  const problems = [{ path: 'args', message: `The tool's argument schema cannot be used: ${reason}.` }];
  return { validate: () => ({ problems, undeclared: [] }) };
}

function instant(time: string | undefined): number {
  return time === undefined ? Number.POSITIVE_INFINITY : Date.parse(time);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
