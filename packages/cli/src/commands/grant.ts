import type { Command } from 'commander';
import type { Grant, GrantCreated, TokenCreated } from '../api-types.ts';
import { listAll } from '../client.ts';
import { type Context, defineCommand, defineGroup, handle, withClient } from '../context.ts';
import { usageError } from '../errors.ts';
import type { Output } from '../output.ts';
import { apiPath, collect, parseDuration, parsePairs, parseTime, queryOf } from '../values.ts';
import { identityKind } from './identity.ts';
import { DEFAULT_OVERLAP, showSecret } from './token.ts';

interface CreateOptions {
  server: string;
  to: string;
  kind?: string;
  policy?: string;
  label?: string;
  attribute?: string[];
  source?: string[];
  expires?: string;
  tokenExpires?: string;
  /** False with --no-token. */
  token: boolean;
}

interface UpdateOptions {
  /** False with --no-policy. */
  policy?: string | false;
  label?: string;
  attribute?: string[];
  source?: string[];
  anySource?: boolean;
  /** False with --no-expires. */
  expires?: string | false;
}

function grantState(grant: Grant, now: number): string {
  if (grant.revokedAt !== undefined) return 'revoked';
  return grant.expiresAt !== undefined && Date.parse(grant.expiresAt) <= now ? 'expired' : 'holds';
}

function grantFields(out: Output, grant: Grant, now: number): void {
  const attributes = Object.entries(grant.attributes).map(([key, value]) => `${key}=${value}`);
  out.fields([
    ['id', grant.id],
    ['label', grant.label],
    ['identity', grant.identity],
    ['server', grant.server],
    ['policy', grant.policy ?? 'none: every call is denied'],
    ['attributes', attributes.join(', ')],
    ['sources', grant.sources.length === 0 ? 'any' : grant.sources.join(', ')],
    ['state', grantState(grant, now)],
    ['created', grant.createdAt],
    ['ends', grant.expiresAt ?? 'never'],
  ]);
}

function showGrant(context: Context, grant: Grant): undefined {
  if (context.out.isJson) context.out.json(grant);
  else grantFields(context.out, grant, context.now());
  return undefined;
}

function showCreated(context: Context, created: GrantCreated): undefined {
  const { out } = context;
  if (out.isJson) {
    out.json(created);
    return undefined;
  }
  const { grant, identityCreated, secret, url } = created;
  if (identityCreated) out.note(`${grant.identity} is new and was added.`);
  grantFields(out, grant, context.now());
  out.line();
  out.fields([
    ['URL', url],
    ['token', secret],
  ]);
  if (secret !== undefined) {
    out.note('This is the only time that the token is shown. An MCP client sends it as: Authorization: Bearer TOKEN');
  }
  if (grant.policy === undefined) {
    out.note(
      `It has no policy yet: gatehouse policy apply FILE --server ${grant.server} --name NAME --grant ${grant.id}`,
    );
  }
  return undefined;
}

function createBody(context: Context, options: CreateOptions): Record<string, unknown> {
  const now = context.now();
  const kind = identityKind(options.kind);
  if (!options.token && options.tokenExpires !== undefined)
    throw usageError('--token-expires and --no-token exclude each other.');
  return {
    server: options.server,
    identity: options.to,
    ...(kind === undefined ? {} : { identityKind: kind }),
    ...(options.policy === undefined ? {} : { policy: options.policy }),
    ...(options.label === undefined ? {} : { label: options.label }),
    ...(options.attribute === undefined ? {} : { attributes: parsePairs(options.attribute, '--attribute') }),
    ...(options.source === undefined ? {} : { sources: options.source }),
    ...(options.expires === undefined ? {} : { expiresAt: parseTime(options.expires, '--expires', now, 'ahead') }),
    ...(options.tokenExpires === undefined
      ? {}
      : { tokenExpiresAt: parseTime(options.tokenExpires, '--token-expires', now, 'ahead') }),
    ...(options.token ? {} : { token: false }),
  };
}

function updatePatch(context: Context, options: UpdateOptions): Record<string, unknown> {
  if (options.anySource && options.source !== undefined)
    throw usageError('--source and --any-source exclude each other.');
  const patch: Record<string, unknown> = {};
  if (options.policy !== undefined) patch.policy = options.policy === false ? null : options.policy;
  if (options.label !== undefined) patch.label = options.label;
  if (options.attribute !== undefined) patch.attributes = parsePairs(options.attribute, '--attribute');
  if (options.source !== undefined || options.anySource) patch.sources = options.source ?? [];
  if (options.expires !== undefined) {
    patch.expiresAt =
      options.expires === false ? null : parseTime(options.expires, '--expires', context.now(), 'ahead');
  }
  if (Object.keys(patch).length === 0) throw usageError('Say what to change; see: gatehouse grant update --help');
  return patch;
}

