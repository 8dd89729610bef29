import { existsSync } from 'node:fs';
import { isAbsolute, resolve } from 'node:path';
import type { Command } from 'commander';
import type { Definition, IntakeReport, Server, ServerAdded } from '../api-types.ts';
import { type Client, listAll } from '../client.ts';
import {
  type Context,
  confirmed,
  defineCommand,
  defineGroup,
  type GlobalOptions,
  handle,
  withClient,
} from '../context.ts';
import { usageError } from '../errors.ts';
import type { ExitCode } from '../exit-codes.ts';
import { apiPath, collect, parsePair, parsePairs, shellWords } from '../values.ts';
import { showDefinition, toolRows, waiting } from './definitions-view.ts';
import { addAcceptCommand } from './server-accept.ts';

interface AddOptions extends GlobalOptions {
  url?: string;
  sse?: boolean;
  header?: string[];
  headerEnv?: string[];
  env?: string[];
  envFrom?: string[];
  cwd?: string;
  title?: string;
  accept?: boolean;
  yes?: boolean;
}

/** The value of an environment variable that holds a secret; the command line would show it to every process. */
function secretFrom(context: Context, variable: string, option: string): string {
  const value = context.env[variable];
  if (value === undefined || value === '')
    throw usageError(`${option}: the environment variable ${variable} is not set.`);
  return value;
}

function httpInput(context: Context, url: string, options: AddOptions): Record<string, unknown> {
  if (options.env !== undefined || options.envFrom !== undefined || options.cwd !== undefined) {
    throw usageError('--env, --env-from and --cwd belong to a server that is started as a command, not to --url.');
  }
  const values = parsePairs(options.header ?? [], '--header');
  for (const text of options.headerEnv ?? []) {
    const [name, variable] = parsePair(text, '--header-env');
    if (Object.hasOwn(values, name)) throw usageError(`--header-env: "${name}" is given twice.`);
    values[name] = secretFrom(context, variable, '--header-env');
  }
  return {
    transport: { kind: options.sse === true ? 'sse' : 'http', url },
    credentials: Object.keys(values).length === 0 ? { kind: 'none' } : { kind: 'headers', values },
  };
}

function stdioInput(context: Context, words: readonly string[], options: AddOptions): Record<string, unknown> {
  if (options.header !== undefined || options.headerEnv !== undefined || options.sse === true) {
    throw usageError('--header, --header-env and --sse belong to a server with --url, not to a command.');
  }
  const [command, ...args] = words;
  if (command === undefined) throw usageError('After -- comes the command that starts the server.');
  const secrets: Record<string, string> = {};
  for (const variable of options.envFrom ?? []) secrets[variable] = secretFrom(context, variable, '--env-from');
  return {
    transport: {
      kind: 'stdio',
      command,
      args,
      environment: parsePairs(options.env ?? [], '--env'),
      ...(options.cwd === undefined ? {} : { cwd: resolve(options.cwd) }),
    },
    credentials: Object.keys(secrets).length === 0 ? { kind: 'none' } : { kind: 'environment', values: secrets },
  };
}

/** The whole command as it will be started, and what it is given (spec: gateway §4, stdio upstreams). */
function commandShown(words: readonly string[], options: AddOptions): string {
  const lines = ['Gatehouse will start this command, without a shell, as your user:', '', `  ${shellWords(words)}`, ''];
  if (options.cwd !== undefined) lines.push(`  in the folder ${resolve(options.cwd)}`);
  for (const pair of options.env ?? []) lines.push(`  with ${pair}`);
  for (const variable of options.envFrom ?? []) lines.push(`  with ${variable} from your environment, kept sealed`);
  return lines.join('\n').trimEnd();
}

/** Whether a word of a command names a file by where the person stands. */
function isRelativePath(word: string): boolean {
  return !isAbsolute(word) && /[/\\]/.test(word) && existsSync(word);
}

async function add(context: Context, slug: string, options: AddOptions): Promise<ExitCode | undefined> {
  const words = context.trailing;
  if ((options.url === undefined) === (words === undefined)) {
    throw usageError('Name the server by --url URL, or by the command that starts it after "--"; one of the two.');
  }
  const input = words === undefined ? httpInput(context, options.url!, options) : stdioInput(context, words, options);
  if (words !== undefined) {
    context.out.note(commandShown(words, options));
    const relative = options.cwd === undefined ? words.find(isRelativePath) : undefined;
    if (relative !== undefined) {
      context.out.warn(`"${relative}" is found from this folder, and the gateway may start in another: add --cwd .`);
    }
    if (!(await confirmed(context, options.yes, 'Register this command?'))) return undefined;
  }
  return withClient(
    context,
    options,
    async (client) => {
      const added = await client.request<ServerAdded>('POST', '/servers', {
        slug,
        ...input,
        ...(options.title === undefined ? {} : { name: options.title }),
        ...(options.accept ? { accept: true } : {}),
      });
      showAdded(context, added);
      return undefined;
    },
    { create: true },
  );
}

function showAdded(context: Context, added: ServerAdded): void {
  const { out } = context;
  if (out.isJson) {
    out.json(added);
    return;
  }
  const { server, tools, url, warning } = added;
  out.text(`Registered ${server.slug}. Clients use ${url}`);
  if (warning !== undefined) out.warn(warning);
  else out.table(['TOOL', 'CLASS', 'STATE', 'WHAT IT SAYS'], toolRows(tools), 'It lists no tools.');
  const open = tools.filter(waiting);
  if (open.length > 0) out.note(`${open.length} wait for you: gatehouse server accept ${server.slug}`);
  out.note(`Let somebody use it: gatehouse grant create --server ${server.slug} --to NAME`);
}

function targetOf({ transport }: Server): string {
  return transport.kind !== 'stdio' ? transport.url : shellWords([transport.command, ...transport.args]);
}

