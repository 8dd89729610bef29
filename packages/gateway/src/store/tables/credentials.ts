import { parsePlainJson } from '@gatehouse/wire';
import type { StoreDatabase } from '../open.ts';
import type { CredentialsRecord } from '../records.ts';

export async function readCredentials(db: StoreDatabase): Promise<CredentialsRecord[]> {
  const rows = await db.selectFrom('credentials').selectAll().execute();
  return rows.map((row) => ({
    serverId: row.server_id,
    kind: row.kind,
    names: parsePlainJson(row.names) as string[],
    wrappedKey: row.wrapped_key,
    sealed: row.sealed,
    updatedAt: row.updated_at,
  }));
}

/** Replaces what the server has; `undefined` removes it. */
export async function replaceCredentials(
  db: StoreDatabase,
  serverId: string,
  credentials: CredentialsRecord | undefined,
): Promise<void> {
  await db.deleteFrom('credentials').where('server_id', '=', serverId).execute();
  if (credentials === undefined) return;
  await db
    .insertInto('credentials')
    .values({
      server_id: serverId,
      kind: credentials.kind,
      names: JSON.stringify(credentials.names),
      wrapped_key: credentials.wrappedKey,
      sealed: credentials.sealed,
      updated_at: credentials.updatedAt,
    })
    .execute();
}

/** Puts the data key of a server's credentials as it is wrapped now. */
export async function setWrappedKey(db: StoreDatabase, serverId: string, wrappedKey: string): Promise<void> {
  await db.updateTable('credentials').set({ wrapped_key: wrappedKey }).where('server_id', '=', serverId).execute();
}
