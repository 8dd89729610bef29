import type { Classification, ToolClass } from '@gatehouse/classify';
import { parsePlainJson } from '@gatehouse/wire';
import type { DefinitionChange, DefinitionState } from '../../model.ts';
import type { StoreDatabase } from '../open.ts';
import type { DefinitionRecord } from '../records.ts';
import type { DefinitionsTable } from '../schema.ts';

function toRow(definition: DefinitionRecord): DefinitionsTable {
  return {
    server_id: definition.serverId,
    name: definition.name,
    state: definition.state,
    class: definition.class,
    class_override: definition.classOverride ?? null,
    classification: JSON.stringify(definition.classification),
    accepted_digest: definition.acceptedDigest ?? null,
    accepted_bytes: definition.acceptedBytes ?? null,
    accepted_at: definition.acceptedAt ?? null,
    accepted_by: definition.acceptedBy ?? null,
    observed_digest: definition.observedDigest,
    observed_bytes: definition.observedBytes,
    listed_twice: definition.listedTwice ? 1 : 0,
    changes: JSON.stringify(definition.changes),
    first_seen_at: definition.firstSeenAt,
  };
}

function fromRow(row: DefinitionsTable): DefinitionRecord {
  return {
    serverId: row.server_id,
    name: row.name,
    state: row.state as DefinitionState,
    class: row.class as ToolClass,
    classOverride: (row.class_override ?? undefined) as ToolClass | undefined,
    classification: parsePlainJson(row.classification) as Classification,
    acceptedDigest: row.accepted_digest ?? undefined,
    acceptedBytes: row.accepted_bytes ?? undefined,
    acceptedAt: row.accepted_at ?? undefined,
    acceptedBy: row.accepted_by ?? undefined,
    observedDigest: row.observed_digest,
    observedBytes: row.observed_bytes,
    listedTwice: row.listed_twice === 1,
    changes: parsePlainJson(row.changes) as DefinitionChange[],
    firstSeenAt: row.first_seen_at,
  };
}

export async function readDefinitions(db: StoreDatabase): Promise<DefinitionRecord[]> {
  return (await db.selectFrom('definitions').selectAll().orderBy('name').execute()).map(fromRow);
}

export async function deleteDefinition(db: StoreDatabase, serverId: string, name: string): Promise<void> {
  await db.deleteFrom('definitions').where('server_id', '=', serverId).where('name', '=', name).execute();
}

/** Inserts or replaces by server and name. */
export async function putDefinition(db: StoreDatabase, definition: DefinitionRecord): Promise<void> {
  const row = toRow(definition);
  const { server_id: _server, name: _name, ...values } = row;
  await db
    .insertInto('definitions')
    .values(row)
    .onConflict((conflict) => conflict.columns(['server_id', 'name']).doUpdateSet(values))
    .execute();
}
