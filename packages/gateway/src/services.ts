// What the control plane offers to the API and the command line. Each method that changes something takes the actor,
// makes its change in one transaction, writes its admin record, and then replaces the piece of the Directory that it touched.
import type { ToolClass } from '@gatehouse/classify';
import type { PolicyProblem } from '@gatehouse/policy';
import type {
  Actor,
  CredentialsInput,
  Definition,
  Directory,
  Grant,
  Identity,
  Policy,
  PolicyVersion,
  Server,
  ServerSettings,
  Token,
  Transport,
} from './model.ts';

export interface ServerInput {
  slug: string;
  name?: string;
  transport: Transport;
  settings?: Partial<ServerSettings>;
  credentials?: CredentialsInput;
}

export interface ServerPatch {
  name?: string;
  transport?: Transport;
  settings?: Partial<ServerSettings>;
  credentials?: CredentialsInput;
}

/** One tool as the server lists it: the bytes of the list item and its parsed value. */
export interface ObservedTool {
  bytes: Uint8Array;
  value: unknown;
}

export interface IntakeReport {
  new: string[];
  changed: string[];
  textChanged: string[];
  poisoned: string[];
  gone: string[];
  returned: string[];
  /** Why items of the list could not be taken in at all (no usable name); they are never served. */
  unusable: string[];
}

export interface AcceptChoice {
  name: string;
  /** The observed digest that the person looked at; refused when the definition changed since. */
  digest?: string;
  class?: ToolClass;
}

export interface Services {
  readonly directory: Directory;
  servers: {
    list(): Server[];
    /** @throws GatehouseError not_found */
    get(slug: string): Server;
    create(input: ServerInput, actor: Actor): Promise<Server>;
    /** @param ifRevision the revision that the caller saw; another one is `precondition_failed` */
    update(slug: string, patch: ServerPatch, ifRevision: number | undefined, actor: Actor): Promise<Server>;
    /** Removes the server with its grants, policies and definitions; the log keeps what happened. */
    remove(slug: string, actor: Actor): Promise<void>;
  };
  definitions: {
    list(slug: string): Definition[];
    get(slug: string, tool: string): Definition;
    /**
     * Takes in what a server lists (spec: gateway §6). Stored before it returns.
     * @param complete the observed tools are the whole list, so that what is missing is gone
     * @param accept accept everything that is not poisoned, as `run` and `npm start` do at their first start
     */
    intake(
      slug: string,
      observed: readonly ObservedTool[],
      options: { complete: boolean; accept?: boolean; actor: Actor },
    ): Promise<IntakeReport>;
    /** Accepts the named tools, or all that wait; poisoned ones only by name. Returns what is now accepted. */
    accept(slug: string, choices: readonly AcceptChoice[] | 'all', actor: Actor): Promise<Definition[]>;
  };
  policies: {
    list(slug: string): Policy[];
    get(slug: string, name: string): Policy;
    versions(slug: string, name: string): PolicyVersion[];
    /**
     * Checks, compiles and saves a new version; grants that carry it use it from the next message.
     * @param ifVersion the version that the caller saw; 0 means "must not exist"; undefined: whatever is there
     * @throws GatehouseError policy_invalid with all problems as items
     */
    put(slug: string, name: string, document: unknown, ifVersion: number | undefined, actor: Actor): Promise<Policy>;
    /** @throws GatehouseError conflict while a grant carries it */
    remove(slug: string, name: string, actor: Actor): Promise<void>;
    /** All errors and warnings, with the server's definitions when a slug is given. Changes nothing. */
    check(document: unknown, slug?: string): PolicyProblem[];
  };
  identities: {
    list(): Identity[];
    /** @param ref id or name */
    get(ref: string): Identity;
    create(
      input: { name: string; kind?: 'person' | 'agent'; email?: string; groups?: string[]; owner?: string },
      actor: Actor,
    ): Promise<Identity>;
    update(
      ref: string,
      patch: { email?: string; groups?: string[]; owner?: string; disabled?: boolean },
      actor: Actor,
    ): Promise<Identity>;
  };
  tokens: {
    list(identity?: string): Token[];
    /** The secret is returned once and kept only as SHA-256. */
    create(
      input: { identity: string; label?: string; grants?: string[]; expiresAt?: string },
      actor: Actor,
    ): Promise<{ token: Token; secret: string }>;
    /** A new token with the same identity, grants and label; the old one ends after the overlap. */
    rotate(id: string, overlapSeconds: number, actor: Actor): Promise<{ token: Token; secret: string }>;
    revoke(id: string, actor: Actor): Promise<Token>;
  };
  grants: {
    list(filter?: { server?: string; identity?: string }): Grant[];
    get(id: string): Grant;
    /**
     * Makes what is missing: the identity, the grant, and a token (unless `token: false`).
     * @throws GatehouseError conflict when the identity has a grant on this server already
     */
    create(
      input: {
        server: string;
        identity: string;
        identityKind?: 'person' | 'agent';
        policy?: string;
        label?: string;
        attributes?: Record<string, string>;
        sources?: string[];
        expiresAt?: string;
        token?: boolean;
        tokenExpiresAt?: string;
        /** Default: new ones. For what is made anew with each start and must stay the same to counters and log. */
        ids?: { grant: string; identity: string };
      },
      actor: Actor,
    ): Promise<{ grant: Grant; identityCreated: boolean; token?: Token; secret?: string }>;
    update(
      id: string,
      patch: {
        policy?: string | null;
        label?: string;
        attributes?: Record<string, string>;
        sources?: string[];
        expiresAt?: string | null;
      },
      ifRevision: number | undefined,
      actor: Actor,
    ): Promise<Grant>;
    /** Replaces the tokens that open this grant: a new one for this grant, the old ones that open only it end after the overlap. */
    rotate(id: string, overlapSeconds: number, actor: Actor): Promise<{ token: Token; secret: string }>;
    revoke(id: string, actor: Actor): Promise<Grant>;
  };
  close(): Promise<void>;
}
