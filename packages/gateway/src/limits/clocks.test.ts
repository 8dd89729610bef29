import { describe, expect, it } from 'vitest';
import { recoverLimits } from './recover.ts';
import { charge, World } from './testing.ts';

const turn = (): Promise<void> => new Promise(setImmediate);

describe('clocks over a restart', () => {
  const one = charge('a', 1, 1, 'sliding');

  it('[LIM-CLOCK] a step of the wall clock in the run before is no time passed, also if only a denial met it', async () => {
    const world = new World();
    await world.start();
    expect(await world.call([one], 'answered')).toBe(true);
    world.step += 7_200_000;
    expect(await world.call([one], 'answered')).toBe(false);
    await turn();
    world.die();
    world.now += 1000;
    await world.start();
    expect(await world.call([one], 'answered')).toBe(false);
    world.now += 608_999;
    expect(await world.call([one], 'answered')).toBe(false);
    world.now += 1;
    expect(await world.call([one], 'answered')).toBe(true);
    await world.stop();
  });

  it('[LIM-CLOCK] a clock that was set back while nothing ran has stood still: late, never early', async () => {
    const world = new World();
    await world.start();
    expect(await world.call([one], 'answered')).toBe(true);
    await world.stop();
    world.now += 30_000;
    world.step -= 86_400_000;
    await world.start();
    expect(await world.call([one], 'answered')).toBe(false);
    world.now += 599_999;
    expect(await world.call([one], 'answered')).toBe(false);
    world.now += 10_001;
    expect(await world.call([one], 'answered')).toBe(true);
    await world.stop();
  });

  it('[LIM-CLOCK] a calendar day that was left does not come again, also where the log forgot its counter', async () => {
    const day = charge('a', 2, 2, 'day');
    const world = new World();
    await world.start();
    expect(await world.call([day], 'answered')).toBe(true);
    world.step += 86_400_000;
    for (let i = 0; i < 20; i += 1) expect(await world.call([charge(`b${i}`, 1, 1, 60)], 'answered')).toBe(true);
    await turn();
    world.die();
    world.step -= 86_400_000;
    expect((await recoverLimits(world.auditDir, world.wall())).ledger.counters.has(day.key)).toBe(false);
    await world.start();
    // This counts for the day that had begun already.
    expect(await world.call([day], 'answered')).toBe(true);
    expect(await world.call([day], 'answered')).toBe(false);
    world.now += 86_400_000;
    expect(await world.call([day], 'answered')).toBe(false);
    world.now += 86_400_000;
    expect(await world.call([day], 'answered')).toBe(true);
    await world.stop();
  });

  it('[LIM-RESTART] the oldest slice that counts still counts', async () => {
    const two = charge('a', 2, 1, 'sliding');
    const world = new World();
    await world.start();
    expect(await world.call([two], 'answered')).toBe(true);
    world.now += 609_999;
    expect(await world.call([two], 'answered')).toBe(true);
    world.die();
    await world.start();
    expect(await world.call([two], 'answered')).toBe(false);
    world.now += 1;
    expect(await world.call([two], 'answered')).toBe(true);
    await world.stop();
  });
});
