// The mark that the counters' memory is there: which chain of the log this data folder wrote last. Without that chain
// what was used is not known, and every limit would begin anew (spec: policy §5).
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { parsePlainJson } from '@gatehouse/wire';
import { GatehouseError } from '../errors.ts';

/** File in the data folder. */
export const EPOCH_FILE = 'limits-epoch.json';

/**
 * Refuses to start over a log that lost its last chain. A folder that never had a mark is new.
 * @param chains writers of the chains of calls that are there
 * @throws GatehouseError audit_lost
 */
export function checkEpoch(dataDir: string, auditDir: string, chains: Pick<ReadonlySet<string>, 'has'>): void {
  const path = join(dataDir, EPOCH_FILE);
  const writer = readEpoch(path);
  if (writer === undefined || chains.has(writer)) return;
  const remedy = `Put the folder back as it was. To go on with every limit at zero instead, delete ${path} and start again.`;
  throw new GatehouseError(
    'audit_lost',
    writer === ''
      ? `${path} is damaged, so it cannot be known whether the audit log is whole that limits are rebuilt from. If the log in ${auditDir} was not touched, delete that file and start again.`
      : `The audit log in ${auditDir} has lost the calls that this data folder recorded last (chain ${writer}), so what was used of the limits is not known. ${remedy}`,
  );
}

/** Marks the chain that is being written now. Whole or not at all, and on the disk when it returns. */
export function writeEpoch(dataDir: string, writer: string): void {
  const path = join(dataDir, EPOCH_FILE);
  const part = `${path}.part`;
  const fd = openSync(part, 'w', 0o600);
  try {
    writeSync(fd, `${JSON.stringify({ writer })}\n`);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  renameSync(part, path);
}

/** Undefined without a mark, empty for one that cannot be read. */
function readEpoch(path: string): string | undefined {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT' ? undefined : '';
  }
  try {
    const { writer } = parsePlainJson(text) as { writer?: unknown };
    return typeof writer === 'string' ? writer : '';
  } catch {
    return '';
  }
}
