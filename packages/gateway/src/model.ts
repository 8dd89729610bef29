// The words of design.md as types: what the store keeps, the API shows and the data plane reads.
import type { Classification, ToolClass } from '@gatehouse/classify';
import type { Caller, CompiledPolicy, PinnedTool, PolicyProblem } from '@gatehouse/policy';
import type { DiffSegment } from './definitions/word-diff.ts';

/** Who made a change. `local-admin` holds the secret key of this machine; `gatehouse` is the program itself. */
export interface Actor {
  kind: 'local-admin' | 'identity' | 'gatehouse';
  id: string;
}

export interface HttpTransport {
  kind: 'http';
  /** Absolute http(s) URL of the MCP endpoint, without user info. */
  url: string;
}

/** HTTP+SSE of revision 2024-11-05, for servers that speak nothing newer. */
export interface SseTransport {
  kind: 'sse';
  /** Absolute http(s) URL of the event stream, without user info. */
  url: string;
}

export interface StdioTransport {
  kind: 'stdio';
  command: string;
  args: readonly string[];
  cwd?: string;
  /** Values that are no secrets; secrets are credentials of kind `environment`. */
  environment: Readonly<Record<string, string>>;
}

export type Transport = HttpTransport | SseTransport | StdioTransport;

/** Per-server settings (spec: config, group "servers"). */
export interface ServerSettings {
  serverRequests: { elicitation: boolean; sampling: boolean; roots: boolean };
  /** Methods beside the method table that pass, exact names. */
  vendorMethods: readonly string[];
  /** Argument keys that known clients add by themselves (spec: policy §4). */
  toleratedArguments: readonly string[];
  /** What a tool is that appears after registration: quarantined until accepted, or accepted at once. */
  newTools: 'quarantine' | 'accept';
  /** stdio children, or sessions of HTTP+SSE: at most `max` at once; one that is idle for `idleSeconds` is ended. */
  children: { max: number; idleSeconds: number };
  /** Request headers added upstream; not for secrets. */
  headers: Readonly<Record<string, string>>;
  /** Annotations of this server's author are believed (spec: catalogue §3). */
  trusted: boolean;
}

export interface Server {
  id: string;
  /** `[a-z0-9][a-z0-9-]{0,62}`: the path of the proxy URL. */
  slug: string;
  name: string;
  /** Grows with each change of transport, settings or credentials; the ETag. */
  revision: number;
  transport: Transport;
  settings: ServerSettings;
  /** What is sealed for this server; values never leave the store. Names only. */
  credentials: { kind: 'none' | 'headers' | 'environment'; names: readonly string[] };
  createdAt: string;
  updatedAt: string;
}

export type CredentialsInput =
  | { kind: 'none' }
  | { kind: 'headers'; values: Readonly<Record<string, string>> }
  | { kind: 'environment'; values: Readonly<Record<string, string>> };

/**
 * `accepted`: as a person accepted it. `new`: nobody accepted it yet. `changed`: it changed so that it must be looked at.
 * `poisoned`: quarantined because of what its text holds. `text_changed`: agents read the accepted one; the owner sees the difference.
 * `gone`: the server no longer lists it (the accepted definition is kept, and is compared when it comes back).
 */
export type DefinitionState = 'accepted' | 'new' | 'changed' | 'poisoned' | 'text_changed' | 'gone';

export interface DefinitionChange {
  /** JSON Pointer into the definition. */
  pointer: string;
  kind: 'text' | 'annotation' | 'output' | 'input' | 'class' | 'new' | 'poison' | 'other';
  message: string;
  before?: unknown;
  after?: unknown;
  /** Where both sides are text: the difference word by word (spec: gateway §6). Made for who looks, not stored. */
  words?: readonly DiffSegment[];
}

export interface Definition {
  server: string;
  name: string;
  state: DefinitionState;
  /** SHA-256, hex, of the RFC 8785 canonical JSON of the whole definition. */
  acceptedDigest?: string;
  observedDigest: string;
  class: ToolClass;
  classification: Classification;
  /** A class that an admin set by hand, instead of the classifier's. */
  classOverride?: ToolClass;
  changes: readonly DefinitionChange[];
  accepted?: unknown;
  observed: unknown;
  firstSeenAt: string;
  acceptedAt?: string;
  acceptedBy?: string;
}

