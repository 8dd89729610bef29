import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type PublicKeyInput, verifyAuditLog } from '@gatehouse/verify';
import type { Command } from 'commander';
import type { Server } from '../api-types.ts';
import { auditPublicKeys } from '../audit-key.ts';
import { type Client, connect, listAll } from '../client.ts';
import { type Context, defineCommand, type GlobalOptions, handle } from '../context.ts';
import { type AuditStatus, checkHeadSettings, checkHeadSinks, checkReserve, checkRetention } from '../doctor-audit.ts';
import { type Check, checkDataFolder, checkDisk, checkNode, checkPort, checkUpstream } from '../doctor-checks.ts';
import { checkCertificate } from '../doctor-tls.ts';
import { CliError, fromGatewayError } from '../errors.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { printable } from '../output.ts';
import { isAlive, readServerFile } from '../server-file.ts';

function explained(error: unknown): string {
  const known = error instanceof CliError ? error : fromGatewayError(error);
  if (known === undefined) return error instanceof Error ? error.message : String(error);
  return [known.message, ...known.details.map(({ pointer, message }) => `${pointer}: ${message}`)].join(' ');
}

interface Status {
  startedAt: string;
  audit: AuditStatus;
}

type Gateway = Awaited<ReturnType<Context['gateway']>>;
type Settings = ReturnType<Gateway['loadSettings']>['settings'];

/** The secret key as it is found, and the public key of the log that follows from it. */
function checkKey(
  context: Context,
  gateway: Gateway,
  settings: Settings,
): { check: Check; publicKeys?: PublicKeyInput[] } {
  try {
    const ring = gateway.loadKeyRing({
      env: context.env,
      ...(settings.secret_key_file === undefined ? {} : { file: settings.secret_key_file }),
      dataDir: settings.data,
      create: false,
    });
    return {
      check: { name: 'secret key', status: 'ok', message: `${ring.current.keyId}, from ${ring.current.source}` },
      publicKeys: auditPublicKeys(gateway, ring),
    };
  } catch (error) {
    const isNew = !existsSync(settings.data);
    const check: Check = { name: 'secret key', status: isNew ? 'warn' : 'fail', message: explained(error) };
    return { check: isNew ? { ...check, action: 'The first start makes one: gatehouse serve' } : check };
  }
}

function checkTls(context: Context, gateway: Gateway, settings: Settings): Check | undefined {
  const files = gateway.tlsFiles(settings);
  if (files === undefined) return undefined;
  const now = context.now();
  try {
    return checkCertificate(gateway.loadCertificate(files, now), files, settings.public_url, now);
  } catch (error) {
    const action = 'A start would fail; a running gateway goes on with the certificate that it has.';
    return { name: 'certificate', status: 'fail', message: explained(error), action };
  }
}

async function checkAudit(dir: string, publicKeys: PublicKeyInput[]): Promise<Check> {
  const name = 'audit log';
  if (!existsSync(dir)) return { name, status: 'ok', message: 'nothing is recorded yet' };
  const report = await verifyAuditLog({ dir, publicKeys });
  if (report.ok) return { name, status: 'ok', message: 'chains, numbers and signatures are right' };
  return {
    name,
    status: 'fail',
    message: 'it was changed, cut or damaged',
    action: 'See which record: gatehouse audit verify',
  };
}

/** A gateway that runs, or the data folder opened here, which takes the lock and compares the key. */
async function checkGateway(
  context: Context,
  options: GlobalOptions,
): Promise<{ check: Check; client?: Client; status?: Status }> {
  try {
    const client = await connect(context, { ...options });
    const status = await client.request<Status>('GET', '/status');
    const message = client.mode === 'process' ? 'none runs; the data folder is free' : `runs at ${client.where}`;
    return { check: { name: 'gateway', status: 'ok', message }, client, status };
  } catch (error) {
    return { check: { name: 'gateway', status: 'fail', message: explained(error) } };
  }
}

async function serverChecks(context: Context, client: Client): Promise<Check[]> {
  const servers = await listAll<Server>(client, '/servers');
  return Promise.all(servers.map(({ slug, transport }) => checkUpstream(slug, transport, context.env.PATH ?? '')));
}

async function localChecks(context: Context, options: GlobalOptions, report: (check: Check) => void): Promise<void> {
  const gateway = await context.gateway();
  let settings: Settings;
  try {
    settings = gateway.loadSettings({
      ...(options.config === undefined ? {} : { file: options.config }),
      env: context.env,
      flags: { data: options.data },
    }).settings;
    report({ name: 'settings', status: 'ok', message: 'valid' });
  } catch (error) {
    report({ name: 'settings', status: 'fail', message: explained(error), action: 'Mend them, then run this again.' });
    return;
  }
  report(checkDataFolder(settings.data));
  report(checkDisk(settings.data));
  const { check, publicKeys } = checkKey(context, gateway, settings);
  report(check);
  const certificate = checkTls(context, gateway, settings);
  if (certificate !== undefined) report(certificate);
  const running = readServerFile(settings.data);
  if (running === undefined || !isAlive(running.pid)) report(await checkPort(settings.host, settings.port));
  if (publicKeys !== undefined) report(await checkAudit(join(settings.data, 'audit'), publicKeys));
  const heads = checkHeadSettings(settings.audit.heads, settings.data);
  if (heads !== undefined) report(heads);
  if (!existsSync(settings.data)) return;
  await gatewayChecks(context, options, report);
}

async function gatewayChecks(context: Context, options: GlobalOptions, report: (check: Check) => void): Promise<void> {
  const { check, client, status } = await checkGateway(context, options);
  report(check);
  if (client === undefined || status === undefined) return;
  try {
    const { audit, startedAt } = status;
    // One that was opened here has had no time to make its reserve, to send a head or to look at what is old.
    if (client.mode !== 'process') {
      report(checkReserve(audit));
      report(checkRetention(audit.retention, startedAt, context.now()));
      for (const sink of checkHeadSinks(audit.heads)) report(sink);
    }
    for (const upstream of await serverChecks(context, client)) report(upstream);
  } finally {
    await client.close();
  }
}

async function doctor(context: Context, options: GlobalOptions): Promise<ExitCode> {
  const { out } = context;
  const checks: Check[] = [];
  const colours = { ok: 'green', warn: 'yellow', fail: 'red' } as const;
  const report = (check: Check): void => {
    checks.push(check);
    if (out.isJson) return;
    out.line(
      `${out.style(colours[check.status], check.status.padEnd(4))}  ${printable(`${check.name}: ${check.message}`)}`,
    );
    if (check.action !== undefined) out.line(`      ${printable(check.action)}`);
  };
  report(checkNode(process.versions.node));
  const isRemote = options.api !== undefined || (options.data === undefined && Boolean(context.env.GATEHOUSE_URL));
  if (isRemote) await gatewayChecks(context, options, report);
  else await localChecks(context, options, report);
  const failed = checks.some(({ status }) => status === 'fail');
  if (out.isJson) out.json({ ok: !failed, checks });
  return failed ? EXIT.error : EXIT.ok;
}

export function addDoctorCommand(program: Command, context: Context): void {
  const command = defineCommand(program, 'doctor', {
    description: 'look at everything that the gateway stands on, and say what to do',
    examples: ['gatehouse doctor', 'gatehouse doctor --json'],
    notes: 'Exit code 1: something does not work. Warnings are 0.',
  });
  handle(context, command, (_, options) => doctor(context, options));
}
