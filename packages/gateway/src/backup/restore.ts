// `gatehouse restore`: nothing is put in place before all of it was checked (spec: config).
import { existsSync, readdirSync } from 'node:fs';
import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { type VerifyReport, verifyAuditLog } from '@gatehouse/verify';
import { parsePlainJson } from '@gatehouse/wire';
import { headSigner } from '../audit/chain.ts';
import { openAuditLog } from '../audit/log.ts';
import type { Settings } from '../config.ts';
import { credentialsAad } from '../control/state.ts';
import { GatehouseError } from '../errors.ts';
import { AUDIT_FOLDER, RUN_FOLDER } from '../folders.ts';
import { credentialKeys, type KeyRing, loadKeyRing } from '../key-ring.ts';
import { auditKeys } from '../key-rotation.ts';
import type { Actor } from '../model.ts';
import { LOCK_FILE, LOCK_OWNER_FILE, STORE_FILE } from '../store/files.ts';
import { lockStore } from '../store/lock.ts';
import { appliedMigrations } from '../store/migrate.ts';
import { MIGRATIONS } from '../store/migrations/list.ts';
import { openEnvelope, type SealingKey } from '../store/seal.ts';
import { copyFile, digestFile, syncFolder } from './copy.ts';
import { type BackupManifest, isSigned, MANIFEST_FILE, readManifest } from './manifest.ts';

const STAGING = '.restoring';

export interface RestoreOptions {
  /** The backup. */
  from: string;
  settings: Pick<Settings, 'data' | 'secret_key_file'>;
  env: Readonly<Record<string, string | undefined>>;
  actor: Actor;
  /** Only checks the backup. Default false. */
  checkOnly?: boolean;
  /** Restores although the key that opens it is not at hand, to be followed by a reset of the key. Default false. */
  withoutKey?: boolean;
  /** Restores although the log does not verify, as it did not when the backup was made. Default false. */
  damagedLog?: boolean;
  /** Milliseconds since 1970. Default: the system's clock. */
  clock?: () => number;
}

export interface RestoreReport {
  from: string;
  data: string;
  /** When the backup was made; what came after is not in it. */
  created: string;
  program: string;
  keyId: string;
  files: number;
  bytes: number;
  records: number;
  /** Records that no signed head holds; 0 for a backup of this program. */
  unproven: number;
  /** Faults of the log that were accepted. */
  problems: number;
  restored: boolean;
}

/**
 * Checks a backup and puts it into an empty place: every file by its digest, the manifest and the log by their
 * signatures, the store by its own check and by opening what is sealed in it.
 * @throws GatehouseError not_found, backup_invalid, store_newer, key_missing, store_locked, conflict or backup_failed;
 *   then nothing was put in place
 */
export async function restoreBackup(options: RestoreOptions): Promise<RestoreReport> {
  const { from, settings, checkOnly = false, withoutKey = false, clock = Date.now } = options;
  const { data } = settings;
  if (!checkOnly) refuseTaken(data);
  const manifest = readManifest(from);
  const ring = withoutKey ? undefined : ringFor(manifest, options);
  checkSignature(manifest, ring);
  await checkFiles(from, manifest);
  const reports = await verifyLogs(from, manifest, ring, options.damagedLog === true);
  const report: RestoreReport = {
    from,
    data,
    created: manifest.created,
    program: manifest.program,
    keyId: manifest.key_id,
    files: manifest.files.length,
    bytes: manifest.files.reduce((sum, file) => sum + file.bytes, 0),
    records: sum(reports, ({ records }) => records),
    unproven: sum(reports, ({ unproven }) => unproven),
    problems: sum(reports, ({ problemCount }) => problemCount),
    restored: false,
  };
  checkStore(join(from, STORE_FILE), manifest, ring);
  if (checkOnly) return report;
  await place(from, data, manifest, new Date(clock()).toISOString());
  if (ring !== undefined) await recordRestore(options, ring, manifest, clock);
  return { ...report, restored: true };
}

const sum = <T>(items: readonly T[], of: (item: T) => number): number =>
  items.reduce((total, item) => total + of(item), 0);

function invalid(message: string): GatehouseError {
  return new GatehouseError('backup_invalid', `${message} Nothing was restored; take another backup.`);
}

/** What may lie in a place that is called empty: the lock, and what an earlier restore that was cut off left. */
const LEFT = new Set([LOCK_FILE, LOCK_OWNER_FILE, `${LOCK_FILE}-journal`, STAGING]);

function refuseTaken(data: string): void {
  if (!existsSync(data)) return;
  // Who holds the folder is named before what lies in it.
  if (existsSync(join(data, LOCK_FILE))) lockStore(data, '').release();
  refuseContents(data);
}

