// The time of counters that several processes share (spec: policy §5, last paragraph).
import { readFileSync } from 'node:fs';
import { uptime } from 'node:os';
import type { Epoch } from './counter-file.ts';

/** What a process reads when it asks the counters. Whole milliseconds. */
export interface Clocks {
  /** The system's clock, since 1970; a person or a time server may step it. */
  readonly wall: number;
  /** Since the machine started. */
  readonly uptime: number;
}

export interface Machine {
  /** Changes with each start of the machine; empty where the system does not tell. */
  readonly boot: string;
  /** Milliseconds since that start, sleep included: the same in all processes, and nobody steps it. */
  readonly uptime: () => number;
}

export type StoreTime = Pick<Epoch, 'sliding' | 'calendar' | 'anchorSliding' | 'anchorWall' | 'anchorUptime'>;

/**
 * The store's time now. Sliding time goes on with the machine's uptime, which all processes share, so that a step of the
 * system's clock frees nothing. Calendar time follows the system's clock and never goes back.
 */
export function advance(time: StoreTime, { wall, uptime: up }: Clocks): StoreTime {
  const sliding = Math.max(time.sliding, time.anchorSliding + up - time.anchorUptime);
  return { ...time, sliding, calendar: Math.max(time.calendar, wall) };
}

/** The store's time when the machine started anew, or after a rebuild: the later of now and the last time recorded. */
export function resume(last: Pick<StoreTime, 'sliding' | 'calendar'>, { wall, uptime: up }: Clocks): StoreTime {
  const sliding = Math.max(last.sliding, wall);
  return {
    sliding,
    calendar: Math.max(last.calendar, wall),
    anchorSliding: sliding,
    anchorWall: wall,
    anchorUptime: up,
  };
}

/** Below this, clocks differ by how they are read. Milliseconds. */
const TOLERANCE_MS = 10_000;

/** Whether the machine started anew since the anchor, so that its uptime cannot be compared with the anchor's. */
export function startedAnew(
  epoch: StoreTime & Pick<Epoch, 'boot'>,
  boot: string,
  { wall, uptime: up }: Clocks,
): boolean {
  if (boot !== '' && epoch.boot !== '') return boot !== epoch.boot;
  // A machine that has been up for less than what has passed was started meanwhile.
  return up < epoch.anchorUptime || up + TOLERANCE_MS < wall - epoch.anchorWall;
}

/** This machine. */
export function thisMachine(): Machine {
  let boot = '';
  try {
    boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    // Only Linux tells.
  }
  // In a container the first may be the container's own age, which another one does not share.
  return { boot, uptime: () => Math.max(Math.floor(uptime() * 1000), monotonicMs()) };
}

function monotonicMs(): number {
  return Number(process.hrtime.bigint() / 1_000_000n);
}
