// Settings: one schema, one place (spec: config). `gatehouse.yaml` < environment < flags.
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseDocument } from 'yaml';
import { z } from 'zod';
import type { CertificateFiles } from './certificate.ts';
import { type ErrorItem, GatehouseError } from './errors.ts';
import { parseSource } from './identity/sources.ts';

const SIZE = /^(\d+)\s*(B|KiB|MiB|GiB)?$/;
const SIZE_UNIT = { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 } as const;
const DURATION = /^(\d+)\s*(ms|s|m|h|d)$/;
const DURATION_UNIT = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

const size = (minimum: number, maximum: number) =>
  z.union([z.number(), z.string()]).transform((value, context) => {
    const match = SIZE.exec(String(value).trim());
    const bytes = match ? Number(match[1]) * SIZE_UNIT[(match[2] ?? 'B') as keyof typeof SIZE_UNIT] : Number.NaN;
    if (!Number.isSafeInteger(bytes) || bytes < minimum || bytes > maximum) {
      context.addIssue(`a size from ${minimum} to ${maximum} bytes, such as "4 MiB" or 4194304`);
      return z.NEVER;
    }
    return bytes;
  });

const duration = (minimum: number, maximum: number) =>
  z.union([z.number(), z.string()]).transform((value, context) => {
    const match = DURATION.exec(typeof value === 'number' ? `${value}s` : value.trim());
    const ms = match ? Number(match[1]) * DURATION_UNIT[match[2] as keyof typeof DURATION_UNIT] : Number.NaN;
    if (!Number.isSafeInteger(ms) || ms < minimum || ms > maximum) {
      context.addIssue(`a duration such as "10m", "30s" or "1h", from ${minimum / 1000} s to ${maximum / 1000} s`);
      return z.NEVER;
    }
    return ms;
  });

const port = z.coerce.number().int().min(0).max(65_535);
const list = z.union([
  z.array(z.string()),
  z.string().transform((text) =>
    text
      .split(',')
      .map((part) => part.trim())
      .filter((part) => part !== ''),
  ),
]);
/** Blocks of addresses; one that holds every address would let anybody say who they are. */
const proxies = list.transform((blocks, context) =>
  blocks.map((block) => {
    const parsed = parseSource(block);
    if (!parsed.ok) context.addIssue(parsed.reason);
    else if (parsed.canonical.endsWith('/0')) {
      context.addIssue(`${JSON.stringify(block)} would trust everybody; name the addresses of your proxies`);
    } else return parsed.canonical;
    return z.NEVER;
  }),
);
const folder = z.string().min(1).transform(expandHome);
const DAY_MS = 86_400_000;
/** spec: config, listen. */
const PORT_WITH_TLS = 8443;