function refuseContents(data: string): void {
  const [entry] = readdirSync(data).filter((name) => !LEFT.has(name));
  if (entry === undefined) return;
  throw new GatehouseError(
    'conflict',
    `${data} is not empty (it has ${entry}). A backup is restored into a place that is new or empty: name one with --data, or move what is there away.`,
  );
}

function ringFor(manifest: BackupManifest, { env, settings }: RestoreOptions): KeyRing {
  let ring: KeyRing;
  try {
    ring = loadKeyRing({
      env,
      dataDir: settings.data,
      create: false,
      ...(settings.secret_key_file === undefined ? {} : { file: settings.secret_key_file }),
    });
  } catch (error) {
    if (error instanceof GatehouseError && error.code === 'key_missing')
      throw lostKey(manifest, 'there is none at hand');
    throw error;
  }
  const ids = [ring.current, ...ring.previous].map(({ keyId }) => keyId);
  if (!ids.includes(manifest.key_id)) throw lostKey(manifest, `at hand is ${ids.join(', ')}`);
  return ring;
}

function lostKey({ key_id, created }: BackupManifest, instead: string): GatehouseError {
  return new GatehouseError(
    'key_missing',
    `The backup of ${created} needs the secret key ${key_id}; ${instead}. A backup never holds the key: set GATEHOUSE_SECRET_KEY or secret_key_file to the one of that time, from where it is kept. ` +
      'Without it: servers, policies, identities, grants, clients’ tokens, the limits’ counts and the audit log can be restored (restore --without-key, then gatehouse key reset); ' +
      'sealed upstream credentials, open sessions and the keyed digests of logged arguments are lost for good.',
  );
}

/** Public keys that the log may be signed under: of the key at hand; without it, what the backup itself says. */
function publicKeys(
  { keys, key_id }: BackupManifest,
  ring: KeyRing | undefined,
): { key_id: string; public_key: string }[] {
  if (ring === undefined) return keys.filter((key) => key.key_id === key_id);
  return [ring.current, ...ring.previous].map((one) => ({
    key_id: one.keyId,
    public_key: headSigner(auditKeys(one).signingSeed, one.keyId).rawPublicKey,
  }));
}

function checkSignature(manifest: BackupManifest, ring: KeyRing | undefined): void {
  const key = publicKeys(manifest, ring).find(({ key_id }) => key_id === manifest.key_id);
  if (key === undefined || !isSigned(manifest, key.public_key)) {
    throw invalid(`${MANIFEST_FILE} is not signed by the key that it names (${manifest.key_id}): it was changed.`);
  }
}

async function checkFiles(from: string, { files }: BackupManifest): Promise<void> {
  const listed = new Set(files.map(({ path }) => path));
  for (const { path, bytes, sha256 } of files) {
    const file = join(from, ...path.split('/'));
    if (!existsSync(file)) throw invalid(`${path} is missing in the backup.`);
    const found = await digestFile(file);
    if (found.bytes !== bytes || found.sha256 !== sha256)
      throw invalid(`${path} is not as it was when the backup was made.`);
  }
  for (const entry of await readdir(from, { recursive: true, withFileTypes: true })) {
    const path = relative(from, join(entry.parentPath, entry.name)).split(sep).join('/');
    if (entry.isDirectory() || path === MANIFEST_FILE || listed.has(path)) continue;
    throw invalid(`${path} was not in the backup when it was made.`);
  }
}

async function verifyLogs(
  from: string,
  manifest: BackupManifest,
  ring: KeyRing | undefined,
  damaged: boolean,
): Promise<VerifyReport[]> {
  const keys = publicKeys(manifest, ring).map(({ key_id, public_key }) => ({
    keyId: key_id,
    publicKey: JSON.stringify({ kty: 'OKP', crv: 'Ed25519', x: public_key }),
  }));
  const reports: VerifyReport[] = [];
  for (const log of new Set(manifest.chains.map((chain) => chain.log))) {
    const report = await verifyAuditLog({ dir: join(from, ...log.split('/')), publicKeys: keys });
    const first = report.problems[0];
    if (first !== undefined && !damaged) {
      throw new GatehouseError(
        'backup_invalid',
        `The audit log in the backup (${log}) is not intact: ${first.message} The files are as they were when the backup was made, so the log was damaged before. Nothing was restored; to restore it as it is, add --damaged-log.`,
      );
    }
    for (const chain of manifest.chains) {
      if (chain.log !== log || chain.damaged === true) continue;
      const found = report.chains.find(({ stream, writer }) => stream === chain.stream && writer === chain.writer);
      if (found?.lastSeq !== chain.seq)
        throw invalid(`The chain ${log}/${chain.stream}/${chain.writer} does not end where the manifest says.`);
    }
    reports.push(report);
  }
  return reports;
}

