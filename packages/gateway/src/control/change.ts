import type { AdminRecord } from '../audit/record.ts';
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
 * be, and a commit that then fails is recorded as failed.
 */
export class ChangeRunner {
  readonly #db: StoreDatabase;
  readonly #audit: AdminAudit;
  #tail: Promise<unknown> = Promise.resolve();

  constructor(db: StoreDatabase, audit: AdminAudit) {
    this.#db = db;
    this.#audit = audit;
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
    try {
      await this.#db.transaction().execute(async (transaction) => {
        await change.write(transaction);
        for (const record of change.records) {
          await this.#record(record);
          recorded.push(record);
        }
      });
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
    for (const { actor, action, target } of recorded) {
      // Where the log fails too, the change's own record stands without this one; the store holds the old state.
      await this.#audit.admin({ actor, action: `${action}.failed`, target }).catch(() => undefined);
    }
  }
}
