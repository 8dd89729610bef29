// backup, restore and key, as far as they need no process
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { fakeApi, problem, run } from '../../test/harness.ts';
import { EXIT } from '../exit-codes.ts';

let folder: string;
let env: Record<string, string>;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'gatehouse-backup-cli-'));
  env = {
    XDG_CONFIG_HOME: join(folder, 'config'),
    GATEHOUSE_DATA: join(folder, 'data'),
    GATEHOUSE_LOG_LEVEL: 'silent',
  };
});
afterEach(() => rmSync(folder, { recursive: true }));

const JOB = { id: 'b1', dir: '/backup/a', state: 'running', bytes: 10, copied: 0 };
const REPORT = {
  dir: '/backup/a',
  created: '2026-05-01T12:00:00.000Z',
  files: 4,
  bytes: 99,
  keyId: 'aabbccdd',
  heads: [],
};

describe('backup', () => {
  it('waits for its end, and says which key it needs', async () => {
    let looks = 0;
    const api = await fakeApi({
      'POST /backups': { status: 202, body: JOB },
      'GET /backups/b1': () => {
        looks += 1;
        return { body: looks < 2 ? JOB : { ...JOB, state: 'done', report: REPORT } };
      },
    });
    const { code, stdout } = await api.run(['backup', '/backup/a']);
    expect([code, looks, api.seen[0]?.text]).toEqual([EXIT.ok, 2, '{"dir":"/backup/a"}']);
    expect(stdout).toMatch(/4 files, 99 bytes/);
    expect(stdout).toMatch(/secret key aabbccdd is needed. It is not in the backup/);
    expect(JSON.parse((await api.run(['backup', '/backup/a', '--json'])).stdout)).toEqual(REPORT);
    await api.close();
  });

  it('[CLI-EXIT] says why there is none, and takes only a whole path for another machine', async () => {
    const failed = { code: 'backup_failed', detail: 'No backup was made in /backup/a: there is no room.' };
    const api = await fakeApi({
      'POST /backups': { status: 202, body: { ...JOB, state: 'failed', problem: failed } },
    });
    const { code, stderr } = await api.run(['backup', '/backup/a']);
    expect([code, stderr]).toEqual([EXIT.error, expect.stringContaining(failed.detail)]);
    const relative = await api.run(['backup', 'a']);
    expect([relative.code, relative.stderr]).toEqual([EXIT.usage, expect.stringContaining('whole path')]);
    await api.close();
    const full = await fakeApi({ 'POST /backups': problem(409, 'conflict', '/backup/a is not empty.') });
    expect((await full.run(['backup', '/backup/a'])).code).toBe(EXIT.conflict);
    await full.close();
  });
});

describe('without a gateway', () => {
  it('[CFG-BACKUP] is made of the data folder, checked, restored, and opened with the same key', async () => {
    const add = ['server', 'add', 'rec', '--url', 'http://127.0.0.1:9/mcp', '--yes'];
    await run(add, { env });
    const backup = join(folder, 'backup');
    const made = await run(['backup', backup, '--json'], { env });
    expect([made.stderr, made.code]).toEqual(['', EXIT.ok]);
    expect(JSON.parse(made.stdout)).toMatchObject({ dir: backup });
    const checked = await run(['restore', backup, '--check'], { env });
    expect([checked.code, checked.stdout]).toEqual([EXIT.ok, expect.stringContaining('All digests and signatures')]);
    const data = join(folder, 'elsewhere');
    const restored = await run(['restore', backup, '--data', data], { env });
    expect([restored.code, restored.stdout]).toEqual([EXIT.ok, expect.stringContaining(`Restored into ${data}`)]);
    const listed = await run(['server', 'list', '--data', data, '--json'], { env });
    const verified = await run(['audit', 'verify', '--data', data], { env });
    expect([listed.code, verified.code]).toEqual([EXIT.ok, EXIT.ok]);
    expect((await run(['restore', backup, '--data', data], { env })).code).toBe(EXIT.conflict);
    writeFileSync(join(backup, 'gatehouse.db'), 'changed');
    expect((await run(['restore', backup, '--check'], { env })).code).toBe(EXIT.denied);
  });

  it('[CRED-REKEY] [KEY-RESET] the key is shown by its id, rotated, and given up', async () => {
    expect((await run(['key', 'reset', '--yes'], { env })).code).toBe(EXIT.notFound);
    await run(['server', 'add', 'rec', '--url', 'http://127.0.0.1:9/mcp', '--yes'], { env });
    const show = async () => JSON.parse((await run(['key', 'show', '--json'], { env })).stdout);
    const first = await show();
    expect(first).toEqual({ keyId: expect.stringMatching(/^[0-9a-f]{8}$/), source: expect.any(String), previous: [] });
    const rotated = await run(['key', 'rotate'], { env });
    expect(rotated.code).toBe(EXIT.ok);
    expect(rotated.stdout).toMatch(/The local admin token changed.*cannot be compared/);
    const second = await show();
    expect(second.previous).toEqual([expect.objectContaining({ keyId: first.keyId })]);
    const key = readFileSync(second.source, 'utf8').trim();
    expect((await run(['key', 'show'], { env })).stdout).not.toContain(key);
    const verified = await run(['audit', 'verify'], { env });
    expect([verified.code, verified.stdout]).toEqual([EXIT.ok, expect.stringContaining(`${first.keyId}: given`)]);

    const refused = await run(['key', 'reset', '--yes'], { env });
    expect([refused.code, refused.stderr]).toEqual([EXIT.conflict, expect.stringContaining('Nothing is lost')]);
    for (const file of [second.source, `${second.source}.previous`]) rmSync(file);
    const lost = await run(['server', 'list'], { env });
    expect([lost.code, lost.stderr]).toEqual([EXIT.error, expect.stringContaining('gatehouse key reset')]);
    expect((await run(['key', 'reset'], { env })).code).toBe(EXIT.usage);
    const reset = await run(['key', 'reset', '--yes'], { env });
    expect([reset.code, reset.stdout]).toEqual([EXIT.ok, expect.stringContaining(`${second.keyId} is given up`)]);
    expect((await run(['server', 'list'], { env })).code).toBe(EXIT.ok);
    expect((await run(['audit', 'verify'], { env })).code).toBe(EXIT.ok);
  });

  it('[CFG-SCHEMA] config schema prints the schema of a settings file', async () => {
    const { code, stdout } = await run(['config', 'schema']);
    expect([code, JSON.parse(stdout)]).toEqual([EXIT.ok, expect.objectContaining({ additionalProperties: false })]);
  });
});
