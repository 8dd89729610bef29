// The keys of a gateway that runs, and their change without a stop (spec: gateway §7).
import type { KeyObject } from 'node:crypto';
import type { AuditLog } from './audit/log.ts';
import { GatehouseError } from './errors.ts';
import { type KeyRing, previousFile, replaceKey, type SealingKeys } from './key-ring.ts';
import { adminToken, type SecretKeys } from './keys.ts';
import type { Actor } from './model.ts';

export interface LiveKeysOptions {
  ring: KeyRing;
  instanceId: string;
  audit: Pick<AuditLog, 'changeKeys'>;
  /** Reads the keys again after they were replaced. */
  load: () => KeyRing;
  /** Gives the store to the present key of a ring. */
  changeKey: (ring: KeyRing, actor: Actor) => Promise<number | undefined>;
  /** Told of the new local admin token. */
  onAdminToken: (token: string) => void;
  warn: (error: unknown, message: string) => void;
}

export interface KeyRotation {
  keyId: string;
  previousKeyId: string;
  /** Where the new key lies, and where the earlier ones are kept. */
  file: string;
  previousFile: string;
  /** Upstream credentials that are under the new key now. */
  credentials: number;
}

/** What everything else asks for keys: the answers change with a rotation. */
export class LiveKeys implements SealingKeys {
  readonly #options: LiveKeysOptions;
  #ring: KeyRing;
  #adminToken: string;
  #previous: readonly KeyObject[];
  #rotating = false;

  constructor(options: LiveKeysOptions) {
    this.#options = options;
    this.#ring = options.ring;
    this.#adminToken = adminToken(options.ring.current, options.instanceId);
    this.#previous = sessionKeys(options.ring.previous);
  }

  get ring(): KeyRing {
    return this.#ring;
  }
  get adminToken(): string {
    return this.#adminToken;
  }
  /** For what clients carry. */
  get current(): KeyObject {
    return this.#ring.current.sessions;
  }
  get previous(): readonly KeyObject[] {
    return this.#previous;
  }

  /**
   * Makes a new secret key and goes on under it. Calls, sessions and clients' tokens notice nothing; the local admin
   * token is another one. Killed at any moment, the next start completes it or finds the old key.
   * @throws GatehouseError config_invalid when the key's files cannot be written; conflict during another rotation;
   *   audit_unavailable or store_unavailable, and then the old key is in force again
   */
  async rotate(actor: Actor): Promise<KeyRotation> {
    if (this.#rotating) throw new GatehouseError('conflict', 'The secret key is being changed already.');
    this.#rotating = true;
    try {
      return await this.#rotate(actor);
    } finally {
      this.#rotating = false;
    }
  }

  async #rotate(actor: Actor): Promise<KeyRotation> {
    const { load, changeKey, audit, instanceId, onAdminToken, warn } = this.#options;
    const before = this.#ring.current.keyId;
    const undo = await replaceKey(this.#ring);
    let next: KeyRing;
    let credentials: number;
    try {
      next = load();
      credentials = (await changeKey(next, actor)) ?? 0;
    } catch (error) {
      await undo();
      throw error;
    }
    this.#ring = next;
    this.#previous = sessionKeys(next.previous);
    this.#adminToken = adminToken(next.current, instanceId);
    try {
      audit.changeKeys(auditKeys(next.current));
    } catch (error) {
      warn(error, 'the audit log goes on under the earlier key until the next start');
    }
    onAdminToken(this.#adminToken);
    const file = next.file as string;
    return { keyId: next.current.keyId, previousKeyId: before, file, previousFile: previousFile(file), credentials };
  }
}

/** The keys of the audit log under a secret key. */
export function auditKeys(keys: SecretKeys): { hmacKey: Buffer; signingSeed: Buffer; keyId: string } {
  return { hmacKey: keys.bytes('audit-hmac'), signingSeed: keys.bytes('audit-signing'), keyId: keys.keyId };
}

const sessionKeys = (keys: readonly SecretKeys[]): KeyObject[] => keys.map(({ sessions }) => sessions);
