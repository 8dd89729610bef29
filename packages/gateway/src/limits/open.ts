// Brings the counters of the memory store up from the log, and the log up with the journal that keeps it able to.
import type { Logger } from 'pino';
import { type AuditLog, type AuditLogOptions, newWriterId, openAuditLog } from '../audit/log.ts';
import { GatehouseError } from '../errors.ts';
import type { Counters, CountersUnavailableError } from './counters.ts';
import { checkEpoch, writeEpoch } from './epoch.ts';
import { CountersJournal } from './journal.ts';
import { MemoryCounters } from './memory.ts';
import { type RecoveredLimits, recoverLimits } from './recover.ts';
import { SqliteCounters } from './sqlite.ts';
import { thisMachine } from './store-time.ts';

export interface DurableLimitsOptions {
  dataDir: string;
  log: AuditLogOptions;
  /** Milliseconds of a clock that never steps. */
  monotonic: () => number;
  logger: Logger;
  /** See {@link CountersJournal}. */
  countersEvery?: number | undefined;
}

export interface DurableLimits {
  readonly audit: AuditLog;
  readonly counters: MemoryCounters;
}

/**
 * Rebuilds the counters from the log, then opens the log.
 * @throws GatehouseError audit_lost, or audit_unavailable when the log cannot be read
 * @throws AuditUnavailableError when it cannot be written
 */
export async function openDurableLimits(options: DurableLimitsOptions): Promise<DurableLimits> {
  const { dataDir, log, monotonic, logger, countersEvery } = options;
  const began = monotonic();
  const recovered = await recover(log);
  checkEpoch(dataDir, log.dir, recovered.covers);
  const journal = new CountersJournal({ recovered, ...(countersEvery === undefined ? {} : { every: countersEvery }) });
  const counters = new MemoryCounters({ monotonic, onStep: () => journal.clockStepped() });
  counters.inherit(recovered.ledger, log.clock());
  counters.inheritSlots(recovered.openCalls);
  journal.useClock(() => counters.clock(log.clock()));
  const { records, segments, unreadable, ledger } = recovered;
  const milliseconds = Math.round(monotonic() - began);
  logger.info({ records, segments, counters: ledger.counters.size, milliseconds }, 'limits rebuilt from the audit log');
  warnOfDamage(logger, unreadable);
  const writer = newWriterId(log.clock());
  const audit = await openAuditLog({ ...log, writer, follower: journal });
  try {
    writeEpoch(dataDir, writer);
  } catch (error) {
    await audit.close();
    throw new GatehouseError(
      'store_unavailable',
      `The data folder ${dataDir} cannot be written: ${(error as Error).message}. Check its owner and free space, then start again.`,
      [],
      { cause: error },
    );
  }
  return { audit, counters };
}

export interface SharedLimitsOptions {
  /** The file of counters. */
  path: string;
  /** Folder of the log that the processes share. */
  logDir: string;
  /** Milliseconds since the epoch. */
  clock: () => number;
  logger: Logger;
  /** Told once for each cause why calls with a limit are denied. */
  onUnavailable: (error: CountersUnavailableError) => void;
}

/** Counters in a file that several processes share; rebuilt from their log where the file does not know them. */
export async function openSharedLimits(options: SharedLimitsOptions): Promise<Counters> {
  const { path, logDir, clock, logger, onUnavailable } = options;
  const counters = new SqliteCounters({
    path,
    machine: thisMachine(),
    clock,
    onUnavailable,
    recover: async () => {
      const { ledger, openCalls, unreadable } = await recoverLimits(logDir, clock());
      warnOfDamage(logger, unreadable);
      const time = ledger.clock.sliding;
      return { states: new Map([...ledger.counters].map(([key, { state }]) => [key, { ...state, time }])), openCalls };
    },
  });
  await counters.start();
  return counters;
}

function warnOfDamage(logger: Logger, unreadable: number): void {
  if (unreadable === 0) return;
  logger.warn(
    { unreadable },
    'the audit log has damaged records, whose limits are not counted; run gatehouse audit verify',
  );
}

async function recover({ dir, clock }: AuditLogOptions): Promise<RecoveredLimits> {
  try {
    return await recoverLimits(dir, clock());
  } catch (error) {
    throw new GatehouseError(
      'audit_unavailable',
      `The audit log in ${dir} cannot be read, so what was used of the limits is not known: ${(error as Error).message}. ` +
        'Check that the folder belongs to this user and that the disk works.',
      [],
      { cause: error },
    );
  }
}
