// Faults of the log that are made by really doing it, to a log that is being written.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, cpSync, mkdirSync, renameSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { verifyAuditLog } from '@gatehouse/verify';
import { describe, expect, it, onTestFinished } from 'vitest';
import { listSegments } from './segments.ts';
import { intent, testFolder, testLog } from './testing.ts';

/** Longer than the log goes without looking whether its file is still there. */
const LOOKED_MS = 120;

const verified = (dir: string, publicKey: string) => verifyAuditLog({ dir, publicKeys: [{ publicKey }] });

describe('a log whose files go away under it', () => {
  it('[AUD-GONE] the folder deleted: no call passes until there is one again, and what is missing is found', async () => {
    const { log, dir, tick } = await testLog();
    await log.append(intent('lost'), 'power');
    rmSync(join(dir, 'calls'), { recursive: true });
    // Above read, the sync asks at once.
    await expect(log.append(intent('a'), 'power')).rejects.toThrow('was deleted or moved away');
    await expect(log.append(intent('b'), 'process')).rejects.toThrow('cannot be written');
    tick();
    expect(log.writable).toBe(false);
    expect(log.lastError).toContain('ENOENT');
    mkdirSync(join(dir, 'calls'));
    tick();
    expect(log.writable).toBe(true);
    await log.append(intent('kept'), 'power');
    await log.close();
    const report = await verified(dir, log.publicKey());
    expect(report.problems.map(({ code, stream }) => [code, stream])).toEqual([
      ['missing_segment', 'calls'],
      ...(report.problems.length > 1 ? [['reference_mismatch', 'calls']] : []),
    ]);
  });

  it('[AUD-GONE] records of the class read are not written to a deleted file for long', async () => {
    const { log, dir } = await testLog();
    await log.append(intent('a'), 'process');
    unlinkSync(listSegments(dir, 'calls')[0]!.path);
    await sleep(LOOKED_MS);
    await expect(log.append(intent('b'), 'process')).rejects.toThrow('was deleted or moved away');
    await log.close().catch(() => undefined);
  });

  it('[AUD-GONE] the folder moved away: denied; moved back: it goes on, and nothing is missing', async () => {
    const { log, dir, tick } = await testLog();
    await log.append(intent('a'), 'process');
    renameSync(join(dir, 'calls'), join(dir, 'elsewhere'));
    await sleep(LOOKED_MS);
    await expect(log.append(intent('b'), 'process')).rejects.toThrow('was deleted or moved away');
    renameSync(join(dir, 'elsewhere'), join(dir, 'calls'));
    tick();
    expect(log.writable).toBe(true);
    await log.append(intent('c'), 'power');
    await log.close();
    expect(await verified(dir, log.publicKey())).toMatchObject({ ok: true, unproven: 0 });
  });

  it('[AUD-GONE] a copy put in its place is not the file that is written', async () => {
    const { log, dir } = await testLog();
    await log.append(intent('a'), 'process');
    cpSync(join(dir, 'calls'), join(dir, 'copy'), { recursive: true });
    rmSync(join(dir, 'calls'), { recursive: true });
    renameSync(join(dir, 'copy'), join(dir, 'calls'));
    await expect(log.append(intent('b'), 'power')).rejects.toThrow('was deleted or moved away');
    await log.close();
  });
});

/** Appends records until it is told to end, and says how each went; segments are short. */
const CHILD = `
const { openAuditLog } = await import(process.env.LOG_MODULE);
const log = await openAuditLog({ dir: process.env.LOG_DIR, clock: Date.now, hmacKey: Buffer.alloc(32, 7),
  signingSeed: Buffer.alloc(32, 9), keyId: 'test-key', maxSegmentBytes: 4000 });
let ends = false;
process.stdin.on('data', () => { ends = true; });
for (let i = 0; !ends; i += 1) {
  const said = await log.append({ kind: 'intent', requestId: 'r' + i }, i % 2 ? 'power' : 'process').then(
    () => 'ok r' + i, (error) => 'no ' + error.message);
  process.stdout.write(said + '\\n');
  await new Promise((resolve) => setTimeout(resolve, 5));
}
await log.close();
process.stdout.write('closed ' + log.publicKey().replaceAll('\\n', '|') + '\\n');
process.exit(0);
`;

