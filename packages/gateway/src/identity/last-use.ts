import type { ControlState } from '../control/state.ts';
import type { LiveDirectory } from '../directory.ts';
import type { StoreDatabase } from '../store/open.ts';
import { setTokenLastUsed } from '../store/tables/tokens.ts';

const WRITE_EVERY_MS = 60_000;

/** When tokens were used last: kept in memory by each call, written once a minute and at the end. */
export class LastUse {
  readonly #db: StoreDatabase;
  readonly #state: ControlState;
  readonly #directory: LiveDirectory;
  readonly #unwritten = new Set<string>();
  readonly #timer: NodeJS.Timeout;
  #writing: Promise<void> = Promise.resolve();

  constructor(db: StoreDatabase, state: ControlState, directory: LiveDirectory) {
    this.#db = db;
    this.#state = state;
    this.#directory = directory;
    this.#timer = setInterval(() => {
      this.#writing = this.#writing.then(() => this.write());
    }, WRITE_EVERY_MS);
    this.#timer.unref();
  }

  /** Brings what tokens show up to what the directory saw. */
  collect(): void {
    for (const [id, time] of this.#directory.takeLastUse()) {
      this.#state.lastUse.set(id, new Date(time).toISOString());
      this.#unwritten.add(id);
    }
  }

  /** Writes what was collected. A store that refuses it costs nothing but the time of last use: it is tried again. */
  async write(): Promise<void> {
    this.collect();
    for (const id of [...this.#unwritten]) {
      const lastUsedAt = this.#state.lastUse.get(id);
      try {
        if (lastUsedAt !== undefined) await setTokenLastUsed(this.#db, id, lastUsedAt);
      } catch {
        return;
      }
      this.#unwritten.delete(id);
    }
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#writing;
    await this.write();
  }
}
