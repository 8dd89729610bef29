// Sessions that are opened and abandoned: memory, file descriptors and children stay bounded, and later calls pass.
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { type GatewayProcess, Rig } from './rig.ts';

const SESSIONS = 10_000;
const CHILD_SESSIONS = 200;
const MAX_CHILDREN = 4;
const AT_ONCE = 32;
/** One session in so many has its stream opened as well. */
const WITH_STREAM = 20;
const POLICIES = { ledger: { version: '1', default: 'allow' }, child: { version: '1', default: 'allow' } };
const INITIALIZE = { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'gone', version: '1' } };

let rig: Rig | undefined;
afterEach(async () => {
  await rig?.close();
  rig = undefined;
});

const megabytes = (gateway: GatewayProcess): number =>
  Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${gateway.child.pid}/status`, 'utf8'))?.[1]) / 1024;
const descriptors = (gateway: GatewayProcess): number => readdirSync(`/proc/${gateway.child.pid}/fd`).length;

async function inParallel(count: number, step: (index: number) => Promise<void>): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) await step(next++);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

describe('sessions that are opened and abandoned', () => {
  it(`[GW-ABANDONED, GW-STREAMS] ${SESSIONS} of an HTTP server: memory and descriptors are bounded`, {
    timeout: 180_000,
  }, async (context) => {
    if (process.platform !== 'linux') context.skip('memory and descriptors of a process are read from /proc');
    rig = await Rig.open({ policies: POLICIES });
    const gateway = await rig.start();
    const on = rig;
    const open = async (index: number): Promise<void> => {
      const opened = await on.post(gateway, 'ledger', { id: 1, method: 'initialize', params: INITIALIZE });
      expect([opened?.status, typeof opened?.session]).toEqual([200, 'string']);
      if (index % WITH_STREAM !== 0) return;
      expect(await on.listenAndLeave(gateway, 'ledger', opened?.session ?? '')).toBe(200);
    };
    // What a process takes once it has warmed up.
    await inParallel(1_000, open);
    const before = { megabytes: megabytes(gateway), descriptors: descriptors(gateway) };
    await inParallel(SESSIONS, open);
    await sleep(1_000);
    const after = { megabytes: megabytes(gateway), descriptors: descriptors(gateway) };
    expect(after.megabytes - before.megabytes).toBeLessThan(100);
    expect(after.descriptors - before.descriptors).toBeLessThan(2 * AT_ONCE);
    expect(await rig.call(gateway, 'ledger', 'send_free', 'later')).toBe('allowed');
    await gateway.end();
  });

  it(`[GW-ABANDONED, GW-CHILDREN] ${CHILD_SESSIONS} of a command: never more children than its settings say`, {
    timeout: 120_000,
  }, async () => {
    rig = await Rig.open({ policies: POLICIES, children: { max: MAX_CHILDREN, idleSeconds: 1 } });
    const gateway = await rig.start();
    const on = rig;
    const linux = process.platform === 'linux';
    const before = linux ? descriptors(gateway) : 0;
    let most = 0;
    let opened = 0;
    const refused = new Set<string>();
    await inParallel(CHILD_SESSIONS, async () => {
      const answer = await on.post(gateway, 'child', { id: 1, method: 'initialize', params: INITIALIZE });
      most = Math.max(most, on.leftovers().filter((line) => line.includes(' stdio ')).length);
      if (answer?.status === 200) opened += 1;
      else refused.add(answer?.text.replace(/Request .*/, '') ?? 'no answer');
    });
    expect(opened).toBeGreaterThanOrEqual(MAX_CHILDREN);
    expect(most).toBeLessThanOrEqual(MAX_CHILDREN);
    expect([...refused]).toEqual([expect.stringContaining('its limit. Try again later.')]);
    // The abandoned ones are ended when they were idle for long enough; then a session opens and a call passes.
    const began = performance.now();
    let session: string | undefined;
    while (session === undefined && performance.now() - began < 20_000) {
      session = (await rig.post(gateway, 'child', { id: 1, method: 'initialize', params: INITIALIZE }))?.session;
      if (session === undefined) await sleep(100);
    }
    expect(await rig.call(gateway, 'child', 'get_free', 'later', session)).toBe('allowed');
    // Connections of the callers that are kept alive, and the pipes of the children that still run.
    if (linux) expect(descriptors(gateway) - before).toBeLessThan(2 * AT_ONCE + 5 * MAX_CHILDREN);
    await gateway.end();
    expect(rig.leftovers()).toEqual([]);
  });
});
