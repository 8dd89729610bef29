import { randomBytes } from 'node:crypto';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { GatehouseError } from './errors.ts';
import { adminToken, defaultConfigDir, deriveKeys, loadSecretKey, type SecretKeyOptions } from './keys.ts';

let folder: string;
let options: SecretKeyOptions & { configDir: string };

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'gatehouse-keys-'));
  options = { env: {}, configDir: join(folder, 'config'), dataDir: join(folder, 'data'), create: true };
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

function refused(changes: Partial<SecretKeyOptions>): { code: string; message: string } {
  try {
    loadSecretKey({ ...options, ...changes });
  } catch (error) {
    if (error instanceof GatehouseError) return { code: error.code, message: error.message };
    throw error;
  }
  throw new Error('expected a refusal');
}

describe('loadSecretKey', () => {
  it('[KEY-FILE] makes a key at the first start, mode 600, outside the data, and finds it again', () => {
    const made = loadSecretKey(options);
    const path = join(options.configDir, 'secret.key');
    expect(made.source).toBe(path);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(Buffer.from(readFileSync(path, 'utf8'), 'base64')).toHaveLength(32);
    expect(loadSecretKey({ ...options, create: false }).keyId).toBe(made.keyId);
    expect(made.keyId).toMatch(/^[0-9a-f]{8}$/);
  });

  it('[KEY-FILE] refuses a key file that others can read', () => {
    loadSecretKey(options);
    const path = join(options.configDir, 'secret.key');
    for (const mode of [0o640, 0o604, 0o666]) {
      chmodSync(path, mode);
      expect(refused({})).toMatchObject({
        code: 'config_invalid',
        message: expect.stringContaining(`chmod 600 ${path}`),
      });
    }
  });

  it('[KEY-FILE] never uses a key inside the data folder, not through a link either', () => {
    expect(refused({ file: join(options.dataDir, 'secret.key') }).code).toBe('config_invalid');
    mkdirSync(options.dataDir);
    symlinkSync(options.dataDir, join(folder, 'elsewhere'));
    expect(refused({ file: join(folder, 'elsewhere', 'deep', 'secret.key') }).code).toBe('config_invalid');
  });

  it('takes GATEHOUSE_SECRET_KEY in base64, base64url and hexadecimal, before any file', () => {
    const key = randomBytes(32);
    const ids = (['base64', 'base64url', 'hex'] as const).map(
      (encoding) => loadSecretKey({ ...options, env: { GATEHOUSE_SECRET_KEY: ` ${key.toString(encoding)}\n` } }).keyId,
    );
    expect(new Set(ids).size).toBe(1);
    expect(ids[0]).toBe(deriveKeys(key, '').keyId);
  });

  it.each([
    ['too short', randomBytes(31).toString('base64'), /31 bytes; at least 32/],
    ['short hexadecimal', randomBytes(16).toString('hex'), /16 bytes; at least 32/],
    ['a pattern', Buffer.alloc(32, 'ab').toString('base64'), /not random/],
    ['no encoding', 'correct horse battery staple correct horse', /neither base64 nor hexadecimal/],
  ])('[KEY-WEAK] refuses a key that is weak: %s', (_, text, message) => {
    const { code, message: detail } = refused({ env: { GATEHOUSE_SECRET_KEY: text } });
    expect(code).toBe('config_invalid');
    expect(detail).toMatch(message);
    expect(detail).not.toContain(text);
  });

  it('[KEY-MISSING] makes no key beside data that another key wrote, and says what is lost', () => {
    mkdirSync(options.dataDir);
    writeFileSync(join(options.dataDir, 'gatehouse.db'), '');
    const { code, message } = refused({});
    expect(code).toBe('key_missing');
    expect(message).toMatch(/credentials.*lost for good/);
    expect(message).toMatch(/audit log stays verifiable/);
  });

  it('[KEY-MISSING] makes none when it may not, nor at a place that was named', () => {
    expect(refused({ create: false }).code).toBe('key_missing');
    expect(refused({ file: join(folder, 'named.key') }).code).toBe('key_missing');
  });
});

describe('derived keys', () => {
  it('are independent of each other and the same at each start', () => {
    const secret = randomBytes(32);
    const one = deriveKeys(secret, '');
    const labels = ['audit-hmac', 'audit-signing', 'sessions', 'credentials', 'admin-token', 'key-id'] as const;
    expect(new Set(labels.map((label) => one.bytes(label).toString('hex'))).size).toBe(labels.length);
    expect(one.bytes('sessions')).toEqual(deriveKeys(secret, '').bytes('sessions'));
    expect(one.sessions.export()).toEqual(one.bytes('sessions'));
    expect(one.bytes('sessions')).not.toEqual(deriveKeys(randomBytes(32), '').bytes('sessions'));
  });

  it('give an admin token of their own for each installation', () => {
    const keys = deriveKeys(randomBytes(32), '');
    expect(adminToken(keys, 'ins_1')).toMatch(/^gha_[0-9A-Za-z]{43}$/);
    expect(adminToken(keys, 'ins_1')).toBe(adminToken(keys, 'ins_1'));
    expect(adminToken(keys, 'ins_1')).not.toBe(adminToken(keys, 'ins_2'));
  });
});

describe('defaultConfigDir', () => {
  it.each([
    [{ XDG_CONFIG_HOME: '/x', HOME: '/h' }, 'linux', '/x/gatehouse'],
    [{ XDG_CONFIG_HOME: 'relative', HOME: '/h' }, 'linux', '/h/.config/gatehouse'],
    [{ HOME: '/h' }, 'linux', '/h/.config/gatehouse'],
    [{ HOME: '/h' }, 'darwin', '/h/Library/Application Support/gatehouse'],
  ] as const)('%j on %s is %s', (env, platform, path) => {
    expect(defaultConfigDir(env, platform)).toBe(path);
  });
});