function showIntake(context: Context, intake: IntakeReport): void {
  const parts = (
    [
      ['new', intake.new],
      ['changed', intake.changed],
      ['text changed', intake.textChanged],
      ['poisoned', intake.poisoned],
      ['gone', intake.gone],
      ['back', intake.returned],
    ] as const
  ).filter(([, names]) => names.length > 0);
  if (parts.length === 0) context.out.text('Nothing changed.');
  for (const [what, names] of parts) context.out.text(`${what}: ${names.join(', ')}`);
}

async function show(context: Context, client: Client, slug: string, tool: string | undefined): Promise<undefined> {
  const { out } = context;
  if (tool !== undefined) {
    const definition = await client.request<Definition>('GET', apiPath`/servers/${slug}/tools/${tool}`);
    if (out.isJson) out.json(definition);
    else showDefinition(out, definition);
    return undefined;
  }
  const server = await client.request<Server>('GET', apiPath`/servers/${slug}`);
  const tools = await listAll<Definition>(client, apiPath`/servers/${slug}/tools`);
  if (out.isJson) {
    out.json({ server, tools });
    return undefined;
  }
  out.fields([
    ['slug', server.slug],
    ['name', server.name],
    [server.transport.kind !== 'stdio' ? 'url' : 'command', targetOf(server)],
    ['folder', server.transport.kind === 'stdio' ? server.transport.cwd : undefined],
    [
      'credentials',
      server.credentials.kind === 'none'
        ? 'none'
        : `${server.credentials.kind}: ${server.credentials.names.join(', ')}`,
    ],
    ['new tools', server.settings.newTools],
    ['revision', server.revision],
    ['added', server.createdAt],
    ['changed', server.updatedAt],
  ]);
  out.line();
  out.table(['TOOL', 'CLASS', 'STATE', 'WHAT IT SAYS'], toolRows(tools), 'No tools are known.');
  return undefined;
}

export function addServerCommands(program: Command, context: Context): void {
  const group = defineGroup(program, 'server', 'the MCP servers behind the gateway');

  const addCommand = defineCommand(group, 'add <name>', {
    description: 'register an MCP server and read its tools',
    examples: [
      'gatehouse server add docs --url https://mcp.example.com/mcp --header-env Authorization=DOCS_AUTHORIZATION',
      'gatehouse server add files -- npx -y @modelcontextprotocol/server-filesystem /srv/files',
    ],
    notes: '<name> becomes a part of the proxy URL: small letters, digits and hyphens, at most 63.',
  })
    .usage('[options] <name> (--url <url> | -- <command> [args...])')
    .option('--url <url>', 'URL of a server that speaks streamable HTTP')
    .option('--sse', 'the URL is the event stream of a server that speaks only the older HTTP+SSE')
    .option('--header <key=value>', 'request header for the server, kept sealed (repeatable)', collect)
    .option('--header-env <key=variable>', 'the same, its value out of an environment variable (repeatable)', collect)
    .option('--env <key=value>', 'environment of the command; for what is no secret (repeatable)', collect)
    .option('--env-from <variable>', 'passes on an environment variable, kept sealed (repeatable)', collect)
    .option('--cwd <dir>', 'folder that the command starts in')
    .option('--title <text>', 'name for people')
    .option('--accept', 'accept the tools that it lists now')
    .option('--yes', 'do not ask before a command is registered');
  handle<AddOptions>(context, addCommand, ([name], options) => add(context, name!, options), { takesTrailing: true });

  const list = defineCommand(group, 'list', {
    description: 'list the servers',
    examples: ['gatehouse server list --json'],
  });
  handle(context, list, (_, options) =>
    withClient(context, options, async (client) => {
      const servers = await listAll<Server>(client, '/servers');
      if (context.out.isJson) context.out.json(servers);
      else {
        const rows = servers.map((s) => [s.slug, s.name, s.transport.kind, targetOf(s)]);
        context.out.table(
          ['SERVER', 'NAME', 'KIND', 'TARGET'],
          rows,
          'There are no servers. Add one: gatehouse server add',
        );
      }
      return undefined;
    }),
  );

  const showCommand = defineCommand(group, 'show <server> [tool]', {
    description: 'a server with its tools, or one tool with what changed in it',
    examples: ['gatehouse server show flux', 'gatehouse server show flux flux_generate_image'],
  });
  handle(context, showCommand, ([server, tool], options) =>
    withClient(context, options, (client) => show(context, client, server!, tool)),
  );

  const refresh = defineCommand(group, 'refresh <server>', {
    description: 'read the tools again; changes wait until they are accepted',
    examples: ['gatehouse server refresh flux'],
  });
  handle(context, refresh, ([server], options) =>
    withClient(context, options, async (client) => {
      const answer = await client.request<{ intake: IntakeReport }>('POST', apiPath`/servers/${server!}/refresh`);
      if (context.out.isJson) context.out.json(answer);
      else showIntake(context, answer.intake);
      return undefined;
    }),
  );

  addAcceptCommand(group, context);

  const remove = defineCommand(group, 'remove <server>', {
    description: 'remove a server with its grants, policies and tools; the audit log keeps what happened',
    examples: ['gatehouse server remove docs --yes'],
  }).option('--yes', 'do not ask');
  handle<{ yes?: boolean }>(context, remove, async ([server], options) => {
    const question = `Remove ${server} with its grants, policies and tools?`;
    if (!(await confirmed(context, options.yes, question))) return undefined;
    return withClient(context, options, async (client) => {
      await client.request('DELETE', apiPath`/servers/${server!}`);
      if (context.out.isJson) context.out.json({ removed: server });
      else context.out.text(`Removed ${server}.`);
      return undefined;
    });
  });
}
