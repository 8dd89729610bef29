// Counters of each kind on clocks that a test sets, for tests that hold them to one behaviour.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Charge, LimitCharge, SlotCharge } from '@gatehouse/policy';
import type { CallUnderWay, Counters, Receipt, ReserveResult } from './counters.ts';
import { MemoryCounters } from './memory.ts';
import { SqliteCounters, type SqliteCountersOptions } from './sqlite.ts';

export const START = Date.parse('2026-05-01T12:00:00Z');

export function windowCharge(key: string, max: number, changes: Partial<Charge> = {}): Charge {
  return {
    key,
    counter: key,
    windowSeconds: 60,
    align: 'sliding',
    timezone: 'UTC',
    max,
    amount: 1,
    pointer: `/limits/${key}`,
    scope: 'grant',
    ...changes,
  };
}

export function slotCharge(key: string, max: number): SlotCharge {
  return { kind: 'slot', key, counter: key, max, amount: 1, pointer: `/limits/${key}`, scope: 'grant' };
}

/** Two clocks that go together unless a test steps one of them. */
export class TestClocks {
  wall = START;
  monotonic = 5_000;

  pass(ms: number): void {
    this.wall += ms;
    this.monotonic += ms;
  }
}

export interface TestCounters {
  readonly clocks: TestClocks;
  /** What stands for the processes that share the counters; one where they cannot be shared. */
  readonly processes: readonly Counters[];
  close(): Promise<void>;
}

export function memoryCounters(maxCounters?: number): TestCounters {
  const clocks = new TestClocks();
  const limit = maxCounters === undefined ? {} : { maxCounters };
  return {
    clocks,
    processes: [new MemoryCounters({ monotonic: () => clocks.monotonic, ...limit })],
    close: async () => undefined,
  };
}

export function tempFolder(): { path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), 'gatehouse-counters-'));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

/** Two of them on one file. */
export function sqliteCounters(maxCounters?: number, changes: Partial<SqliteCountersOptions> = {}): TestCounters {
  const clocks = new TestClocks();
  const folder = tempFolder();
  const options: SqliteCountersOptions = {
    path: join(folder.path, 'counters.db'),
    machine: { boot: 'boot-1', uptime: () => clocks.monotonic },
    clock: () => clocks.wall,
    recover: async () => ({ states: new Map(), openCalls: [] }),
    ...(maxCounters === undefined ? {} : { maxCounters }),
    ...changes,
  };
  const processes = [new SqliteCounters(options), new SqliteCounters(options)];
  return {
    clocks,
    processes,
    async close() {
      for (const each of processes) await each.close();
      folder.remove();
    },
  };
}

let calls = 0;

/** A call whose deadline is ten minutes off, unless told otherwise. */
export function newCall(clocks: TestClocks, deadlineMs = 600_000): CallUnderWay {
  calls += 1;
  return { id: `call-${calls}`, deadline: clocks.wall + deadlineMs };
}

/** Asks one process after the other, as if calls were spread over them. */
export class Callers {
  readonly #counters: TestCounters;
  #turn = 0;

  constructor(counters: TestCounters) {
    this.#counters = counters;
  }

  get next(): Counters {
    const { processes } = this.#counters;
    this.#turn = (this.#turn + 1) % processes.length;
    return processes[this.#turn] as Counters;
  }

  async reserve(...charges: LimitCharge[]): Promise<ReserveResult> {
    const { clocks } = this.#counters;
    return await this.next.reserve(charges, clocks.wall, newCall(clocks));
  }

  /** @throws Error when it is denied */
  async receipt(...charges: LimitCharge[]): Promise<Receipt> {
    const result = await this.reserve(...charges);
    if (!result.ok) throw new Error(`denied: ${result.charge.key}`);
    return result.receipt;
  }

  async passes(...charges: LimitCharge[]): Promise<boolean> {
    return (await this.reserve(...charges)).ok;
  }
}
