import type { AdminRecord } from '../audit/record.ts';
import { canonicalTime, Faults, needRevision, pointerSegment } from '../control/checks.ts';
import { type ControlContext, timestamp } from '../control/context.ts';
import { grantView, tokenView } from '../control/views.ts';
import { GatehouseError } from '../errors.ts';
import type { Grant } from '../model.ts';
import type { Services } from '../services.ts';
import { makeId } from '../store/ids.ts';
import type { StoreTransaction } from '../store/open.ts';
import type { GrantRecord, TokenRecord } from '../store/records.ts';
import { putGrant } from '../store/tables/grants.ts';
import { putIdentity } from '../store/tables/identities.ts';
import { putToken } from '../store/tables/tokens.ts';
import { checkIdentity, newIdentity } from './identities.ts';
import { parseSource } from './sources.ts';
import { checkOverlap, ended, newToken } from './tokens.ts';

/** Grants: an identity may use a server under a policy. */
export function grantServices(context: ControlContext): Services['grants'] {
  const { state, changes, pieces, directory } = context;
  const view = (grant: GrantRecord): Grant => grantView(state, grant);

  return {
    list: (filter = {}) =>
      state
        .grantsOf({
          ...(filter.server === undefined ? {} : { serverId: state.needServer(filter.server).id }),
          ...(filter.identity === undefined ? {} : { identityId: state.needIdentity(filter.identity).id }),
        })
        .map(view),
    get: (id) => view(state.needGrant(id)),

    create: (input, actor) =>
      changes.run(() => {
        const server = state.needServer(input.server);
        const policy = input.policy === undefined ? undefined : state.needPolicy(server, input.policy);
        const known = state.identityByRef(input.identity);
        const newcomer = { name: input.identity, kind: input.identityKind ?? 'person' } as const;
        const faults = new Faults();
        if (known === undefined) {
          const own = new Faults();
          checkIdentity(own, '', newcomer, state);
          for (const item of own.items) faults.add('/identity', item.message, item.suggestion);
        }
        checkGrant(faults, input, context.clock());
        if (input.tokenExpiresAt !== undefined) faults.future('/tokenExpiresAt', input.tokenExpiresAt, context.clock());
        faults.end('grant');
        if (known?.disabledAt !== undefined) {
          throw new GatehouseError('conflict', `The identity ${known.name} is disabled. Enable it first.`);
        }
        const held = known === undefined ? undefined : holding(context, known.id, server.id);
        if (held !== undefined) {
          throw new GatehouseError(
            'conflict',
            `${known?.name} has a grant on ${server.slug} already: ${held.id}. Change that one, or revoke it first.`,
          );
        }
        const identity = known ?? {
          ...newIdentity(context, newcomer),
          ...(input.ids === undefined ? {} : { id: input.ids.identity }),
        };
        const grant: GrantRecord = {
          id: input.ids?.grant ?? makeId('grt', context.random),
          label: input.label ?? `${identity.name} on ${server.slug}`,
          identityId: identity.id,
          serverId: server.id,
          policyId: policy?.id,
          attributes: { ...input.attributes },
          sources: canonicalSources(input.sources ?? []),
          createdAt: timestamp(context),
          expiresAt: input.expiresAt === undefined ? undefined : canonicalTime(input.expiresAt),
          revokedAt: undefined,
          revision: 1,
        };
        const made =
          input.token === false
            ? undefined
            : newToken(context, {
                identityId: identity.id,
                label: grant.label,
                grants: [grant.id],
                expiresAt: input.tokenExpiresAt === undefined ? undefined : canonicalTime(input.tokenExpiresAt),
              });
        const grantAfter = { ...view(grant), identity: identity.name };
        return {
          records: [
            ...(known === undefined
              ? [{ actor, action: 'identity.create', target: identity.id, after: identity }]
              : []),
            { actor, action: 'grant.create', target: grant.id, after: grantAfter },
            ...(made === undefined
              ? []
              : [
                  {
                    actor,
                    action: 'token.create',
                    target: made.token.id,
                    after: { ...tokenView(state, made.token), identity: identity.name },
                  },
                ]),
          ],
          async write(transaction) {
            if (known === undefined) await putIdentity(transaction, identity);
            await putGrant(transaction, grant);
            if (made !== undefined) await putToken(transaction, made.token);
          },
          apply() {
            if (known === undefined) {
              state.putIdentity(identity);
              pieces.identity(identity.id);
            }
            state.grants.set(grant.id, grant);
            pieces.grant(grant);
            if (made !== undefined) {
              state.tokens.set(made.token.id, made.token);
              pieces.token(made.token);
            }
            directory.changed();
            return {
              grant: view(grant),
              identityCreated: known === undefined,
              ...(made === undefined ? {} : { token: tokenView(state, made.token), secret: made.secret }),
            };
          },
        };
      }),

    update: (id, patch, ifRevision, actor) =>
      changes.run(() => {
        const before = needHolding(context, id);
        needRevision(`grant ${id}`, ifRevision, before.revision);
        const server = state.servers.get(before.serverId);
        if (server === undefined) throw new Error(`grant ${id} of an unknown server`);
        const faults = new Faults();
        checkGrant(faults, { ...patch, expiresAt: patch.expiresAt ?? undefined }, context.clock());
        faults.end('change');
        const { policy, expiresAt } = patch;
        const grant: GrantRecord = {
          ...before,
          label: patch.label ?? before.label,
          attributes: patch.attributes === undefined ? before.attributes : { ...patch.attributes },
          sources: patch.sources === undefined ? before.sources : canonicalSources(patch.sources),
          policyId:
            policy === undefined ? before.policyId : policy === null ? undefined : state.needPolicy(server, policy).id,
          expiresAt:
            expiresAt === undefined ? before.expiresAt : expiresAt === null ? undefined : canonicalTime(expiresAt),
          revision: before.revision + 1,
        };
        return replacement(grant, {
          actor,
          action: 'grant.update',
          target: id,
          before: view(before),
          after: view(grant),
        });
      }),

    rotate: (id, overlapSeconds, actor) =>
      changes.run(() => {
        const grant = needHolding(context, id);
        checkOverlap(overlapSeconds);
        const olds = [...state.tokens.values()].filter((token) => opensOnly(context, token, id));
        // The newest token says how long tokens of this grant live.
        const pattern = olds.at(-1);
        const life =
          pattern?.expiresAt === undefined ? undefined : Date.parse(pattern.expiresAt) - Date.parse(pattern.createdAt);
        const { token, secret } = newToken(context, {
          identityId: grant.identityId,
          label: pattern?.label ?? grant.label,
          grants: [id],
          expiresAt: life === undefined ? undefined : new Date(context.clock() + life).toISOString(),
        });
        const ending = olds.map((old) => ended(context, old, overlapSeconds, token.id));
        return {
          records: [
            {
              actor,
              action: 'grant.rotate',
              target: id,
              before: { tokens: olds.map((old) => tokenView(state, old)) },
              after: { token: tokenView(state, token), ending: ending.map((old) => tokenView(state, old)) },
            },
          ],
          async write(transaction) {
            for (const each of [token, ...ending]) await putToken(transaction, each);
          },
          apply() {
            for (const each of [token, ...ending]) {
              state.tokens.set(each.id, each);
              pieces.token(each);
            }
            directory.changed();
            return { token: tokenView(state, token), secret };
          },
        };
      }),

    revoke: (id, actor) =>
      changes.run<Grant>(() => {
        const before = state.needGrant(id);
        if (before.revokedAt !== undefined) return { unchanged: view(before) };
        const grant: GrantRecord = { ...before, revokedAt: timestamp(context), revision: before.revision + 1 };
        return replacement(grant, {
          actor,
          action: 'grant.revoke',
          target: id,
          before: view(before),
          after: view(grant),
        });
      }),
  };

  function replacement(grant: GrantRecord, record: AdminRecord) {
    return {
      records: [record],
      write: (transaction: StoreTransaction) => putGrant(transaction, grant),
      apply() {
        state.grants.set(grant.id, grant);
        pieces.grant(grant);
        directory.changed();
        return view(grant);
      },
    };
  }
}

