// Runs of a gateway's limits and log, one after the other on one folder, under clocks of their own and with real ends:
// a run that dies writes nothing more.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Charge } from '@gatehouse/policy';
import { pino } from 'pino';
import { type AuditLogOptions, AuditUnavailableError, type Durability } from '../audit/log.ts';
import { nodeFiles, type SegmentFiles } from '../audit/segments.ts';
import { handTimers, testFolder } from '../audit/testing.ts';
import type { Ledger } from './ledger.ts';
import { type DurableLimits, openDurableLimits } from './open.ts';
import { recoverLimits } from './recover.ts';

export const START = Date.parse('2026-11-02T10:00:00Z');
const DEADLINE_MS = 60_000;

export interface StoredCall {
  kind: string;
  writer: string;
  seq: number;
  time: string;
  request_id?: string;
  decision?: {
    outcome: string;
    limits?: { key: string; units: number; slice?: number }[];
    deadline?: string;
    sliding?: number;
  };
  counters?: { set?: number; part?: number; last?: true; covers?: unknown[]; values?: [string, number[]][] };
}

export type CallEnd = 'answered' | 'not sent' | 'nothing recorded';

/** `part`: only the write of a `counters` record fails, half way. */
export type Fault = 'write' | 'short' | 'sync' | 'part';

interface Run {
  alive: boolean;
  fault: Fault | undefined;
  readonly tick: () => void;
}

export class World {
  readonly dir = testFolder();
  readonly auditDir = join(this.dir, 'audit');
  /** Real milliseconds; what the clocks are judged by. */
  now = START;
  /** Wall clock less real time. */
  step = 0;
  limits: DurableLimits | undefined;
  publicKey = '';
  /** The latest that the wall clock said to a call with limits. */
  calendar = 0;
  /** Every call that went on: in real time, and on its day of calendar time. */
  readonly executed: { key: string; at: number; day: number; amount: number }[] = [];
  #run: Run | undefined;
  #calls = 0;
  readonly #options: { countersEvery: number; maxSegmentBytes: number };

  constructor(options: Partial<{ countersEvery: number; maxSegmentBytes: number }> = {}) {
    this.#options = { countersEvery: 12, maxSegmentBytes: 2500, ...options };
  }

  wall(): number {
    return this.now + this.step;
  }

  async start(): Promise<DurableLimits> {
    const timers = handTimers();
    const run: Run = { alive: true, fault: undefined, tick: timers.run };
    this.#run = run;
    // The clock that never steps begins anew with each process, anywhere.
    const began = this.now - 7_919 * this.#calls;
    const { countersEvery, maxSegmentBytes } = this.#options;
    const log: AuditLogOptions = {
      dir: this.auditDir,
      clock: () => this.wall(),
      hmacKey: Buffer.alloc(32, 7),
      signingSeed: Buffer.alloc(32, 9),
      keyId: 'test-key',
      schedule: timers.schedule,
      maxSegmentBytes,
      headEvery: 9,
      fs: faulty(run),
    };
    const logger = pino({ level: 'silent' });
    const monotonic = (): number => this.now - began;
    this.limits = await openDurableLimits({ dataDir: this.dir, log, monotonic, logger, countersEvery });
    this.publicKey = this.limits.audit.publicKey();
    return this.limits;
  }