export function addGrantCommands(program: Command, context: Context): void {
  const { out } = context;
  const group = defineGroup(program, 'grant', 'who may use which server, under which policy');

  const create = defineCommand(group, 'create', {
    description: 'let somebody use a server; makes the identity and a token where they are missing',
    examples: ['gatehouse grant create --server flux --to ana --policy pictures'],
  })
    .requiredOption('--server <server>', 'which server')
    .requiredOption('--to <identity>', 'who: name or id; a new name is added')
    .option('--kind <kind>', 'what a new identity is: person or agent (default: person)')
    .option('--policy <name>', 'policy of that server; without one every call is denied')
    .option('--label <text>', 'what the grant is for')
    .option('--attribute <key=value>', 'for policies to read (repeatable)', collect)
    .option('--source <cidr>', 'network that calls may come from (repeatable; default: any)', collect)
    .option('--expires <time>', 'end of the grant: RFC 3339, a date, or a duration such as 90d')
    .option('--token-expires <time>', 'end of its token')
    .option('--no-token', 'make no token');
  handle<CreateOptions>(context, create, (_, options) => {
    const body = createBody(context, options);
    return withClient(context, options, async (client) =>
      showCreated(context, await client.request<GrantCreated>('POST', '/grants', body)),
    );
  });

  const list = defineCommand(group, 'list', {
    description: 'list the grants',
    examples: ['gatehouse grant list --server flux'],
  })
    .option('--server <server>', 'only on this server')
    .option('--identity <identity>', 'only of this identity: name or id');
  handle<{ server?: string; identity?: string }>(context, list, (_, options) =>
    withClient(context, options, async (client) => {
      const { server, identity } = options;
      const grants = await listAll<Grant>(client, `/grants${queryOf({ server, identity })}`);
      if (out.isJson) out.json(grants);
      else {
        const now = context.now();
        const rows = grants.map((g) => [
          g.id,
          g.identity,
          g.server,
          g.policy ?? 'none',
          g.label,
          grantState(g, now),
          g.expiresAt ?? 'never',
        ]);
        out.table(['GRANT', 'IDENTITY', 'SERVER', 'POLICY', 'LABEL', 'STATE', 'ENDS'], rows, 'There are no grants.');
      }
      return undefined;
    }),
  );

  const show = defineCommand(group, 'show <grant>', {
    description: 'one grant, by its id',
    examples: ['gatehouse grant show grt_0123456789abcdefghij'],
  });
  handle(context, show, ([id], options) =>
    withClient(context, options, async (client) =>
      showGrant(context, await client.request<Grant>('GET', apiPath`/grants/${id!}`)),
    ),
  );

  const update = defineCommand(group, 'update <grant>', {
    description: 'change a grant; holds from the next message',
    examples: ['gatehouse grant update grt_0123456789abcdefghij --policy pictures --expires 30d'],
  })
    .option('--policy <name>', 'another policy of its server')
    .option('--no-policy', 'take its policy away: every call is denied')
    .option('--label <text>', 'what the grant is for')
    .option('--attribute <key=value>', 'attributes instead of those it has (repeatable)', collect)
    .option('--source <cidr>', 'networks instead of those it has (repeatable)', collect)
    .option('--any-source', 'calls may come from anywhere')
    .option('--expires <time>', 'end: RFC 3339, a date, or a duration such as 90d')
    .option('--no-expires', 'no end');
  handle<UpdateOptions>(context, update, ([id], options) => {
    const patch = updatePatch(context, options);
    return withClient(context, options, async (client) =>
      showGrant(context, await client.request<Grant>('PATCH', apiPath`/grants/${id!}`, patch)),
    );
  });

  const rotate = defineCommand(group, 'rotate <grant>', {
    description: 'a new token for a grant; the old ones that open only this grant end by themselves',
    examples: ['gatehouse grant rotate grt_0123456789abcdefghij --overlap 1h'],
  }).option('--overlap <duration>', 'how long the old ones still hold', DEFAULT_OVERLAP);
  handle<{ overlap: string }>(context, rotate, ([id], options) => {
    const overlapSeconds = parseDuration(options.overlap, '--overlap');
    return withClient(context, options, async (client) => {
      showSecret(
        context,
        await client.request<TokenCreated>('POST', apiPath`/grants/${id!}/rotate`, { overlapSeconds }),
      );
      return undefined;
    });
  });

  const revoke = defineCommand(group, 'revoke <grant>', {
    description: 'end a grant now: it opens nothing from the next message on',
    examples: ['gatehouse grant revoke grt_0123456789abcdefghij'],
  });
  handle(context, revoke, ([id], options) =>
    withClient(context, options, async (client) => {
      const grant = await client.request<Grant | undefined>('DELETE', apiPath`/grants/${id!}`);
      if (out.isJson) out.json(grant ?? { revoked: id });
      else out.text(`Revoked ${id}.`);
      return undefined;
    }),
  );
}
