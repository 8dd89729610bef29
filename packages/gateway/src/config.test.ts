import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { loadSettings, settingsJsonSchema, tlsFiles } from './config.ts';
import { GatehouseError } from './errors.ts';

function problems(run: () => unknown): { pointer: string; message: string }[] {
  try {
    run();
  } catch (error) {
    if (error instanceof GatehouseError) return [...error.items];
    throw error;
  }
  return [];
}

describe('settings', () => {
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-config-'));
  const file = join(folder, 'gatehouse.yaml');

  it('[CFG-ORDER] a flag wins over the environment, that over the file, that over the default', () => {
    writeFileSync(file, 'port: 1111\nmax_body: 1 MiB\naudit:\n  durability: fsync\n');
    const env = { GATEHOUSE_PORT: '2222', GATEHOUSE_MAX_DEPTH: '32' };
    const { settings, described } = loadSettings({ file, env, flags: { port: 3333 } });
    expect(settings).toMatchObject({ port: 3333, max_body: 1_048_576, max_depth: 32, call_deadline: 600_000 });
    expect(settings.audit.durability).toBe('fsync');
    const source = Object.fromEntries(described.map((row) => [row.name, row.source]));
    expect(source).toMatchObject({
      port: 'flag',
      max_depth: 'environment',
      max_body: 'file',
      'audit.durability': 'file',
      host: 'default',
    });
  });

  it('[CFG-ERRORS] names every error with its setting and where it was set', () => {
    writeFileSync(
      file,
      'port: high\nmax_bdy: 3\naudit:\n  durabilty: x\n  retention: 4h\n  heads:\n    webhook: ftp://x\ncall_deadline: soon\n',
    );
    const found = problems(() => loadSettings({ file, env: {} }));
    expect(found.map((item) => item.pointer).sort()).toEqual([
      'audit.durabilty',
      'audit.heads.webhook',
      'audit.retention',
      'call_deadline',
      'max_bdy',
      'port',
    ]);
    expect(found.find((item) => item.pointer === 'port')?.message).toContain('gatehouse.yaml');
  });

  it('[CFG-ORDER] settings within settings come from the file, the environment and flags alike', () => {
    writeFileSync(file, 'audit:\n  retention: never\n  heads:\n    file: /mnt/a\n    allow: [10.0.0.7]\n');
    const env = { GATEHOUSE_AUDIT_HEADS_WEBHOOK: 'https://heads.example.com/x', GATEHOUSE_AUDIT_RESERVE: '1 MiB' };
    const { settings, described } = loadSettings({ file, env, flags: { 'audit.heads.file': '/mnt/b' } });
    expect(settings.audit).toMatchObject({ retention: null, reserve: 1_048_576 });
    expect(settings.audit.heads).toEqual({
      file: '/mnt/b',
      webhook: 'https://heads.example.com/x',
      allow: ['10.0.0.7'],
    });
    expect(described.filter((row) => row.name.startsWith('audit.heads.'))).toMatchObject([
      { name: 'audit.heads.file', source: 'flag' },
      { name: 'audit.heads.webhook', source: 'environment' },
      { name: 'audit.heads.allow', source: 'file' },
    ]);
    expect(loadSettings({ env: {} }).settings.audit).toMatchObject({
      retention: 400 * 86_400_000,
      heads: { allow: [] },
    });
  });

  it('[CFG-ERRORS] refuses YAML with a key written twice', () => {
    writeFileSync(file, 'port: 1\nport: 2\n');
    expect(problems(() => loadSettings({ file, env: {} }))).toHaveLength(1);
  });

  it('[CFG-BIND] refuses a bind beyond loopback without a public URL and a secret key', () => {
    const found = problems(() => loadSettings({ env: {}, flags: { host: '0.0.0.0' } }));
    expect(found.map((item) => item.pointer)).toEqual(['public_url', 'secret_key_file']);
    const env = { GATEHOUSE_SECRET_KEY: 'x', GATEHOUSE_PUBLIC_URL: 'https://gate.example.com' };
    expect(loadSettings({ env, flags: { host: '0.0.0.0' } }).settings.host).toBe('0.0.0.0');
  });

  it('[GW-TLS] the default port is 8443 with TLS, and another one stays', () => {
    const files = { 'tls.cert': '/etc/a.pem', 'tls.key': '/etc/b.pem' };
    const port = (flags: Record<string, unknown>) => loadSettings({ env: {}, flags }).settings.port;
    expect([port({}), port(files), port({ ...files, port: 1234 })]).toEqual([8080, 8443, 1234]);
    const env = { GATEHOUSE_TLS_CERT: '~/a.pem', GATEHOUSE_TLS_KEY: '/etc/b.pem' };
    const { settings, described } = loadSettings({ env });
    expect(settings.tls).toEqual({ cert: join(homedir(), 'a.pem'), key: '/etc/b.pem' });
    expect(described.find(({ name }) => name === 'tls.cert')?.source).toBe('environment');
    expect(described.find(({ name }) => name === 'port')).toMatchObject({ value: 8443, source: 'default' });
    expect(tlsFiles(settings)).toEqual(settings.tls);
  });

  it('[GW-TLS] refuses half a pair, a public URL without TLS, and what is no mapping', () => {
    const pointers = (flags: Record<string, unknown>) =>
      problems(() => loadSettings({ env: {}, flags })).map(({ pointer }) => pointer);
    expect(pointers({ 'tls.cert': '/a' })).toEqual(['tls.key']);
    expect(pointers({ 'tls.key': '/a' })).toEqual(['tls.cert']);
    expect(pointers({ 'tls.cert': '/a', 'tls.key': '/b', public_url: 'http://gate.example.com' })).toEqual([
      'public_url',
    ]);
    expect(pointers({ tls: 'on' })).toEqual(['tls']);
    expect(pointers({ 'tls.chain': '/a' })).toEqual(['tls.chain']);
  });

  it('[CFG-BIND, GW-TLS] TLS does not lift the needs of a bind beyond loopback', () => {
    const flags = { host: '0.0.0.0', 'tls.cert': '/a', 'tls.key': '/b' };
    const found = problems(() => loadSettings({ env: {}, flags }));
    expect(found.map((item) => item.pointer)).toEqual(['public_url', 'secret_key_file']);
  });

  it('[GW-PROXIES] trusted proxies are addresses and blocks, never everybody', () => {
    const env = { GATEHOUSE_TRUSTED_PROXIES: '10.0.0.0/8, 192.0.2.7,2001:db8::/32' };
    expect(loadSettings({ env }).settings.trusted_proxies).toEqual(['10.0.0.0/8', '192.0.2.7/32', '2001:db8::/32']);
    const refused = (value: unknown) =>
      problems(() => loadSettings({ env: {}, flags: { trusted_proxies: value } })).map(({ message }) => message);
    expect(refused(['10.0.0.1/8', 'proxy', '10.0.0.0/8'])).toEqual([
      expect.stringContaining("write the network's own address"),
      expect.stringContaining('"proxy" is no IP address or CIDR block'),
    ]);
    expect(refused(['0.0.0.0/0'])).toEqual([expect.stringContaining('would trust everybody')]);
    expect(refused(['::/0'])).toEqual([expect.stringContaining('would trust everybody')]);
  });

  it.each([
    ['max_body', '4 MiB', 4_194_304],
    ['max_body', '4096', 4096],
    ['call_deadline', '90s', 90_000],
    ['idle_stream', '2h', 7_200_000],
  ])('reads %s = %s', (name, written, value) => {
    const { settings } = loadSettings({ env: {}, flags: { [name]: written } });
    expect(settings[name as 'max_body']).toBe(value);
  });
});

