// `gatehouse backup`: the store, then the log up to one point, then the manifest; made beside and renamed (spec: config).
import { existsSync, readdirSync, statSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, open, readdir, rename, rm, rmdir, statfs, writeFile } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, resolve } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { headSigner, type SignedHead } from '../audit/chain.ts';
import { KEYS_FILE, signingKeys } from '../audit/key-changes.ts';
import type { AuditLog } from '../audit/log.ts';
import { FORMAT_VERSION, type Stream } from '../audit/record.ts';
import { chainEnd } from '../audit/recover.ts';
import { listSegments } from '../audit/segments.ts';
import { GatehouseError } from '../errors.ts';
import { AUDIT_FOLDER, RUN_FOLDER } from '../folders.ts';
import type { KeyRing } from '../key-ring.ts';
import { auditKeys } from '../key-rotation.ts';
import { isInside } from '../keys.ts';
import type { Actor } from '../model.ts';
import { STORE_FILE } from '../store/files.ts';
import { appliedMigrations } from '../store/migrate.ts';
import { VERSION } from '../version.ts';
import { type CopiedFile, copyFile, digestFile, syncFolder } from './copy.ts';
import { BACKUP_FORMAT, type BackupContents, MANIFEST_FILE, signManifest } from './manifest.ts';

export interface BackupSource {
  dataDir: string;
  instanceId: string;
  audit: Pick<AuditLog, 'admin' | 'mark'>;
  /** Copies the store between two changes; see the control plane. */
  copyStore: <T>(path: string, then: () => T) => Promise<T>;
  ring: () => KeyRing;
  clock: () => number;
  /** Bytes that are free where a path lies. Default: what the system says. */
  freeBytes?: (path: string) => Promise<number>;
}

export interface BackupReport {
  dir: string;
  /** RFC 3339. */
  created: string;
  files: number;
  bytes: number;
  /** The secret key that is needed to restore it. */
  keyId: string;
  heads: SignedHead[];
}

export interface BackupProgress {
  bytes: number;
  copied: number;
}

const STREAMS: readonly Stream[] = ['calls', 'admin'];
const RUN_LOG = `${RUN_FOLDER}/${AUDIT_FOLDER}` as const;
const PINS = `${RUN_FOLDER}/pins`;
/** Retention may cut a segment while it is copied; the copy then begins anew. */
const ATTEMPTS = 3;

interface Part {
  from: string;
  /** Inside the backup, with slashes. */
  path: string;
  /** Now; of a segment it is also what is copied. */
  bytes: number;
  /**
   * `bytes`: so many, which are whole records. `records`: up to the last whole record among so many, since another
   * process may be writing. `file`: all of it, since it is replaced and never written to.
   */
  take: 'bytes' | 'records' | 'file';
}

/**
 * Refuses what cannot become a backup, before anything is done.
 * @returns the path in its plain form, without a slash at its end
 * @throws GatehouseError invalid_input or conflict
 */
export async function checkTarget(given: string, dataDir: string): Promise<string> {
  if (!isAbsolute(given))
    throw new GatehouseError('invalid_input', `Name the backup's folder by its whole path, not ${given}.`);
  const dir = resolve(given);
  if (isInside(dir, dataDir)) {
    throw new GatehouseError(
      'invalid_input',
      `${dir} lies in the data folder, and would be lost with it. Name another place.`,
    );
  }
  let entries: string[];
  try {
    entries = await readdir(dir);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return dir;
    if (code === 'ENOTDIR')
      throw new GatehouseError('conflict', `${dir} is a file. Name a folder that is new or empty.`);
    throw new GatehouseError('invalid_input', `${dir} cannot be read: ${message}. Name a folder that is new or empty.`);
  }
  if (entries.length > 0) {
    throw new GatehouseError('conflict', `${dir} is not empty. A backup goes into a folder that is new or empty.`);
  }
  return dir;
}

/**
 * Makes a backup of a data folder that this process holds, while it serves. The admin record of it comes first, then the
 * store, then the log: what the store knows has its record in the backup.
 * @throws GatehouseError invalid_input, conflict, audit_unavailable or backup_failed; then there is no backup
 */
