// The checks of `gatehouse doctor` of what goes on beside the log: its reserve, its retention, and whether its heads leave.
import { existsSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import type { HeadSinkState, ReserveState, RetentionState } from '@gatehouse/gateway';
import type { Check } from './doctor-checks.ts';

/** The member `audit` of the gateway's status, as far as it is looked at here. */
export interface AuditStatus {
  writable: boolean;
  lastError?: string;
  reserve: ReserveState;
  heads: readonly HeadSinkState[];
  retention: RetentionState;
}

export interface HeadSettings {
  file?: string | undefined;
  webhook?: string | undefined;
}

const DAY_MS = 86_400_000;
const HOURS_3_MS = 3 * 3_600_000;

const mebibytes = (bytes: number): string => `${(bytes / 1024 ** 2).toFixed(1)} MiB`;

/** Whether the log is written now, and the part of the disk that is kept for what is under way. */
export function checkReserve({
  writable,
  lastError,
  reserve,
}: Pick<AuditStatus, 'writable' | 'lastError' | 'reserve'>): Check {
  const name = 'disk reserve';
  const { bytes, held, spent, problem } = reserve;
  if (spent || !writable) {
    const message = spent ? (problem ?? 'it is spent') : `the log cannot be written: ${lastError ?? 'unknown reason'}`;
    return {
      name,
      status: 'fail',
      message,
      action: 'Make room. No call passes until then; nothing has to be restarted.',
    };
  }
  if (bytes === 0) {
    return {
      name,
      status: 'warn',
      message: 'none is kept: when the disk is full, outcomes of calls under way may be lost',
      action: 'Set audit.reserve (default 8 MiB).',
    };
  }
  if (held < bytes) {
    const why = problem ?? 'it is being made';
    const status = problem === undefined ? 'ok' : 'warn';
    const message = `${mebibytes(held)} of ${mebibytes(bytes)} are kept: ${why}`;
    return status === 'ok' ? { name, status, message } : { name, status, message, action: 'Make room on this disk.' };
  }
  return { name, status: 'ok', message: `${mebibytes(held)} are kept` };
}

/** @param startedAt when the gateway started, RFC 3339 @param now milliseconds since the epoch */
export function checkRetention(retention: RetentionState, startedAt: string, now: number): Check {
  const name = 'retention';
  const { age, lastRun, lastError } = retention;
  if (age === null) {
    return {
      name,
      status: 'ok',
      message: 'nothing is cut (audit.retention: never); the log grows as long as it is used',
    };
  }
  const days = `segments older than ${Math.round(age / DAY_MS)} days are cut`;
  const action = 'See: gatehouse audit retention';
  if (lastError !== undefined)
    return { name, status: 'warn', message: `${days}; the last try failed: ${lastError}`, action };
  if (lastRun === undefined) {
    const late = now - Date.parse(startedAt) > HOURS_3_MS;
    return late
      ? { name, status: 'warn', message: `${days}; it has not run yet`, action }
      : { name, status: 'ok', message: days };
  }
  return { name, status: 'ok', message: `${days}; last looked at ${lastRun}` };
}

/** The device of the nearest folder that is there. */
function deviceOf(path: string): number {
  let at = path;
  while (!existsSync(at) && dirname(at) !== at) at = dirname(at);
  return statSync(at).dev;
}

/** By the settings alone: whether anything leaves this machine. Undefined when it does, as far as can be told from here. */
export function checkHeadSettings(
  { file, webhook }: HeadSettings,
  data: string,
  device: (path: string) => number = deviceOf,
): Check | undefined {
  const name = 'heads';
  const risk = 'so who can write the data folder can rewrite all of the log';
  const action = 'Set audit.heads.webhook, or audit.heads.file to a place on another machine.';
  if (file === undefined && webhook === undefined) {
    return { name, status: 'warn', message: `no signed head of the audit log leaves this machine, ${risk}`, action };
  }
  if (webhook === undefined && file !== undefined && device(file) === device(data)) {
    return { name, status: 'warn', message: `heads go to ${file}, on the disk of the log itself, ${risk}`, action };
  }
  return undefined;
}

/** What became of the heads that a gateway sent. */
export function checkHeadSinks(heads: readonly HeadSinkState[]): Check[] {
  return heads.map(({ sink, target, last, waiting, dropped, failures, error }) => {
    const name = `heads to ${sink}`;
    if (error !== undefined) {
      const since = last === undefined ? 'none arrived yet' : `the last arrived at ${last.exportedAt}`;
      const gone = dropped === 0 ? '' : `, ${dropped} left out`;
      return {
        name,
        status: 'warn',
        message: `${target} takes none (${error}); ${since}, ${waiting} wait${gone}, ${failures} tries failed`,
        action: 'Mend it: what was not sent can be rewritten by who can write the data folder.',
      };
    }
    const message =
      last === undefined ? `${target}; none was made yet` : `${target}; the last arrived at ${last.exportedAt}`;
    return { name, status: 'ok', message };
  });
}