it('[AUD-GONE, P3] the folder made read-only under a running log: denied at the next segment, on again when it may be written', async (test) => {
  const isRoot = process.getuid?.() === 0;
  if (process.platform === 'win32') test.skip('modes of folders do not stop anybody here');
  const dir = testFolder();
  const folder = join(dir, 'calls');
  // Modes do not hold for root: the log runs as somebody else.
  if (isRoot) chmodSync(dir, 0o777);
  const child = spawn(process.execPath, ['--input-type=module', '-e', CHILD], {
    env: { ...process.env, LOG_DIR: dir, LOG_MODULE: new URL('./log.ts', import.meta.url).href, NODE_NO_WARNINGS: '1' },
    stdio: ['pipe', 'pipe', 'inherit'],
    ...(isRoot ? { uid: 65_534, gid: 65_534 } : {}),
  });
  onTestFinished(() => {
    child.kill('SIGKILL');
  });
  const said: string[] = [];
  const lines = createInterface({ input: child.stdout });
  lines.on('line', (line) => said.push(line));
  const next = async (what: RegExp): Promise<void> => {
    const from = said.length;
    while (!said.slice(from).some((line) => what.test(line))) {
      if (child.exitCode !== null) throw new Error(`the child ended: ${said.at(-1)}`);
      await sleep(5);
    }
  };
  await next(/^ok/);
  chmodSync(folder, 0o500);
  await next(/^no .*cannot be written: EACCES/);
  await sleep(200);
  expect(said.at(-1)).toMatch(/^no/);
  chmodSync(folder, 0o700);
  await next(/^ok/);
  child.stdin.write('end\n');
  await once(lines, 'close');
  const [, key] = /^closed (.*)$/.exec(said.at(-1)!)!;
  const report = await verified(dir, key!.replaceAll('|', '\n'));
  expect(report).toMatchObject({ ok: true, unproven: 0 });
  // All that was acknowledged, with `start`, `stop` and heads beside; refused records may stand there, unacknowledged.
  expect(report.intentsWithoutOutcome.count).toBeGreaterThanOrEqual(
    said.filter((line) => line.startsWith('ok')).length,
  );
});

it('[P3, AUD-SHORT] a disk that takes records and cannot keep them: the sync fails, the call is denied, a new segment goes on', async (test) => {
  const dir = testFolder();
  const [below, above] = [join(dir, 'below'), join(dir, 'above')];
  const run = (command: string, ...args: string[]): void => void execFileSync(command, args, { stdio: 'pipe' });
  mkdirSync(below);
  mkdirSync(above);
  // A file system that promises 64 MiB in a file that can have 12: what is written beyond is lost when it is synced.
  try {
    run('mount', '-t', 'tmpfs', '-o', 'size=12m', 'tmpfs', below);
    onTestFinished(() => run('umount', '-l', below));
    run('truncate', '-s', '64m', join(below, 'image'));
    run('mkfs.ext4', '-q', '-O', '^has_journal', join(below, 'image'));
    run('mount', '-o', 'loop', join(below, 'image'), above);
    onTestFinished(() => run('umount', '-l', above));
  } catch (error) {
    test.skip(`this user may not mount: ${(error as Error).message}`);
  }
  const { log, dir: logDir, tick } = await testLog({ dir: join(above, 'log') });
  await log.append(intent('a'), 'power');
  try {
    for (let i = 0; ; i += 1) writeFileSync(join(below, `filler${i}`), Buffer.alloc(i < 20 ? 1024 ** 2 : 4096));
  } catch {
    // The tmpfs is full now, which the file system in it does not know.
  }
  let refusal: Error | undefined;
  for (let i = 0; i < 2_000 && refusal === undefined; i += 1) {
    await log.append(intent(`b${i}`), 'power').catch((error: Error) => {
      refusal = error;
    });
  }
  expect(refusal?.message).toMatch(/cannot be synced: (EIO|ENOSPC)/);
  expect(log.writable).toBe(false);
  for (let i = 0; i <= 20; i += 1) rmSync(join(below, `filler${i}`), { force: true });
  for (let i = 0; i < 20 && !log.writable; i += 1) tick();
  expect(log.writable).toBe(true);
  await log.append(intent('c'), 'power');
  await log.close();
  expect(listSegments(logDir, 'calls').length).toBeGreaterThan(1);
  expect(await verified(logDir, log.publicKey())).toMatchObject({ ok: true, unproven: 0 });
});
