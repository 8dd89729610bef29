import { canonicalTime, Faults } from '../control/checks.ts';
import { type ControlContext, timestamp } from '../control/context.ts';
import { tokenView } from '../control/views.ts';
import { GatehouseError } from '../errors.ts';
import type { Token } from '../model.ts';
import type { Services } from '../services.ts';
import { makeId } from '../store/ids.ts';
import type { TokenRecord } from '../store/records.ts';
import { putToken } from '../store/tables/tokens.ts';
import type { LastUse } from './last-use.ts';
import { hashToken, makeToken, tokenHint } from './token-format.ts';

/** The longest time in which an old token holds beside its replacement: 30 days. */
export const MAX_OVERLAP_SECONDS = 30 * 86_400;

/** Tokens: what opens an identity's grants. */
export function tokenServices(context: ControlContext, lastUse: LastUse): Services['tokens'] {
  const { state, changes, pieces, directory } = context;
  const view = (token: TokenRecord): Token => tokenView(state, token);

  return {
    list(identity) {
      lastUse.collect();
      const of = identity === undefined ? undefined : state.needIdentity(identity).id;
      return [...state.tokens.values()].filter((token) => of === undefined || token.identityId === of).map(view);
    },

    create: (input, actor) =>
      changes.run(() => {
        const identity = state.needIdentity(input.identity);
        const faults = new Faults();
        if (input.label !== undefined) faults.text('/label', input.label, 'The label', { max: 128 });
        if (input.expiresAt !== undefined) faults.future('/expiresAt', input.expiresAt, context.clock());
        (input.grants ?? []).forEach((id, index) => {
          const grant = state.grants.get(id);
          if (grant?.identityId !== identity.id || grant.revokedAt !== undefined) {
            faults.add(`/grants/${index}`, `${JSON.stringify(id)} is no grant of ${identity.name} that holds.`);
          }
        });
        faults.end('token');
        const { token, secret } = newToken(context, {
          identityId: identity.id,
          label: input.label ?? '',
          grants: [...new Set(input.grants ?? [])],
          expiresAt: input.expiresAt === undefined ? undefined : canonicalTime(input.expiresAt),
        });
        return {
          records: [{ actor, action: 'token.create', target: token.id, after: view(token) }],
          write: (transaction) => putToken(transaction, token),
          apply() {
            state.tokens.set(token.id, token);
            pieces.token(token);
            directory.changed();
            return { token: view(token), secret };
          },
        };
      }),

    rotate: (id, overlapSeconds, actor) =>
      changes.run(() => {
        const old = state.needToken(id);
        checkOverlap(overlapSeconds);
        const { successor, secret, ending } = rotation(context, old, overlapSeconds);
        return {
          records: [
            {
              actor,
              action: 'token.rotate',
              target: old.id,
              before: view(old),
              after: { old: view(ending), new: view(successor) },
            },
          ],
          async write(transaction) {
            await putToken(transaction, successor);
            await putToken(transaction, ending);
          },
          apply() {
            for (const token of [successor, ending]) {
              state.tokens.set(token.id, token);
              pieces.token(token);
            }
            directory.changed();
            return { token: view(successor), secret };
          },
        };
      }),

    revoke: (id, actor) =>
      changes.run<Token>(() => {
        const before = state.needToken(id);
        if (before.revokedAt !== undefined) return { unchanged: view(before) };
        const token: TokenRecord = { ...before, revokedAt: timestamp(context) };
        return {
          records: [{ actor, action: 'token.revoke', target: id, before: view(before), after: view(token) }],
          write: (transaction) => putToken(transaction, token),
          apply() {
            state.tokens.set(id, token);
            pieces.token(token);
            directory.changed();
            return view(token);
          },
        };
      }),
  };
}

/** A token that is not stored yet, and its secret, which is not stored at all. */
export function newToken(
  context: ControlContext,
  input: Pick<TokenRecord, 'identityId' | 'label' | 'grants' | 'expiresAt'>,
): { token: TokenRecord; secret: string } {
  const secret = makeToken(context.random);
  const token: TokenRecord = {
    ...input,
    id: makeId('tok', context.random),
    hint: tokenHint(secret),
    hash: hashToken(secret),
    createdAt: timestamp(context),
    revokedAt: undefined,
    replacedBy: undefined,
  };
  return { token, secret };
}

/** The old token with an end after the overlap: it ends by itself, nothing has to run for it. */
export function ended(context: ControlContext, token: TokenRecord, overlapSeconds: number, by: string): TokenRecord {
  const end = new Date(context.clock() + overlapSeconds * 1000).toISOString();
  const expiresAt = token.expiresAt !== undefined && token.expiresAt < end ? token.expiresAt : end;
  return { ...token, expiresAt, replacedBy: by };
}

/** @throws GatehouseError invalid_input */
export function checkOverlap(seconds: number): void {
  const faults = new Faults();
  faults.integer('/overlapSeconds', seconds, 'overlapSeconds', 0, MAX_OVERLAP_SECONDS);
  faults.end('rotation');
}

function rotation(
  context: ControlContext,
  old: TokenRecord,
  overlapSeconds: number,
): { successor: TokenRecord; secret: string; ending: TokenRecord } {
  if (old.revokedAt !== undefined)
    throw new GatehouseError('conflict', `The token ${old.id} is revoked. Create a new one.`);
  if (old.replacedBy !== undefined) {
    throw new GatehouseError('conflict', `The token ${old.id} was rotated already; rotate ${old.replacedBy}.`);
  }
  if (old.expiresAt !== undefined && Date.parse(old.expiresAt) <= context.clock()) {
    throw new GatehouseError('conflict', `The token ${old.id} expired at ${old.expiresAt}. Create a new one.`);
  }
  // The same length of life as the old one had, from now on.
  const life = old.expiresAt === undefined ? undefined : Date.parse(old.expiresAt) - Date.parse(old.createdAt);
  const { token: successor, secret } = newToken(context, {
    identityId: old.identityId,
    label: old.label,
    grants: old.grants,
    expiresAt: life === undefined ? undefined : new Date(context.clock() + life).toISOString(),
  });
  return { successor, secret, ending: ended(context, old, overlapSeconds, successor.id) };
}
