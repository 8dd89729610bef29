import type { Command } from 'commander';
import type { Definition } from '../api-types.ts';
import { type Client, listAll } from '../client.ts';
import { type Context, confirmed, defineCommand, handle, withClient } from '../context.ts';
import { notFound, usageError } from '../errors.ts';
import { apiPath } from '../values.ts';
import { showDefinition, waiting } from './definitions-view.ts';

const CLASSES = ['read', 'write', 'execute', 'destructive', 'financial'];

interface AcceptOptions {
  all?: boolean;
  class?: string;
  yes?: boolean;
}

async function choose(
  context: Context,
  names: readonly string[],
  all: Definition[],
  options: AcceptOptions,
): Promise<Definition[]> {
  if (names.length > 0) {
    return names.map((name) => {
      const definition = all.find((candidate) => candidate.name === name);
      if (!definition) throw notFound(`There is no tool "${name}" on this server.`);
      return definition;
    });
  }
  const open = all.filter((definition) => waiting(definition) && definition.state !== 'poisoned');
  for (const { name } of all.filter((definition) => definition.state === 'poisoned')) {
    context.out.warn(`${name} is poisoned and is accepted only by name, after you have read it.`);
  }
  if (options.all || open.length === 0) return open;
  if (!context.interactive) throw usageError('Name the tools to accept, or say --all.');
  const chosen = await context.prompts.choose(
    'Which tools do you accept? (space marks, enter ends)',
    open.map(({ name, class: toolClass, state }) => ({ value: name, label: name, hint: `${toolClass}, ${state}` })),
  );
  return open.filter(({ name }) => chosen?.includes(name));
}

async function accept(
  context: Context,
  client: Client,
  slug: string,
  names: readonly string[],
  options: AcceptOptions,
): Promise<undefined> {
  const { out } = context;
  const chosen = await choose(
    context,
    names,
    await listAll<Definition>(client, apiPath`/servers/${slug}/tools`),
    options,
  );
  if (chosen.length === 0) {
    if (out.isJson) out.json([]);
    else out.note('Nothing to accept.');
    return undefined;
  }
  if (!out.isJson) for (const definition of chosen) showDefinition(out, definition);
  if (
    context.interactive &&
    !(await confirmed(context, options.yes, `Accept ${chosen.length === 1 ? 'it' : `these ${chosen.length}`}?`))
  ) {
    return undefined;
  }
  // With the digest of what was shown here: what changed since is refused, not accepted unseen.
  const tools = chosen.map(({ name, observedDigest }) => ({
    name,
    digest: observedDigest,
    ...(options.class === undefined ? {} : { class: options.class }),
  }));
  const { items } = await client.request<{ items: Definition[] }>('POST', apiPath`/servers/${slug}/tools/accept`, {
    tools,
  });
  if (out.isJson) out.json(items);
  else out.text(`Accepted: ${items.map(({ name, class: toolClass }) => `${name} (${toolClass})`).join(', ')}.`);
  return undefined;
}

export function addAcceptCommand(group: Command, context: Context): void {
  const command = defineCommand(group, 'accept <server> [tools...]', {
    description: 'accept tools as the server lists them now, with their class',
    examples: ['gatehouse server accept flux', 'gatehouse server accept docs delete_page --class destructive'],
    notes: 'Without names a terminal asks which ones; poisoned tools are accepted only by name.',
  })
    .option('--all', 'all that wait')
    .option('--class <class>', `their class, instead of the classifier's: ${CLASSES.join(', ')}`)
    .option('--yes', 'do not ask');
  handle<AcceptOptions>(context, command, async ([server, ...names], options) => {
    if (options.class !== undefined && !CLASSES.includes(options.class)) {
      throw usageError(`--class: "${options.class}" is none of ${CLASSES.join(', ')}.`);
    }
    if (options.all && names.length > 0) throw usageError('--all and names of tools exclude each other.');
    const tools = names.filter((name) => name !== undefined);
    return withClient(context, options, (client) => accept(context, client, server!, tools, options));
  });
}
