// The tables of the store. Times are RFC 3339 text in UTC, objects are JSON text, ids are text with a prefix.

export interface InstanceTable {
  id: string;
  /** Id of the secret key that sealed what is in here. */
  key_id: string;
  created_at: string;
}

export interface ServersTable {
  id: string;
  slug: string;
  name: string;
  revision: number;
  transport: string;
  settings: string;
  created_at: string;
  updated_at: string;
}

export interface CredentialsTable {
  server_id: string;
  kind: 'headers' | 'environment';
  /** JSON array: names are no secrets. */
  names: string;
  wrapped_key: string;
  sealed: string;
  updated_at: string;
}

export interface DefinitionsTable {
  server_id: string;
  name: string;
  state: string;
  class: string;
  class_override: string | null;
  classification: string;
  accepted_digest: string | null;
  accepted_bytes: Uint8Array | null;
  accepted_at: string | null;
  accepted_by: string | null;
  observed_digest: string;
  observed_bytes: Uint8Array;
  /** 1 while the server lists the name more than once. */
  listed_twice: number;
  changes: string;
  first_seen_at: string;
}

export interface PoliciesTable {
  id: string;
  server_id: string;
  name: string;
  version: number;
  created_at: string;
  updated_at: string;
  updated_by: string;
}

export interface PolicyVersionsTable {
  policy_id: string;
  version: number;
  document: string;
  digest: string;
  created_at: string;
  created_by: string;
}

export interface IdentitiesTable {
  id: string;
  name: string;
  kind: 'person' | 'agent';
  email: string | null;
  groups: string;
  owner: string | null;
  created_at: string;
  disabled_at: string | null;
}

export interface TokensTable {
  id: string;
  identity_id: string;
  label: string;
  hint: string;
  /** SHA-256, hexadecimal, of the whole token. */
  hash: string;
  /** JSON array of grant ids; empty: all grants of the identity. Ids of removed grants stay, so that it never widens. */
  grants: string;
  created_at: string;
  expires_at: string | null;
  revoked_at: string | null;
  last_used_at: string | null;
  replaced_by: string | null;
}

export interface GrantsTable {
  id: string;
  label: string;
  identity_id: string;
  server_id: string;
  policy_id: string | null;
  attributes: string;
  sources: string;
  created_at: string;
  expires_at: string | null;
  revoked_at: string | null;
  revision: number;
}

export interface StoreSchema {
  instance: InstanceTable;
  servers: ServersTable;
  credentials: CredentialsTable;
  definitions: DefinitionsTable;
  policies: PoliciesTable;
  policy_versions: PolicyVersionsTable;
  identities: IdentitiesTable;
  tokens: TokensTable;
  grants: GrantsTable;
}
