// `<data>/server.json`: where the gateway that runs on a data folder listens. The gateway writes it, other commands read it.
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parsePlainJson } from '@gatehouse/wire';

export interface ServerFile {
  pid: number;
  /** Base URL of the control API, ending in `/api/v1`. */
  api: string;
  /** RFC 3339. */
  started: string;
  /** Id of the installation; the local admin token is derived from it and the secret key. */
  instance: string;
  /** PEM of the certificate that it shows there; undefined without TLS. */
  certificate?: string;
}

export function serverFilePath(dataDir: string): string {
  return join(dataDir, 'server.json');
}

/** Writes JSON so that only this user can read it, and so that nobody ever reads half of it. */
export function writePrivateJson(path: string, value: unknown): void {
  const temporary = `${path}.${process.pid}.tmp`;
  // What an earlier process left under this name could have another mode, and would keep it.
  rmSync(temporary, { force: true });
  writeFileSync(temporary, `${JSON.stringify(value, undefined, 2)}\n`, { mode: 0o600, flag: 'wx' });
  renameSync(temporary, path);
}

/** What the file says; undefined when there is none or it is not readable as one. */
export function readServerFile(dataDir: string): ServerFile | undefined {
  let value: unknown;
  try {
    value = parsePlainJson(readFileSync(serverFilePath(dataDir), 'utf8'));
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const { pid, api, started, instance, certificate } = value as Record<string, unknown>;
  if (!Number.isSafeInteger(pid) || typeof api !== 'string' || !URL.canParse(api)) return undefined;
  if (typeof started !== 'string' || typeof instance !== 'string') return undefined;
  if (certificate !== undefined && typeof certificate !== 'string') return undefined;
  return { pid: pid as number, api, started, instance, ...(certificate === undefined ? {} : { certificate }) };
}

/** Whether a process with this id exists; one of another user counts. */
export function isAlive(pid: number): boolean {
  if (pid <= 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
