import type { KeyObject } from 'node:crypto';
import { createSecretKey, hash, hkdfSync, randomBytes } from 'node:crypto';
import {
  closeSync,
  existsSync,
  fstatSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  realpathSync,
  writeSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { basename, dirname, isAbsolute, join, relative, resolve } from 'node:path';
import { GatehouseError } from './errors.ts';
import { encodeBase62 } from './identity/base62.ts';
import { STORE_FILE } from './store/files.ts';

const KEY_BYTES = 32;
const SALT = 'gatehouse/1';

/** What a subkey is for; each label gives an independent key. */
export type KeyLabel = 'audit-hmac' | 'audit-signing' | 'sessions' | 'credentials' | 'admin-token' | 'key-id';

/** The keys of one installation, derived with HKDF-SHA256 from the secret key, which is not kept. */
export interface SecretKeys {
  /** 8 hexadecimal characters that tell which secret key this is, and nothing about it. */
  readonly keyId: string;
  /** Where the secret key came from: a path or the name of the environment variable. */
  readonly source: string;
  /** AES-256-GCM key for session ids and everything else that clients carry sealed. */
  readonly sessions: KeyObject;
  /** AES-256-GCM key that wraps the data keys of credentials. */
  readonly credentials: KeyObject;
  /** A subkey as bytes, for users that take bytes (the audit log's HMAC key and signing seed). */
  bytes(label: KeyLabel): Buffer;
}

export interface SecretKeyOptions {
  env: Readonly<Record<string, string | undefined>>;
  /** `secret_key_file` of the settings. */
  file?: string;
  /** Where the key file is looked for without `file`. Default: {@link defaultConfigDir}. */
  configDir?: string;
  /** The data folder: the key never lies in it, and no key is made beside data that another key wrote. */
  dataDir: string;
  /** Make a key when there is none and the data folder is new; `replace`: beside data of a lost key, too. */
  create: boolean | 'replace';
}

/** The user's configuration folder: `$XDG_CONFIG_HOME/gatehouse`, or what is usual on this platform. */
export function defaultConfigDir(
  env: Readonly<Record<string, string | undefined>>,
  platform: NodeJS.Platform = process.platform,
): string {
  const named = env.XDG_CONFIG_HOME;
  // The XDG rules say that a relative path is to be ignored.
  if (named && isAbsolute(named)) return join(named, 'gatehouse');
  if (platform === 'win32' && env.APPDATA) return join(env.APPDATA, 'gatehouse');
  if (platform === 'darwin') return join(env.HOME ?? homedir(), 'Library', 'Application Support', 'gatehouse');
  return join(env.HOME ?? homedir(), '.config', 'gatehouse');
}

/**
 * Reads the secret key from `GATEHOUSE_SECRET_KEY`, else from a file, else makes one (mode 600).
 * @throws GatehouseError config_invalid when the key is too weak or its file can be read by others or lies in the data;
 *   key_missing when there is none and none may be made
 */
export function loadSecretKey(options: SecretKeyOptions): SecretKeys {
  const text = options.env.GATEHOUSE_SECRET_KEY;
  if (text !== undefined && text !== '') {
    return deriveKeys(parseKey(text, 'GATEHOUSE_SECRET_KEY'), 'GATEHOUSE_SECRET_KEY');
  }
  const path = resolve(options.file ?? join(options.configDir ?? defaultConfigDir(options.env), 'secret.key'));
  if (isInside(path, options.dataDir)) {
    throw new GatehouseError(
      'config_invalid',
      `The secret key file ${path} lies inside the data folder ${options.dataDir}: who copies the data would have the key too. Move it elsewhere and set secret_key_file.`,
    );
  }
  if (existsSync(path)) return deriveKeys(readKeyFile(path), path);
  if (options.create === 'replace') return deriveKeys(makeKeyFile(path), path);
  if (options.file !== undefined) {
    throw new GatehouseError(
      'key_missing',
      `secret_key_file names ${path}, which does not exist. ${recovery(options.dataDir)}`,
    );
  }
  if (existsSync(join(options.dataDir, STORE_FILE))) {
    throw new GatehouseError('key_missing', `There is no secret key at ${path}. ${recovery(options.dataDir)}`);
  }
  if (!options.create) {
    throw new GatehouseError(
      'key_missing',
      `There is no secret key at ${path}, and GATEHOUSE_SECRET_KEY is not set. The first start of "gatehouse serve" makes one.`,
    );
  }
  return deriveKeys(makeKeyFile(path), path);
}

/** What is lost with the key, for the messages that say it is lost. */
export function recovery(dataDir: string): string {
  return (
    `The data folder ${dataDir} was written with another key. Set GATEHOUSE_SECRET_KEY or secret_key_file to that key (from its backup). ` +
    'Without it: servers, policies, identities, grants and clients’ tokens are readable and can be carried over, and the audit log stays verifiable with its public key; ' +
    'sealed upstream credentials, open sessions and the keyed digests of logged arguments are lost for good. ' +
    'To go on without it: gatehouse key reset (drops what cannot be opened, keeps all else), or choose an empty data folder.'
  );
}

/**
 * Derives the subkeys.
 * @param secret at least 32 bytes
 * @param source shown in messages
 */
export function deriveKeys(secret: Uint8Array, source: string): SecretKeys {
  const master = Buffer.from(secret);
  // One expansion at start: the master itself is not kept, so that a later read of memory finds only subkeys.
  const derive = (label: KeyLabel): Buffer => Buffer.from(hkdfSync('sha256', master, SALT, label, KEY_BYTES));
  const labels: KeyLabel[] = ['audit-hmac', 'audit-signing', 'sessions', 'credentials', 'admin-token', 'key-id'];
  const subkeys = new Map(labels.map((label) => [label, derive(label)]));
  const bytes = (label: KeyLabel): Buffer => Buffer.from(subkeys.get(label) as Buffer);
  return {
    keyId: hash('sha256', bytes('key-id'), 'hex').slice(0, 8),
    source,
    sessions: createSecretKey(bytes('sessions')),
    credentials: createSecretKey(bytes('credentials')),
    bytes,
  };
}

/** The local admin token of an installation (`gha_` + 43 characters): derived, never stored. */
export function adminToken(keys: SecretKeys, instanceId: string): string {
  const derived = hkdfSync('sha256', keys.bytes('admin-token'), SALT, `admin-token:${instanceId}`, KEY_BYTES);
  return `gha_${encodeBase62(new Uint8Array(derived), 43)}`;
}

/** @throws GatehouseError config_invalid when it is no key, or a weak one */
export function parseKey(text: string, source: string): Buffer {
  const trimmed = text.trim();
  // Base64 of 32 random bytes has no chance to consist of hexadecimal digits alone.
  const isHex = /^(?:[0-9a-fA-F]{2})+$/.test(trimmed);
  const isBase64 = /^[A-Za-z0-9+/_-]+={0,2}$/.test(trimmed);
  if (!isHex && !isBase64) {
    throw new GatehouseError(
      'config_invalid',
      `${source} is neither base64 nor hexadecimal. Make a key with: openssl rand -base64 32`,
    );
  }
  const key = Buffer.from(trimmed, isHex ? 'hex' : 'base64');
  if (key.length < KEY_BYTES) {
    throw new GatehouseError(
      'config_invalid',
      `${source} holds ${key.length} bytes; at least ${KEY_BYTES} are needed. Make a key with: openssl rand -base64 32`,
    );
  }
  // 32 random bytes have fewer than 16 distinct values with a chance below 2^-50: this is a typed or repeated pattern.
  if (new Set(key).size < 16) {
    throw new GatehouseError(
      'config_invalid',
      `${source} is not random (it repeats a few values). Make a key with: openssl rand -base64 32`,
    );
  }
  return key;
}

/** @throws GatehouseError config_invalid when others can read it, or it holds no key */
function readKeyFile(path: string): Buffer {
  return parseKey(readPrivateFile(path), path);
}

/** @throws GatehouseError config_invalid when others can read it */
export function readPrivateFile(path: string): string {
  const file = openSync(path, 'r');
  try {
    const { mode } = fstatSync(file);
    if (process.platform !== 'win32' && (mode & 0o077) !== 0) {
      throw new GatehouseError(
        'config_invalid',
        `The secret key file ${path} can be read by other users (mode ${(mode & 0o777).toString(8)}). Run: chmod 600 ${path}`,
      );
    }
    return readFileSync(file, 'utf8');
  } finally {
    closeSync(file);
  }
}

function makeKeyFile(path: string): Buffer {
  const key = randomBytes(KEY_BYTES);
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  let file: number;
  try {
    file = openSync(path, 'wx', 0o600);
  } catch (error) {
    // Two first starts at the same moment: the one that came later uses the other's key.
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return readKeyFile(path);
    throw new GatehouseError(
      'config_invalid',
      `The secret key cannot be written to ${path} (${(error as Error).message}). Make the folder writable, or set secret_key_file.`,
      [],
      { cause: error },
    );
  }
  try {
    writeSync(file, `${key.toString('base64')}\n`);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  return key;
}

/** Whether a path lies in a folder, or is it; links are followed. */
export function isInside(path: string, folder: string): boolean {
  const between = relative(realish(folder), realish(path));
  return between === '' || (!between.startsWith('..') && !isAbsolute(between));
}

/** The real path of the part that exists: a link into the data folder is a way into it too. */
function realish(path: string): string {
  const absolute = resolve(path);
  if (existsSync(absolute)) return realpathSync(absolute);
  const parent = dirname(absolute);
  return parent === absolute ? absolute : join(realish(parent), basename(absolute));
}
