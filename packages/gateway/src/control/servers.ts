import { GatehouseError } from '../errors.ts';
import type { Actor, CredentialsInput, Server, ServerSettings } from '../model.ts';
import type { ServerInput, ServerPatch, Services } from '../services.ts';
import { makeId } from '../store/ids.ts';
import type { CredentialsRecord, ServerRecord } from '../store/records.ts';
import { sealEnvelope } from '../store/seal.ts';
import { replaceCredentials } from '../store/tables/credentials.ts';
import { deleteServer, insertServer, updateServer } from '../store/tables/servers.ts';
import { Faults, needRevision } from './checks.ts';
import { type ControlContext, timestamp } from './context.ts';
import { checkCredentials, checkSettings, checkTransport, defaultSettings } from './server-checks.ts';
import { credentialsAad, type OpenCredentials } from './state.ts';
import { serverView } from './views.ts';

/** Upstream servers: their addresses, settings and credentials. */
export function serverServices(context: ControlContext): Services['servers'] {
  const { state, changes, pieces, directory } = context;
  const view = (server: ServerRecord): Server => serverView(state, server);

  return {
    list: () => [...state.servers.values()].sort((a, b) => (a.slug < b.slug ? -1 : 1)).map(view),
    get: (slug) => view(state.needServer(slug)),

    create: (input: ServerInput, actor: Actor) =>
      changes.run(() => {
        const faults = new Faults();
        faults.name('/slug', input.slug, 'slug');
        if (input.name !== undefined) faults.text('/name', input.name, 'The name', { min: 1, max: 128 });
        checkTransport(faults, input.transport);
        checkSettings(faults, input.settings ?? {});
        if (input.credentials !== undefined) checkCredentials(faults, input.credentials, input.transport);
        faults.end('server');
        if (state.serverBySlug(input.slug) !== undefined) {
          throw new GatehouseError(
            'conflict',
            `There is a server ${JSON.stringify(input.slug)} already. Choose another slug, or change that one.`,
            [{ pointer: '/slug', message: 'Taken.' }],
          );
        }
        const now = timestamp(context);
        const server: ServerRecord = {
          id: makeId('srv', context.random),
          slug: input.slug,
          name: input.name ?? input.slug,
          revision: 1,
          transport: structuredClone(input.transport),
          settings: withSettings(defaultSettings(input.transport.kind), input.settings),
          createdAt: now,
          updatedAt: now,
        };
        const credentials = openInput(input.credentials);
        const after = publicView(server, credentials);
        return {
          records: [{ actor, action: 'server.create', target: server.id, after }],
          async write(transaction) {
            await insertServer(transaction, server);
            await replaceCredentials(transaction, server.id, sealed(context, server.id, credentials, now));
          },
          apply() {
            state.putServer(server);
            if (credentials !== undefined) state.credentials.set(server.id, credentials);
            pieces.definitions(server);
            directory.changed();
            return view(server);
          },
        };
      }),

    update: (slug: string, patch: ServerPatch, ifRevision: number | undefined, actor: Actor) =>
      changes.run(() => {
        const before = state.needServer(slug);
        needRevision(`server ${slug}`, ifRevision, before.revision);
        const transport = patch.transport ?? before.transport;
        const faults = new Faults();
        if (patch.name !== undefined) faults.text('/name', patch.name, 'The name', { min: 1, max: 128 });
        if (patch.transport !== undefined) checkTransport(faults, patch.transport);
        checkSettings(faults, patch.settings ?? {});
        if (patch.credentials !== undefined) checkCredentials(faults, patch.credentials, transport);
        const present = state.credentials.get(before.id);
        if (present !== undefined && patch.credentials === undefined) {
          checkKept(faults, present, before, transport);
        }
        faults.end('change');
        const credentials = patch.credentials === undefined ? present : openInput(patch.credentials);
        const now = timestamp(context);
        const server: ServerRecord = {
          ...before,
          name: patch.name ?? before.name,
          transport: structuredClone(transport),
          settings: withSettings(before.settings, patch.settings),
          revision: before.revision + 1,
          updatedAt: now,
        };
        return {
          records: [
            {
              actor,
              action: 'server.update',
              target: server.id,
              before: publicView(before, present),
              after: { ...publicView(server, credentials), credentialsReplaced: patch.credentials !== undefined },
            },
          ],
          async write(transaction) {
            await updateServer(transaction, server);
            if (patch.credentials !== undefined) {
              await replaceCredentials(transaction, server.id, sealed(context, server.id, credentials, now));
            }
          },
          apply() {
            state.putServer(server);
            if (credentials === undefined) state.credentials.delete(server.id);
            else state.credentials.set(server.id, credentials);
            pieces.server(server);
            directory.changed();
            return view(server);
          },
        };
      }),

    remove: (slug: string, actor: Actor) =>
      changes.run(() => {
        const server = state.needServer(slug);
        const policies = state.policiesOf(server.id);
        const grants = state.grantsOf({ serverId: server.id });
        const before = {
          ...publicView(server, state.credentials.get(server.id)),
          policies: policies.map(({ id, name }) => ({ id, name })),
          grants: grants.map(({ id, identityId }) => ({ id, identityId })),
        };
        return {
          records: [{ actor, action: 'server.remove', target: server.id, before }],
          write: (transaction) => deleteServer(transaction, server.id),
          apply() {
            state.dropServer(server);
            pieces.dropServer(
              server,
              policies.map((policy) => policy.id),
            );
            directory.changed();
          },
        };
      }),
  };
}

/** A secret follows its server, not a new address: who may edit the address could otherwise send the secret to himself. */
function checkKept(
  faults: Faults,
  present: OpenCredentials,
  before: ServerRecord,
  transport: ServerRecord['transport'],
): void {
  const was = before.transport;
  const sameOrigin =
    was.kind !== 'stdio' && transport.kind !== 'stdio'
      ? URL.canParse(transport.url) && new URL(was.url).origin === new URL(transport.url).origin
      : was.kind === transport.kind;
  if (sameOrigin) return;
  faults.add(
    '/credentials',
    `The server goes to another place, and its credentials (${present.names.join(', ')}) do not go along by themselves. Give them again, or {"kind": "none"}.`,
  );
}

/** A copy, since the caller keeps his object; a setting that is given as undefined is not given. */
function withSettings(base: ServerSettings, given: Partial<ServerSettings> = {}): ServerSettings {
  const named = Object.entries(given).filter(([, value]) => value !== undefined);
  return structuredClone({ ...base, ...Object.fromEntries(named) });
}

function openInput(input: CredentialsInput | undefined): OpenCredentials | undefined {
  if (input === undefined || input.kind === 'none') return undefined;
  return {
    kind: input.kind,
    names: Object.keys(input.values).sort((a, b) => (a < b ? -1 : 1)),
    values: { ...input.values },
  };
}

function sealed(
  context: ControlContext,
  serverId: string,
  credentials: OpenCredentials | undefined,
  now: string,
): CredentialsRecord | undefined {
  if (credentials === undefined) return undefined;
  const aad = credentialsAad(serverId, credentials.kind);
  const envelope = sealEnvelope(context.credentialsKey, JSON.stringify(credentials.values), aad, context.random);
  return { serverId, kind: credentials.kind, names: credentials.names, ...envelope, updatedAt: now };
}

function publicView(server: ServerRecord, credentials: OpenCredentials | undefined): Record<string, unknown> {
  return { ...server, credentials: { kind: credentials?.kind ?? 'none', names: credentials?.names ?? [] } };
}