  /** Ends the run as `kill -9` does. */
  die(): void {
    if (this.#run !== undefined) this.#run.alive = false;
    this.limits = undefined;
  }

  async stop(): Promise<void> {
    await this.limits?.audit.close().catch(() => undefined);
    this.die();
  }

  /** The next write of the log fails. */
  fail(how: Fault): void {
    if (this.#run !== undefined) this.#run.fault = how;
  }

  /** Lets the log try again. */
  tick(): void {
    this.#run?.tick();
  }

  /** One call as the choke point makes it. Resolves to true when it went on to the upstream. */
  async call(charges: readonly Charge[], end: CallEnd, durability: Durability = 'process'): Promise<boolean> {
    const { audit, counters } = this.limits as DurableLimits;
    this.calendar = Math.max(this.calendar, this.wall());
    const day = Math.floor(this.calendar / 86_400_000);
    const result = counters.reserve(charges, this.wall());
    const requestId = `r${this.#calls++}`;
    if (!result.ok) {
      audit.enqueue({ kind: 'decision', requestId, decision: { outcome: 'deny' } });
      return false;
    }
    const limits = result.receipt.charges.map(({ charge: { key, amount }, slice }) => ({ key, units: amount, slice }));
    const { sliding } = result.receipt;
    const deadline = this.wall() + DEADLINE_MS;
    const decision = { outcome: 'allow', limits, deadline, ...(sliding === undefined ? {} : { sliding }) };
    const at = this.now;
    try {
      await audit.append({ kind: 'intent', requestId, decision }, durability);
    } catch (error) {
      counters.release(result.receipt);
      if (error instanceof AuditUnavailableError && error.mayStand) {
        audit.enqueue({ kind: 'outcome', requestId, decision: { outcome: 'not_sent' } });
      }
      return false;
    }
    if (end === 'not sent') {
      counters.release(result.receipt);
      audit.enqueue({ kind: 'outcome', requestId, decision: { outcome: 'not_sent' } });
      return false;
    }
    for (const { key, amount } of charges) this.executed.push({ key, at, day, amount });
    if (end === 'answered') audit.enqueue({ kind: 'outcome', requestId, decision: { outcome: 'allow' } });
    return true;
  }

  segments(): string[] {
    return readdirSync(join(this.auditDir, 'calls')).sort();
  }

  path(segment: string): string {
    return join(this.auditDir, 'calls', segment);
  }

  records(): StoredCall[] {
    return recordsOf(this.auditDir);
  }
}

/** Every whole record of the chains of calls. */
function recordsOf(auditDir: string): StoredCall[] {
  const folder = join(auditDir, 'calls');
  return readdirSync(folder)
    .sort()
    .flatMap((name) => readFileSync(join(folder, name), 'utf8').split('\n').slice(0, -1))
    .map((line) => JSON.parse(line) as StoredCall);
}

function faulty(run: Run): Partial<SegmentFiles> {
  const live = (): void => {
    if (!run.alive) throw new Error('this process is dead');
  };
  const taken = (fault: Fault): boolean => {
    if (run.fault !== fault) return false;
    run.fault = undefined;
    return true;
  };
  return {
    create(path) {
      live();
      return nodeFiles.create(path);
    },
    reopen(path) {
      live();
      return nodeFiles.reopen(path);
    },
    write(fd, data) {
      live();
      if (taken('write')) throw new Error('no space left on device');
      const isShort = taken('short') || (data.includes('"kind":"counters"') && taken('part'));
      return nodeFiles.write(fd, isShort ? data.subarray(0, Math.floor(data.length * 0.6)) : data);
    },
    truncate(fd, length) {
      live();
      nodeFiles.truncate(fd, length);
    },
    // As after power was lost and came back, nothing here depends on the disk; only the answer does.
    sync: (_fd, done) => queueMicrotask(() => done(taken('sync') ? new Error('input/output error') : null)),
    syncNow: live,
  };
}

export function charge(counter: string, max: number, amount: number, window: 'sliding' | 'day' | number): Charge {
  const seconds = typeof window === 'number' ? window : window === 'sliding' ? 600 : 86_400;
  const align = window === 'day' ? 'calendar' : 'sliding';
  return {
    key: `${JSON.stringify([counter, align === 'sliding' ? seconds : 'day@UTC', 'grant'])}["g]1"]`,
    counter,
    windowSeconds: seconds,
    align,
    ...(align === 'calendar' ? { unit: 'day' as const } : {}),
    timezone: 'UTC',
    max,
    amount,
    pointer: '/tools/t/limits/0',
    scope: 'grant',
  };
}

/** What counts, and what is open, by a reading of all records that knows nothing of `counters` records. */
function replayed(
  records: readonly StoredCall[],
  { clock }: Ledger,
): { counts: Map<string, Map<number, number>>; open: string[] } {
  const counts = new Map<string, Map<number, number>>();
  const notSent = new Set<string>();
  const ended = new Set<string>();
  for (const { kind, request_id: id, decision } of records) {
    if (kind !== 'outcome' || id === undefined) continue;
    ended.add(id);
    if (decision?.outcome === 'not_sent') notSent.add(id);
  }
  const open: string[] = [];
  for (const { kind, time, request_id: id = '', decision } of records) {
    if (kind !== 'intent') continue;
    const start = decision?.sliding ?? Date.parse(time);
    const runs = Date.parse(decision?.deadline ?? '') - Date.parse(time);
    if (!ended.has(id) && start + runs > clock.sliding) open.push(id);
    if (notSent.has(id)) continue;
    for (const { key, units, slice = 0 } of decision?.limits ?? []) {
      const slices = counts.get(key) ?? new Map<number, number>();
      counts.set(key, slices.set(slice, (slices.get(slice) ?? 0) + units));
    }
  }
  return { counts, open: open.sort() };
}

/** Only what counts at the ledger's own time: the rest may be forgotten at any moment. */
export function live(
  counts: Iterable<[string, Iterable<[number, number]>]>,
  { clock }: Ledger,
): Record<string, [number, number][]> {
  const found: Record<string, [number, number][]> = {};
  for (const [key, slices] of counts) {
    const [, span] = JSON.parse(key.slice(0, key.indexOf(']') + 1)) as [string, number | string];
    const from =
      typeof span === 'number'
        ? Math.floor((clock.sliding * 60) / (span * 1000)) - 60
        : Math.floor(clock.calendar / 86_400_000) * 86_400_000;
    const counting = [...slices].filter(([slice, units]) => slice >= from && units > 0).sort((a, b) => a[0] - b[0]);
    if (counting.length > 0) found[key] = counting;
  }
  return found;
}

/** What recovery finds, and what a reading of everything does; `spared`: records that recovery did not read. */
export async function recoveredAndReplayed(auditDir: string, now: number) {
  const { ledger, records: read } = await recoverLimits(auditDir, now);
  const records = recordsOf(auditDir);
  const { counts, open } = replayed(records, ledger);
  return {
    recovered: { counts: live(valuesOf(ledger), ledger), open: [...ledger.open.keys()].sort() },
    replayed: { counts: live(counts, ledger), open },
    spared: records.length - read,
  };
}

export const valuesOf = ({ counters }: Ledger): [string, [number, number][]][] =>
  [...counters].map(([key, { state }]) => [key, state.slices.map((slice, i) => [slice, state.units[i] as number])]);
