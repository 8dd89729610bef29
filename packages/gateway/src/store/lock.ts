import { closeSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { GatehouseError } from '../errors.ts';
import { LOCK_FILE, LOCK_OWNER_FILE } from './files.ts';

export interface StoreLock {
  release(): void;
}

/** SQLITE_BUSY and SQLITE_LOCKED; any other error says nothing of another process. */
const HELD = new Set([5, 6]);

/**
 * Takes the data folder for this process. The lock is one of the operating system (held by SQLite on a file of its own,
 * so that backups can read the store): it ends with the process, however that ends, and never has to be cleaned up.
 * @throws GatehouseError store_locked, with the id of the process that holds it; store_unavailable when the folder cannot
 *   be written
 */
export function lockStore(dataDir: string, startedAt: string): StoreLock {
  const owner = join(dataDir, LOCK_OWNER_FILE);
  const file = join(dataDir, LOCK_FILE);
  let database: DatabaseSync | undefined;
  try {
    // Made by hand, since SQLite would make it, and its journal, readable by others.
    closeSync(openSync(file, 'a', 0o600));
    database = new DatabaseSync(file, { timeout: 0 });
    database.exec('BEGIN EXCLUSIVE');
    writeFileSync(owner, `${JSON.stringify({ pid: process.pid, startedAt })}\n`, { mode: 0o600 });
  } catch (error) {
    database?.close();
    if (HELD.has((error as { errcode?: number }).errcode ?? 0)) {
      throw new GatehouseError(
        'store_locked',
        `Process ${readOwner(owner)} uses the data folder ${dataDir}. Stop it, choose another folder with --data, or let the command line talk to it.`,
        [],
        { cause: error },
      );
    }
    throw new GatehouseError(
      'store_unavailable',
      `The data folder ${dataDir} cannot be written: ${error instanceof Error ? error.message : String(error)}. Check that it has free space and belongs to this user, then start again.`,
      [],
      { cause: error },
    );
  }
  const held = database;
  return {
    release() {
      rmSync(owner, { force: true });
      held.exec('ROLLBACK');
      held.close();
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
