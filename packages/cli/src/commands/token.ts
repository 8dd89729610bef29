import type { Command } from 'commander';
import type { Token, TokenCreated } from '../api-types.ts';
import { listAll } from '../client.ts';
import { type Context, defineCommand, defineGroup, handle, withClient } from '../context.ts';
import { notFound } from '../errors.ts';
import type { Output } from '../output.ts';
import { apiPath, collect, parseDuration, parseTime, queryOf } from '../values.ts';

/** How long the old token still holds after a rotation, where nothing else is said. */
export const DEFAULT_OVERLAP = '24h';

export function tokenState(token: Token, now: number): string {
  if (token.revokedAt !== undefined) return 'revoked';
  if (token.expiresAt === undefined) return 'holds';
  const ends = Date.parse(token.expiresAt);
  if (ends <= now) return 'expired';
  return token.replacedBy === undefined ? 'holds' : 'replaced, holds';
}

function showToken(out: Output, token: Token, now: number): void {
  out.fields([
    ['id', token.id],
    ['identity', token.identity],
    ['label', token.label],
    ['begins with', token.hint],
    ['opens', token.grants.length === 0 ? 'all grants of the identity' : token.grants.join(', ')],
    ['state', tokenState(token, now)],
    ['created', token.createdAt],
    ['ends', token.expiresAt ?? 'never'],
    ['last used', token.lastUsedAt],
    ['replaced by', token.replacedBy],
  ]);
}

/** The one time that a secret is shown. */
export function showSecret(context: Context, created: TokenCreated): void {
  const { out } = context;
  if (out.isJson) {
    out.json(created);
    return;
  }
  showToken(out, created.token, context.now());
  out.line();
  out.text(created.secret);
  out.note('This is the only time that the token is shown. Keep it like a password.');
}

export function addTokenCommands(program: Command, context: Context): void {
  const { out } = context;
  const group = defineGroup(program, 'token', 'the tokens that open the grants of an identity');

  const create = defineCommand(group, 'create', {
    description: 'make a token; it is shown once',
    examples: ['gatehouse token create --identity ana --label laptop --expires 90d'],
  })
    .requiredOption('--identity <identity>', 'whose token: name or id')
    .option('--label <text>', 'what it is for')
    .option('--grant <id>', 'a grant that it opens; all of the identity without this (repeatable)', collect)
    .option('--expires <time>', 'end: RFC 3339, a date, or a duration such as 90d');
  handle<{ identity: string; label?: string; grant?: string[]; expires?: string }>(context, create, (_, options) => {
    const body = {
      identity: options.identity,
      ...(options.label === undefined ? {} : { label: options.label }),
      ...(options.grant === undefined ? {} : { grants: options.grant }),
      ...(options.expires === undefined
        ? {}
        : { expiresAt: parseTime(options.expires, '--expires', context.now(), 'ahead') }),
    };
    return withClient(context, options, async (client) => {
      showSecret(context, await client.request<TokenCreated>('POST', '/tokens', body));
      return undefined;
    });
  });

  const list = defineCommand(group, 'list', {
    description: 'list the tokens (never their secrets)',
    examples: ['gatehouse token list --identity ana'],
  }).option('--identity <identity>', 'only of this one: name or id');
  handle<{ identity?: string }>(context, list, (_, options) =>
    withClient(context, options, async (client) => {
      const tokens = await listAll<Token>(client, `/tokens${queryOf({ identity: options.identity })}`);
      if (out.isJson) out.json(tokens);
      else {
        const now = context.now();
        const rows = tokens.map((t) => [
          t.id,
          t.identity,
          t.label,
          t.hint,
          tokenState(t, now),
          t.expiresAt ?? 'never',
          t.lastUsedAt,
        ]);
        out.table(
          ['TOKEN', 'IDENTITY', 'LABEL', 'BEGINS WITH', 'STATE', 'ENDS', 'LAST USED'],
          rows,
          'There are no tokens.',
        );
      }
      return undefined;
    }),
  );

  const show = defineCommand(group, 'show <token>', {
    description: 'one token, by its id',
    examples: ['gatehouse token show tok_0123456789abcdefghij'],
  });
  handle(context, show, ([id], options) =>
    withClient(context, options, async (client) => {
      const token = (await listAll<Token>(client, '/tokens')).find((candidate) => candidate.id === id);
      if (!token) throw notFound(`There is no token "${id}". See: gatehouse token list`);
      if (out.isJson) out.json(token);
      else showToken(out, token, context.now());
      return undefined;
    }),
  );

  const rotate = defineCommand(group, 'rotate <token>', {
    description: 'make a new token in its place; the old one ends by itself',
    examples: ['gatehouse token rotate tok_0123456789abcdefghij --overlap 1h'],
  }).option('--overlap <duration>', 'how long the old one still holds', DEFAULT_OVERLAP);
  handle<{ overlap: string }>(context, rotate, ([id], options) => {
    const overlapSeconds = parseDuration(options.overlap, '--overlap');
    return withClient(context, options, async (client) => {
      showSecret(
        context,
        await client.request<TokenCreated>('POST', apiPath`/tokens/${id!}/rotate`, { overlapSeconds }),
      );
      return undefined;
    });
  });

  const revoke = defineCommand(group, 'revoke <token>', {
    description: 'end a token now: it opens nothing from the next message on',
    examples: ['gatehouse token revoke tok_0123456789abcdefghij'],
  });
  handle(context, revoke, ([id], options) =>
    withClient(context, options, async (client) => {
      const token = await client.request<Token | undefined>('DELETE', apiPath`/tokens/${id!}`);
      if (out.isJson) out.json(token ?? { revoked: id });
      else out.text(`Revoked ${id}.`);
      return undefined;
    }),
  );
}
