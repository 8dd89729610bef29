import { randomBytes } from 'node:crypto';
import { basename } from 'node:path';
import type { SchemaCompiler } from '@gatehouse/policy';
import { compileSchema as ajvCompileSchema } from '@gatehouse/policy/ajv';
import type { RecordedChange } from './audit/recorded-changes.ts';
import { type AdminAudit, ChangeRunner, recordUnmade } from './control/change.ts';
import type { ControlContext } from './control/context.ts';
import { StoreKeys } from './control/keys.ts';
import { Pieces } from './control/pieces.ts';
import { policyServices } from './control/policies.ts';
import { serverServices } from './control/servers.ts';
import { loadState } from './control/state.ts';
import { definitionServices } from './definitions/definitions.ts';
import { LiveDirectory } from './directory.ts';
import type { RandomBytes } from './identity/base62.ts';
import { grantServices } from './identity/grants.ts';
import { identityServices } from './identity/identities.ts';
import { LastUse } from './identity/last-use.ts';
import { tokenServices } from './identity/tokens.ts';
import { credentialKeys, type KeyRing } from './key-ring.ts';
import type { SecretKeys } from './keys.ts';
import type { Actor } from './model.ts';
import type { Services } from './services.ts';
import type { Migrations } from './store/migrate.ts';
import { openStore, type Store } from './store/open.ts';

/** The audit log as the control plane uses it. */
export interface ControlAudit extends AdminAudit {
  close(): Promise<void>;
}

export interface ControlPlaneOptions<A extends ControlAudit> {
  /** Made when it is not there. */
  dataDir: string;
  keys: SecretKeys;
  /** Earlier keys, newest first. A store that is still under one of them is given to `keys` (spec: gateway §7). */
  previousKeys?: readonly SecretKeys[];
  /** Default: those of this program. */
  migrations?: Migrations;
  /** Opens the log where each change is recorded before it holds. Called once the data folder belongs to this process. */
  openAudit: () => Promise<A>;
  /**
   * Changes that the log has beyond this number, in a log that belongs to this store alone. Default: none is looked for.
   * @param last number of the last change that the store holds
   */
  changesAfter?: (last: number) => readonly RecordedChange[];
  /** Milliseconds since the epoch. */
  clock: () => number;
  /** Default: `randomBytes` of `node:crypto`. */
  random?: RandomBytes;
  /** Compiles tools' argument schemas. Default: the Ajv compiler of the policy package. */
  compileSchema?: SchemaCompiler;
}

export interface ControlPlane<A> {
  readonly services: Services;
  /** What `openAudit` opened. Closing it is up to the caller, after the services. */
  readonly audit: A;
  readonly instanceId: string;
  /**
   * Copies the store to a new file, between two changes, and calls `then` before the next one: what it sees of the log
   * holds the record of every change that the copy holds, and of no other.
   */
  copyStore<T>(path: string, then: () => T): Promise<T>;
  /** Gives the store to the present key of another ring. @returns as {@link StoreKeys.giveTo} */
  changeKey(ring: KeyRing, actor: Actor): Promise<number | undefined>;
}

const GATEHOUSE: Actor = { kind: 'gatehouse', id: 'gatehouse' };

/**
 * Opens the store, the log, and everything that the control plane offers, with a filled Directory.
 * @throws GatehouseError store_locked, store_newer, store_unavailable, key_missing; or what `openAudit` throws
 */
export async function openControlPlane<A extends ControlAudit>(
  options: ControlPlaneOptions<A>,
): Promise<ControlPlane<A>> {
  const { dataDir, keys, clock, random = randomBytes, compileSchema = ajvCompileSchema } = options;
  const ring: KeyRing = { current: keys, previous: options.previousKeys ?? [] };
  const previousKeyIds = ring.previous.map(({ keyId }) => keyId);
  const store = await openStore({
    dataDir,
    keyId: keys.keyId,
    previousKeyIds,
    clock,
    random,
    ...(options.migrations === undefined ? {} : { migrations: options.migrations }),
  });
  let audit: A | undefined;
  try {
    const state = await loadState(store.db, credentialKeys(ring));
    audit = await options.openAudit();
    await recordUnmade(audit, options.changesAfter?.(store.lastChange) ?? []);
    const directory = new LiveDirectory(clock);
    const pieces = new Pieces(state, directory, compileSchema);
    pieces.all();
    const changes = new ChangeRunner(store.db, audit, store.lastChange);
    const storeKeys = new StoreKeys(store, changes, ring, random);
    const context: ControlContext = {
      state,
      changes,
      directory,
      pieces,
      compileSchema,
      clock,
      random,
      get credentialsKey() {
        return storeKeys.sealing;
      },
    };
    await recordStart(store, audit);
    // An earlier key: the key was changed while nothing ran, or a change of it was cut off.
    await storeKeys.giveTo(ring, GATEHOUSE);
    const lastUse = new LastUse(store.db, state, directory);
    let closing: Promise<void> | undefined;
    const services: Services = {
      directory,
      servers: serverServices(context),
      definitions: definitionServices(context),
      policies: policyServices(context),
      identities: identityServices(context),
      tokens: tokenServices(context, lastUse),
      grants: grantServices(context),
      close() {
        closing ??= (async () => {
          await changes.settled();
          await lastUse.stop();
          await store.close();
        })();
        return closing;
      },
    };
    return {
      services,
      audit,
      instanceId: store.instance.id,
      copyStore: (path, then) =>
        changes.alone(async () => {
          await store.copyTo(path);
          return then();
        }),
      changeKey: (next, actor) => storeKeys.giveTo(next, actor),
    };
  } catch (error) {
    await audit?.close();
    await store.close();
    throw error;
  }
}

async function recordStart({ migrated, instance }: Store, audit: AdminAudit): Promise<void> {
  if (migrated === undefined) return;
  const { from, to, backup } = migrated;
  await audit.admin({
    actor: GATEHOUSE,
    action: 'store.migrate',
    target: instance.id,
    before: { version: from },
    after: { version: to, copy: basename(backup) },
  });
}
