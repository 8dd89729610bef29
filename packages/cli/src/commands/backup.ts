import { isAbsolute, resolve } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { Actor, BackupJob, RestoreReport } from '@gatehouse/gateway';
import type { Command } from 'commander';
import { type Context, defineCommand, type GlobalOptions, handle, withClient } from '../context.ts';
import { CliError, usageError } from '../errors.ts';
import { EXIT, type ExitCode, exitCodeOf } from '../exit-codes.ts';

const LOOK_MS = 200;
const ACTOR: Actor = { kind: 'local-admin', id: 'local' };

async function backUp(context: Context, options: GlobalOptions, dir: string): Promise<ExitCode> {
  const { out, signal } = context;
  const job = await withClient(context, options, async (client) => {
    if (client.mode === 'remote' && !isAbsolute(dir)) {
      throw usageError(
        `The backup is made on the machine of ${client.where}: name the folder there by its whole path.`,
      );
    }
    let found = await client.request<BackupJob>('POST', '/backups', {
      dir: client.mode === 'remote' ? dir : resolve(dir),
    });
    while (found.state === 'running') {
      await pause(LOOK_MS, undefined, { signal });
      found = await client.request<BackupJob>('GET', `/backups/${found.id}`);
    }
    return found;
  });
  const { problem, report } = job;
  if (problem !== undefined || report === undefined) {
    throw new CliError(
      exitCodeOf(problem?.code ?? ''),
      problem?.code ?? 'internal',
      problem?.detail ?? 'No backup was made.',
    );
  }
  if (out.isJson) out.json(report);
  else {
    out.text(`Backup of ${report.created} in ${report.dir}: ${report.files} files, ${report.bytes} bytes.`);
    out.text(`To restore it, the secret key ${report.keyId} is needed. It is not in the backup: keep it elsewhere.`);
  }
  return EXIT.ok;
}

interface RestoreFlags extends GlobalOptions {
  check?: boolean;
  withoutKey?: boolean;
  damagedLog?: boolean;
}

async function restore(context: Context, options: RestoreFlags, dir: string): Promise<ExitCode> {
  if (options.api !== undefined)
    throw usageError('A backup is restored on the machine it is wanted on: leave out --api.');
  const gateway = await context.gateway();
  const { settings } = gateway.loadSettings({
    ...(options.config === undefined ? {} : { file: options.config }),
    env: context.env,
    flags: { data: options.data },
  });
  const report = await gateway.restoreBackup({
    from: resolve(dir),
    settings,
    env: context.env,
    actor: ACTOR,
    checkOnly: options.check === true,
    withoutKey: options.withoutKey === true,
    damagedLog: options.damagedLog === true,
  });
  if (context.out.isJson) context.out.json(report);
  else show(context, report, options);
  return EXIT.ok;
}

function show({ out }: Context, report: RestoreReport, { withoutKey }: RestoreFlags): void {
  const { created, program, files, records, problems, data, keyId } = report;
  out.text(
    `Backup of ${created}, made by Gatehouse ${program} under the secret key ${keyId}: ${files} files, ${records} records.`,
  );
  out.text(
    problems === 0
      ? 'All digests and signatures are right, and the log verifies.'
      : `All digests are right; the log has ${problems} faults, as it had when the backup was made.`,
  );
  if (!report.restored) return;
  out.text(`Restored into ${data}.`);
  out.text(`Calls after ${created} are not in it: limits go on from the counts of that moment.`);
  out.text('Let only one gateway go on with this data: each of two would write a history of its own.');
  if (withoutKey) out.text('Next: gatehouse key reset, since what is sealed cannot be opened.');
}

export function addBackupCommands(program: Command, context: Context): void {
  const backup = defineCommand(program, 'backup <dir>', {
    description: 'copy the store and the log to a new folder, while the gateway serves',
    examples: ['gatehouse backup /backup/gatehouse-monday'],
    notes:
      'The folder is new or empty, and is there whole or not at all. It holds the store, the log up to one moment, signed\n' +
      'heads and a signed manifest; never the secret key, nor the token file of the example (npm start).',
  });
  handle<GlobalOptions>(context, backup, ([dir = ''], options) => backUp(context, options, dir));

  const command = defineCommand(program, 'restore <dir>', {
    description: 'check a backup and put it into an empty place',
    examples: ['gatehouse restore /backup/gatehouse-monday --data /srv/gatehouse', 'gatehouse restore backup --check'],
    notes: 'Needs the secret key of the time of the backup. Exit code 4: the backup is damaged or was changed.',
  })
    .option('--check', 'only check it')
    .option('--without-key', 'although its secret key is lost; to be followed by: gatehouse key reset')
    .option('--damaged-log', 'although its log does not verify, as it did not when the backup was made');
  handle<RestoreFlags>(context, command, ([dir = ''], options) => restore(context, options, dir));
}
