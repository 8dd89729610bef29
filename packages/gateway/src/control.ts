import { randomBytes } from 'node:crypto';
import type { SchemaCompiler } from '@gatehouse/policy';
import { compileSchema as ajvCompileSchema } from '@gatehouse/policy/ajv';
import type { RecordedChange } from './audit/recorded-changes.ts';
import { type AdminAudit, ChangeRunner, recordUnmade } from './control/change.ts';
import type { ControlContext } from './control/context.ts';
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
import type { SecretKeys } from './keys.ts';
import type { Services } from './services.ts';
import { openStore } from './store/open.ts';

/** The audit log as the control plane uses it. */
export interface ControlAudit extends AdminAudit {
  close(): Promise<void>;
}

export interface ControlPlaneOptions<A extends ControlAudit> {
  /** Made when it is not there. */
  dataDir: string;
  keys: SecretKeys;
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
}

/**
 * Opens the store, the log, and everything that the control plane offers, with a filled Directory.
 * @throws GatehouseError store_locked, store_newer, store_unavailable, key_missing; or what `openAudit` throws
 */
export async function openControlPlane<A extends ControlAudit>(
  options: ControlPlaneOptions<A>,
): Promise<ControlPlane<A>> {
  const { dataDir, keys, clock, random = randomBytes, compileSchema = ajvCompileSchema } = options;
  const store = await openStore({ dataDir, keyId: keys.keyId, clock, random });
  let audit: A | undefined;
  try {
    const credentialsKey = { key: keys.credentials, keyId: keys.keyId };
    const state = await loadState(store.db, credentialsKey);
    audit = await options.openAudit();
    await recordUnmade(audit, options.changesAfter?.(store.lastChange) ?? []);
    const directory = new LiveDirectory(clock);
    const pieces = new Pieces(state, directory, compileSchema);
    pieces.all();
    const changes = new ChangeRunner(store.db, audit, store.lastChange);
    const context: ControlContext = { state, changes, directory, pieces, compileSchema, credentialsKey, clock, random };
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
    return { services, audit, instanceId: store.instance.id };
  } catch (error) {
    await audit?.close();
    await store.close();
    throw error;
  }
}
