import type { Command } from 'commander';
import type { Grant, Identity } from '../api-types.ts';
import { listAll } from '../client.ts';
import { type Context, defineCommand, defineGroup, handle, withClient } from '../context.ts';
import { usageError } from '../errors.ts';
import type { Output } from '../output.ts';
import { apiPath, collect, queryOf } from '../values.ts';

interface CreateOptions {
  kind?: string;
  email?: string;
  group?: string[];
  owner?: string;
}

interface UpdateOptions extends CreateOptions {
  /** False with --no-groups. */
  groups?: boolean;
}

/** Checks `--kind`. */
export function identityKind(kind: string | undefined, option = '--kind'): 'person' | 'agent' | undefined {
  if (kind === undefined || kind === 'person' || kind === 'agent') return kind;
  throw usageError(`${option}: "${kind}" is neither person nor agent.`);
}

function fieldsOf(options: CreateOptions): Record<string, unknown> {
  return {
    ...(options.email === undefined ? {} : { email: options.email }),
    ...(options.group === undefined ? {} : { groups: options.group }),
    ...(options.owner === undefined ? {} : { owner: options.owner }),
  };
}

function showIdentity(out: Output, identity: Identity, grants?: readonly Grant[]): void {
  if (out.isJson) {
    out.json(grants === undefined ? identity : { identity, grants });
    return;
  }
  out.fields([
    ['id', identity.id],
    ['name', identity.name],
    ['kind', identity.kind],
    ['e-mail', identity.email],
    ['groups', identity.groups.join(', ')],
    ['owner', identity.owner],
    ['created', identity.createdAt],
    ['disabled', identity.disabledAt],
  ]);
  if (grants === undefined) return;
  out.line();
  const rows = grants.map((grant) => [
    grant.id,
    grant.server,
    grant.policy ?? 'none',
    grant.revokedAt ? 'revoked' : 'holds',
  ]);
  out.table(['GRANT', 'SERVER', 'POLICY', 'STATE'], rows, 'It has no grants.');
}

export function addIdentityCommands(program: Command, context: Context): void {
  const { out } = context;
  const group = defineGroup(program, 'identity', 'the people and agents that call');

  const create = defineCommand(group, 'create <name>', {
    description: 'add a person or an agent',
    examples: [
      'gatehouse identity create ana --email ana@example.com',
      'gatehouse identity create bot --kind agent --owner ana',
    ],
  })
    .option('--kind <kind>', 'person or agent (default: person)')
    .option('--email <address>', 'e-mail address')
    .option('--group <group>', 'group it belongs to (repeatable)', collect)
    .option('--owner <name>', 'the person who answers for an agent');
  handle<CreateOptions>(context, create, ([name], options) => {
    const kind = identityKind(options.kind);
    const body = { name, ...(kind === undefined ? {} : { kind }), ...fieldsOf(options) };
    return withClient(
      context,
      options,
      async (client) => {
        showIdentity(out, await client.request<Identity>('POST', '/identities', body));
        return undefined;
      },
      { create: true },
    );
  });

  const list = defineCommand(group, 'list', { description: 'list them', examples: ['gatehouse identity list'] });
  handle(context, list, (_, options) =>
    withClient(context, options, async (client) => {
      const identities = await listAll<Identity>(client, '/identities');
      if (out.isJson) out.json(identities);
      else {
        const rows = identities.map((i) => [
          i.name,
          i.kind,
          i.email,
          i.groups.join(', '),
          i.owner,
          i.disabledAt ? 'disabled' : 'active',
          i.id,
        ]);
        out.table(['NAME', 'KIND', 'E-MAIL', 'GROUPS', 'OWNER', 'STATE', 'ID'], rows, 'There are no identities.');
      }
      return undefined;
    }),
  );

  const show = defineCommand(group, 'show <identity>', {
    description: 'one of them, by name or id, with its grants',
    examples: ['gatehouse identity show ana'],
  });
  handle(context, show, ([ref], options) =>
    withClient(context, options, async (client) => {
      const identity = await client.request<Identity>('GET', apiPath`/identities/${ref!}`);
      showIdentity(out, identity, await listAll<Grant>(client, `/grants${queryOf({ identity: identity.id })}`));
      return undefined;
    }),
  );

  const update = defineCommand(group, 'update <identity>', {
    description: 'change its e-mail address, groups or owner',
    examples: ['gatehouse identity update ana --group design --group admins'],
  })
    .option('--email <address>', 'e-mail address')
    .option('--group <group>', 'groups instead of those it has (repeatable)', collect)
    .option('--no-groups', 'take it out of all groups')
    .option('--owner <name>', 'the person who answers for an agent');
  handle<UpdateOptions>(context, update, ([ref], options) => {
    if (options.groups === false && options.group !== undefined)
      throw usageError('--group and --no-groups exclude each other.');
    const patch = { ...fieldsOf(options), ...(options.groups === false ? { groups: [] } : {}) };
    if (Object.keys(patch).length === 0)
      throw usageError('Say what to change: --email, --group, --no-groups or --owner.');
    return withClient(context, options, async (client) => {
      showIdentity(out, await client.request<Identity>('PATCH', apiPath`/identities/${ref!}`, patch));
      return undefined;
    });
  });

  for (const [name, disabled, description] of [
    ['revoke', true, 'disable it: none of its tokens opens anything from the next message on'],
    ['restore', false, 'enable it again'],
  ] as const) {
    const command = defineCommand(group, `${name} <identity>`, {
      description,
      examples: [`gatehouse identity ${name} ana`],
    });
    handle(context, command, ([ref], options) =>
      withClient(context, options, async (client) => {
        showIdentity(out, await client.request<Identity>('PATCH', apiPath`/identities/${ref!}`, { disabled }));
        return undefined;
      }),
    );
  }
}