function checkStore(path: string, manifest: BackupManifest, ring: KeyRing | undefined): void {
  let database: DatabaseSync;
  try {
    database = new DatabaseSync(path, { readOnly: true });
  } catch (error) {
    throw invalid(`The store in the backup cannot be opened: ${(error as Error).message}.`);
  }
  try {
    const unknown = appliedMigrations(database).filter((name) => !Object.hasOwn(MIGRATIONS, name));
    if (unknown.length > 0) {
      throw new GatehouseError(
        'store_newer',
        `The backup was made by Gatehouse ${manifest.program}, whose store is newer (unknown here: ${unknown.join(', ')}). Restore it with that version.`,
      );
    }
    const found = database.prepare('PRAGMA integrity_check').get() as { integrity_check: string };
    if (found.integrity_check !== 'ok') throw invalid(`The store in the backup is damaged: ${found.integrity_check}.`);
    const instance = database.prepare('select id, key_id from instance').get() as { id: string; key_id: string };
    if (instance.id !== manifest.instance || instance.key_id !== manifest.key_id) {
      throw invalid('The store in the backup is of another installation than its manifest.');
    }
    if (ring !== undefined) openSealed(database, credentialKeys(ring));
  } finally {
    database.close();
  }
}

/** @throws GatehouseError key_missing when something does not open */
function openSealed(database: DatabaseSync, keys: readonly SealingKey[]): void {
  const rows = database.prepare('select server_id, kind, wrapped_key, sealed from credentials').all() as Record<
    string,
    string
  >[];
  for (const { server_id, kind, wrapped_key = '', sealed = '' } of rows) {
    parsePlainJson(
      openEnvelope(keys, { wrappedKey: wrapped_key, sealed }, credentialsAad(server_id ?? '', kind ?? '')),
    );
  }
}

/** Copies beside, then moves in; the store comes last, for it is what makes the folder a data folder. */
async function place(from: string, data: string, { files }: BackupManifest, time: string): Promise<void> {
  const staging = join(data, STAGING);
  await mkdir(data, { recursive: true, mode: 0o700 }).catch((error: unknown) => {
    throw notPlaced(data, error);
  });
  const lock = lockStore(data, time);
  try {
    refuseContents(data);
    await rm(staging, { recursive: true, force: true });
    for (const { path, bytes, sha256 } of files) {
      const copied = await copyFile(join(from, ...path.split('/')), join(staging, ...path.split('/')), { bytes });
      if (copied.sha256 !== sha256) throw invalid(`${path} was changed while it was restored.`);
    }
    for (const entry of await readdir(staging, { recursive: true, withFileTypes: true })) {
      if (entry.isDirectory()) await syncFolder(join(entry.parentPath, entry.name));
    }
    for (const name of [RUN_FOLDER, AUDIT_FOLDER, STORE_FILE]) {
      if (existsSync(join(staging, name))) await rename(join(staging, name), join(data, name));
    }
    await rm(staging, { recursive: true });
    await syncFolder(data);
  } catch (error) {
    await rm(staging, { recursive: true, force: true }).catch(() => undefined);
    throw notPlaced(data, error);
  } finally {
    lock.release();
  }
}

function notPlaced(data: string, error: unknown): GatehouseError {
  if (error instanceof GatehouseError) return error;
  const { code, message } = error as NodeJS.ErrnoException;
  const reason = code === 'ENOSPC' || code === 'EDQUOT' ? `there is no room for it (${message})` : message;
  return new GatehouseError(
    'backup_failed',
    `The backup was not restored into ${data}: ${reason}. Make room or name another place with --data, then restore again.`,
    [],
    { cause: error },
  );
}

/** The log says that its history goes on from a backup. */
async function recordRestore(
  { settings, actor, from }: RestoreOptions,
  { current, previous }: KeyRing,
  { created, instance }: BackupManifest,
  clock: () => number,
): Promise<void> {
  try {
    const audit = await openAuditLog({
      dir: join(settings.data, AUDIT_FOLDER),
      clock,
      ...auditKeys(current),
      previousKeys: previous.map(auditKeys),
    });
    await audit.admin({ actor, action: 'backup.restore', target: instance, after: { created, from } });
    await audit.close();
  } catch (error) {
    throw new GatehouseError(
      'audit_unavailable',
      `The backup was restored into ${settings.data}, but its log cannot be written (${(error as Error).message}), so that nothing says there that it was restored. Make room, empty the folder and restore again.`,
      [],
      { cause: error },
    );
  }
}