const settingsSchema = z.strictObject({
  host: z.string().min(1).default('127.0.0.1').describe('Address to listen on.'),
  port: port
    .default(8080)
    .describe('Port of the data plane, the API and the console; 0 takes a free one. With TLS the default is 8443.'),
  ops_port: port
    .optional()
    .describe('A port of its own for /healthz, /readyz and /metrics (same address, plain HTTP also with TLS).'),
  tls: z
    .strictObject({
      cert: folder
        .optional()
        .describe(
          'PEM file: the certificate, then those that vouch for it. With tls.key it makes the listener speak HTTPS. Read again when it changes.',
        ),
      key: folder.optional().describe('PEM file: the private key of the certificate, without a passphrase.'),
    })
    .prefault({}),
  public_url: z
    .url({ protocol: /^https?$/ })
    .optional()
    .describe('The URL that clients use. Needed for a bind beyond loopback.'),
  allowed_hosts: list.default([]).describe('Host header values that are accepted beside loopback and public_url.'),
  allowed_origins: list.default([]).describe('Origins of browsers that are accepted beside those of allowed hosts.'),
  trusted_proxies: proxies
    .default([])
    .describe(
      'Addresses and CIDR blocks of proxies; only from these do Forwarded and X-Forwarded-For say where a request came from.',
    ),
  data: folder.default(() => join(homedir(), '.gatehouse')).describe('Data folder: store, audit log.'),
  secret_key_file: folder
    .optional()
    .describe('File with the secret key. Default: secret.key in the configuration folder, made at the first start.'),
  max_body: size(1024, 256 * 1024 ** 2)
    .default(4 * 1024 ** 2)
    .describe('Largest request body.'),
  max_depth: z.coerce.number().int().min(8).max(512).default(64).describe('Deepest nesting of a request body.'),
  max_result: size(1024, 1024 ** 3)
    .default(64 * 1024 ** 2)
    .describe('Largest reply, and largest single event of a stream.'),
  call_deadline: duration(1_000, 86_400_000).default(600_000).describe('How long a call may take.'),
  idle_stream: duration(1_000, 604_800_000)
    .default(3_600_000)
    .describe('An open stream without traffic is closed after this.'),
  max_streams: z.coerce
    .number()
    .int()
    .min(1)
    .max(100_000)
    .default(100)
    .describe('Most streams without an end (GET, subscriptions/listen) that one grant holds open.'),
  session_lifetime: duration(60_000, 30 * 86_400_000)
    .default(86_400_000)
    .describe('Sessions end after this, used or not.'),
  audit: z
    .strictObject({
      durability: z
        .enum(['class', 'fsync', 'commit'])
        .default('class')
        .describe(
          'class: power-loss safe for everything above read, process-death safe for read; fsync: power-loss safe for all; commit: process-death safe for all.',
        ),
      retention: z
        .union([z.literal('never').transform(() => null), duration(DAY_MS, 36_500 * DAY_MS)])
        .default(400 * DAY_MS)
        .describe(
          'Closed segments of the audit log older than this are cut, with a signed record of what was cut; never: none are. What limits are rebuilt from is always kept.',
        ),
      reserve: size(0, 1024 ** 3)
        .default(8 * 1024 ** 2)
        .describe('Disk kept for the outcomes of calls under way when the disk is full; 0 keeps none.'),
      heads: z
        .strictObject({
          file: folder
            .optional()
            .describe('A file on another disk or machine, to which each signed head of the audit log is appended.'),
          webhook: z
            .url({ protocol: /^https?$/ })
            .optional()
            .describe('A URL to which each signed head is posted as JSON; https, and a public address unless allowed.'),
          allow: list
            .default([])
            .describe('Hosts, addresses and ranges that the webhook may have although they are not public.'),
        })
        .prefault({}),
    })
    .prefault({}),
  limits: z
    .strictObject({
      when_unavailable: z
        .enum(['deny'])
        .default('deny')
        .describe('What calls with a limit get when counters are down.'),
    })
    .prefault({}),
  log_level: z
    .enum(['debug', 'info', 'warn', 'error', 'silent'])
    .default('info')
    .describe('Of the program log on stderr.'),
});

/** The settings as the program uses them: bytes, milliseconds, absolute paths. */
export type Settings = z.output<typeof settingsSchema>;

export type SettingSource = 'default' | 'file' | 'environment' | 'flag';

export interface DescribedSetting {
  name: string;
  value: unknown;
  source: SettingSource;
  description: string;
}

/** Named in spec: config, and not in this version: a file that sets one is told so instead of being half obeyed. */
const NOT_YET: Readonly<Record<string, string>> = {
  database_url: 'PostgreSQL is not available in this version; leave it out to use the store in the data folder',
  redis_url: 'Redis is not available in this version; leave it out to count in memory',
  'audit.log_values': 'logging argument values is not available in this version; digests are always kept',
  'audit.sinks': 'sinks are not available in this version; use gatehouse audit tail',
};

/** Environment variables with this prefix that are not settings. */
const NOT_SETTINGS = new Set([
  'GATEHOUSE_SECRET_KEY',
  'GATEHOUSE_SECRET_KEY_PREVIOUS',
  'GATEHOUSE_URL',
  'GATEHOUSE_ADMIN_TOKEN',
  'GATEHOUSE_CONFIG',
]);

function expandHome(path: string): string {
  return resolve(path === '~' || path.startsWith('~/') ? join(homedir(), path.slice(1)) : path);
}

/** Settings that hold settings; an inner one before the one that it is in. */
const GROUPS = ['tls', 'audit.heads', 'audit', 'limits'] as const;

