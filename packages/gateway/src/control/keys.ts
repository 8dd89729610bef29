// The secret key of the store: who holds it, and how another one takes its place (spec: gateway §7).
import type { AdminRecord } from '../audit/record.ts';
import { GatehouseError } from '../errors.ts';
import type { RandomBytes } from '../identity/base62.ts';
import { credentialKeys, type KeyRing } from '../key-ring.ts';
import type { Actor } from '../model.ts';
import type { Store } from '../store/open.ts';
import { rewrapEnvelope, type SealingKey } from '../store/seal.ts';
import { readCredentials, setWrappedKey } from '../store/tables/credentials.ts';
import type { ChangeRunner } from './change.ts';
import { credentialsAad } from './state.ts';

/** The keys that the control plane seals and opens with. */
export class StoreKeys {
  readonly #store: Store;
  readonly #changes: ChangeRunner;
  readonly #random: RandomBytes;
  #keyId: string;
  #sealing: SealingKey;

  constructor(store: Store, changes: ChangeRunner, keys: KeyRing, random: RandomBytes) {
    this.#store = store;
    this.#changes = changes;
    this.#random = random;
    this.#keyId = store.instance.key_id;
    this.#sealing = credentialKeys(keys).find(({ keyId }) => keyId === this.#keyId) as SealingKey;
  }

  /** Id of the key that the store is under. */
  get keyId(): string {
    return this.#keyId;
  }

  /** What new credentials are wrapped under. */
  get sealing(): SealingKey {
    return this.#sealing;
  }

  /**
   * Wraps every data key anew and gives the store to the ring's present key, in one transaction; the credentials
   * themselves stay as they are, and nobody who uses them notices.
   * @returns how many were wrapped; undefined when the store is under that key already
   * @throws GatehouseError key_missing, audit_unavailable or store_unavailable; nothing was changed then
   */
  giveTo(ring: KeyRing, actor: Actor): Promise<number | undefined> {
    return this.#changes.run<number | undefined>(() => {
      const [next, ...previous] = credentialKeys(ring) as [SealingKey, ...SealingKey[]];
      const before = this.#keyId;
      if (before === next.keyId) return { unchanged: undefined };
      let count = 0;
      const record: AdminRecord = {
        actor,
        action: 'key.rotate',
        target: this.#store.instance.id,
        before: { keyId: before },
        after: { keyId: next.keyId },
      };
      return {
        records: [record],
        write: async (transaction) => {
          for (const { serverId, kind, ...envelope } of await readCredentials(transaction)) {
            const aad = credentialsAad(serverId, kind);
            const { wrappedKey } = rewrapEnvelope([next, ...previous], next, envelope, aad, this.#random);
            await setWrappedKey(transaction, serverId, wrappedKey);
            count += 1;
          }
          const { numUpdatedRows } = await transaction
            .updateTable('instance')
            .set({ key_id: next.keyId })
            .where('key_id', '=', before)
            .executeTakeFirstOrThrow();
          if (numUpdatedRows !== 1n) {
            throw new GatehouseError('store_unavailable', 'The store is not under the key that it was opened with.');
          }
        },
        apply: () => {
          this.#keyId = next.keyId;
          this.#sealing = next;
          return count;
        },
      };
    });
  }
}
