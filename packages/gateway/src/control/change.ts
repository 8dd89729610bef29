import { sql } from 'kysely';
import type { AdminRecord } from '../audit/record.ts';
import { FAILED, type RecordedChange } from '../audit/recorded-changes.ts';
import { GatehouseError } from '../errors.ts';
import type { StoreDatabase, StoreTransaction } from '../store/open.ts';

/** The part of the audit log that changes need. */
export interface AdminAudit {
  /** Stored, so that it survives power loss, when it resolves. */
  admin(record: AdminRecord): Promise<void>;
}

/** One change, checked and ready to be made. */
export interface Change<T> {
  readonly records: readonly AdminRecord[];
  write(transaction: StoreTransaction): Promise<void>;
  /** Makes it visible; runs after the commit, waits for nothing and does not fail. */
  apply(): T;
}

/** What a change that changes nothing gives back. */
export interface NoChange<T> {
  readonly unchanged: T;
}

/**
 * Makes changes one after the other. The admin record is stored before the commit: a change that nobody recorded cannot
 * be, and a commit that then fails is recorded as failed. Record and commit carry the change's number, so that a start
 * finds the record of a change that a process did not live to commit ({@link recordUnmade}).
 */
export class ChangeRunner {
  readonly #db: StoreDatabase;
  readonly #audit: AdminAudit;
  #last: number;
  #tail: Promise<unknown> = Promise.resolve();

  /** @param last number of the last change that the store holds */
  constructor(db: StoreDatabase, audit: AdminAudit, last: number) {
    this.#db = db;
    this.#audit = audit;
    this.#last = last;
  }

  /**
   * @param prepare checks against the state as it is then and describes the change; what it throws refuses the change
   * @throws GatehouseError audit_unavailable or store_unavailable; then nothing was changed
   */
  run<T>(prepare: () => Change<T> | NoChange<T>): Promise<T> {
    const made = this.#tail.then(() => this.#make(prepare()));
    // The next change does not care how this one ended.
    this.#tail = made.catch(() => undefined);
    return made;
  }

  /** Runs `use` when the changes before are made, and makes none until it is done. */
  alone<T>(use: () => Promise<T>): Promise<T> {
    const done = this.#tail.then(use);
    this.#tail = done.catch(() => undefined);
    return done;
  }

  /** Resolves when all changes that were asked for are made or refused. */
  async settled(): Promise<void> {
    await this.#tail;
  }

  async #make<T>(change: Change<T> | NoChange<T>): Promise<T> {
    if ('unchanged' in change) return change.unchanged;
    const recorded: AdminRecord[] = [];
    const number = this.#last + 1;
    try {
      await this.#db.transaction().execute(async (transaction) => {
        await change.write(transaction);
        for (const record of change.records) {
          const numbered = { ...record, change: number };
          await this.#record(numbered);
          recorded.push(numbered);
        }
        // A number of SQLite's own in the file's header, which a transaction writes or rolls back like any row.
        await sql.raw(`pragma user_version = ${number}`).execute(transaction);
      });
      this.#last = number;
    } catch (error) {
      await this.#recordFailure(recorded);
      if (error instanceof GatehouseError) throw error;
      const reason = error instanceof Error ? error.message : String(error);
      throw new GatehouseError(
        'store_unavailable',
        `The change was not made: the store refused it (${reason}). Check the data folder's free space and owner, then try again.`,
        [],
        { cause: error },
      );
    }
    return change.apply();
  }

  async #record(record: AdminRecord): Promise<void> {
    try {
      await this.#audit.admin(record);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new GatehouseError(
        'audit_unavailable',
        `The change was not made: the audit log cannot be written (${reason}), and no change is made without its record.`,
        [],
        { cause: error },
      );
    }
  }

  async #recordFailure(recorded: readonly AdminRecord[]): Promise<void> {
    for (const { actor, action, target, change } of recorded) {
      // Where the log fails too, the change's own record stands without this one until the next start.
      const failed = { actor, action: `${action}${FAILED}`, target, ...(change === undefined ? {} : { change }) };
      await this.#audit.admin(failed).catch(() => undefined);
    }
  }
}

/**
 * Records as failed what an earlier process recorded and did not commit: it was killed in between.
 * @param unmade what the log has beyond the store's last change
 */
export async function recordUnmade(audit: AdminAudit, unmade: readonly RecordedChange[]): Promise<void> {
  for (const { action, target, change } of unmade) {
    await audit.admin({
      actor: { kind: 'gatehouse', id: 'gatehouse' },
      action: `${action}${FAILED}`,
      target,
      change,
      after: { reason: 'The process ended before the change was made.' },
    });
  }
}
