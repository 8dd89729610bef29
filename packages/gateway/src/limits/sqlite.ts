// Counters in a SQLite file, shared by several processes of one machine: every reservation is one transaction.
import { randomUUID } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import {
  chargeWindow,
  emptyWindow,
  type LimitCharge,
  releaseWindow,
  type SlotCharge,
  type WindowState,
} from '@gatehouse/policy';
import { CounterFile, type Epoch, explainFailure, isBusy } from './counter-file.ts';
import { endOf, firstDenial, freeSlots, larger } from './counter-steps.ts';
import {
  type CallUnderWay,
  type CounterStats,
  type Counters,
  CountersUnavailableError,
  type LookResult,
  needNoCall,
  type Receipt,
  type ReservedCharge,
  type ReserveResult,
} from './counters.ts';
import { isWallTime } from './ledger.ts';
import type { OpenCall } from './slots.ts';
import { advance, type Clocks, type Machine, resume, startedAnew } from './store-time.ts';

export interface SqliteCountersOptions {
  /** The file; it is made, mode 600, and its folder with it, when the counters are first asked. */
  path: string;
  machine: Machine;
  /** Milliseconds since the epoch. */
  clock: () => number;
  /**
   * What the log holds, for a file that has no epoch marker, or that may lack what was counted right before a loss of
   * power. Other processes wait meanwhile.
   */
  recover: () => Promise<Recovered>;
  /** Told when the counters cannot be asked, once for each cause. */
  onUnavailable?: (error: CountersUnavailableError) => void;
  /** Most counters and slots held at once. Default 1,000,000. Above it, calls with a new one are refused. */
  maxCounters?: number;
  /** How long a call waits for other processes, milliseconds. Default 5000. */
  busyMs?: number;
}

/** How many counters, and slots, each reservation drops that no longer count anything. */
const SWEEP = 4;
/** What is rebuilt does not say how long its window is; it is kept as long as the longest may be, or until its next use. */
const LONGEST_WINDOW_MS = 400 * 86_400_000;
const BUSY_MS = 5_000;
const LONGEST_PAUSE_MS = 20;

/** What the log says: each counter, with the time of sliding windows that the log tells, and the calls that may run. */
interface Recovered {
  readonly states: ReadonlyMap<string, WindowState>;
  readonly openCalls: readonly OpenCall[];
}

interface Step<T> {
  readonly value: T;
  /** What was written is kept. */
  readonly keep: boolean;
}

/**
 * Counters that several processes share. What was reserved survives the death of any process, also in the middle of a
 * transaction. A slot of a process that died is held until the deadline of its call. Whatever fails denies: `reserve`
 * throws or rejects with a {@link CountersUnavailableError}, and the next call tries anew.
 */
export class SqliteCounters implements Counters {
  readonly #options: SqliteCountersOptions;
  readonly #maxCounters: number;
  readonly #released = new WeakSet<Receipt>();
  #file: CounterFile | undefined;
  #opening: Promise<CounterFile> | undefined;
  #closed = false;
  /** What waits for its turn. */
  readonly #waiting = new Set<Promise<unknown>>();
  /** The cause that was reported last. */
  #reported = '';
  #rowsHeld = 0;
  #reservedCount = 0;
  #deniedCount = 0;
  #releasedCount = 0;

  constructor(options: SqliteCountersOptions) {
    this.#options = options;
    this.#maxCounters = options.maxCounters ?? 1_000_000;
  }

