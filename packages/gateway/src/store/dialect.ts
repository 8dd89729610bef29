// Kysely on `node:sqlite`: its SQLite dialect expects the interface of a native add-on, which this gives it.
import type { DatabaseSync, SQLInputValue } from 'node:sqlite';
import type { DatabaseIntrospector, Dialect, DialectAdapter, Driver, Kysely, QueryCompiler } from 'kysely';
import { SqliteAdapter, SqliteDialect } from 'kysely';

class TransactionalDdlAdapter extends SqliteAdapter {
  // SQLite rolls DDL back like anything else: a migration that fails half-way leaves the old schema whole.
  override get supportsTransactionalDdl(): boolean {
    return true;
  }
}

/** The dialect of the embedded store over one open connection. */
export class NodeSqliteDialect implements Dialect {
  readonly #inner: SqliteDialect;

  constructor(database: DatabaseSync) {
    this.#inner = new SqliteDialect({
      database: {
        prepare(sql) {
          const statement = database.prepare(sql);
          const values = (parameters: readonly unknown[]) => parameters as SQLInputValue[];
          return {
            reader: statement.columns().length > 0,
            all: (parameters) => statement.all(...values(parameters)),
            run: (parameters) => statement.run(...values(parameters)),
            iterate: (parameters) => statement.iterate(...values(parameters)) as IterableIterator<unknown>,
          };
        },
        close: () => database.close(),
      },
    });
  }

  createDriver(): Driver {
    return this.#inner.createDriver();
  }

  createQueryCompiler(): QueryCompiler {
    return this.#inner.createQueryCompiler();
  }

  createAdapter(): DialectAdapter {
    return new TransactionalDdlAdapter();
  }

  // biome-ignore lint/suspicious/noExplicitAny: the signature of Kysely's interface
  createIntrospector(db: Kysely<any>): DatabaseIntrospector {
    return this.#inner.createIntrospector(db);
  }
}
