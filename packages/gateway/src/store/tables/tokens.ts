import { parsePlainJson } from '@gatehouse/wire';
import type { StoreDatabase } from '../open.ts';
import type { TokenRecord } from '../records.ts';
import type { TokensTable } from '../schema.ts';

function toRow(token: TokenRecord): Omit<TokensTable, 'last_used_at'> {
  return {
    id: token.id,
    identity_id: token.identityId,
    label: token.label,
    hint: token.hint,
    hash: token.hash,
    grants: JSON.stringify(token.grants),
    created_at: token.createdAt,
    expires_at: token.expiresAt ?? null,
    revoked_at: token.revokedAt ?? null,
    replaced_by: token.replacedBy ?? null,
  };
}

export async function readTokens(db: StoreDatabase): Promise<{ token: TokenRecord; lastUsedAt: string | undefined }[]> {
  const rows = await db.selectFrom('tokens').selectAll().orderBy('created_at').orderBy('id').execute();
  return rows.map((row) => ({
    lastUsedAt: row.last_used_at ?? undefined,
    token: {
      id: row.id,
      identityId: row.identity_id,
      label: row.label,
      hint: row.hint,
      hash: row.hash,
      grants: parsePlainJson(row.grants) as string[],
      createdAt: row.created_at,
      expiresAt: row.expires_at ?? undefined,
      revokedAt: row.revoked_at ?? undefined,
      replacedBy: row.replaced_by ?? undefined,
    },
  }));
}

/** Inserts or replaces, all but the time of last use, which is written by itself. */
export async function putToken(db: StoreDatabase, token: TokenRecord): Promise<void> {
  const row = toRow(token);
  const { id: _id, ...values } = row;
  await db
    .insertInto('tokens')
    .values({ ...row, last_used_at: null })
    .onConflict((conflict) => conflict.column('id').doUpdateSet(values))
    .execute();
}

export async function setTokenLastUsed(db: StoreDatabase, id: string, lastUsedAt: string): Promise<void> {
  await db.updateTable('tokens').set({ last_used_at: lastUsedAt }).where('id', '=', id).execute();
}
