import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  formatReport,
  type PublicKeyInput,
  type SignedHead,
  type VerifyReport,
  verifyAuditLog,
} from '@gatehouse/verify';
import type { Command } from 'commander';
import { auditPublicKeys } from '../audit-key.ts';
import { type Context, defineCommand, type GlobalOptions, handle, withClient } from '../context.ts';
import { notFound, usageError } from '../errors.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { readHeadFile } from '../head-file.ts';
import { collect } from '../values.ts';

interface VerifyOptions extends GlobalOptions {
  dir?: string;
  file?: string[];
  publicKey?: string[];
  head?: string;
}

function readText(path: string, option: string): string {
  if (!existsSync(path)) throw notFound(`${option}: there is no file ${path}.`);
  return readFileSync(path, 'utf8');
}

/** Where the log lies and the key that it should be signed under, from the settings and the secret key. */
async function installed(
  context: Context,
  options: VerifyOptions,
): Promise<{ dir: string; publicKeys: () => PublicKeyInput[] }> {
  const gateway = await context.gateway();
  const { settings } = gateway.loadSettings({
    ...(options.config === undefined ? {} : { file: options.config }),
    env: context.env,
    flags: { data: options.data },
  });
  return {
    dir: join(settings.data, 'audit'),
    publicKeys: () => {
      const ring = gateway.loadKeyRing({
        env: context.env,
        ...(settings.secret_key_file === undefined ? {} : { file: settings.secret_key_file }),
        dataDir: settings.data,
        create: false,
      });
      return auditPublicKeys(gateway, ring);
    },
  };
}

/**
 * On this machine it reads the files and nothing else: a gateway that opened the log would recover its tail first, and so
 * change the evidence.
 */
async function verify(context: Context, options: VerifyOptions): Promise<ExitCode> {
  if (options.dir !== undefined && options.file !== undefined) throw usageError('--dir and --file exclude each other.');
  const isElsewhere = options.dir !== undefined || options.file !== undefined;
  const isRemote =
    options.api !== undefined || (!isElsewhere && options.data === undefined && Boolean(context.env.GATEHOUSE_URL));
  if (isRemote) {
    if (isElsewhere || options.publicKey !== undefined || options.head !== undefined) {
      throw usageError(
        'A gateway elsewhere verifies its own files: --dir, --file, --public-key and --head exclude --api.',
      );
    }
    return show(
      context,
      await withClient(context, options, (client) => client.request<VerifyReport>('GET', '/audit/verify')),
    );
  }
  if (isElsewhere && options.publicKey === undefined) {
    throw usageError('A log that lies elsewhere is verified with --public-key FILE (see: gatehouse audit key).');
  }
  const own = isElsewhere && options.publicKey !== undefined ? undefined : await installed(context, options);
  const publicKeys =
    options.publicKey?.map((path) => ({ publicKey: readText(path, '--public-key') })) ?? own!.publicKeys();
  const dir = options.dir ?? own?.dir;
  for (const path of options.file ?? [dir!]) if (!existsSync(path)) throw notFound(`There is no audit log at ${path}.`);
  const report: VerifyReport = await verifyAuditLog({
    ...(options.file === undefined ? { dir: dir! } : { files: options.file }),
    publicKeys,
    ...(options.head === undefined ? {} : { externalHeads: await headsOf(context, options.head) }),
  });
  return show(context, report);
}

function show({ out }: Context, report: VerifyReport): ExitCode {
  if (out.isJson) out.json(report);
  else out.text(formatReport(report));
  return report.ok ? EXIT.ok : EXIT.denied;
}

async function headsOf({ out }: Context, path: string): Promise<SignedHead[]> {
  if (!existsSync(path)) throw notFound(`--head: there is no file ${path}.`);
  const { heads, unreadable, leftOut } = await readHeadFile(path);
  if (heads.length === 0) throw usageError(`--head: ${path} holds no head. It is JSON, one head or one a line.`);
  if (unreadable > 0) out.warn(`${unreadable} lines of ${path} are no heads, and were passed over.`);
  if (leftOut > 0)
    out.warn(`${leftOut} old heads of ${path} were passed over; newer ones of their chains were checked.`);
  return heads;
}

export function addVerifyCommand(group: Command, context: Context): void {
  const command = defineCommand(group, 'verify', {
    description: 'prove that no record was changed, dropped or moved; names the first bad one',
    examples: [
      'gatehouse audit verify',
      'gatehouse audit verify --head /mnt/elsewhere/heads.jsonl',
      'gatehouse audit verify --file audit.jsonl --public-key audit-key.pem',
    ],
    notes:
      'Reads the files only, so it works beside a running gateway and on a copy. Exit code 4: the log was changed.\n' +
      'Who can write the store can rewrite what lies behind the last head that left this machine: keep heads elsewhere.',
  })
    .option('--dir <dir>', 'folder of a log (default: that of the data folder)')
    .option('--file <file>', 'an export as JSON Lines (repeatable)', collect)
    .option('--public-key <file>', 'public key, PEM (repeatable; default: from the secret key)', collect)
    .option('--head <file>', 'signed heads that were kept elsewhere: JSON, one, or one a line (audit.heads)');
  handle<VerifyOptions>(context, command, (_, options) => verify(context, options));
}
