// A log that cannot be written while the gateway runs (a disk gone read-only, a sync that fails), and a store that cannot:
// calls are denied in the first case and go on in the second, and both say so.
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { RecordingUpstream } from '@gatehouse/testkit';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { nodeFiles, type SegmentFiles } from '../src/audit/segments.ts';
import { STORE_FILE } from '../src/store/files.ts';
import { ADMIN, Harness, type RawClient } from './harness.ts';

/** What fails; changed by a test while the gateway runs. */
const fault = { readOnly: false, sync: false };

function refuse(when: boolean, code: string, message: string): void {
  if (when) throw Object.assign(new Error(`${code}: ${message}`), { code });
}

const auditFiles: Partial<SegmentFiles> = {
  create(path) {
    refuse(fault.readOnly, 'EROFS', 'read-only file system');
    return nodeFiles.create(path);
  },
  write(fd, data) {
    refuse(fault.readOnly, 'EROFS', 'read-only file system');
    return nodeFiles.write(fd, data);
  },
  sync(fd, done) {
    if (fault.sync) setImmediate(() => done(new Error('EIO: i/o error, fsync')));
    else nodeFiles.sync(fd, done);
  },
  syncNow(fd) {
    refuse(fault.sync, 'EIO', 'i/o error, fsync');
    nodeFiles.syncNow(fd);
  },
};

const POLICY = {
  version: '1',
  default: 'allow',
  all_tools: { limits: [{ counter: 'c', window: 'hour', max: 1_000 }] },
};

let harness: Harness;
let upstream: RecordingUpstream;
let client: RawClient;

beforeEach(async () => {
  fault.readOnly = false;
  fault.sync = false;
  harness = await Harness.open({ auditFiles });
  const tools = ['get_a', 'send_a'].map((name) => ({ name, inputSchema: { type: 'object' } }));
  upstream = await harness.record('up', { tools });
  const { token } = await harness.grant('up', POLICY);
  client = harness.client('up', token);
  await client.initialize();
  upstream.forget();
});
afterEach(async () => {
  fault.readOnly = false;
  fault.sync = false;
  await harness.close();
});

async function readiness(): Promise<[number, string]> {
  const response = await fetch(`${harness.base}readyz`);
  return [response.status, await response.text()];
}

async function untilReady(): Promise<void> {
  while ((await readiness())[0] !== 200) await new Promise((resolve) => setTimeout(resolve, 20));
}

const held = (): number => {
  const { reserved, released } = harness.gateway.gate.counters.stats();
  return reserved - released;
};

describe('while the gateway runs', () => {
  it('[P3, GW-HEALTH] a disk that goes read-only: nothing is executed, nothing stays reserved, and it comes back by itself', async () => {
    fault.readOnly = true;
    for (const tool of ['get_a', 'send_a', 'get_a']) {
      const answer = await client.call(tool);
      expect([answer.status, answer.message?.error?.code]).toEqual([503, -32012]);
      expect(answer.message?.error?.message).toContain('audit log');
    }
    expect(upstream.requests).toHaveLength(0);
    expect(held()).toBe(0);
    expect(await readiness()).toEqual([503, expect.stringContaining('read-only file system')]);
    await expect(harness.gateway.services.identities.create({ name: 'new' }, ADMIN)).rejects.toMatchObject({
      code: 'audit_unavailable',
    });
    expect(harness.gateway.services.identities.list().map(({ name }) => name)).not.toContain('new');

    fault.readOnly = false;
    await untilReady();
    expect((await client.call('send_a')).status).toBe(200);
    expect(upstream.calls()).toHaveLength(1);
    expect((await harness.gateway.audit.verify()).ok).toBe(true);
  });

  it('[P3, AUD-SHORT] a sync that fails: what may act is not executed, and the log goes on in a new segment', async () => {
    fault.sync = true;
    const answer = await client.call('send_a');
    expect([answer.status, answer.message?.error?.code]).toEqual([503, -32012]);
    expect(upstream.calls()).toHaveLength(0);
    expect(held()).toBe(0);
    expect(await readiness()).toEqual([503, expect.stringContaining('fsync')]);
    fault.sync = false;
    await untilReady();
    expect((await client.call('send_a')).status).toBe(200);
    expect(upstream.calls()).toHaveLength(1);
    expect((await harness.gateway.audit.verify()).ok).toBe(true);
  });
});

describe('a store that does not take changes', () => {
  it('[GW-STORE-DOWN] calls go on from memory, changes are refused, and nothing of them holds', async () => {
    const other = new DatabaseSync(join(harness.dir, STORE_FILE), { timeout: 0 });
    other.exec('BEGIN IMMEDIATE');
    try {
      const change = harness.gateway.services.policies.put(
        'up',
        'p-ana',
        { version: '1', default: 'deny' },
        undefined,
        ADMIN,
      );
      await expect(change).rejects.toMatchObject({ code: 'store_unavailable' });
      expect((await client.call('send_a')).status).toBe(200);
      expect((await client.call('get_a')).status).toBe(200);
      expect(upstream.calls()).toHaveLength(2);
      expect((await readiness())[0]).toBe(200);
      expect(harness.gateway.services.policies.get('up', 'p-ana').version).toBe(1);
    } finally {
      other.exec('ROLLBACK');
      other.close();
    }
    await harness.gateway.services.policies.put('up', 'p-ana', { version: '1', default: 'deny' }, undefined, ADMIN);
    expect((await client.call('get_a')).message?.result?.isError).toBe(true);
  });
});
