import type { Command } from 'commander';
import { type Context, defineCommand, defineGroup, type GlobalOptions, handle } from '../context.ts';
import { CliError, fromGatewayError } from '../errors.ts';
import { EXIT } from '../exit-codes.ts';
import type { Cell } from '../output.ts';

async function load(context: Context, options: GlobalOptions) {
  const gateway = await context.gateway();
  return gateway.loadSettings({
    ...(options.config === undefined ? {} : { file: options.config }),
    env: context.env,
    flags: { data: options.data },
  });
}

function valueCell(value: unknown): Cell {
  if (value === undefined || value === null) return undefined;
  if (Array.isArray(value)) return value.join(', ');
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

/** A URL may carry a password, and that of a webhook is a secret as a whole but for its host (spec: config). */
function masked(name: string, value: unknown): unknown {
  if (Array.isArray(value)) return value.map((one) => masked(name, one));
  if (typeof value !== 'string' || !/^[a-z][a-z0-9+.-]*:\/\//i.test(value) || !URL.canParse(value)) return value;
  const url = new URL(value);
  if (name.includes('webhook')) return `${url.protocol}//${url.host}/***`;
  if (url.username === '' && url.password === '') return value;
  url.username = '***';
  url.password = '';
  return url.href;
}

export function addConfigCommands(program: Command, context: Context): void {
  const { out } = context;
  const group = defineGroup(program, 'config', 'the settings');

  const check = defineCommand(group, 'check', {
    description: 'name every error in the settings: file, environment, flags',
    examples: ['gatehouse config check --config gatehouse.yaml'],
  });
  handle(context, check, async (_, options) => {
    try {
      await load(context, options);
    } catch (error) {
      const known = fromGatewayError(error);
      if (known?.code !== 'config_invalid' || !out.isJson) throw error;
      out.json({
        valid: false,
        problems: known.details.length > 0 ? known.details : [{ pointer: '', message: known.message }],
      });
      return EXIT.denied;
    }
    if (out.isJson) out.json({ valid: true, problems: [] });
    else out.text('The settings are valid.');
    return EXIT.ok;
  });

  const show = defineCommand(group, 'show [setting]', {
    description: 'the settings that hold, and where each value came from',
    examples: ['gatehouse config show', 'gatehouse config show data --json'],
    notes: 'Order: default < settings file (--config or GATEHOUSE_CONFIG) < environment (GATEHOUSE_…) < flags.',
  });
  handle(context, show, async ([name], options) => {
    const loaded = await load(context, options);
    const described = loaded.described.map((setting) => ({ ...setting, value: masked(setting.name, setting.value) }));
    const chosen = name === undefined ? described : described.filter((setting) => setting.name === name);
    if (chosen.length === 0) throw new CliError(EXIT.notFound, 'not_found', `There is no setting "${name}".`);
    if (out.isJson) out.json(name === undefined ? chosen : chosen[0]);
    else {
      const rows = chosen.map((setting) => [
        setting.name,
        valueCell(setting.value),
        setting.source,
        setting.description,
      ]);
      out.table(['SETTING', 'VALUE', 'FROM', 'WHAT IT IS'], rows, '');
    }
    return undefined;
  });

  const schema = defineCommand(group, 'schema', {
    description: 'the JSON Schema of a settings file, for editors and checks',
    examples: ['gatehouse config schema > gatehouse.schema.json'],
    notes:
      'An editor uses it with a first line in gatehouse.yaml: # yaml-language-server: $schema=./gatehouse.schema.json\n' +
      'The published package has it as @gatehouse-mcp/gatehouse/settings.schema.json.',
  });
  handle(context, schema, async () => {
    out.json((await context.gateway()).settingsJsonSchema());
    return EXIT.ok;
  });
}
