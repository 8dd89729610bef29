import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { refusal } from '../control/testing.ts';
import { openStore, type StoreOptions } from './open.ts';

const OPENER = `
  const { openStore } = await import(process.argv[1]);
  const { randomBytes } = await import('node:crypto');
  await openStore({ dataDir: process.argv[2], keyId: 'aabbccdd', clock: Date.now, random: randomBytes });
  process.stdout.write('open\\n');
  setInterval(() => {}, 1000);
`;

let dataDir: string;
let child: ChildProcess | undefined;
let options: StoreOptions;

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'gatehouse-lock-'));
  options = { dataDir, keyId: 'aabbccdd', clock: Date.now, random: randomBytes };
});

afterEach(() => {
  child?.kill('SIGKILL');
  rmSync(dataDir, { recursive: true, force: true });
});

describe('two processes on one data folder', () => {
  it('[STORE-LOCK] the second is refused with the process id of the first, and gets in once that is killed', async () => {
    const module = fileURLToPath(new URL('./open.ts', import.meta.url));
    child = spawn(process.execPath, ['--input-type=module', '-e', OPENER, module, dataDir], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(child.stdout as NonNullable<ChildProcess['stdout']>, 'data');
    const error = await refusal(openStore(options));
    expect(error.code).toBe('store_locked');
    expect(error.message).toContain(`Process ${child.pid} uses`);
    child.kill('SIGKILL');
    await once(child, 'exit');
    const store = await openStore(options);
    await store.close();
  });
});
