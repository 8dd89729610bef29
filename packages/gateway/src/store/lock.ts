import { closeSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { GatehouseError } from '../errors.ts';
import { LOCK_FILE, LOCK_OWNER_FILE } from './files.ts';

export interface StoreLock {
  release(): void;
}

/**
 * Takes the data folder for this process. The lock is one of the operating system (held by SQLite on a file of its own,
 * so that backups can read the store): it ends with the process, however that ends, and never has to be cleaned up.
 * @throws GatehouseError store_locked, with the id of the process that holds it
 */
export function lockStore(dataDir: string, startedAt: string): StoreLock {
  const owner = join(dataDir, LOCK_OWNER_FILE);
  const file = join(dataDir, LOCK_FILE);
  // Made by hand, since SQLite would make it, and its journal, readable by others.
  closeSync(openSync(file, 'a', 0o600));
  const database = new DatabaseSync(file, { timeout: 0 });
  try {
    database.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    database.close();
    throw new GatehouseError(
      'store_locked',
      `Process ${readOwner(owner)} uses the data folder ${dataDir}. Stop it, choose another folder with --data, or let the command line talk to it.`,
      [],
      { cause: error },
    );
  }
  writeFileSync(owner, `${JSON.stringify({ pid: process.pid, startedAt })}\n`, { mode: 0o600 });
  return {
    release() {
      rmSync(owner, { force: true });
      database.exec('ROLLBACK');
      database.close();
    },
  };
}

function readOwner(path: string): string {
  try {
    const { pid } = JSON.parse(readFileSync(path, 'utf8')) as { pid?: unknown };
    return typeof pid === 'number' ? String(pid) : '(unknown)';
  } catch {
    return '(unknown)';
  }
}
