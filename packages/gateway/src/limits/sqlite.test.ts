// What is of SQLite alone: the file, its faults, its time, and what a start finds. The rest is in counters.test.ts.
import { mkdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { LimitCharge, WindowState } from '@gatehouse/policy';
import fc from 'fast-check';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { CountersUnavailableError, Receipt } from './counters.ts';
import { newCall, START, slotCharge, TestClocks, tempFolder, windowCharge } from './counters-testing.ts';
import { MemoryCounters } from './memory.ts';
import { SqliteCounters, type SqliteCountersOptions } from './sqlite.ts';

const RUNS = Number(process.env.FC_RUNS ?? 1);
const NOTHING = { states: new Map(), openCalls: [] };

describe('counters in a SQLite file', () => {
  const ends: (() => void | Promise<void>)[] = [];
  afterEach(async () => {
    for (const end of ends.splice(0).reverse()) await end();
  });

  function ready() {
    const folder = tempFolder();
    ends.push(() => folder.remove());
    const clocks = new TestClocks();
    const path = join(folder.path, 'counters.db');
    const faults: CountersUnavailableError[] = [];
    const open = (changes: Partial<SqliteCountersOptions> = {}): SqliteCounters => {
      const counters = new SqliteCounters({
        path,
        machine: { boot: 'boot-1', uptime: () => clocks.monotonic },
        clock: () => clocks.wall,
        recover: async () => NOTHING,
        onUnavailable: (error) => faults.push(error),
        ...changes,
      });
      ends.push(() => counters.close());
      return counters;
    };
    const passes = async (counters: SqliteCounters, ...charges: LimitCharge[]): Promise<boolean> =>
      (await counters.reserve(charges, clocks.wall, newCall(clocks))).ok;
    /** Why it is denied, in the words for agents. */
    const reason = async (counters: SqliteCounters): Promise<string> => {
      try {
        await counters.reserve([windowCharge('a', 9)], clocks.wall, newCall(clocks));
      } catch (error) {
        return (error as CountersUnavailableError).reason;
      }
      throw new Error('let through');
    };
    return { clocks, path, folder: folder.path, open, passes, reason, faults };
  }

  it('[LIM-PROCESSES, LIM-RESTART] go on over processes, also over one that died with slots', async () => {
    const { clocks, open, passes, path } = ready();
    const charges = [windowCharge('a', 3), slotCharge('s', 1)];
    const first = open();
    expect(await passes(first, ...charges)).toBe(true);
    await first.close();
    if (process.platform !== 'win32') {
      expect(statSync(path).mode & 0o777).toBe(0o600);
    }
    const second = open();
    expect(await passes(second, ...charges)).toBe(false);
    expect(await passes(second, windowCharge('a', 3))).toBe(true);
    clocks.pass(599_999);
    expect(await passes(second, slotCharge('s', 1))).toBe(false);
    clocks.pass(1);
    expect(await passes(second, slotCharge('s', 1))).toBe(true);
  });

  it('[LIM-CLOCK] let the time go on that passed between two processes, and no step of the wall clock', async () => {
    const { clocks, open, passes } = ready();
    const one = windowCharge('a', 1);
    const first = open();
    expect(await passes(first, one)).toBe(true);
    await first.close();
    clocks.wall += 86_400_000;
    const second = open();
    expect(await passes(second, one)).toBe(false);
    await second.close();
    clocks.wall -= 2 * 86_400_000;
    clocks.pass(61_000);
    expect(await passes(open(), one)).toBe(true);
  });

  it('[LIM-CLOCK] resume at the later of now and the last time recorded when the machine started anew', async () => {
    const { clocks, open, passes } = ready();
    const one = windowCharge('a', 1);
    const restarted = (boot: string) => open({ machine: { boot, uptime: () => clocks.monotonic } });
    expect(await passes(restarted('boot-1'), one)).toBe(true);
    clocks.monotonic = 10;
    clocks.wall += 30_000;
    expect(await passes(restarted('boot-2'), one)).toBe(false);
    clocks.wall -= 3_600_000;
    const back = restarted('boot-3');
    expect(await passes(back, one)).toBe(false);
    clocks.pass(31_000);
    expect(await passes(back, one)).toBe(true);
    // Where the system does not tell its starts, a machine that has been up for less than what passed is a new one.
    clocks.monotonic = 20;
    clocks.wall += 3_600_000 * 3;
    expect(await passes(restarted(''), one)).toBe(true);
  });

  it('[LIM-RESTART] a file without an epoch marker is rebuilt from the log first, once for all who start', async () => {
    const { open, passes, clocks } = ready();
    const slice = Math.floor(START / 1000);
    const states = new Map([['a', { time: START, slices: [slice], units: [2] }]]);
    const openCalls = [{ id: 'lost', deadline: START + 5_000, keys: ['s'] }];
    let tell: (value: { states: typeof states; openCalls: typeof openCalls }) => void = () => undefined;
    const recover = vi.fn(() => new Promise<Parameters<typeof tell>[0]>((resolve) => (tell = resolve)));
    const [first, second] = [open({ recover }), open({ recover })];
    const asked = [first, second].map((each) => passes(each, windowCharge('a', 3)));
    await vi.waitFor(() => expect(recover).toHaveBeenCalled());
    tell({ states, openCalls });
    expect((await Promise.all(asked)).sort()).toEqual([false, true]);
    expect(recover).toHaveBeenCalledTimes(1);
    expect(await passes(second, slotCharge('s', 1))).toBe(false);
    clocks.pass(5_000);
    expect(await passes(first, slotCharge('s', 1))).toBe(true);
  });

  it('[LIM-RESTART] after a loss of power what the log says more counts too', async () => {
    const { open, passes, clocks } = ready();
    const first = open();
    expect(await passes(first, windowCharge('a', 9, { amount: 2 }))).toBe(true);
    expect(await passes(first, windowCharge('b', 9, { amount: 4 }))).toBe(true);
    await first.close();
    const slice = Math.floor(START / 1000);
    const counted = (): WindowState => ({ time: START, slices: [slice], units: [3] });
    const states = new Map(['a', 'b'].map((key) => [key, counted()]));
    const second = open({
      machine: { boot: 'boot-2', uptime: () => clocks.monotonic },
      recover: async () => ({ states, openCalls: [] }),
    });
    expect(await second.look([windowCharge('a', 3)], clocks.wall)).toMatchObject({ ok: false, used: 3 });
    expect(await second.look([windowCharge('b', 3)], clocks.wall)).toMatchObject({ ok: false, used: 4 });
  });

  it('[LIM-RESTART] a log that cannot be read keeps them down, and the next call tries again', async () => {
    const { open, passes, reason, faults } = ready();
    let broken = true;
    const recover = async () => {
      if (broken) throw new Error('no log');
      return NOTHING;
    };
    const counters = open({ recover });
    expect(await reason(counters)).toBe('the counters cannot be written');
    expect(faults[0]?.message).toContain('no log');
    broken = false;
    expect(await passes(counters, windowCharge('a', 1))).toBe(true);
  });

  it('[LIM-PROCESSES] a file that was deleted under them is rebuilt from the log before anything passes', async () => {
    const { open, passes, path } = ready();
    const slice = Math.floor(START / 1000);
    let states = new Map();
    const counters = open({ recover: async () => ({ states, openCalls: [] }) });
    expect(await passes(counters, windowCharge('a', 1))).toBe(true);
    const used = () => ({ time: START, slices: [slice], units: [1] });
    // Another process counted in the new file meanwhile.
    states = new Map(['a', 'elsewhere'].map((key) => [key, used()]));
    for (const suffix of ['', '-wal', '-shm']) rmSync(`${path}${suffix}`, { force: true });
    expect(await passes(counters, windowCharge('a', 1))).toBe(false);
    expect(await passes(counters, windowCharge('elsewhere', 1))).toBe(false);
    expect(await passes(counters, windowCharge('b', 1))).toBe(true);
  });

  it('[LIM-UNAVAILABLE] a damaged file denies, says what to do, and nothing else', async () => {
    const { open, passes, path, reason, faults } = ready();
    writeFileSync(path, 'this is no database, and long enough to look like one '.repeat(100));
    const counters = open();
    for (let i = 0; i < 3; i++) expect(await reason(counters)).toBe('the counters are damaged');
    expect(faults.map(({ message }) => message)).toEqual([
      expect.stringMatching(
        /are damaged \(.*\)\. End every gatehouse run, delete this file .* rebuilt from the log\.$/,
      ),
    ]);
    rmSync(path);
    expect(await passes(counters, windowCharge('a', 1))).toBe(true);
    await counters.close();
    const db = new DatabaseSync(path);
    db.exec(`UPDATE windows SET state = '{"time":1,"slices":[1],"units":[]}'`);
    db.close();
    expect(await reason(open())).toBe('the counters are damaged');
  });

  it('[LIM-UNAVAILABLE] a file that another process holds is waited for, and not for ever', async () => {
    const { open, passes, path, reason } = ready();
    let now = 0;
    const machine = { boot: 'boot-1', uptime: () => now++ };
    const counters = open({ machine, busyMs: 20 });
    expect(await passes(counters, windowCharge('a', 9))).toBe(true);
    const other = new DatabaseSync(path);
    other.exec('BEGIN IMMEDIATE');
    expect(await reason(counters)).toBe('another process holds the counters');
    expect(now).toBeGreaterThan(20);
    const waiting = passes(counters, windowCharge('a', 9));
    other.exec('ROLLBACK');
    expect(await waiting).toBe(true);
    other.exec('BEGIN IMMEDIATE');
    // Who closes them lets those who wait have their turn.
    const last = open();
    const queued = passes(last, windowCharge('a', 9));
    const closed = last.close();
    other.exec('ROLLBACK');
    expect(await queued).toBe(true);
    await closed;
    other.exec('BEGIN EXCLUSIVE');
    expect(await reason(open({ machine, busyMs: 20 }))).toBe('another process holds the counters');
    other.close();
  });

  it('[LIM-UNAVAILABLE] a place that cannot be written denies until it can', async () => {
    const { open, passes, folder, reason, faults } = ready();
    const place = join(folder, 'place');
    writeFileSync(place, '');
    const counters = open({ path: join(place, 'counters.db') });
    await counters.start();
    expect(await reason(counters)).toBe('the counters cannot be written');
    expect(faults).toHaveLength(1);
    expect(faults[0]?.message).toContain(place);
    rmSync(place);
    mkdirSync(place);
    expect(await passes(counters, windowCharge('a', 1))).toBe(true);
  });

  it('[LIM-UNAVAILABLE] a file that can only be read denies', async () => {
    const { open, passes, path, reason } = ready();
    const counters = open();
    expect(await passes(counters, windowCharge('a', 9))).toBe(true);
    const db = new DatabaseSync(path);
    db.exec(`CREATE TRIGGER full BEFORE UPDATE ON windows BEGIN SELECT RAISE(ABORT, 'disk full'); END`);
    expect(await reason(counters)).toBe('the counters cannot be written');
    db.exec('DROP TRIGGER full');
    db.close();
    expect(await passes(counters, windowCharge('a', 2))).toBe(true);
    expect(await passes(counters, windowCharge('a', 2))).toBe(false);
  });

  it('[LIM-UNAVAILABLE] a file of a newer version, and closed counters, deny', async () => {
    const { open, passes, path, reason } = ready();
    const counters = open();
    expect(await passes(counters, windowCharge('a', 9))).toBe(true);
    await counters.close();
    expect(await reason(counters)).toBe('the gateway is ending');
    const db = new DatabaseSync(path);
    db.exec('PRAGMA user_version = 99');
    db.close();
    expect(await reason(open())).toBe('a newer Gatehouse wrote the counters');
  });

  it('[P4, LIM-RESTART] answer as counters in memory do, whenever their process ends', async () => {
    const { clocks, open } = ready();
    const step = fc.record({
      wait: fc.oneof(fc.nat(3), fc.nat(2_000), fc.nat(90_000)),
      amount: fc.nat(4),
      day: fc.boolean(),
      slot: fc.boolean(),
      next: fc.constantFrom('release', 'free', 'end', 'none'),
    });
    let run = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 50 }), async (steps) => {
        run += 1;
        const memory = new MemoryCounters({ monotonic: () => clocks.monotonic });
        let sqlite = open();
        for (const { wait, amount, day, slot, next } of steps) {
          clocks.pass(wait);
          const charges: LimitCharge[] = [windowCharge(`${run} a`, 9, { amount })];
          if (slot) charges.push(slotCharge(`${run} s`, 2));
          if (day) {
            charges.push(
              windowCharge(`${run} d`, 30, { align: 'calendar', unit: 'day', windowSeconds: 86_400, amount }),
            );
          }
          const call = newCall(clocks, 60_000);
          const expected = memory.reserve(charges, clocks.wall, call);
          const result = await sqlite.reserve(charges, clocks.wall, call);
          expect(result).toEqual(expected);
          if (next === 'end') {
            await sqlite.close();
            sqlite = open();
          }
          if (!result.ok || !expected.ok) continue;
          const both: [Receipt, Receipt] = [result.receipt, expected.receipt];
          if (next === 'release') {
            await sqlite.release(both[0]);
            memory.release(both[1]);
          } else if (next === 'free') {
            await sqlite.free(both[0]);
            memory.free(both[1]);
          }
        }
        await sqlite.close();
      }),
      { numRuns: 40 * RUNS },
    );
  });
});
