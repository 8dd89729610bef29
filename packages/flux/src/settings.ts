import { homedir } from 'node:os';
import { delimiter, join, resolve } from 'node:path';
import { FluxError } from './errors.ts';

/** What the server runs with. */
export interface Settings {
  transport: 'stdio' | 'http';
  host: string;
  /** 0 takes any free port. */
  port: number;
  /** Absolute path. */
  dataFolder: string;
  /** Bearer token that HTTP callers must show; `undefined`: none is asked for. */
  token: string | undefined;
  /** Where others reach this server over HTTP, without a path or a final slash; `undefined`: as it listens. */
  publicUrl: string | undefined;
  /** Whose tasks a stdio session sees. */
  caller: string;
  /** Folders that `file:` URLs may point into, absolute. */
  fileFolders: string[];
  /** Hosts, addresses and ranges that may be reached although they are not public. */
  egressAllow: string[];
  egressHttp: boolean;
  callbackSecret: string | undefined;
  /** Ended tasks and their pictures are removed after this many days. */
  keepDays: number;
  logLevel: string;
}

/** The flags of the command, as text. */
export interface Flags {
  transport?: string | undefined;
  host?: string | undefined;
  port?: string | undefined;
  data?: string | undefined;
  token?: string | undefined;
  publicUrl?: string | undefined;
  files?: string[] | undefined;
}

const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'];

/**
 * Environment under flags, all checked.
 *
 * @throws FluxError `settings` naming the setting, the value and what would do
 */
export function readSettings(flags: Flags, environment: Readonly<Record<string, string | undefined>>): Settings {
  const from = (name: string): string | undefined => environment[name]?.trim() || undefined;
  const transport = flags.transport ?? 'stdio';
  if (transport !== 'stdio' && transport !== 'http') {
    throw wrong('--transport', transport, 'stdio or http');
  }
  const host = flags.host ?? '127.0.0.1';
  const token = flags.token ?? from('FLUX_TOKEN');
  if (transport === 'http' && !isLoopback(host) && token === undefined) {
    throw new FluxError(
      'settings',
      `--host: ${host} is reachable from other machines, and no token is set.`,
      'Set one with --token or FLUX_TOKEN, or listen on 127.0.0.1.',
    );
  }
  const logLevel = (from('LOG_LEVEL') ?? 'warn').toLowerCase();
  if (!LOG_LEVELS.includes(logLevel)) throw wrong('LOG_LEVEL', logLevel, LOG_LEVELS.join(', '));
  return {
    transport,
    host,
    port: integer('--port', flags.port ?? '8000', 0, 65_535),
    dataFolder: resolve(flags.data ?? from('FLUX_DATA_DIR') ?? join(homedir(), '.gatehouse-flux')),
    token,
    publicUrl: publicUrl(flags.publicUrl ?? from('FLUX_PUBLIC_URL')),
    caller: from('FLUX_CALLER') ?? 'local',
    fileFolders: (flags.files ?? from('FLUX_FILES')?.split(delimiter) ?? [])
      .filter(Boolean)
      .map((path) => resolve(path)),
    egressAllow: (from('FLUX_EGRESS_ALLOW') ?? '')
      .split(',')
      .map((entry) => entry.trim())
      .filter(Boolean),
    egressHttp: from('FLUX_EGRESS_HTTP') === '1',
    callbackSecret: from('FLUX_CALLBACK_SECRET'),
    keepDays: integer('FLUX_KEEP_DAYS', from('FLUX_KEEP_DAYS') ?? '30', 1, 36_500),
    logLevel,
  };
}

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host === '[::1]' || /^127(\.\d{1,3}){3}$/.test(host);
}

function publicUrl(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || (url.protocol !== 'http:' && url.protocol !== 'https:') || url.pathname !== '/' || url.search !== '') {
    throw wrong('--public-url', text, 'an http or https URL without a path, such as https://flux.example.org');
  }
  return url.origin;
}

function integer(name: string, text: string, min: number, max: number): number {
  const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  if (!(value >= min && value <= max)) throw wrong(name, text, `a whole number from ${min} to ${max}`);
  return value;
}

function wrong(name: string, value: string, expected: string): FluxError {
  return new FluxError('settings', `${name}: "${value}" is not possible.`, `Use ${expected}.`);
}