/** `audit.durability` ← `GATEHOUSE_AUDIT_DURABILITY`, `max_body` ← `GATEHOUSE_MAX_BODY`. */
function nameOfVariable(variable: string): string {
  const name = variable.slice('GATEHOUSE_'.length).toLowerCase();
  const group = GROUPS.find((candidate) => name.startsWith(`${candidate.replace('.', '_')}_`));
  return group ? `${group}.${name.slice(group.length + 1)}` : name;
}

function put(target: Record<string, unknown>, name: string, value: unknown): void {
  const path = name.split('.');
  let at = target;
  for (const part of path.slice(0, -1)) {
    at[part] ??= {};
    const inner = at[part];
    if (typeof inner !== 'object' || inner === null) return;
    at = inner as Record<string, unknown>;
  }
  at[path.at(-1)!] = value;
}

function take(target: Record<string, unknown>, name: string): void {
  const path = name.split('.');
  let at: unknown = target;
  for (const part of path.slice(0, -1)) at = (at as Record<string, unknown> | undefined)?.[part];
  if (typeof at === 'object' && at !== null) delete (at as Record<string, unknown>)[path.at(-1)!];
}

function readFile(path: string): Record<string, unknown> {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new GatehouseError('config_invalid', `The settings file ${path} cannot be read: ${(error as Error).message}`);
  }
  const document = parseDocument(text, { uniqueKeys: true });
  if (document.errors.length > 0) {
    throw new GatehouseError(
      'config_invalid',
      `The settings file ${path} is not valid YAML.`,
      document.errors.map((error) => ({ pointer: `line ${error.linePos?.[0].line ?? '?'}`, message: error.message })),
    );
  }
  const value: unknown = document.toJS() ?? {};
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new GatehouseError('config_invalid', `The settings file ${path} must be a mapping of setting to value.`);
  }
  return value as Record<string, unknown>;
}

function flatten(value: Record<string, unknown>, prefix = ''): [name: string, value: unknown][] {
  return Object.entries(value).flatMap(([key, inner]) => {
    const name = prefix + key;
    return (GROUPS as readonly string[]).includes(name) && typeof inner === 'object' && inner !== null
      ? flatten(inner as Record<string, unknown>, `${name}.`)
      : [[name, inner] as [string, unknown]];
  });
}

export interface LoadOptions {
  /** Settings file; read when given, and from `GATEHOUSE_CONFIG`. */
  file?: string;
  env: Readonly<Record<string, string | undefined>>;
  /** By setting name (`port`, `audit.durability`); undefined values are left out. */
  flags?: Readonly<Record<string, unknown>>;
}

/**
 * Loads and checks all settings.
 * @throws GatehouseError `config_invalid` with every error as an item: the setting's name, what it must be, where it came from
 */
export function loadSettings(options: LoadOptions): { settings: Settings; described: DescribedSetting[] } {
  const merged: Record<string, unknown> = {};
  const sources = new Map<string, { source: SettingSource; from: string }>();
  const items: ErrorItem[] = [];
  const file = options.file ?? options.env.GATEHOUSE_CONFIG;
  if (file !== undefined && file !== '') {
    for (const [name, value] of flatten(readFile(expandHome(file)))) {
      put(merged, name, value);
      sources.set(name, { source: 'file', from: file });
    }
  }
  for (const [variable, value] of Object.entries(options.env)) {
    if (!variable.startsWith('GATEHOUSE_') || NOT_SETTINGS.has(variable) || value === undefined || value === '')
      continue;
    const name = nameOfVariable(variable);
    put(merged, name, value);
    sources.set(name, { source: 'environment', from: variable });
  }
  for (const [name, value] of Object.entries(options.flags ?? {})) {
    if (value === undefined) continue;
    put(merged, name, value);
    sources.set(name, { source: 'flag', from: `--${name.replaceAll('_', '-')}` });
  }
  for (const name of [...sources.keys()]) {
    const refused = NOT_YET[name];
    if (refused === undefined) continue;
    items.push({ pointer: name, message: `${refused} (set by ${sources.get(name)?.from})` });
    take(merged, name);
  }
  const tls = merged.tls as { cert?: unknown; key?: unknown } | null | undefined;
  if (tls?.cert !== undefined && tls.key !== undefined) merged.port ??= PORT_WITH_TLS;
  const parsed = settingsSchema.safeParse(merged);
  for (const issue of parsed.success ? [] : parsed.error.issues) {
    const base = issue.path.join('.');
    const names =
      issue.code === 'unrecognized_keys' ? issue.keys.map((key) => (base === '' ? key : `${base}.${key}`)) : [base];
    for (const name of names) {
      const from = sources.get(name)?.from;
      const message = issue.code === 'unrecognized_keys' ? 'there is no such setting' : issue.message;
      items.push({ pointer: name, message: from === undefined ? message : `${message} (set by ${from})` });
    }
  }
  if (!parsed.success || items.length > 0) {
    throw new GatehouseError('config_invalid', 'The settings are not valid.', items);
  }
  const settings = parsed.data;
  checkTls(settings);
  checkBind(settings, options.env);
  return { settings, described: describe(settings, sources) };
}

