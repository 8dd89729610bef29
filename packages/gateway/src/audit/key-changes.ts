// Which keys signed a log, and what says that one took the place of another: signed statements in the records and in
// `keys.json` beside them, so that who holds any one of the public keys can verify the whole log (docs/audit-format.md).
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { parsePlainJson } from '@gatehouse/wire';
import type { HeadSigner } from './chain.ts';
import { FORMAT_VERSION } from './record.ts';
import { AuditUnavailableError } from './writer-options.ts';

export const KEYS_FILE = 'keys.json';

/** A signing key by its name and its public half: 32 bytes, base64url. */
export interface NamedKey {
  key_id: string;
  public_key: string;
}

/** A statement that heads are signed by `to` after `from`. */
export interface KeyChange {
  from: NamedKey;
  to: NamedKey;
  time: string;
  /** Ed25519 over the statement, base64url. Without `from`, that key was lost: only its successor vouches for it. */
  signatures: { from?: string; to: string };
}

/** What `keys.json` holds. */
interface KeysFile {
  v: typeof FORMAT_VERSION;
  /** Every key that signed heads here. */
  keys: NamedKey[];
  changes: KeyChange[];
}

/** The bytes that both keys sign: RFC 8785 canonical JSON. */
export function keyChangeStatement({ from, to, time }: Pick<KeyChange, 'from' | 'to' | 'time'>): string {
  const key = ({ key_id, public_key }: NamedKey): string => JSON.stringify({ key_id, public_key });
  return `{"from":${key(from)},"purpose":"key-change","time":${JSON.stringify(time)},"to":${key(to)},"v":${FORMAT_VERSION}}`;
}

const named = ({ keyId, rawPublicKey }: HeadSigner): NamedKey => ({ key_id: keyId, public_key: rawPublicKey });

/**
 * Brings `keys.json` up to the present key: with a statement by each earlier key at hand that signed here and that no
 * statement ties to the present one yet.
 * @param previous earlier keys, newest first
 * @returns all statements
 * @throws AuditUnavailableError when the file cannot be read or written
 */
export function recordKeys(
  dir: string,
  current: HeadSigner,
  previous: readonly HeadSigner[],
  time: string,
): KeyChange[] {
  const found = readKeys(dir);
  const file: KeysFile = found ?? { v: FORMAT_VERSION, keys: [], changes: [] };
  let isChanged = !file.keys.some(({ key_id }) => key_id === current.keyId);
  if (isChanged) file.keys.push(named(current));
  for (const signer of previous) {
    // A log from before this file existed may have been signed by any of them.
    const signedHere = found === undefined || file.keys.some(({ key_id }) => key_id === signer.keyId);
    if (!signedHere || leads(file.changes, signer.keyId, current.keyId)) continue;
    const change = { from: named(signer), to: named(current), time };
    const statement = keyChangeStatement(change);
    file.changes.push({
      ...change,
      signatures: { from: signer.signText(statement), to: current.signText(statement) },
    });
    isChanged = true;
  }
  if (isChanged) writeKeys(dir, file);
  return file.changes;
}

/**
 * As {@link recordKeys}, where the earlier key is lost: the present one vouches for what its public half signed.
 * @returns whether the lost key's public half was known here
 */
export function recordLostKey(dir: string, lostKeyId: string, current: HeadSigner, time: string): boolean {
  const file: KeysFile = readKeys(dir) ?? { v: FORMAT_VERSION, keys: [], changes: [] };
  const lost = file.keys.find(({ key_id }) => key_id === lostKeyId);
  if (lost === undefined) return false;
  if (leads(file.changes, lostKeyId, current.keyId)) return true;
  const change = { from: lost, to: named(current), time };
  file.changes.push({ ...change, signatures: { to: current.signText(keyChangeStatement(change)) } });
  if (!file.keys.some(({ key_id }) => key_id === current.keyId)) file.keys.push(named(current));
  writeKeys(dir, file);
  return true;
}

/** The keys that signed heads here, as `keys.json` names them. */
export function signingKeys(dir: string): readonly NamedKey[] {
  return readKeys(dir)?.keys ?? [];
}

function leads(changes: readonly KeyChange[], from: string, to: string, seen = new Set<string>()): boolean {
  if (from === to) return true;
  seen.add(from);
  return changes.some(
    (change) =>
      change.from.key_id === from && !seen.has(change.to.key_id) && leads(changes, change.to.key_id, to, seen),
  );
}

function readKeys(dir: string): KeysFile | undefined {
  let text: string;
  try {
    text = readFileSync(join(dir, KEYS_FILE), 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw unusable(dir, error);
  }
  try {
    const { keys, changes } = parsePlainJson(text) as Partial<KeysFile>;
    if (!Array.isArray(keys) || !Array.isArray(changes)) throw new TypeError('it has no keys or no changes');
    return { v: FORMAT_VERSION, keys, changes };
  } catch (error) {
    throw unusable(dir, error);
  }
}

function writeKeys(dir: string, file: KeysFile): void {
  const path = join(dir, KEYS_FILE);
  // Several runs may share a log.
  const part = `${path}.${process.pid}.new`;
  try {
    rmSync(part, { force: true });
    const fd = openSync(part, 'wx', 0o600);
    try {
      writeSync(fd, `${JSON.stringify(file, undefined, 1)}\n`);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(part, path);
  } catch (error) {
    throw unusable(dir, error);
  }
}

function unusable(dir: string, error: unknown): AuditUnavailableError {
  return new AuditUnavailableError(
    `The list of the audit log's public keys, ${join(dir, KEYS_FILE)}, cannot be used: ${(error as Error).message}. ` +
      'Check that the folder belongs to this user and that the disk has room; a damaged file may be moved away.',
  );
}
