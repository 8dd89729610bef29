import { existsSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { DiskReserve, type ReserveFiles, reserveFiles } from './reserve.ts';
import { handTimers, testFolder } from './testing.ts';

const MIB = 1024 ** 2;
const FULL = Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });

function reserve(more: { dir?: string; bytes?: number; files?: Partial<ReserveFiles> } = {}) {
  const dir = more.dir ?? testFolder();
  const timers = handTimers();
  const made = new DiskReserve({
    dir,
    bytes: more.bytes ?? 2 * MIB,
    schedule: timers.schedule,
    files: { ...reserveFiles, ...more.files },
  });
  return { made, dir, path: join(dir, 'reserve'), tick: timers.run };
}

/** What goes on behind the caller takes real writes to a real disk. */
async function until(what: () => boolean): Promise<void> {
  while (!what()) await new Promise((resolve) => setTimeout(resolve, 2));
}

describe('the reserve', () => {
  it('[GW-DISK-RESERVE] holds real blocks, which no compression gives away, and is found again', async () => {
    const { made, path, dir } = reserve();
    made.open();
    await until(() => made.state.held > 0);
    await made.close();
    const { size, blocks, mode } = statSync(path);
    expect([size, blocks * 512 >= size, mode & 0o777]).toEqual([2 * MIB, true, 0o600]);
    expect(new Set(readFileSync(path)).size).toBeGreaterThan(200);
    const next = reserve({ dir, files: { grow: () => Promise.reject(new Error('not needed')) } });
    next.made.open();
    expect(next.made.state).toEqual({ bytes: 2 * MIB, held: 2 * MIB, spent: false });
    await next.made.close();
  });

  it('a file that only looks as long is made whole', async () => {
    const { made, path } = reserve();
    writeFileSync(path, '');
    truncateSync(path, 2 * MIB);
    made.open();
    expect(made.state.held).toBe(0);
    await until(() => made.state.held === 2 * MIB);
    expect(statSync(path).blocks * 512).toBeGreaterThanOrEqual(2 * MIB);
    await made.close();
  });

  it('[GW-DISK-RESERVE] goes slice by slice, and nothing new may begin until it is whole again', async () => {
    let free = 100 * MIB;
    const { made, path, tick } = reserve({ files: { free: () => free } });
    made.open();
    await until(() => made.state.held > 0);
    expect(made.relieve(new Error('EIO: i/o error'))).toBe(false);
    expect(made.spent).toBe(false);
    for (let left = 7; left >= 1; left -= 1) {
      expect(made.relieve(FULL)).toBe(true);
      expect(statSync(path).size).toBe((left * MIB) / 4);
    }
    expect(made.relieve(FULL)).toBe(true);
    expect(existsSync(path)).toBe(false);
    expect(made.relieve(FULL)).toBe(false);
    expect(made.state).toMatchObject({
      held: 0,
      spent: true,
      problem: expect.stringContaining('4.0 MiB must be free'),
    });
    free = 4 * MIB - 1;
    tick();
    expect(made.spent).toBe(true);
    free = 4 * MIB;
    tick();
    await until(() => !made.spent);
    expect(made.state).toEqual({ bytes: 2 * MIB, held: 2 * MIB, spent: false });
    await made.close();
  });

  it('goes at a short write, too, which names no cause', async () => {
    const { made } = reserve();
    made.open();
    await until(() => made.state.held > 0);
    expect(made.relieve(Object.assign(new Error('only 3 of 9 bytes'), { short: true }))).toBe(true);
    expect(made.relieve(Object.assign(new Error('EDQUOT: quota'), { code: 'EDQUOT' }))).toBe(true);
    expect(made.relieve(Object.assign(new Error('EIO: i/o error'), { code: 'EIO' }))).toBe(false);
    await made.close();
  });

  it('says why it could not be made, leaves no part of it behind, and tries again', async () => {
    let fault = true;
    const { made, path, tick } = reserve({
      files: {
        grow: async (at, from, bytes, wanted) => {
          await reserveFiles.grow(at, from, fault ? bytes / 2 : bytes, wanted);
          if (fault) throw FULL;
        },
      },
    });
    made.open();
    await until(() => made.state.problem !== undefined);
    expect(made.state).toMatchObject({ held: 0, spent: false, problem: FULL.message });
    expect(existsSync(path)).toBe(false);
    fault = false;
    tick();
    await until(() => made.state.held > 0);
    expect(made.state.problem).toBeUndefined();
    await made.close();
  });

  it('let go while it is being made, stays gone', async () => {
    let go = (): void => {};
    const { made, path } = reserve({
      files: {
        grow: async (at, from, bytes, wanted) => {
          await new Promise<void>((resolve) => {
            go = resolve;
          });
          await reserveFiles.grow(at, from, bytes, wanted);
        },
      },
    });
    made.open();
    expect(made.relieve(FULL)).toBe(false);
    go();
    await made.close();
    expect(made.state).toMatchObject({ held: 0, spent: true });
    expect(existsSync(path)).toBe(false);
  });

  it('is as large as is set now, not as it was set once', async () => {
    const { made, path, dir } = reserve();
    made.open();
    await until(() => made.state.held > 0);
    await made.close();
    const smaller = reserve({ dir, bytes: MIB });
    smaller.made.open();
    expect([smaller.made.state.held, statSync(path).size]).toEqual([MIB, MIB]);
    reserve({ dir, bytes: 0 }).made.open();
    expect(existsSync(path)).toBe(false);
  });

  it('of no bytes does nothing', async () => {
    const { made, path } = reserve({ bytes: 0 });
    made.open();
    expect(made.relieve(FULL)).toBe(false);
    expect(made.spent).toBe(false);
    await made.close();
    expect(existsSync(path)).toBe(false);
  });
});