describe('[CFG-SCHEMA] the JSON Schema of a settings file', () => {
  const validate = new Ajv2020({ strict: false, validateFormats: false }).compile(settingsJsonSchema() as object);

  it('takes the example and what the program takes', () => {
    const example = new URL('../../../examples/gatehouse.yaml', import.meta.url);
    expect([validate(parse(readFileSync(example, 'utf8'))), validate.errors]).toEqual([true, null]);
    expect(validate({ max_body: 4096, call_deadline: '90s', allowed_hosts: 'a,b' })).toBe(true);
  });

  it.each([
    ['a name that is no setting', { prot: 8080 }],
    ['a name that is no setting of its group', { audit: { durabilty: 'fsync' } }],
    ['a number that is too large', { port: 99_999 }],
    ['a word that is none of those', { log_level: 'loud' }],
    ['another type', { host: ['127.0.0.1'] }],
  ])('refuses %s', (_, value) => {
    expect(validate(value)).toBe(false);
  });

  it('says what each setting is, and nothing of this machine', () => {
    const { properties } = settingsJsonSchema() as { properties: Record<string, { description?: string }> };
    for (const { name } of loadSettings({ env: {} }).described) {
      expect(properties).toHaveProperty(name.replaceAll('.', '.properties.'));
      expect(properties).toHaveProperty(`${name.replaceAll('.', '.properties.')}.description`);
    }
    expect(JSON.stringify(properties)).not.toContain(homedir());
  });
});
