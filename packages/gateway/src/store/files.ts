/** Names of the files in a data folder. */
export const STORE_FILE = 'gatehouse.db';
/** Holds the exclusive lock of the process that uses the folder; empty otherwise. */
export const LOCK_FILE = 'lock.db';
/** Who holds the lock, for messages only. */
export const LOCK_OWNER_FILE = 'lock.json';