/** The files of the certificate; undefined when the listener speaks plain HTTP. */
export function tlsFiles({ tls }: Pick<Settings, 'tls'>): CertificateFiles | undefined {
  return tls.cert === undefined || tls.key === undefined ? undefined : { cert: tls.cert, key: tls.key };
}

function checkTls(settings: Settings): void {
  const { tls, public_url: publicUrl } = settings;
  const items: ErrorItem[] = [];
  if (tls.cert !== undefined && tls.key === undefined) {
    items.push({ pointer: 'tls.key', message: 'is needed, since tls.cert is set: the file of its private key' });
  }
  if (tls.key !== undefined && tls.cert === undefined) {
    items.push({ pointer: 'tls.cert', message: 'is needed, since tls.key is set: the file of its certificate' });
  }
  if (tlsFiles(settings) !== undefined && publicUrl?.startsWith('http:')) {
    items.push({ pointer: 'public_url', message: `must begin with https, since tls is set; it is ${publicUrl}` });
  }
  if (items.length > 0) throw new GatehouseError('config_invalid', 'The settings of TLS do not fit together.', items);
}

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host === '[::1]' || (isIP(host) === 4 && host.startsWith('127.'));
}

/** spec: gateway §2: a bind beyond loopback needs a public URL and a secret key that somebody chose to give. */
function checkBind(settings: Settings, env: LoadOptions['env']): void {
  if (isLoopback(settings.host)) return;
  const items: ErrorItem[] = [];
  if (settings.public_url === undefined) {
    items.push({
      pointer: 'public_url',
      message: `is needed, since host is ${settings.host}: the URL that clients use`,
    });
  }
  if (!env.GATEHOUSE_SECRET_KEY && settings.secret_key_file === undefined) {
    items.push({
      pointer: 'secret_key_file',
      message: `is needed, since host is ${settings.host}: set it, or GATEHOUSE_SECRET_KEY, so that the key is one you keep`,
    });
  }
  if (items.length > 0) {
    throw new GatehouseError('config_invalid', 'A bind beyond loopback needs a public URL and a secret key.', items);
  }
}

function describe(settings: Settings, sources: Map<string, { source: SettingSource }>): DescribedSetting[] {
  const rows: DescribedSetting[] = [];
  const walk = (shape: Record<string, unknown>, values: Record<string, unknown>, prefix: string): void => {
    for (const [key, schema] of Object.entries(shape)) {
      const name = `${prefix}${key}`;
      if ((GROUPS as readonly string[]).includes(name)) {
        const inner = (schema as z.ZodPrefault<z.ZodObject>).unwrap();
        walk(inner.shape, values[key] as Record<string, unknown>, `${name}.`);
        continue;
      }
      rows.push({
        name,
        value: values[key],
        source: sources.get(name)?.source ?? 'default',
        description: (schema as z.ZodType).description ?? '',
      });
    }
  };
  walk(settingsSchema.shape, settings, '');
  return rows;
}

/** JSON Schema 2020-12 of a settings file, for editors and for docs/configuration.md. */
export function settingsJsonSchema(): unknown {
  return z.toJSONSchema(settingsSchema, { io: 'input', unrepresentable: 'any' });
}
