// What would happen to a call: the same engine as the data plane's, beside the counters, changing nothing.
import { type Caller, type CompiledPolicy, compilePolicy, explain, type Trace } from '@gatehouse/policy';
import type { JsonValue } from '@gatehouse/wire';
import { GatehouseError } from '../errors.ts';
import type { GrantEntry, ServerEntry } from '../model.ts';
import type { Services } from '../services.ts';
import { policyInvalid } from './problem.ts';

export interface HypotheticalCall {
  server: string;
  tool: string;
  arguments: JsonValue;
  /** The policy to judge by: a document, or the name of a saved one; without either, that of the grant. */
  document?: unknown;
  policy?: string;
  /** Id or label of a grant. */
  grant?: string;
  /** Id or name of an identity; the caller when no grant says who it is. */
  identity?: string;
  /** Milliseconds since the epoch. */
  now: number;
}

export interface Judged {
  trace: Trace;
  /** Saved policy that was used; absent for a document of the request, and where there is none. */
  policyName?: string;
  policyVersion?: number;
}

/**
 * The grant of that id, or the only live one with that label or of that identity (on that server).
 * @throws GatehouseError not_found, or conflict when there are several
 */
export function findGrant(services: Services, ref: string, server?: string): GrantEntry {
  const { directory, grants } = services;
  const known = directory.grant(ref);
  if (known !== undefined) return known;
  const named = grants
    .list(server === undefined ? {} : { server })
    .filter((grant) => grant.label === ref || grant.identity === ref)
    .flatMap((grant) => directory.grant(grant.id) ?? []);
  const [only, other] = named;
  if (only !== undefined && other === undefined) return only;
  if (only === undefined) {
    // Answers not_found for one that never was; what is left was revoked, or has expired.
    const grant = grants.get(ref);
    throw new GatehouseError(
      'not_found',
      `Grant "${grant.id}" (${grant.label}) no longer holds: it was revoked or has expired. Every call with it is answered 401.`,
    );
  }
  throw new GatehouseError(
    'conflict',
    `Several grants are labelled "${ref}" or belong to it. Name one by its id: ${named.map((grant) => grant.id).join(', ')}.`,
  );
}

function compiled(document: unknown, entry: ServerEntry): CompiledPolicy {
  const result = compilePolicy(document, { tools: entry.tools });
  if (result.ok) return result.policy;
  const errors = result.problems.filter((problem) => problem.severity === 'error');
  const count = errors.length === 1 ? 'an error' : `${errors.length} errors`;
  throw policyInvalid(`The policy has ${count}; nothing can be judged by it.`, errors);
}

function callerOf(services: Services, call: HypotheticalCall, grant: GrantEntry | undefined): Caller {
  const base: Caller = grant?.caller ?? {
    identity: { id: '', name: '', groups: [] },
    grant: { id: '', label: '', attributes: {} },
    server: { slug: call.server },
  };
  if (call.identity === undefined) return base;
  const { id, name, email, groups } = services.identities.get(call.identity);
  return { ...base, identity: { id, name, groups, ...(email === undefined ? {} : { email }) } };
}

/**
 * Judges a call that nobody made.
 * @throws GatehouseError not_found, policy_invalid, or invalid_input when nothing names a policy or a grant
 */
export function judgeHypothetical(services: Services, call: HypotheticalCall): Judged {
  services.servers.get(call.server);
  const entry = services.directory.server(call.server);
  if (entry === undefined) throw new GatehouseError('not_found', `There is no server "${call.server}".`);
  const grant = call.grant === undefined ? undefined : findGrant(services, call.grant, call.server);
  if (grant !== undefined && grant.entry.server.slug !== call.server) {
    throw new GatehouseError(
      'invalid_input',
      `Grant "${grant.label}" is for the server "${grant.entry.server.slug}", not for "${call.server}".`,
      [{ pointer: '/grant', message: `Name a grant on "${call.server}".` }],
    );
  }
  let used: Omit<Judged, 'trace'> = {};
  let policy: CompiledPolicy | undefined;
  if (call.document !== undefined) policy = compiled(call.document, entry);
  else if (call.policy !== undefined) {
    const saved = services.policies.get(call.server, call.policy);
    policy = compiled(saved.document, entry);
    used = { policyName: saved.name, policyVersion: saved.version };
  } else if (grant !== undefined) {
    policy = grant.policy;
    if (grant.policyName !== undefined) used = { policyName: grant.policyName, policyVersion: grant.policyVersion };
  } else {
    throw new GatehouseError('invalid_input', 'Nothing says which policy to judge by.', [
      { pointer: '', message: 'Send one of document, text, policy (the name of a saved one) or grant.' },
    ]);
  }
  const trace = explain(
    policy,
    entry.tools,
    { tool: call.tool, arguments: call.arguments },
    { caller: callerOf(services, call, grant), now: call.now, toleratedArguments: entry.toleratedArguments },
  );
  return { trace, ...used };
}
