// `gatehouse key reset`: goes on without a key that is lost (spec: config, "Lost key").
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { headSigner } from './audit/chain.ts';
import { recordLostKey } from './audit/key-changes.ts';
import { openAuditLog } from './audit/log.ts';
import type { Settings } from './config.ts';
import { ChangeRunner } from './control/change.ts';
import { GatehouseError } from './errors.ts';
import { AUDIT_FOLDER, RUN_FOLDER } from './folders.ts';
import { loadKeyRing } from './key-ring.ts';
import { auditKeys } from './key-rotation.ts';
import type { Actor } from './model.ts';
import { STORE_FILE } from './store/files.ts';
import { openStore } from './store/open.ts';
import { readCredentials } from './store/tables/credentials.ts';
import { readServers } from './store/tables/servers.ts';

export interface KeyReset {
  keyId: string;
  lostKeyId: string;
  /** Where the key in force now came from. */
  source: string;
  /** Credentials that could not be opened any more and were dropped, by server. */
  dropped: { server: string; kind: string; names: readonly string[] }[];
  /** Whether the log still knows the lost key's public half, so that its older records stay verifiable by themselves. */
  publicKeyKept: boolean;
}

export interface KeyResetOptions {
  settings: Pick<Settings, 'data' | 'secret_key_file'>;
  env: Readonly<Record<string, string | undefined>>;
  actor: Actor;
  /** Milliseconds since 1970. Default: the system's clock. */
  clock?: () => number;
}

/**
 * Gives a store whose secret key is lost to the key at hand (made when there is none): drops the sealed credentials,
 * keeps servers, policies, identities, grants, tokens and the log, and records it.
 * @throws GatehouseError not_found when there is no store; store_locked while a gateway runs; conflict when the key at
 *   hand opens the store; audit_unavailable or store_unavailable, and then nothing was dropped
 */
export async function resetKey({ settings, env, actor, clock = Date.now }: KeyResetOptions): Promise<KeyReset> {
  const { data } = settings;
  if (!existsSync(join(data, STORE_FILE))) {
    throw new GatehouseError('not_found', `There is no store in ${data}, so there is no key to reset.`);
  }
  const store = await openStore({ dataDir: data, keyId: '', anyKey: true, clock, random: randomBytes });
  try {
    const lostKeyId = store.instance.key_id;
    const ring = loadKeyRing({
      env,
      dataDir: data,
      create: 'replace',
      ...(settings.secret_key_file === undefined ? {} : { file: settings.secret_key_file }),
    });
    const { current } = ring;
    if ([current, ...ring.previous].some(({ keyId }) => keyId === lostKeyId)) {
      throw new GatehouseError(
        'conflict',
        `Nothing is lost: the secret key at hand (${lostKeyId}) opens this data folder. To change the key: gatehouse key rotate.`,
      );
    }
    const keys = auditKeys(current);
    const signer = headSigner(keys.signingSeed, keys.keyId);
    const time = new Date(clock()).toISOString();
    const logs = [join(data, AUDIT_FOLDER), join(data, RUN_FOLDER, AUDIT_FOLDER)].filter((dir) => existsSync(dir));
    const known = logs.map((dir) => recordLostKey(dir, lostKeyId, signer, time));
    const audit = await openAuditLog({ dir: join(data, AUDIT_FOLDER), clock, ...keys });
    try {
      const slugs = new Map((await readServers(store.db)).map(({ id, slug }) => [id, slug]));
      const dropped = (await readCredentials(store.db)).map(({ serverId, kind, names }) => ({
        server: slugs.get(serverId) ?? serverId,
        kind,
        names,
      }));
      await new ChangeRunner(store.db, audit, store.lastChange).run(() => ({
        records: [
          {
            actor,
            action: 'key.reset',
            target: store.instance.id,
            before: { keyId: lostKeyId },
            after: { keyId: current.keyId, droppedCredentials: dropped },
          },
        ],
        async write(transaction) {
          await transaction.deleteFrom('credentials').execute();
          await transaction.updateTable('instance').set({ key_id: current.keyId }).execute();
        },
        apply: () => undefined,
      }));
      const { source, keyId } = current;
      return { keyId, lostKeyId, source, dropped, publicKeyKept: known.every(Boolean) };
    } finally {
      await audit.close();
    }
  } finally {
    await store.close();
  }
}
