// What a backup says of itself (docs/backup.md). It never holds the secret key.
import { createPublicKey, verify } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { canonicalize, parsePlainJson } from '@gatehouse/wire';
import { z } from 'zod';
import type { HeadSigner } from '../audit/chain.ts';
import { GatehouseError } from '../errors.ts';

export const MANIFEST_FILE = 'manifest.json';
/** Versioned apart from the store and the log, whose versions it names. */
export const BACKUP_FORMAT = 1;

const digest = z.string().regex(/^[0-9a-f]{64}$/);
const stream = z.enum(['calls', 'admin']);
/** Only names that this program makes: a path can lead nowhere else. */
const filePath = z
  .string()
  .regex(/^(?:gatehouse\.db|(?:run\/)?audit\/(?:(?:calls|admin)\/)?[\w.-]+|run\/pins\/[\w.-]+)$/);

const head = z.strictObject({
  stream,
  writer: z.string(),
  seq: z.int().min(0),
  hash: digest,
  time: z.string(),
  key_id: z.string(),
  signature: z.string(),
});

const contents = z.strictObject({
  format: z.literal(BACKUP_FORMAT),
  /** RFC 3339: everything that was recorded before is in it. */
  created: z.string(),
  program: z.string(),
  instance: z.string(),
  /** Id of the secret key that opens it. */
  key_id: z.string(),
  versions: z.strictObject({ store: z.string(), log: z.int() }),
  /** Public keys that the log is signed under. */
  keys: z.array(z.strictObject({ key_id: z.string(), public_key: z.string() })),
  files: z.array(z.strictObject({ path: filePath, bytes: z.int().min(0), sha256: digest })),
  /** Where each chain of each log ends. */
  chains: z.array(
    z.strictObject({
      log: z.enum(['audit', 'run/audit']),
      stream,
      writer: z.string(),
      seq: z.int().optional(),
      hash: digest.optional(),
      torn_bytes: z.int().optional(),
      damaged: z.literal(true).optional(),
    }),
  ),
  /** Of the process that made it: for `audit verify --head`. */
  heads: z.array(head),
});

const manifestSchema = contents.extend({ signature: z.string() });

export type BackupContents = z.output<typeof contents>;
export type BackupManifest = z.output<typeof manifestSchema>;

/** The bytes that are signed; their first line keeps them apart from every other statement of the key. */
const statement = (made: BackupContents): string => `gatehouse backup\n${canonicalize(made)}`;

export function signManifest(made: BackupContents, signer: HeadSigner): BackupManifest {
  return { ...made, signature: signer.signText(statement(made)) };
}

/** @param publicKey 32 bytes, base64url */
export function isSigned({ signature, ...made }: BackupManifest, publicKey: string): boolean {
  const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: publicKey }, format: 'jwk' });
  return verify(null, Buffer.from(statement(made)), key, Buffer.from(signature, 'base64url'));
}

/** @throws GatehouseError not_found or backup_invalid */
export function readManifest(dir: string): BackupManifest {
  const path = join(dir, MANIFEST_FILE);
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') {
      throw new GatehouseError('backup_invalid', `${path} cannot be read: ${(error as Error).message}`);
    }
    throw new GatehouseError(
      'not_found',
      `There is no backup in ${dir}: it has no ${MANIFEST_FILE}. A folder whose name has ".partial-" in it is one that was cut off, and may be deleted.`,
    );
  }
  let value: unknown;
  try {
    value = parsePlainJson(text);
  } catch {
    throw new GatehouseError('backup_invalid', `${path} is not JSON: the backup is damaged. Take another one.`);
  }
  const { format } = (value ?? {}) as { format?: unknown };
  if (typeof format === 'number' && format > BACKUP_FORMAT) {
    throw new GatehouseError(
      'store_newer',
      `The backup in ${dir} has the format ${format}, and this Gatehouse reads ${BACKUP_FORMAT}. Restore it with the version that made it, or a newer one.`,
    );
  }
  const parsed = manifestSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const items = parsed.error.issues.map(({ path: at, message }) => ({ pointer: `/${at.join('/')}`, message }));
  throw new GatehouseError('backup_invalid', `${path} is no manifest of a backup: it is damaged.`, items);
}
