// A disk that is really full: a small file system of its own, mounted for the test.
import { execFileSync } from 'node:child_process';
import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmSync,
  statfsSync,
  statSync,
  writeSync,
} from 'node:fs';
import type { ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { verifyAuditLog } from '@gatehouse/verify';
import { describe, expect, it, onTestFinished } from 'vitest';
import { Harness } from './harness.ts';

const MIB = 1024 ** 2;

/** A tmpfs, or an ext4 in a file; undefined where this user may not mount. */
function smallDisk(kind: 'tmpfs' | 'ext4', bytes: number): string | undefined {
  const dir = mkdtempSync(join(tmpdir(), 'gatehouse-disk-'));
  const image = `${dir}.img`;
  const run = (command: string, ...args: string[]): void => void execFileSync(command, args, { stdio: 'pipe' });
  try {
    if (kind === 'tmpfs') run('mount', '-t', 'tmpfs', '-o', `size=${bytes}`, 'tmpfs', dir);
    else {
      run('truncate', '-s', String(bytes), image);
      run('mkfs.ext4', '-q', '-m', '0', image);
      run('mount', '-o', 'loop', image, dir);
    }
  } catch {
    rmSync(dir, { recursive: true });
    rmSync(image, { force: true });
    return undefined;
  }
  onTestFinished(() => {
    run('umount', '-l', dir);
    rmSync(dir, { recursive: true });
    rmSync(image, { force: true });
  });
  return dir;
}

/** Another program that takes every byte that it can get. */
function fill(path: string): void {
  const fd = openSync(path, 'a');
  try {
    for (let chunk = Buffer.alloc(MIB, 1); chunk.length > 0; ) {
      try {
        if (writeSync(fd, chunk) < chunk.length) chunk = chunk.subarray(0, chunk.length >> 1);
      } catch {
        chunk = chunk.subarray(0, chunk.length >> 1);
      }
    }
  } finally {
    closeSync(fd);
  }
}

async function until(what: () => boolean | Promise<boolean>): Promise<void> {
  for (const end = Date.now() + 20_000; !(await what()); ) {
    if (Date.now() > end) throw new Error('it did not come to that in 20 s');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const TOOLS = [
  { name: 'read_it', inputSchema: { type: 'object' } },
  { name: 'hold_it', inputSchema: { type: 'object' } },
];

describe.each(['tmpfs', 'ext4'] as const)('a full disk (%s)', (kind) => {
  it('[GW-DISK-RESERVE, P3] denies what is new, keeps the outcomes of what is under way, and goes on when there is room', async (test) => {
    const disk = smallDisk(kind, 32 * MIB);
    if (disk === undefined) test.skip(`this user may not mount ${kind}`);
    const dir = join(disk!, 'data');
    const harness = await Harness.open({ dir, flags: { 'audit.reserve': '4 MiB' } });
    const { audit } = harness.gateway;
    const held: ServerResponse[] = [];
    const upstream = await harness.record('rec', {
      tools: TOOLS,
      intercept: (request, response) => {
        if ((request.message?.params as { name?: string } | undefined)?.name !== 'hold_it') return false;
        held.push(response);
        return true;
      },
    });
    const policy = { version: '1', default: 'deny', tools: { read_it: {}, hold_it: {} } };
    const { token } = await harness.grant('rec', policy);
    const client = harness.client('rec', token);
    await client.initialize();
    await until(() => audit.stats().reserve.held === 4 * MIB);
    const waiting = Array.from({ length: 20 }, () => client.call('hold_it'));
    await until(() => held.length === 20);

    const filler = join(disk!, 'filler');
    fill(filler);
    let denied = 0;
    for (let i = 0; i < 4_000 && denied === 0; i += 1) {
      const { message } = await client.call('read_it');
      if (message?.result?.isError === true || message?.error !== undefined) denied += 1;
    }
    expect(denied).toBe(1);
    expect(audit.stats().reserve).toMatchObject({ spent: true });
    fill(filler);
    const before = upstream.calls().length;
    const refused = await client.call('read_it');
    expect(refused.text).toContain('audit log cannot be written');
    expect(upstream.calls()).toHaveLength(before);
    const ready = await fetch(`${harness.base}readyz`);
    expect([ready.status, await ready.text()]).toEqual([503, expect.stringContaining('is full; ')]);
    expect(await (await fetch(`${harness.base}metrics`)).text()).toMatch(/gatehouse_audit_writable 0\n/);

    // The calls under way end, and their outcomes are stored though nobody made room.
    for (const [id, response] of held.entries()) {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ jsonrpc: '2.0', id: id + 2, result: { content: [] } }));
    }
    await Promise.all(waiting);
    await until(() => audit.stats().queueDepth === 0);
    expect(audit.stats().dropped).toBe(0);
    expect(statSync(filler).size).toBeGreaterThan(8 * MIB);

    rmSync(filler);
    await until(() => audit.writable);
    expect((await client.call('read_it')).message?.result?.isError).not.toBe(true);
    expect(audit.stats().reserve).toMatchObject({ held: 4 * MIB, spent: false });
    await harness.gateway.close();
    const report = await verifyAuditLog({ dir: join(dir, 'audit'), publicKeys: [{ publicKey: audit.publicKey() }] });
    expect(report).toMatchObject({ ok: true, unproven: 0, intentsWithoutOutcome: { count: 0 } });
    expect(report.chains.every((chain) => chain.stopped)).toBe(true);
    await harness.close();
  });

  it('[GW-DISK-RESERVE] a gateway that stops while the disk is full stores its stop record and a head', async (test) => {
    const disk = smallDisk(kind, 32 * MIB);
    if (disk === undefined) test.skip(`this user may not mount ${kind}`);
    const dir = join(disk!, 'data');
    const harness = await Harness.open({ dir, flags: { 'audit.reserve': '2 MiB' } });
    const { audit } = harness.gateway;
    await until(() => audit.stats().reserve.held === 2 * MIB);
    fill(join(disk!, 'filler'));
    expect(statfsSync(disk!).bavail).toBeLessThan(16);
    // The last block of a file has room beyond the end of the disk's.
    for (let i = 0; i < 1_000 && audit.writable; i += 1) {
      await audit.append({ kind: 'decision', requestId: `r${i}` }, 'process').catch(() => undefined);
    }
    expect(audit.writable).toBe(false);
    await harness.gateway.close();
    const report = await verifyAuditLog({ dir: join(dir, 'audit'), publicKeys: [{ publicKey: audit.publicKey() }] });
    expect(report).toMatchObject({ ok: true, unproven: 0 });
    expect(report.chains.map((chain) => chain.stopped)).toEqual([true, true]);
    expect(existsSync(join(dir, 'audit', 'calls'))).toBe(true);
    expect(readdirSync(join(dir, 'audit', 'calls')).length).toBeGreaterThan(0);
    await harness.close();
  });
});