export async function createBackup(
  source: BackupSource,
  target: string,
  actor: Actor,
  { signal, onProgress }: { signal?: AbortSignal; onProgress?: (progress: BackupProgress) => void } = {},
): Promise<BackupReport> {
  const dir = await checkTarget(target, source.dataDir);
  let part: string;
  try {
    await mkdir(dirname(dir), { recursive: true, mode: 0o700 });
    part = await mkdtemp(`${dir}.partial-`);
  } catch (error) {
    throw failed(dir, error);
  }
  const record = { actor, target: source.instanceId };
  try {
    await recorded(source, { ...record, action: 'backup.create', after: { dir } });
    try {
      const made = await fill(source, part, signal, onProgress);
      await publish(part, dir);
      return { dir, ...made };
    } catch (error) {
      await source.audit.admin({ ...record, action: 'backup.create.failed' }).catch(() => undefined);
      throw error;
    }
  } catch (error) {
    await rm(part, { recursive: true, force: true }).catch(() => undefined);
    throw failed(dir, error);
  }
}

async function recorded({ audit }: BackupSource, record: Parameters<AuditLog['admin']>[0]): Promise<void> {
  try {
    await audit.admin(record);
  } catch (error) {
    throw new GatehouseError(
      'audit_unavailable',
      `No backup was made: the audit log cannot be written (${(error as Error).message}), and no backup is made without its record.`,
      [],
      { cause: error },
    );
  }
}

async function fill(
  source: BackupSource,
  part: string,
  signal: AbortSignal | undefined,
  onProgress: ((progress: BackupProgress) => void) | undefined,
): Promise<Omit<BackupReport, 'dir'>> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await copyAll(source, part, signal, onProgress);
    } catch (error) {
      const { code, path } = error as NodeJS.ErrnoException;
      const vanished = code === 'ENOENT' && path?.startsWith(source.dataDir) === true;
      if (!vanished || attempt === ATTEMPTS) throw error;
      for (const name of await readdir(part)) await rm(join(part, name), { recursive: true });
    }
  }
}

async function copyAll(
  source: BackupSource,
  part: string,
  signal: AbortSignal | undefined,
  onProgress: ((progress: BackupProgress) => void) | undefined,
): Promise<Omit<BackupReport, 'dir'>> {
  const store = join(part, STORE_FILE);
  const { dataDir } = source;
  await requireRoom(source, part, statSync(join(dataDir, STORE_FILE)).size);
  const point = await source.copyStore(store, () => {
    const { heads, segments } = source.audit.mark();
    const parts = segments.map(
      ({ path, stream, name, bytes }): Part => ({
        from: path,
        path: `${AUDIT_FOLDER}/${stream}/${name}`,
        bytes,
        take: 'bytes',
      }),
    );
    const created = new Date(source.clock()).toISOString();
    // The ring of this moment: a rotation waits as every other change does.
    return { heads, created, ring: source.ring(), parts: [...parts, ...beside(dataDir)] };
  });
  const { heads, created, ring, parts } = point;
  const bytes = parts.reduce((sum, one) => sum + one.bytes, 0);
  await requireRoom(source, part, bytes);
  const version = finishStore(store);
  const files = [{ path: STORE_FILE, ...(await digestOfCopy(store)) }];
  let copied = 0;
  const onBytes = (count: number): void => {
    copied += count;
    onProgress?.({ bytes, copied });
  };
  for (const one of parts) {
    const length = one.take === 'records' ? await wholeLines(one.from, one.bytes) : one.bytes;
    if (length < one.bytes) onBytes(one.bytes - length);
    if (length === 0 && one.take === 'records') continue;
    const target = join(part, ...one.path.split('/'));
    const copying = { onBytes, ...(one.take === 'file' ? {} : { bytes: length }), ...(signal && { signal }) };
    files.push({ path: one.path, ...(await copyFile(one.from, target, copying)) });
  }
  const { keyId } = ring.current;
  const contents: BackupContents = {
    format: BACKUP_FORMAT,
    created,
    program: VERSION,
    instance: source.instanceId,
    key_id: keyId,
    versions: { store: version, log: FORMAT_VERSION },
    keys: [...signingKeys(join(part, AUDIT_FOLDER))],
    files,
    chains: await chainsOf(part),
    heads,
  };
  const signer = headSigner(auditKeys(ring.current).signingSeed, keyId);
  await writeFile(join(part, MANIFEST_FILE), `${JSON.stringify(signManifest(contents, signer), undefined, 1)}\n`, {
    mode: 0o600,
    flush: true,
  });
  return { created, files: files.length, bytes: files.reduce((sum, file) => sum + file.bytes, 0), keyId, heads };
}

