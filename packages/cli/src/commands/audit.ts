import { parsePlainJson } from '@gatehouse/wire';
import type { Command } from 'commander';
import type { AuditRow, ChangeRow } from '../api-types.ts';
import { CHANGE_COLUMNS, changeCells, ROW_COLUMNS, rowCells, rowLine, showRecords } from '../audit-view.ts';
import { listAll } from '../client.ts';
import { type Context, defineCommand, defineGroup, type GlobalOptions, handle, withClient } from '../context.ts';
import { notFound, usageError } from '../errors.ts';
import type { ExitCode } from '../exit-codes.ts';
import { serverSentEvents } from '../server-sent.ts';
import { apiPath, parseInteger, parseTime, queryOf } from '../values.ts';
import { addExportCommand } from './audit-export.ts';
import { addRetentionCommand } from './audit-retention.ts';
import { addVerifyCommand } from './audit-verify.ts';

export interface FilterOptions extends GlobalOptions {
  from?: string;
  to?: string;
  server?: string;
  tool?: string;
  grant?: string;
  identity?: string;
  outcome?: string;
  rule?: string;
}

/** The filters that search, tail and export share; the first two, and the rule, only where there is a past. */
export function addFilters(command: Command, { past }: { past: boolean }): Command {
  if (past) {
    command
      .option('--from <time>', 'from then on: RFC 3339, a date, or a duration such as 24h (ago)')
      .option('--to <time>', 'before then')
      .option('--rule <rule>', 'decided by this rule');
  }
  return command
    .option('--server <server>', 'on this server')
    .option('--tool <tool>', 'of this tool')
    .option('--grant <grant>', 'by this grant: id or label')
    .option('--identity <identity>', 'by this identity: id or name')
    .option('--outcome <outcome>', 'allow, deny, refuse, error or unknown');
}

export function filterQuery(context: Context, options: FilterOptions): Record<string, string | undefined> {
  const { from, to, server, tool, grant, identity, outcome, rule } = options;
  const now = context.now();
  return {
    from: from === undefined ? undefined : parseTime(from, '--from', now, 'ago'),
    to: to === undefined ? undefined : parseTime(to, '--to', now, 'ago'),
    server,
    tool,
    grant,
    identity,
    outcome,
    rule,
  };
}

interface SearchOptions extends FilterOptions {
  limit: string;
  cursor?: string;
}

async function search(context: Context, options: SearchOptions): Promise<undefined> {
  const { out } = context;
  const limit = parseInteger(options.limit, '--limit', 1, 1000);
  const query = queryOf({ ...filterQuery(context, options), limit, cursor: options.cursor });
  return withClient(context, options, async (client) => {
    const page = await client.request<{ items: AuditRow[]; next?: string }>('GET', `/audit/records${query}`);
    if (out.isJson) out.json(page);
    else {
      out.table(ROW_COLUMNS, page.items.map(rowCells), 'No call matches.');
      if (page.next !== undefined) out.note(`More: add --cursor ${page.next}`);
    }
    return undefined;
  });
}

interface ChangesOptions extends Pick<FilterOptions, 'from' | 'to'>, GlobalOptions {
  actor?: string;
  action?: string;
  target?: string;
  limit: string;
  cursor?: string;
}

async function changes(context: Context, options: ChangesOptions): Promise<undefined> {
  const { out } = context;
  const { actor, action, target, cursor } = options;
  const limit = parseInteger(options.limit, '--limit', 1, 1000);
  return withClient(context, options, async (client) => {
    const query = queryOf({ ...filterQuery(context, options), actor, action, target, limit, cursor });
    const page = await client.request<{ items: ChangeRow[]; next?: string }>('GET', `/audit/changes${query}`);
    if (out.isJson) out.json(page);
    else {
      out.table(CHANGE_COLUMNS, page.items.map(changeCells), 'No change matches.');
      if (page.next !== undefined) out.note(`More: add --cursor ${page.next}`);
    }
    return undefined;
  });
}

