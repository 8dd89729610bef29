// Counters in one file under processes that are killed while they count.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, expect, it } from 'vitest';
import { slotCharge, tempFolder, windowCharge } from './counters-testing.ts';
import { SqliteCounters } from './sqlite.ts';
import { thisMachine } from './store-time.ts';

/** Reserves without a pause until it is denied, and says each reservation once it is made. */
const CHILD = `
const { SqliteCounters } = await import(process.env.MODULES + 'sqlite.ts');
const { thisMachine } = await import(process.env.MODULES + 'store-time.ts');
const { windowCharge, slotCharge } = await import(process.env.MODULES + 'counters-testing.ts');
const { writeSync } = await import('node:fs');
const counters = new SqliteCounters({ path: process.env.FILE, machine: thisMachine(), clock: Date.now,
  recover: async () => ({ states: new Map(), openCalls: [] }) });
const max = Number(process.env.MAX);
const charges = [windowCharge('a', max, { windowSeconds: 86400 }), windowCharge('b', 2 * max, { windowSeconds: 86400, amount: 2 })];
for (let i = 0; ; i++) {
  const call = { id: process.pid + '-' + i, deadline: Date.now() + 600000 };
  const slot = i % 10 === 0 ? [slotCharge('s', max)] : [];
  const result = await counters.reserve([...charges, ...slot], Date.now(), call);
  if (!result.ok) break;
  writeSync(1, slot.length + '\\n');
  if (i % 20 === 0) await counters.free(result.receipt);
}
writeSync(1, 'end\\n');
process.exit(0);
`;

describe('processes that count in one file', () => {
  it('[P4, LIM-PROCESSES] lose nothing and let nothing more through when some of them are killed', async () => {
    const folder = tempFolder();
    const file = join(folder.path, 'counters.db');
    const max = 6_000;
    let reserved = 0;
    const modules = new URL('./', import.meta.url).href;
    const env = { ...process.env, FILE: file, MODULES: modules, MAX: String(max), NODE_NO_WARNINGS: '1' };
    const start = (killAfter: number): Promise<void> =>
      new Promise((resolve) => {
        const child = spawn(process.execPath, ['--input-type=module', '-e', CHILD], {
          env,
          stdio: ['ignore', 'pipe', 'inherit'],
        });
        let own = 0;
        const lines = createInterface({ input: child.stdout });
        lines.on('line', (line) => {
          if (line === 'end') return;
          own += 1;
          reserved += 1;
          if (own === killAfter) child.kill('SIGKILL');
        });
        lines.once('close', () => resolve());
      });
    const kills = [50, 333, 1_000];
    await Promise.all([...kills.map(start), start(Number.POSITIVE_INFINITY)]);
    // A reservation that was made and not told yet: at most one of each that was killed.
    expect(reserved).toBeLessThanOrEqual(max);
    expect(reserved).toBeGreaterThanOrEqual(max - kills.length);
    const after = new SqliteCounters({
      path: file,
      machine: thisMachine(),
      clock: Date.now,
      recover: () => Promise.reject(new Error('nothing was lost, so nothing is to be recovered')),
    });
    const hour = { windowSeconds: 86_400 };
    expect(await after.look([windowCharge('a', max, hour)], Date.now())).toMatchObject({ ok: false, used: max });
    expect(await after.look([windowCharge('b', 2 * max, hour)], Date.now())).toMatchObject({ used: 2 * max });
    expect(await after.look([slotCharge('s', 1)], Date.now())).toMatchObject({ ok: false });
    await after.close();
    folder.remove();
  });
});