  /** Opens the file ahead of the first call, so that a fault is known early. Never rejects. */
  async start(): Promise<void> {
    await this.look([], this.#options.clock())?.catch(() => undefined);
  }

  reserve(charges: readonly LimitCharge[], now: number, call?: CallUnderWay): ReserveResult | Promise<ReserveResult> {
    if (call === undefined) needNoCall(charges);
    return this.#transact('IMMEDIATE', now, (file, epoch, wall) => this.#reserve(file, epoch, charges, wall, call));
  }

  // Always a promise, so that a failure is always a rejection.
  async look(charges: readonly LimitCharge[], now: number): Promise<LookResult> {
    return await this.#transact<LookResult>('DEFERRED', now, (file, epoch) => ({
      value: firstDenial(file, epoch, charges, new Map()) ?? { ok: true },
      keep: false,
    }));
  }

  async release(receipt: Receipt): Promise<void> {
    if (this.#released.has(receipt)) return;
    this.#released.add(receipt);
    await this.#transact('IMMEDIATE', this.#options.clock(), (file, epoch) => {
      for (const { charge, slice } of receipt.charges) {
        const state = file.readWindow(charge.key);
        if (state === undefined) continue;
        releaseWindow(charge, state, slice);
        const time = charge.align === 'sliding' ? epoch.sliding : epoch.calendar;
        file.writeWindow(charge.key, state, charge.align === 'calendar', endOf(charge, state, time));
      }
      freeSlots(file, epoch, receipt);
      return { value: undefined, keep: true };
    });
    this.#releasedCount += 1;
  }

  async free(receipt: Receipt): Promise<void> {
    if (receipt.slots === undefined) return;
    await this.#transact('IMMEDIATE', this.#options.clock(), (file, epoch) => {
      freeSlots(file, epoch, receipt);
      return { value: undefined, keep: true };
    });
  }

  stats(): CounterStats {
    return {
      counters: this.#rowsHeld,
      reserved: this.#reservedCount,
      denied: this.#deniedCount,
      released: this.#releasedCount,
    };
  }

  /** What waits for its turn still gets it: the end of a call frees its slots. */
  async close(): Promise<void> {
    while (this.#waiting.size > 0) await Promise.allSettled(this.#waiting);
    this.#closed = true;
    this.#abandon();
  }

  #reserve(
    file: CounterFile,
    epoch: Epoch,
    charges: readonly LimitCharge[],
    wall: number,
    call: CallUnderWay | undefined,
  ): Step<ReserveResult> {
    const states = new Map<string, WindowState>();
    const denial = firstDenial(file, epoch, charges, states);
    if (denial !== undefined) {
      this.#deniedCount += 1;
      return { value: denial, keep: false };
    }
    epoch.rowsHeld -= file.sweep(epoch.sliding, epoch.calendar, SWEEP);
    const done: ReservedCharge[] = [];
    const slots: SlotCharge[] = [];
    let fresh = 0;
    for (const charge of charges) {
      if (charge.kind === 'slot') {
        if (call === undefined) continue;
        fresh += file.writeSlot(charge.key, call.id, epoch.sliding + call.deadline - wall);
        slots.push(charge);
        continue;
      }
      const state = states.get(charge.key) ?? emptyWindow();
      const time = charge.align === 'sliding' ? epoch.sliding : epoch.calendar;
      const charged = chargeWindow(charge, state, time);
      if (!charged.ok) {
        // Two charges on one counter pass the look one by one and may not fit together: nothing of them stays.
        this.#deniedCount += 1;
        return { value: { ...charged, charge }, keep: false };
      }
      states.set(charge.key, state);
      fresh += file.writeWindow(charge.key, state, charge.align === 'calendar', endOf(charge, state, time));
      done.push({ charge, slice: charged.slice });
    }
    if (fresh > 0) this.#needRoom(file, epoch, fresh);
    epoch.rowsHeld += fresh;
    this.#reservedCount += 1;
    const receipt: Receipt = {
      charges: done,
      ...(isWallTime(epoch.sliding - wall) ? {} : { sliding: epoch.sliding }),
      ...(slots.length === 0 || call === undefined ? {} : { slots: { id: call.id, charges: slots } }),
    };
    return { value: { ok: true, receipt }, keep: true };
  }

  #needRoom(file: CounterFile, epoch: Epoch, fresh: number): void {
    if (epoch.rowsHeld + fresh <= this.#maxCounters) return;
    // Dropping a counter that still counts would let calls pass above `max`; refusing never does.
    epoch.rowsHeld -= file.sweep(epoch.sliding, epoch.calendar, this.#maxCounters);
    if (epoch.rowsHeld + fresh > this.#maxCounters) {
      throw new CountersUnavailableError(
        'too many counters are in use',
        `${epoch.rowsHeld} limit counters are in use in ${this.#options.path}, which is all that it may hold. Limits that split less, by scope, need fewer.`,
      );
    }
  }

  /** At once when nobody else writes at this moment, else when it is this call's turn. */
  #transact<T>(
    kind: 'IMMEDIATE' | 'DEFERRED',
    now: number,
    step: (file: CounterFile, epoch: Epoch, wall: number) => Step<T>,
  ): T | Promise<T> {
    const begun = this.#options.machine.uptime();
    try {
      const file = this.#usable();
      if (file !== undefined) {
        const done = this.#attempt(file, kind, { wall: now, uptime: begun }, step);
        if (done !== undefined) return done.value;
      }
    } catch (error) {
      if (!isBusy(error)) throw this.#failed(error);
    }
    const turn = this.#waitTurn(kind, { wall: now, uptime: begun }, step);
    this.#waiting.add(turn);
    const over = (): void => void this.#waiting.delete(turn);
    turn.then(over, over);
    return turn;
  }

  async #waitTurn<T>(
    kind: 'IMMEDIATE' | 'DEFERRED',
    begun: Clocks,
    step: (file: CounterFile, epoch: Epoch, wall: number) => Step<T>,
  ): Promise<T> {
    const patience = this.#options.busyMs ?? BUSY_MS;
    for (let next = 1; ; next = Math.min(2 * next, LONGEST_PAUSE_MS)) {
      try {
        const file = this.#usable() ?? (await this.#open());
        const uptime = this.#options.machine.uptime();
        const wall = begun.wall + Math.max(0, uptime - begun.uptime);
        const done = this.#attempt(file, kind, { wall, uptime }, step);
        if (done !== undefined) return done.value;
      } catch (error) {
        const waited = this.#options.machine.uptime() - begun.uptime;
        if (!isBusy(error) || waited > patience) throw this.#failed(error);
      }
      await pause(next);
    }
  }

  /** One transaction. Undefined: the file has no epoch marker any more. */
  #attempt<T>(
    file: CounterFile,
    kind: 'IMMEDIATE' | 'DEFERRED',
    clocks: Clocks,
    step: (file: CounterFile, epoch: Epoch, wall: number) => Step<T>,
  ): Step<T> | undefined {
    file.begin(kind);
    try {
      const stored = file.readEpoch();
      if (stored === undefined) {
        file.rollback();
        this.#abandon();
        return undefined;
      }
      const epoch = { ...stored, ...advance(stored, clocks) };
      const done = step(file, epoch, clocks.wall);
      if (done.keep) {
        file.writeEpoch(epoch);
        file.commit();
        this.#rowsHeld = epoch.rowsHeld;
      } else {
        file.rollback();
      }
      this.#reported = '';
      return done;
    } catch (error) {
      file.rollback();
      throw error;
    }
  }

  /** The file, if it is open and others find it at its place too. */
  #usable(): CounterFile | undefined {
    if (this.#closed) throw new CountersUnavailableError('the gateway is ending', 'The counters are closed.');
    // Who counts in a file that was deleted counts beside all others.
    if (this.#file !== undefined && !this.#file.inPlace()) this.#abandon();
    return this.#file;
  }

  #abandon(): void {
    const file = this.#file;
    this.#file = undefined;
    file?.close();
  }

  #open(): Promise<CounterFile> {
    this.#opening ??= this.#openNow().finally(() => {
      this.#opening = undefined;
    });
    return this.#opening;
  }

  async #openNow(): Promise<CounterFile> {
    const { path, machine, clock, recover } = this.#options;
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    const file = CounterFile.open(path, machine.boot === '');
    try {
      await this.#beginWaiting(file);
      const epoch = file.readEpoch();
      // What was committed right before a loss of power may be lost, while its intents are not.
      const clocks = { wall: clock(), uptime: machine.uptime() };
      if (epoch === undefined || startedAnew(epoch, machine.boot, clocks)) this.#merge(file, epoch, await recover());
      file.commit();
      if (this.#closed) throw new CountersUnavailableError('the gateway is ending', 'The counters are closed.');
      this.#file = file;
      return file;
    } catch (error) {
      file.rollback();
      file.close();
      throw error;
    }
  }

  /** Another process may be rebuilding; then this one has nothing left to do. */
  async #beginWaiting(file: CounterFile): Promise<void> {
    const since = this.#options.machine.uptime();
    for (;;) {
      try {
        file.begin('IMMEDIATE');
        return;
      } catch (error) {
        const waited = this.#options.machine.uptime() - since;
        if (!isBusy(error) || waited > (this.#options.busyMs ?? BUSY_MS)) throw error;
      }
      await pause(LONGEST_PAUSE_MS);
    }
  }

  /** Adds what the log says to what the file says: of each slice the larger, so that nothing that counted is forgotten. */
  #merge(file: CounterFile, known: Epoch | undefined, { states, openCalls }: Recovered): void {
    const { machine, clock } = this.#options;
    const last = { sliding: known?.sliding ?? 0, calendar: known?.calendar ?? 0 };
    for (const { time } of states.values()) last.sliding = Math.max(last.sliding, time);
    const time = resume(last, { wall: clock(), uptime: machine.uptime() });
    let rowsHeld = known?.rowsHeld ?? 0;
    for (const [key, state] of states) {
      const merged = larger(file.readWindow(key) ?? emptyWindow(), state);
      rowsHeld += file.writeWindow(key, merged, false, time.sliding + LONGEST_WINDOW_MS);
    }
    for (const { id, deadline, keys } of openCalls) {
      for (const key of keys) rowsHeld += file.writeSlot(key, id, deadline);
    }
    file.writeEpoch({ id: known?.id ?? randomUUID(), boot: machine.boot, ...time, rowsHeld });
    this.#rowsHeld = rowsHeld;
  }

  #failed(error: unknown): CountersUnavailableError {
    const explained = explainFailure(error, this.#options.path);
    if (explained.message !== this.#reported) {
      this.#reported = explained.message;
      this.#options.onUnavailable?.(explained);
    }
    return explained;
  }
}