export interface Policy {
  id: string;
  server: string;
  /** `[a-z0-9][a-z0-9-]{0,62}`, one per server. */
  name: string;
  /** From 1; the ETag. Every version is kept. */
  version: number;
  document: unknown;
  digest: string;
  warnings: readonly PolicyProblem[];
  grants: number;
  createdAt: string;
  updatedAt: string;
  updatedBy: string;
}

export interface PolicyVersion {
  version: number;
  document: unknown;
  digest: string;
  createdAt: string;
  createdBy: string;
}

export interface Identity {
  id: string;
  name: string;
  kind: 'person' | 'agent';
  email?: string;
  groups: readonly string[];
  /** Name of the person who answers for an agent. */
  owner?: string;
  createdAt: string;
  disabledAt?: string;
}

export interface Token {
  id: string;
  identity: string;
  label: string;
  /** First characters, enough to recognise it, useless to open anything. */
  hint: string;
  /** Ids of the grants that it opens; empty: all of the identity. */
  grants: readonly string[];
  createdAt: string;
  expiresAt?: string;
  revokedAt?: string;
  lastUsedAt?: string;
  /** The token that replaced it, while both hold. */
  replacedBy?: string;
}

export interface Grant {
  id: string;
  label: string;
  identity: string;
  identityId: string;
  server: string;
  policy?: string;
  attributes: Readonly<Record<string, string>>;
  /** CIDR blocks that calls may come from; empty: any. */
  sources: readonly string[];
  createdAt: string;
  expiresAt?: string;
  revokedAt?: string;
  revision: number;
}

// --- What the data plane reads -------------------------------------------------------------------------------------

/** A pinned tool with what the list filter needs. */
export interface ServedTool extends PinnedTool {
  /** The accepted definition's bytes as the server sent them; what agents read (spec: gateway §6). */
  acceptedBytes?: Uint8Array;
  definitionState: DefinitionState;
}

export interface ServerEntry {
  readonly server: Server;
  readonly tools: ReadonlyMap<string, ServedTool>;
  /** Opened when the entry was made; headers for http, environment for stdio. */
  readonly credentialHeaders: Readonly<Record<string, string>>;
  readonly credentialEnvironment: Readonly<Record<string, string>>;
  readonly vendorMethods: ReadonlySet<string>;
  readonly toleratedArguments: ReadonlySet<string>;
}

export interface GrantEntry {
  readonly id: string;
  readonly label: string;
  readonly identityId: string;
  readonly identityName: string;
  /** The static part of the judgement's context. */
  readonly caller: Caller;
  readonly entry: ServerEntry;
  readonly policy: CompiledPolicy | undefined;
  readonly policyName?: string;
  readonly policyVersion?: number;
}

export type AuthenticationFailure =
  | 'missing'
  | 'malformed'
  | 'unknown_token'
  | 'expired_token'
  | 'revoked_token'
  | 'disabled_identity'
  | 'unknown_server'
  | 'no_grant'
  | 'expired_grant'
  | 'revoked_grant'
  | 'source_not_allowed';

export type Authentication =
  | { ok: true; grant: GrantEntry; tokenId: string }
  | { ok: false; reason: AuthenticationFailure };

/**
 * The configuration as the data plane reads it: immutable pieces in Maps, replaced as a whole piece by each change.
 * Nothing here waits.
 */
export interface Directory {
  /** Grows by one with each change of policy, grant, token, identity, definition or server (spec: gateway §5). */
  readonly epoch: number;
  server(slug: string): ServerEntry | undefined;
  servers(): Iterable<ServerEntry>;
  /**
   * @param authorization the value of the one Authorization header
   * @param source remote address, as configured
   */
  authenticate(authorization: string | undefined, slug: string, now: number, source: string): Authentication;
  /** The grant as it is now, or why it no longer holds; for messages on open streams. */
  grant(id: string): GrantEntry | undefined;
  /** Whether this token still opens this grant from this address; for messages and timers of open streams. */
  holds(tokenId: string, grantId: string, now: number, source: string): boolean;
  /** Called after each change, with the new epoch. Returns the way to stop listening. */
  onChange(listener: (epoch: number) => void): () => void;
}
