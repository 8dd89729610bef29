import { Faults } from '../control/checks.ts';
import { type ControlContext, timestamp } from '../control/context.ts';
import type { ControlState } from '../control/state.ts';
import { GatehouseError } from '../errors.ts';
import type { Identity } from '../model.ts';
import type { Services } from '../services.ts';
import { makeId } from '../store/ids.ts';
import { putIdentity } from '../store/tables/identities.ts';

/** What a new identity is made of. */
export interface IdentityInput {
  name: string;
  kind?: 'person' | 'agent';
  email?: string;
  groups?: readonly string[];
  owner?: string;
}

/** People and agents. */
export function identityServices(context: ControlContext): Services['identities'] {
  const { state, changes, pieces, directory } = context;

  return {
    list: () => [...state.identities.values()].sort((a, b) => (a.name < b.name ? -1 : 1)),
    get: (ref) => state.needIdentity(ref),

    create: (input, actor) =>
      changes.run(() => {
        const faults = new Faults();
        checkIdentity(faults, '', input, state);
        faults.end('identity');
        if (state.identityByRef(input.name) !== undefined) {
          throw new GatehouseError(
            'conflict',
            `There is an identity ${JSON.stringify(input.name)} already. Choose another name.`,
            [{ pointer: '/name', message: 'Taken.' }],
          );
        }
        const identity = newIdentity(context, input);
        return {
          records: [{ actor, action: 'identity.create', target: identity.id, after: identity }],
          write: (transaction) => putIdentity(transaction, identity),
          apply() {
            state.putIdentity(identity);
            pieces.identity(identity.id);
            directory.changed();
            return identity;
          },
        };
      }),

    update: (ref, patch, actor) =>
      changes.run(() => {
        const before = state.needIdentity(ref);
        const faults = new Faults();
        checkDetails(faults, '', { ...patch, kind: before.kind }, state);
        faults.end('change');
        const { disabledAt, ...rest } = before;
        const ends =
          patch.disabled === undefined ? disabledAt : patch.disabled ? (disabledAt ?? timestamp(context)) : undefined;
        const identity: Identity = {
          ...rest,
          ...(patch.email === undefined ? {} : { email: patch.email }),
          ...(patch.groups === undefined ? {} : { groups: patch.groups }),
          ...(patch.owner === undefined ? {} : { owner: patch.owner }),
          ...(ends === undefined ? {} : { disabledAt: ends }),
        };
        return {
          records: [{ actor, action: 'identity.update', target: identity.id, before, after: identity }],
          write: (transaction) => putIdentity(transaction, identity),
          apply() {
            state.putIdentity(identity);
            pieces.identity(identity.id);
            directory.changed();
            return identity;
          },
        };
      }),
  };
}

/** @param pointer of the identity in the input */
export function checkIdentity(faults: Faults, pointer: string, input: IdentityInput, state: ControlState): void {
  faults.text(`${pointer}/name`, input.name, 'The name', { min: 1, max: 128 });
  if (/^idn_/.test(input.name)) {
    faults.add(`${pointer}/name`, 'A name must not begin with idn_: it could be taken for an id.');
  }
  if (input.kind !== undefined && input.kind !== 'person' && input.kind !== 'agent') {
    faults.add(`${pointer}/kind`, 'An identity is a "person" or an "agent".');
  }
  checkDetails(faults, pointer, input, state);
}

function checkDetails(faults: Faults, pointer: string, details: Partial<IdentityInput>, state: ControlState): void {
  const { email, groups, owner, kind = 'person' } = details;
  if (email !== undefined) faults.email(`${pointer}/email`, email);
  if (groups !== undefined) faults.texts(`${pointer}/groups`, groups, 'groups', 128);
  if (owner === undefined) return;
  if (kind === 'person') {
    faults.add(`${pointer}/owner`, 'Only an agent has an owner.');
  } else if (state.identityByRef(owner)?.kind !== 'person') {
    faults.add(`${pointer}/owner`, `The owner must be a person that is there; ${JSON.stringify(owner)} is not.`);
  }
}

export function newIdentity(context: ControlContext, input: IdentityInput): Identity {
  const owner = input.owner === undefined ? undefined : context.state.needIdentity(input.owner).name;
  return {
    id: makeId('idn', context.random),
    name: input.name,
    kind: input.kind ?? 'person',
    groups: [...(input.groups ?? [])],
    createdAt: timestamp(context),
    ...(input.email === undefined ? {} : { email: input.email }),
    ...(owner === undefined ? {} : { owner }),
  };
}
