import { parsePlainJson } from '@gatehouse/wire';
import type { PolicyVersion } from '../../model.ts';
import type { StoreDatabase } from '../open.ts';

/** All versions of all policies, oldest first. */
export async function readPolicyVersions(db: StoreDatabase): Promise<{ policyId: string; version: PolicyVersion }[]> {
  const rows = await db.selectFrom('policy_versions').selectAll().orderBy('policy_id').orderBy('version').execute();
  return rows.map((row) => ({
    policyId: row.policy_id,
    version: {
      version: row.version,
      document: parsePlainJson(row.document) as unknown,
      digest: row.digest,
      createdAt: row.created_at,
      createdBy: row.created_by,
    },
  }));
}

/** The document is kept with its keys in the order in which they were written: rules are judged in document order. */
export async function insertPolicyVersion(db: StoreDatabase, policyId: string, version: PolicyVersion): Promise<void> {
  await db
    .insertInto('policy_versions')
    .values({
      policy_id: policyId,
      version: version.version,
      document: JSON.stringify(version.document),
      digest: version.digest,
      created_at: version.createdAt,
      created_by: version.createdBy,
    })
    .execute();
}
