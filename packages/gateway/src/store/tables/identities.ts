import { parsePlainJson } from '@gatehouse/wire';
import type { StoreDatabase } from '../open.ts';
import type { IdentityRecord } from '../records.ts';
import type { IdentitiesTable } from '../schema.ts';

function toRow(identity: IdentityRecord): IdentitiesTable {
  return {
    id: identity.id,
    name: identity.name,
    kind: identity.kind,
    email: identity.email ?? null,
    groups: JSON.stringify(identity.groups),
    owner: identity.owner ?? null,
    created_at: identity.createdAt,
    disabled_at: identity.disabledAt ?? null,
  };
}

export async function readIdentities(db: StoreDatabase): Promise<IdentityRecord[]> {
  const rows = await db.selectFrom('identities').selectAll().orderBy('name').execute();
  return rows.map((row) => ({
    id: row.id,
    name: row.name,
    kind: row.kind,
    groups: parsePlainJson(row.groups) as string[],
    createdAt: row.created_at,
    ...(row.email === null ? {} : { email: row.email }),
    ...(row.owner === null ? {} : { owner: row.owner }),
    ...(row.disabled_at === null ? {} : { disabledAt: row.disabled_at }),
  }));
}

/** Inserts or replaces. */
export async function putIdentity(db: StoreDatabase, identity: IdentityRecord): Promise<void> {
  const row = toRow(identity);
  const { id: _id, ...values } = row;
  await db
    .insertInto('identities')
    .values(row)
    .onConflict((conflict) => conflict.column('id').doUpdateSet(values))
    .execute();
}
