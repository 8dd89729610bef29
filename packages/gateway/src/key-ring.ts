// The present secret key and the earlier ones that are still at hand, and how a new one takes its place (spec: gateway §7).
import type { KeyObject } from 'node:crypto';
import { randomBytes } from 'node:crypto';
import { existsSync, realpathSync } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { GatehouseError } from './errors.ts';
import {
  deriveKeys,
  loadSecretKey,
  parseKey,
  readPrivateFile,
  type SecretKeyOptions,
  type SecretKeys,
} from './keys.ts';
import type { SealingKey } from './store/seal.ts';

const ENV = 'GATEHOUSE_SECRET_KEY';
const ENV_PREVIOUS = 'GATEHOUSE_SECRET_KEY_PREVIOUS';

export interface KeyRing {
  readonly current: SecretKeys;
  /** Newest first. */
  readonly previous: readonly SecretKeys[];
  /** File of the present key; absent when it came from the environment. */
  readonly file?: string;
}

/** Where the earlier keys of a key file lie, one a line, newest first. */
export const previousFile = (file: string): string => `${file}.previous`;

/**
 * Reads the secret key as {@link loadSecretKey} does, and the earlier ones: of `GATEHOUSE_SECRET_KEY_PREVIOUS` (separated
 * by commas) and of the file beside the key file whose name ends in `.previous`.
 * @throws GatehouseError as {@link loadSecretKey}, for the earlier keys too
 */
export function loadKeyRing(options: SecretKeyOptions): KeyRing {
  const current = loadSecretKey(options);
  const file = current.source === ENV ? undefined : current.source;
  const texts = lines(options.env[ENV_PREVIOUS]?.replaceAll(',', '\n') ?? '').map((text) => ({
    text,
    source: ENV_PREVIOUS,
  }));
  if (file !== undefined) {
    const source = previousFile(file);
    for (const text of readLines(source)) texts.push({ text, source });
  }
  const known = new Set([current.keyId]);
  const previous: SecretKeys[] = [];
  for (const { text, source } of texts) {
    const keys = deriveKeys(parseKey(text, source), source);
    if (known.has(keys.keyId)) continue;
    known.add(keys.keyId);
    previous.push(keys);
  }
  return { current, previous, ...(file === undefined ? {} : { file }) };
}

/** What credentials may be wrapped under, the present key first. */
export function credentialKeys({ current, previous }: KeyRing): SealingKey[] {
  return [current, ...previous].map(({ credentials, keyId }) => ({ key: credentials, keyId }));
}

/** What clients carry is sealed under the present key, and opened under an earlier one too while it may still hold. */
export interface SealingKeys {
  readonly current: KeyObject;
  readonly previous: readonly KeyObject[];
}

/**
 * Puts a new random key into the key file, after the present one was put into the file of the earlier keys. At each
 * moment the two files together hold every key that the store may be under, so that a start after a crash goes on.
 * @returns what takes it back; the new key then becomes one of the earlier ones, since something may be under it already
 * @throws GatehouseError config_invalid when the files cannot be written, or the key comes from the environment
 */
export async function replaceKey(ring: KeyRing): Promise<() => Promise<void>> {
  if (ring.file === undefined) {
    throw new GatehouseError(
      'config_invalid',
      `The secret key comes from ${ENV}, which a running program cannot change. Make a new one (openssl rand -base64 32), set ${ENV} to it and ${ENV_PREVIOUS} to the present one, and start again: the start does the rest.`,
    );
  }
  // A link to the file stays a link.
  const file = realpathSync(ring.file);
  const old = readPrivateFile(file).trim();
  const earlier = readLines(previousFile(ring.file));
  const next = randomBytes(32).toString('base64');
  const keep = (...keys: string[]): Promise<void> =>
    writeKeys(previousFile(ring.file as string), [...new Set([...keys, ...earlier])]);
  await keep(old);
  await writeKeys(file, [next]);
  return async () => {
    await keep(next, old);
    await writeKeys(file, [old]);
  };
}

const lines = (text: string): string[] =>
  text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');

function readLines(path: string): string[] {
  return existsSync(path) ? lines(readPrivateFile(path)) : [];
}

/** Whole or not at all, and through to the disk. */
async function writeKeys(path: string, keys: readonly string[]): Promise<void> {
  const part = `${path}.new`;
  try {
    await rm(part, { force: true });
    const file = await open(part, 'wx', 0o600);
    try {
      await file.writeFile(`${keys.join('\n')}\n`);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(part, path);
    await syncFolder(dirname(path));
  } catch (error) {
    throw new GatehouseError(
      'config_invalid',
      `The secret key was not changed: ${path} cannot be written (${(error as Error).message}). Make its folder writable; or put a new key there by hand, the present one into ${path}.previous, and start again.`,
      [],
      { cause: error },
    );
  }
}

async function syncFolder(path: string): Promise<void> {
  if (process.platform === 'win32') return;
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
