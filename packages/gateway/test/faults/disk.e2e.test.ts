// A full disk and a read-only one, for real: the data folder on a small file system of its own. Mounting needs root.
import { spawnSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Sandbox } from '@gatehouse/testkit';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type GatewayProcess, Rig, type Told } from './rig.ts';

const SIZE = '24m';
const CALLERS = 16;
/** Calls that a reserve of disk may let through before a full disk denies. */
const MAX_ON_RESERVE = 20_000;
const POLICIES = { ledger: { version: '1', default: 'allow' }, child: { version: '1', default: 'allow' } };

const mount = (...args: string[]): boolean => spawnSync('mount', args, { stdio: 'ignore' }).status === 0;
const isRoot = process.platform === 'linux' && process.getuid?.() === 0;

let place: Sandbox;
let folder: string;
let mounted = false;
let rig: Rig | undefined;

beforeEach(() => {
  place = new Sandbox();
  folder = place.path('disk');
  mkdirSync(folder);
  mounted = isRoot && mount('-t', 'tmpfs', '-o', `size=${SIZE},mode=700`, 'tmpfs', folder);
});
afterEach(async () => {
  await rig?.close();
  rig = undefined;
  if (mounted) spawnSync('umount', ['--lazy', folder]);
  await place.close();
});

/** Takes all the room that is left. */
function fill(name: string): void {
  const fd = openSync(join(folder, name), 'a');
  try {
    for (const size of [1 << 20, 1 << 12, 1]) {
      const block = Buffer.alloc(size);
      for (;;) if (writeSync(fd, block) < size) break;
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
  } finally {
    closeSync(fd);
  }
}

async function ready(gateway: GatewayProcess): Promise<{ status: number; text: string }> {
  const response = await fetch(`${gateway.base}readyz`);
  return { status: response.status, text: await response.text() };
}

/** Fills the disk until a call is not allowed any more; a reserve may let some through. */
async function untilFull(on: Rig, gateway: GatewayProcess, round: number): Promise<Told> {
  for (let number = 0; number < MAX_ON_RESERVE; number++) {
    fill(`filler-${round}`);
    const told = await on.call(gateway, 'ledger', 'get_free', `fill-${round}-${number}`);
    if (told !== 'allowed') return told;
  }
  throw new Error('calls pass on a full disk without end');
}

describe('a disk that is full', () => {
  it('[P3, GW-HEALTH, AUD-SHORT] denies calls, says why at /readyz, and lets them pass again when there is room', async (context) => {
    if (!mounted) context.skip('mounting a file system needs root');
    rig = await Rig.open({ policies: POLICIES, data: join(folder, 'data') });
    const gateway = await rig.start();
    const told = new Map<string, Told>();
    let stop = false;
    const on = rig;
    const callers = Array.from({ length: CALLERS }, async (_, index) => {
      for (let number = 0; !stop; number++) {
        const marker = `load-${index}-${number}`;
        told.set(marker, await on.call(gateway, 'ledger', index % 2 === 0 ? 'get_free' : 'send_free', marker));
        await sleep(5);
      }
    });
    for (let round = 0; round < 3; round++) {
      await sleep(100 + Math.random() * 200);
      expect(await untilFull(rig, gateway, round)).toBe('refused');
      const { status, text } = await ready(gateway);
      expect([status, text]).toEqual([503, expect.stringMatching(/audit log cannot be written.*(?:space|is full)/i)]);
      expect((await fetch(`${gateway.base}healthz`)).status).toBe(200);
      const executed = rig.executed().length;
      for (let number = 0; number < 50; number++) {
        expect(await rig.call(gateway, 'ledger', 'send_free', `full-${round}-${number}`)).toBe('refused');
      }
      expect(rig.executed()).toHaveLength(executed);

      rmSync(join(folder, `filler-${round}`));
      const began = performance.now();
      while ((await ready(gateway)).status !== 200) {
        if (performance.now() - began > 15_000) throw new Error((await ready(gateway)).text);
        await sleep(50);
      }
      expect(await rig.call(gateway, 'ledger', 'send_free', `room-${round}`)).toBe('allowed');
    }
    stop = true;
    await Promise.all(callers);
    await gateway.end();

    const intents = new Set(
      rig
        .records()
        .filter(({ kind }) => kind === 'intent')
        .map((one) => one.arguments?.digest),
    );
    const executed = rig.executed();
    expect(executed.length).toBeGreaterThan(50);
    expect(executed.filter(({ marker }) => !intents.has(on.digestOf(marker)))).toEqual([]);
    const ran = new Set(executed.map(({ marker }) => marker));
    expect([...told].filter(([marker, answer]) => answer === 'refused' && ran.has(marker))).toEqual([]);
    const verified = await rig.cli('audit', 'verify');
    expect([verified.code, verified.stdout]).toEqual([0, expect.stringMatching(/^INTACT/m)]);
  });

  it('[P3, GW-CLOSE] does not keep a gateway from stopping, nor the next from starting', async (context) => {
    if (!mounted) context.skip('mounting a file system needs root');
    rig = await Rig.open({ policies: POLICIES, data: join(folder, 'data') });
    const gateway = await rig.start();
    expect(await untilFull(rig, gateway, 0)).toBe('refused');
    await gateway.end();
    rmSync(join(folder, 'filler-0'));
    const next = await rig.start();
    expect(await rig.call(next, 'ledger', 'send_free', 'next')).toBe('allowed');
    await next.end();
    expect((await rig.cli('audit', 'verify')).code).toBe(0);
  });

  it('[P3] at start is a clear error, and nothing is spoilt by it', async (context) => {
    if (!mounted) context.skip('mounting a file system needs root');
    rig = await Rig.open({ policies: POLICIES, data: join(folder, 'data') });
    fill('filler');
    const failed = await rig.cli('serve', '--port', '0');
    expect(failed.code).toBeGreaterThan(0);
    expect(failed.stderr).toMatch(/data/);
    expect(failed.stderr).toMatch(/room|space|full/);
    rmSync(join(folder, 'filler'));
    const gateway = await rig.start();
    expect(await rig.call(gateway, 'ledger', 'send_free', 'again')).toBe('allowed');
    await gateway.end();
    expect((await rig.cli('audit', 'verify')).code).toBe(0);
  });
});

describe('a disk that is read-only', () => {
  it('[P3] at start is a clear error that names the folder', async (context) => {
    if (!mounted) context.skip('mounting a file system needs root');
    rig = await Rig.open({ policies: POLICIES, data: join(folder, 'data') });
    expect(mount('-o', 'remount,ro', folder)).toBe(true);
    const failed = await rig.cli('serve', '--port', '0');
    expect(failed.code).toBeGreaterThan(0);
    expect(failed.stderr).toContain(rig.data);
    expect(failed.stderr).toMatch(/read-?only|written|owner/i);
    expect(mount('-o', 'remount,rw', folder)).toBe(true);
    await (await rig.start()).end();
  });
});
