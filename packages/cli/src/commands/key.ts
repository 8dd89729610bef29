import type { Actor, KeyReset, KeyRotation } from '@gatehouse/gateway';
import type { Command } from 'commander';
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
import { EXIT } from '../exit-codes.ts';

const ACTOR: Actor = { kind: 'local-admin', id: 'local' };

async function settingsOf(context: Context, options: GlobalOptions) {
  if (options.api !== undefined) throw usageError('The secret key is that of this machine: leave out --api.');
  const gateway = await context.gateway();
  const { settings } = gateway.loadSettings({
    ...(options.config === undefined ? {} : { file: options.config }),
    env: context.env,
    flags: { data: options.data },
  });
  return { gateway, settings };
}

function addShow(group: Command, context: Context): void {
  const { out } = context;
  const command = defineCommand(group, 'show', {
    description: 'which secret key is at hand, by its id, and which earlier ones',
    examples: ['gatehouse key show'],
    notes: 'Never shows a key. An id says which key it is, and nothing about it.',
  });
  handle<GlobalOptions>(context, command, async (_, options) => {
    const { gateway, settings } = await settingsOf(context, options);
    const { current, previous } = gateway.loadKeyRing({
      env: context.env,
      ...(settings.secret_key_file === undefined ? {} : { file: settings.secret_key_file }),
      dataDir: settings.data,
      create: false,
    });
    const view = ({ keyId, source }: typeof current) => ({ keyId, source });
    if (out.isJson) out.json({ ...view(current), previous: previous.map(view) });
    else {
      const rows = [current, ...previous].map(({ keyId, source }, i) => [
        keyId,
        i === 0 ? 'in force' : 'earlier',
        source,
      ]);
      out.table(['KEY', 'STATE', 'FROM'], rows, '');
    }
    return EXIT.ok;
  });
}

function addRotate(group: Command, context: Context): void {
  const { out } = context;
  const command = defineCommand(group, 'rotate', {
    description: 'make a new secret key and go on under it, without a stop',
    examples: ['gatehouse key rotate'],
    notes:
      'A key from GATEHOUSE_SECRET_KEY is changed with a restart: set it to a new one (openssl rand -base64 32) and\n' +
      'GATEHOUSE_SECRET_KEY_PREVIOUS to the old one; the start does the rest.',
  });
  handle<GlobalOptions>(context, command, (_, options) =>
    withClient(context, options, async (client) => {
      const made = await client.request<KeyRotation>('POST', '/key/rotate');
      if (out.isJson) out.json(made);
      else {
        out.text(`The secret key is now ${made.keyId}, in ${made.file}. Copy it to where you keep it.`);
        out.text(`Credentials of ${made.credentials} servers are under it. Clients’ tokens and sessions go on.`);
        out.text(
          `The earlier key ${made.previousKeyId} is kept in ${made.previousFile}: sessions need it until they end, and backups made before need it as long as you keep them.`,
        );
        out.text('The local admin token changed. Digests of arguments from before and after cannot be compared.');
      }
      return EXIT.ok;
    }),
  );
}

function addReset(group: Command, context: Context): void {
  const { out } = context;
  const command = defineCommand(group, 'reset', {
    description: 'go on without a secret key that is lost: drop what only it opens, keep all else',
    examples: ['gatehouse key reset --yes'],
    notes:
      'Drops upstream credentials and open sessions. Keeps servers, policies, identities, grants, tokens and the log, and\n' +
      'records it. Makes a new key where none is at hand. No gateway may run on the data folder.',
  }).option('--yes', 'do not ask');
  handle<GlobalOptions & { yes?: boolean }>(context, command, async (_, options) => {
    const { gateway, settings } = await settingsOf(context, options);
    const question = `Drop every upstream credential in ${settings.data}?`;
    if (!(await confirmed(context, options.yes, question))) return EXIT.interrupted;
    const reset = await gateway.resetKey({ settings, env: context.env, actor: ACTOR });
    if (out.isJson) out.json(reset);
    else showReset(context, reset);
    return EXIT.ok;
  });
}

function showReset({ out }: Context, { keyId, lostKeyId, source, dropped, publicKeyKept }: KeyReset): void {
  out.text(`The data is under the secret key ${keyId} now (${source}); ${lostKeyId} is given up.`);
  if (dropped.length === 0) out.text('There were no credentials to drop.');
  for (const { server, names } of dropped) out.text(`Dropped, to be given again: ${server} (${names.join(', ')}).`);
  out.text(
    publicKeyKept
      ? 'The log verifies with the new key, which vouches for what the lost one signed.'
      : 'The public key of the lost one is not known here: to verify older records, give it (gatehouse audit verify --public-key).',
  );
}

export function addKeyCommands(program: Command, context: Context): void {
  const group = defineGroup(program, 'key', 'the secret key of the installation');
  addShow(group, context);
  addRotate(group, context);
  addReset(group, context);
}
