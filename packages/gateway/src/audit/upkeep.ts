// What goes on beside the log: its heads leave the machine, and what is too old is cut.
import type { Settings } from '../config.ts';
import { GatehouseError } from '../errors.ts';
import { HeadExport, headSinks } from './head-export.ts';
import type { AuditLog } from './log.ts';
import { Retention } from './retention.ts';

export interface Upkeep {
  readonly heads: HeadExport;
  readonly retention: Retention;
}

/** What happens beside the calls, for the program log. */
export type UpkeepLog = (level: 'info' | 'warn', detail: Readonly<Record<string, unknown>>, message: string) => void;

/** @throws GatehouseError config_invalid when the webhook may not be reached */
export function openHeadExport(
  settings: Settings['audit']['heads'],
  { clock, userAgent, log }: { clock: () => number; userAgent: string; log: UpkeepLog },
): HeadExport {
  let sinks: ReturnType<typeof headSinks>;
  try {
    sinks = headSinks(settings, userAgent);
  } catch (error) {
    throw new GatehouseError('config_invalid', 'The settings are not valid.', [
      { pointer: 'audit.heads.webhook', message: `${(error as Error).message} (audit.heads.allow)` },
    ]);
  }
  return new HeadExport({
    sinks,
    clock,
    random: Math.random,
    onChange: ({ sink, target, error, waiting }) => {
      if (error === undefined) log('info', { sink, target }, 'heads of the audit log leave again');
      else log('warn', { sink, target, error, waiting }, 'a head of the audit log could not be sent out');
    },
  });
}

export function openRetention(
  audit: AuditLog,
  { age, clock, shared, log }: { age: number | null; clock: () => number; shared: boolean; log: UpkeepLog },
): Retention {
  return new Retention({
    audit,
    age,
    clock,
    shared,
    onRun: (result) => {
      if ('error' in result) {
        const error = result.error instanceof Error ? result.error.message : String(result.error);
        log('warn', { error }, 'the audit log was not cut');
      } else if (result.cuts.length > 0) {
        const segments = result.cuts.reduce((sum, cut) => sum + cut.segments, 0);
        log('info', { segments, chains: result.cuts.length }, 'old segments of the audit log were cut');
      }
    },
  });
}
