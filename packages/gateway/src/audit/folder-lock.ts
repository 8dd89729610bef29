import { closeSync, openSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';

/**
 * Takes a lock that other processes see. It is the operating system's, held by SQLite on a file of its own: it ends with
 * the process, however that ends.
 * @returns what lets it go; undefined while another process has it
 */
export function tryLock(path: string): (() => void) | undefined {
  // SQLite would make it readable for others.
  closeSync(openSync(path, 'a', 0o600));
  const database = new DatabaseSync(path, { timeout: 0 });
  try {
    database.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    database.close();
    // SQLITE_BUSY and SQLITE_LOCKED; anything else is no other process.
    const code = (error as { errcode?: number }).errcode;
    if (code === 5 || code === 6) return undefined;
    throw error;
  }
  return () => database.close();
}
