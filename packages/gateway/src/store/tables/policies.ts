import type { PolicyVersion } from '../../model.ts';
import type { StoreDatabase } from '../open.ts';
import type { PolicyRecord } from '../records.ts';
import type { PoliciesTable } from '../schema.ts';
import { readPolicyVersions } from './policy-versions.ts';

function toRow(policy: PolicyRecord): PoliciesTable {
  return {
    id: policy.id,
    server_id: policy.serverId,
    name: policy.name,
    version: policy.versions.length,
    created_at: policy.createdAt,
    updated_at: policy.updatedAt,
    updated_by: policy.updatedBy,
  };
}

export async function readPolicies(db: StoreDatabase): Promise<PolicyRecord[]> {
  const versions = new Map<string, PolicyVersion[]>();
  for (const { policyId, version } of await readPolicyVersions(db)) {
    const list = versions.get(policyId);
    if (list === undefined) versions.set(policyId, [version]);
    else list.push(version);
  }
  const rows = await db.selectFrom('policies').selectAll().orderBy('name').execute();
  return rows.map((row) => ({
    id: row.id,
    serverId: row.server_id,
    name: row.name,
    versions: versions.get(row.id) ?? [],
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    updatedBy: row.updated_by,
  }));
}

/** Inserts or replaces; its versions are a table of their own. */
export async function putPolicy(db: StoreDatabase, policy: PolicyRecord): Promise<void> {
  const row = toRow(policy);
  const { id: _id, ...values } = row;
  await db
    .insertInto('policies')
    .values(row)
    .onConflict((conflict) => conflict.column('id').doUpdateSet(values))
    .execute();
}

/** Its versions go with it; revoked grants that carried it keep their row without it. */
export async function deletePolicy(db: StoreDatabase, id: string): Promise<void> {
  await db.updateTable('grants').set({ policy_id: null }).where('policy_id', '=', id).execute();
  await db.deleteFrom('policies').where('id', '=', id).execute();
}