interface GrantDetails {
  label?: string | undefined;
  attributes?: Record<string, string> | undefined;
  sources?: string[] | undefined;
  expiresAt?: string | undefined;
}

function checkGrant(faults: Faults, input: GrantDetails, now: number): void {
  if (input.label !== undefined) faults.text('/label', input.label, 'The label', { max: 128 });
  if (input.expiresAt !== undefined) faults.future('/expiresAt', input.expiresAt, now);
  for (const [key, value] of Object.entries(input.attributes ?? {})) {
    const pointer = `/attributes/${pointerSegment(key)}`;
    faults.text(pointer, key, 'The name of an attribute', { min: 1, max: 128 });
    faults.text(pointer, value, 'The value of an attribute', { max: 1024 });
  }
  (input.sources ?? []).forEach((source, index) => {
    const parsed = parseSource(source);
    if (!parsed.ok) faults.add(`/sources/${index}`, `${parsed.reason}.`);
  });
}

function canonicalSources(sources: readonly string[]): string[] {
  const canonical = sources.map((source) => {
    const parsed = parseSource(source);
    if (!parsed.ok) throw new Error(parsed.reason);
    return parsed.canonical;
  });
  return [...new Set(canonical)];
}

/** The grant of an identity on a server that is not revoked; there is at most one (spec: gateway §3). */
function holding(context: ControlContext, identityId: string, serverId: string): GrantRecord | undefined {
  return context.state.grantsOf({ identityId, serverId }).find((grant) => grant.revokedAt === undefined);
}

/** @throws GatehouseError not_found, or conflict when it is revoked */
function needHolding(context: ControlContext, id: string): GrantRecord {
  const grant = context.state.needGrant(id);
  if (grant.revokedAt !== undefined) {
    throw new GatehouseError('conflict', `The grant ${id} was revoked at ${grant.revokedAt}. Create a new one.`);
  }
  return grant;
}

/** A token that holds, was not replaced yet, and opens this grant and no other. */
function opensOnly(context: ControlContext, token: TokenRecord, grantId: string): boolean {
  const live = token.revokedAt === undefined && token.replacedBy === undefined;
  const unexpired = token.expiresAt === undefined || Date.parse(token.expiresAt) > context.clock();
  return live && unexpired && token.grants.length === 1 && token.grants[0] === grantId;
}
