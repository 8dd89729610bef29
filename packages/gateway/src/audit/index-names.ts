import type { DatabaseSync, StatementSync } from 'node:sqlite';

/** What a pair names: a grant (id, label), an identity (id, name) or a tool (server, tool). */
export type NameSort = 'grant' | 'identity' | 'tool';

/** The column of `calls` that holds each. */
export const NAME_COLUMN: { [S in NameSort]: string } = {
  grant: 'grant_name',
  identity: 'identity_name',
  tool: 'tool_name',
};

/** Pairs kept in memory; a log names some hundreds. */
const MAX_KEPT = 10_000;

/** The pairs of ids and labels that rows refer to by number. */
export class IndexNames {
  readonly #db: DatabaseSync;
  readonly #find: StatementSync;
  readonly #add: StatementSync;
  readonly #version: StatementSync;
  readonly #kept: { [S in NameSort]: Map<string | null, Map<string | null, number>> } = {
    grant: new Map(),
    identity: new Map(),
    tool: new Map(),
  };
  #count = 0;
  #lastVersion: unknown;

  constructor(db: DatabaseSync) {
    this.#db = db;
    this.#find = db.prepare('SELECT name_id FROM names WHERE sort = ? AND key IS ? AND label IS ?');
    this.#add = db.prepare('INSERT INTO names (sort, key, label) VALUES (?, ?, ?)');
    this.#version = db.prepare('PRAGMA data_version');
  }

  /** To be called first in each transaction: another process may have removed what is kept here. */
  begin(): void {
    const version = this.#version.get()!.data_version;
    if (version !== this.#lastVersion) this.drop();
    this.#lastVersion = version;
  }

  /** Forgets what is kept in memory: it was rolled back, or removed. */
  drop(): void {
    for (const kept of Object.values(this.#kept)) kept.clear();
    this.#count = 0;
  }

  /** The number of a pair, which is added when it is new; null when both are. */
  numberOf(sort: NameSort, key: string | null, label: string | null): number | null {
    if (key === null && label === null) return null;
    let labels = this.#kept[sort].get(key);
    const known = labels?.get(label);
    if (known !== undefined) return known;
    const found = this.#find.get(sort, key, label)?.name_id ?? this.#add.run(sort, key, label).lastInsertRowid;
    if (this.#count >= MAX_KEPT) {
      this.drop();
      labels = undefined;
    }
    if (labels === undefined) {
      labels = new Map();
      this.#kept[sort].set(key, labels);
    }
    labels.set(label, Number(found));
    this.#count += 1;
    return Number(found);
  }

  /** Removes the pairs that no row refers to: what retention cut is not to be read here either. */
  removeUnused(): void {
    for (const [sort, column] of Object.entries(NAME_COLUMN)) {
      this.#db
        .prepare(`DELETE FROM names WHERE sort = ? AND NOT EXISTS (SELECT 1 FROM calls WHERE ${column} = name_id)`)
        .run(sort);
    }
    this.drop();
  }
}