/** Where each chain of the copied logs ends. One at a time, with the calls between them: there may be thousands. */
async function chainsOf(part: string): Promise<BackupContents['chains']> {
  const ends: BackupContents['chains'] = [];
  for (const log of [AUDIT_FOLDER, RUN_LOG] as const) {
    for (const stream of STREAMS) {
      if (!existsSync(join(part, log, stream))) continue;
      for (const segments of Map.groupBy(listSegments(join(part, log), stream), ({ writer }) => writer).values()) {
        const end = chainEnd(segments);
        await nextTurn();
        if (end === undefined) continue;
        const { headed: _headed, names: _names, ...chain } = end;
        ends.push({ log, ...chain });
      }
    }
  }
  return ends;
}

/** What lies beside the own log: the logs of runs, which may be writing, the pins, and the public keys. */
function beside(dataDir: string): Part[] {
  const parts: Part[] = [];
  const add = (from: string, path: string, take: Part['take']): void => {
    if (existsSync(from)) parts.push({ from, path, bytes: statSync(from).size, take });
  };
  for (const log of [AUDIT_FOLDER, RUN_LOG]) add(join(dataDir, log, KEYS_FILE), `${log}/${KEYS_FILE}`, 'file');
  const runs = join(dataDir, RUN_FOLDER, AUDIT_FOLDER);
  for (const stream of STREAMS) {
    if (!existsSync(join(runs, stream))) continue;
    // The newest writer first: what it says of the end of an older chain then holds for that chain's copy, too.
    for (const { name, path } of listSegments(runs, stream).toReversed()) {
      add(path, `${RUN_LOG}/${stream}/${name}`, 'records');
    }
  }
  const pins = join(dataDir, RUN_FOLDER, 'pins');
  if (existsSync(pins)) {
    for (const name of readdirSync(pins)) if (name.endsWith('.json')) add(join(pins, name), `${PINS}/${name}`, 'file');
  }
  return parts;
}

/** Bytes of a segment up to the last line feed among its first `size` bytes. */
async function wholeLines(path: string, size: number): Promise<number> {
  const file = await open(path, 'r');
  const buffer = Buffer.allocUnsafe(64 * 1024);
  try {
    for (let end = size; end > 0; ) {
      const from = Math.max(0, end - buffer.length);
      const { bytesRead } = await file.read(buffer, 0, end - from, from);
      const at = buffer.subarray(0, bytesRead).lastIndexOf(0x0a);
      if (at >= 0) return from + at + 1;
      end = from;
    }
    return 0;
  } finally {
    await file.close();
  }
}

/** Makes the copy one file that may be read where nothing can be written. @returns the store's version */
function finishStore(path: string): string {
  const database = new DatabaseSync(path);
  try {
    database.exec('PRAGMA journal_mode = DELETE');
    return appliedMigrations(database).toSorted().at(-1) ?? '';
  } finally {
    database.close();
  }
}

async function digestOfCopy(path: string): Promise<CopiedFile> {
  // SQLite made it readable by others, in a folder that is not.
  await chmod(path, 0o600);
  const file = await open(path, 'r+');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
  return digestFile(path);
}

async function requireRoom({ freeBytes = free }: BackupSource, part: string, bytes: number): Promise<void> {
  const room = await freeBytes(part);
  if (room < bytes) {
    throw Object.assign(new Error(`${bytes} bytes are needed, ${room} are free`), { code: 'ENOSPC' });
  }
}

async function free(path: string): Promise<number> {
  const { bavail, bsize } = await statfs(path);
  return bavail * bsize;
}

async function publish(part: string, dir: string): Promise<void> {
  for (const entry of await readdir(part, { recursive: true, withFileTypes: true })) {
    if (entry.isDirectory()) await syncFolder(join(entry.parentPath, entry.name));
  }
  await syncFolder(part);
  // An empty folder may stand there; Windows does not rename over it.
  if (existsSync(dir)) await rmdir(dir);
  await rename(part, dir);
  await syncFolder(dirname(dir));
}

function failed(dir: string, error: unknown): GatehouseError {
  if (error instanceof GatehouseError) return error;
  const { code, message, name } = error as NodeJS.ErrnoException;
  if (name === 'AbortError') {
    return new GatehouseError('backup_failed', 'No backup was made: the gateway was stopped meanwhile.', [], {
      cause: error,
    });
  }
  const place = dirname(dir);
  const reason =
    code === 'ENOSPC' || code === 'EDQUOT'
      ? `there is no room for it in ${place} (${message}). Make room, or name another place.`
      : code === 'EACCES' || code === 'EPERM' || code === 'EROFS'
        ? `${place} cannot be written by this user (${message}). Name another place, or change its owner.`
        : code === 'EBUSY'
          ? `${basename(dir)} is the root of a file system. Name a folder inside it.`
          : `${message}.`;
  return new GatehouseError('backup_failed', `No backup was made in ${dir}: ${reason}`, [], { cause: error });
}
