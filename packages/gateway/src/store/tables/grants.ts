import { parsePlainJson } from '@gatehouse/wire';
import type { StoreDatabase } from '../open.ts';
import type { GrantRecord } from '../records.ts';
import type { GrantsTable } from '../schema.ts';

function toRow(grant: GrantRecord): GrantsTable {
  return {
    id: grant.id,
    label: grant.label,
    identity_id: grant.identityId,
    server_id: grant.serverId,
    policy_id: grant.policyId ?? null,
    attributes: JSON.stringify(grant.attributes),
    sources: JSON.stringify(grant.sources),
    created_at: grant.createdAt,
    expires_at: grant.expiresAt ?? null,
    revoked_at: grant.revokedAt ?? null,
    revision: grant.revision,
  };
}

export async function readGrants(db: StoreDatabase): Promise<GrantRecord[]> {
  const rows = await db.selectFrom('grants').selectAll().orderBy('created_at').orderBy('id').execute();
  return rows.map((row) => ({
    id: row.id,
    label: row.label,
    identityId: row.identity_id,
    serverId: row.server_id,
    policyId: row.policy_id ?? undefined,
    attributes: parsePlainJson(row.attributes) as Record<string, string>,
    sources: parsePlainJson(row.sources) as string[],
    createdAt: row.created_at,
    expiresAt: row.expires_at ?? undefined,
    revokedAt: row.revoked_at ?? undefined,
    revision: row.revision,
  }));
}

/** Inserts or replaces. */
export async function putGrant(db: StoreDatabase, grant: GrantRecord): Promise<void> {
  const row = toRow(grant);
  const { id: _id, ...values } = row;
  await db
    .insertInto('grants')
    .values(row)
    .onConflict((conflict) => conflict.column('id').doUpdateSet(values))
    .execute();
}
