// What the store keeps, as the control plane holds it in memory: rows with their JSON parsed, tied together by ids.
import type { Classification, ToolClass } from '@gatehouse/classify';
import type {
  DefinitionChange,
  DefinitionState,
  Identity,
  PolicyVersion,
  ServerSettings,
  Transport,
} from '../model.ts';

export interface ServerRecord {
  readonly id: string;
  readonly slug: string;
  readonly name: string;
  readonly revision: number;
  readonly transport: Transport;
  readonly settings: ServerSettings;
  readonly createdAt: string;
  readonly updatedAt: string;
}

export interface CredentialsRecord {
  readonly serverId: string;
  readonly kind: 'headers' | 'environment';
  readonly names: readonly string[];
  readonly wrappedKey: string;
  readonly sealed: string;
  readonly updatedAt: string;
}

export interface DefinitionRecord {
  readonly serverId: string;
  readonly name: string;
  readonly state: DefinitionState;
  /** The class in force: accepted with the definition, or the classifier's while nobody accepted it. */
  readonly class: ToolClass;
  readonly classOverride: ToolClass | undefined;
  /** Of the observed definition, by the classifier of the time when it was first seen. */
  readonly classification: Classification;
  readonly acceptedDigest: string | undefined;
  readonly acceptedBytes: Uint8Array | undefined;
  readonly acceptedAt: string | undefined;
  readonly acceptedBy: string | undefined;
  readonly observedDigest: string;
  readonly observedBytes: Uint8Array;
  readonly listedTwice: boolean;
  readonly changes: readonly DefinitionChange[];
  readonly firstSeenAt: string;
}

export interface PolicyRecord {
  readonly id: string;
  readonly serverId: string;
  readonly name: string;
  /** All versions, oldest first; the last one holds. */
  readonly versions: readonly PolicyVersion[];
  readonly createdAt: string;
  readonly updatedAt: string;
  readonly updatedBy: string;
}

export type IdentityRecord = Identity;

export interface TokenRecord {
  readonly id: string;
  readonly identityId: string;
  readonly label: string;
  readonly hint: string;
  readonly hash: string;
  readonly grants: readonly string[];
  readonly createdAt: string;
  readonly expiresAt: string | undefined;
  readonly revokedAt: string | undefined;
  readonly replacedBy: string | undefined;
}

export interface GrantRecord {
  readonly id: string;
  readonly label: string;
  readonly identityId: string;
  readonly serverId: string;
  readonly policyId: string | undefined;
  readonly attributes: Readonly<Record<string, string>>;
  readonly sources: readonly string[];
  readonly createdAt: string;
  readonly expiresAt: string | undefined;
  readonly revokedAt: string | undefined;
  readonly revision: number;
}