async function tail(context: Context, options: FilterOptions): Promise<undefined> {
  const { out } = context;
  return withClient(context, options, async (client) => {
    if (client.mode === 'process') {
      throw usageError(`No gateway runs on ${client.where}, so no call comes. See what was: gatehouse audit search`);
    }
    const stream = await client.stream(`/audit/tail${queryOf(filterQuery(context, options))}`, 'text/event-stream');
    try {
      for await (const { event, data } of serverSentEvents(stream)) {
        if (event === 'dropped') {
          const { count } = parsePlainJson(data) as { count: number };
          out.warn(`${count} calls came too fast to be shown; the log has them all.`);
          continue;
        }
        const row = parsePlainJson(data) as AuditRow;
        if (out.isJson) out.jsonLine(row);
        else out.text(rowLine(row));
      }
    } catch (error) {
      // Ctrl-C is how one leaves a live view.
      if (!context.signal.aborted) throw error;
    }
    return undefined;
  });
}

export function addAuditCommands(program: Command, context: Context): void {
  const { out } = context;
  const group = defineGroup(program, 'audit', 'the record of every call and every change');

  const searchCommand = defineCommand(group, 'search', {
    description: 'find calls, newest first',
    examples: ['gatehouse audit search --from 24h --outcome deny'],
  });
  addFilters(searchCommand, { past: true })
    .option('--limit <number>', 'rows at most, 1 to 1000', '50')
    .option('--cursor <cursor>', 'the page after this one');
  handle<SearchOptions>(context, searchCommand, (_, options) => search(context, options));

  const changesCommand = defineCommand(group, 'changes', {
    description: 'who changed what: servers, definitions, policies, identities, tokens, grants',
    examples: ['gatehouse audit changes --from 7d', 'gatehouse audit changes --action grant.revoke --json'],
  })
    .option('--from <time>', 'from then on: RFC 3339, a date, or a duration such as 24h (ago)')
    .option('--to <time>', 'before then')
    .option('--actor <id>', 'who made the change')
    .option('--action <action>', 'such as grant.create')
    .option('--target <id>', 'what was changed')
    .option('--limit <number>', 'rows at most, 1 to 1000', '50')
    .option('--cursor <cursor>', 'the page after this one');
  handle<ChangesOptions>(context, changesCommand, (_, options) => changes(context, options));

  const tailCommand = defineCommand(group, 'tail', {
    description: 'follow the calls as they come; Ctrl-C ends it',
    examples: ['gatehouse audit tail --server flux'],
  });
  addFilters(tailCommand, { past: false });
  handle<FilterOptions>(context, tailCommand, (_, options) => tail(context, options));

  const show = defineCommand(group, 'show <request-id>', {
    description: 'all records of one call',
    examples: ['gatehouse audit show 0b8f7f0e-6a54-4a0e-9d3e-2f1f0f6f5c11'],
  });
  handle(context, show, ([id], options) =>
    withClient(context, options, async (client): Promise<ExitCode | undefined> => {
      const rows = await listAll<AuditRow>(client, apiPath`/audit/records/${id!}`);
      if (rows.length === 0) throw notFound(`No record has the request id ${id}.`);
      if (out.isJson) out.json(rows);
      else for (const row of rows) showRecords(out, row);
      return undefined;
    }),
  );

  const key = defineCommand(group, 'key', {
    description: 'the public key that the log is signed under; keep it elsewhere, to verify with',
    examples: ['gatehouse audit key > audit-key.pem'],
  });
  handle(context, key, (_, options) =>
    withClient(context, options, async (client) => {
      const answer = await client.request<{ publicKey: string }>('GET', '/audit/key');
      if (out.isJson) out.json(answer);
      else out.raw(answer.publicKey.endsWith('\n') ? answer.publicKey : `${answer.publicKey}\n`);
      return undefined;
    }),
  );

  addVerifyCommand(group, context);
  addExportCommand(group, context);
  addRetentionCommand(group, context);
}
