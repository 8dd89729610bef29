import { parsePlainJson } from '@gatehouse/wire';
import type { ServerSettings, Transport } from '../../model.ts';
import type { StoreDatabase } from '../open.ts';
import type { ServerRecord } from '../records.ts';
import type { ServersTable } from '../schema.ts';

function toRow(server: ServerRecord): ServersTable {
  return {
    id: server.id,
    slug: server.slug,
    name: server.name,
    revision: server.revision,
    transport: JSON.stringify(server.transport),
    settings: JSON.stringify(server.settings),
    created_at: server.createdAt,
    updated_at: server.updatedAt,
  };
}

function fromRow(row: ServersTable): ServerRecord {
  return {
    id: row.id,
    slug: row.slug,
    name: row.name,
    revision: row.revision,
    transport: parsePlainJson(row.transport) as Transport,
    settings: parsePlainJson(row.settings) as ServerSettings,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  };
}

export async function readServers(db: StoreDatabase): Promise<ServerRecord[]> {
  return (await db.selectFrom('servers').selectAll().orderBy('slug').execute()).map(fromRow);
}

export async function insertServer(db: StoreDatabase, server: ServerRecord): Promise<void> {
  await db.insertInto('servers').values(toRow(server)).execute();
}

export async function updateServer(db: StoreDatabase, server: ServerRecord): Promise<void> {
  const { id, ...values } = toRow(server);
  await db.updateTable('servers').set(values).where('id', '=', id).execute();
}

/** Credentials, definitions, policies and grants go with it (foreign keys). */
export async function deleteServer(db: StoreDatabase, id: string): Promise<void> {
  // Grants first: the policies that they carry cannot go while they exist.
  await db.deleteFrom('grants').where('server_id', '=', id).execute();
  await db.deleteFrom('servers').where('id', '=', id).execute();
}
