/** Folder of the audit log inside the data folder. */
export const AUDIT_FOLDER = 'audit';
/** What `gatehouse run` keeps inside the data folder: a log of its own, and the definitions that were accepted. */
export const RUN_FOLDER = 'run';
