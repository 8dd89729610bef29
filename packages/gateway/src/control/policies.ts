import { hash } from 'node:crypto';
import { checkPolicy, type PolicyProblem } from '@gatehouse/policy';
import { canonicalize, type JsonValue, parsePlainJson } from '@gatehouse/wire';
import { GatehouseError } from '../errors.ts';
import type { Policy } from '../model.ts';
import type { Services } from '../services.ts';
import { makeId } from '../store/ids.ts';
import type { PolicyRecord } from '../store/records.ts';
import { deletePolicy, putPolicy } from '../store/tables/policies.ts';
import { insertPolicyVersion } from '../store/tables/policy-versions.ts';
import { Faults } from './checks.ts';
import { type ControlContext, timestamp } from './context.ts';
import { policyView } from './views.ts';

/** Enough for tens of thousands of rules; a larger document would make each change slow. */
const MAX_DOCUMENT_BYTES = 1024 * 1024;

/** Policies and their versions. */
export function policyServices(context: ControlContext): Services['policies'] {
  const { state, changes, pieces, directory } = context;
  const view = (policy: PolicyRecord): Policy => policyView(state, policy, pieces.problemsOf(policy.id));
  const check = (document: unknown, slug?: string): PolicyProblem[] => {
    if (slug === undefined) return checkPolicy(document);
    return checkPolicy(document, { tools: [...pieces.toolsOf(state.needServer(slug).id).values()] });
  };

  return {
    list: (slug) =>
      state
        .policiesOf(state.needServer(slug).id)
        .sort((a, b) => (a.name < b.name ? -1 : 1))
        .map(view),
    get: (slug, name) => view(state.needPolicy(state.needServer(slug), name)),
    versions: (slug, name) => [...state.needPolicy(state.needServer(slug), name).versions],
    check,

    put: (slug, name, document, ifVersion, actor) =>
      changes.run<Policy>(() => {
        const server = state.needServer(slug);
        const faults = new Faults();
        faults.name('/name', name, 'policy name');
        faults.end('name of the policy');
        const before = state.policyByName(server.id, name);
        needVersion(`${slug}/${name}`, ifVersion, before?.versions.length);
        const canonical = canonicalDocument(document);
        const errors = check(document, slug).filter((problem) => problem.severity === 'error');
        if (errors.length > 0) throw invalidPolicy(errors);
        const digest = hash('sha256', canonical, 'hex');
        // Order counts where rules are judged in document order, so the same canonical form alone is not the same text.
        const present = before?.versions.at(-1);
        if (before !== undefined && JSON.stringify(present?.document) === JSON.stringify(document)) {
          return { unchanged: view(before) };
        }
        const now = timestamp(context);
        const version = {
          version: (before?.versions.length ?? 0) + 1,
          // A copy: the caller's object may change later.
          document: parsePlainJson(JSON.stringify(document)) as unknown,
          digest,
          createdAt: now,
          createdBy: actor.id,
        };
        const policy: PolicyRecord = {
          id: before?.id ?? makeId('pol', context.random),
          serverId: server.id,
          name,
          versions: [...(before?.versions ?? []), version],
          createdAt: before?.createdAt ?? now,
          updatedAt: now,
          updatedBy: actor.id,
        };
        const compiled = pieces.compile(policy, pieces.toolsOf(server.id));
        if (compiled.policy === undefined) throw invalidPolicy(compiled.problems);
        const described = (of: typeof version) => ({
          server: slug,
          name,
          version: of.version,
          digest: of.digest,
          document: of.document,
        });
        return {
          records: [
            {
              actor,
              action: before === undefined ? 'policy.create' : 'policy.update',
              target: policy.id,
              ...(present === undefined ? {} : { before: described(present as typeof version) }),
              after: described(version),
            },
          ],
          async write(transaction) {
            await putPolicy(transaction, policy);
            await insertPolicyVersion(transaction, policy.id, version);
          },
          apply() {
            state.policies.set(policy.id, policy);
            pieces.policy(policy);
            directory.changed();
            return view(policy);
          },
        };
      }),

    remove: (slug, name, actor) =>
      changes.run(() => {
        const server = state.needServer(slug);
        const policy = state.needPolicy(server, name);
        const carriers = state.grantsOf({ policyId: policy.id });
        const holding = carriers.filter((grant) => grant.revokedAt === undefined);
        if (holding.length > 0) {
          const names = holding.slice(0, 10).map((grant) => `${grant.id} (${grant.label})`);
          throw new GatehouseError(
            'conflict',
            `${holding.length} grant(s) carry the policy ${slug}/${name}: ${names.join(', ')}${holding.length > 10 ? ', …' : ''}. Give them another policy or revoke them first.`,
          );
        }
        return {
          records: [
            {
              actor,
              action: 'policy.remove',
              target: policy.id,
              before: { server: slug, name, version: policy.versions.length, digest: policy.versions.at(-1)?.digest },
            },
          ],
          write: (transaction) => deletePolicy(transaction, policy.id),
          apply() {
            state.policies.delete(policy.id);
            for (const grant of carriers) state.grants.set(grant.id, { ...grant, policyId: undefined });
            pieces.dropPolicy(policy.id);
            directory.changed();
          },
        };
      }),
  };
}

/** The problems of a policy as an error with items. */
export function invalidPolicy(problems: readonly PolicyProblem[]): GatehouseError {
  const [first] = problems;
  const more = problems.length > 1 ? ` (and ${problems.length - 1} more)` : '';
  return new GatehouseError(
    'policy_invalid',
    `The policy is not valid: ${first?.message ?? 'it could not be compiled.'}${more}`,
    problems.map(({ pointer, message, suggestion }) =>
      suggestion === undefined ? { pointer, message } : { pointer, message, suggestion },
    ),
  );
}

function canonicalDocument(document: unknown): string {
  let canonical: string;
  try {
    canonical = canonicalize(document as JsonValue);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new GatehouseError('policy_invalid', `The policy is no JSON document: ${reason}.`, [], { cause: error });
  }
  const bytes = Buffer.byteLength(canonical);
  if (bytes > MAX_DOCUMENT_BYTES) {
    throw new GatehouseError('too_large', `The policy has ${bytes} bytes; at most ${MAX_DOCUMENT_BYTES} are taken.`);
  }
  return canonical;
}

function needVersion(name: string, seen: number | undefined, present: number | undefined): void {
  if (seen === undefined || seen === (present ?? 0)) return;
  const detail =
    present === undefined
      ? `There is no policy ${name} any more; you looked at version ${seen}.`
      : seen === 0
        ? `There is a policy ${name} already, at version ${present}.`
        : `The policy ${name} is at version ${present} now; you looked at ${seen}.`;
  throw new GatehouseError('precondition_failed', `${detail} Read it again, then repeat the change.`);
}
