import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { GatehouseError } from '../errors.ts';
import { EPOCH_FILE } from './epoch.ts';
import { charge, World } from './testing.ts';

const one = charge('a', 1, 1, 'day');

async function usedTwice(): Promise<World> {
  const world = new World();
  await world.start();
  await world.stop();
  world.now += 1000;
  await world.start();
  expect(await world.call([one], 'answered')).toBe(true);
  await world.stop();
  return world;
}

async function refusal(world: World): Promise<GatehouseError> {
  const before = readdirSync(world.auditDir, { recursive: true });
  const error = await world.start().then(
    () => {
      throw new Error('it started');
    },
    (thrown: GatehouseError) => thrown,
  );
  expect(readdirSync(world.auditDir, { recursive: true })).toEqual(before);
  return error;
}

describe('[LIM-EPOCH] a data folder whose log lost its memory', () => {
  it('does not start with limits at zero, says what is missing, and starts once told to', async () => {
    const world = await usedTwice();
    rmSync(join(world.auditDir, 'calls'), { recursive: true });
    const error = await refusal(world);
    expect(error).toMatchObject({ name: 'GatehouseError', code: 'audit_lost' });
    for (const named of [world.auditDir, join(world.dir, EPOCH_FILE), 'Put the folder back', 'delete']) {
      expect(error.message).toContain(named);
    }
    rmSync(join(world.dir, EPOCH_FILE));
    await world.start();
    expect(await world.call([one], 'answered')).toBe(true);
    await world.stop();
    await world.start();
    await world.stop();
  });

  it('misses the last chain alone too, and no older one', async () => {
    const world = await usedTwice();
    const [older, newest] = world.segments() as [string, string];
    const kept = readFileSync(world.path(newest));
    rmSync(world.path(newest));
    expect((await refusal(world)).code).toBe('audit_lost');
    writeFileSync(world.path(newest), kept);
    rmSync(world.path(older));
    await world.start();
    expect(await world.call([one], 'answered')).toBe(false);
    await world.stop();
  });

  it('cannot be told from a whole one where the mark is damaged', async () => {
    const world = await usedTwice();
    const path = join(world.dir, EPOCH_FILE);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    for (const text of ['', '{"writer":1}', 'x']) {
      writeFileSync(path, text);
      const error = await refusal(world);
      expect([error.code, error.message]).toEqual(['audit_lost', expect.stringContaining(`${path} is damaged`)]);
    }
  });
});
