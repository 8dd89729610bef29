// A backup taken under load, restored elsewhere, verifies and serves; and everything that must refuse to be one.
import { hash, randomBytes } from 'node:crypto';
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { RecordingUpstream } from '@gatehouse/testkit';
import { verifyAuditLog } from '@gatehouse/verify';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { headSigner } from '../src/audit/chain.ts';
import { openAuditLog } from '../src/audit/log.ts';
import { recordsOf } from '../src/audit/testing.ts';
import { createBackup } from '../src/backup/create.ts';
import { readManifest, signManifest } from '../src/backup/manifest.ts';
import { refusal } from '../src/control/testing.ts';
import {
  type BackupJob,
  type Gateway,
  loadSettings,
  openGateway,
  type RestoreOptions,
  resetKey,
  restoreBackup,
  type Settings,
} from '../src/index.ts';
import { deriveKeys } from '../src/keys.ts';
import { ADMIN, RawClient, SECRET_KEY } from './harness.ts';

const env = { GATEHOUSE_SECRET_KEY: SECRET_KEY };
const OTHER_ENV = { GATEHOUSE_SECRET_KEY: randomBytes(32).toString('hex') };
const KEYS = deriveKeys(Buffer.from(SECRET_KEY, 'hex'), 'test');
const SECRET = 'Bearer upstream-secret-77aa';
const MAX = 400;
const LIMITED = {
  version: '1',
  default: 'deny',
  tools: { echo: { limits: [{ counter: 'echo', window: 'day', max: MAX, scope: 'grant' }] } },
};

let folder: string;
let upstream: RecordingUpstream;
let gateway: Gateway;
let token: string;
let url: string;

function settingsOf(data: string): Settings {
  return loadSettings({ env: {}, flags: { data, port: 0, log_level: 'silent' } }).settings;
}

const data = () => join(folder, 'data');

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'gatehouse-backup-'));
  upstream = await RecordingUpstream.start({ tools: [{ name: 'echo', inputSchema: { type: 'object' } }] });
  gateway = await openGateway(settingsOf(data()), { env });
  const { services } = gateway;
  const transport = { kind: 'http', url: upstream.url } as const;
  const credentials = { kind: 'headers', values: { authorization: SECRET } } as const;
  await services.servers.create({ slug: 'rec', transport, credentials }, ADMIN);
  await gateway.readDefinitions('rec', { accept: true, actor: ADMIN });
  await services.policies.put('rec', 'p', LIMITED, undefined, ADMIN);
  token = (await services.grants.create({ server: 'rec', identity: 'ana', policy: 'p' }, ADMIN)).secret as string;
  url = (await gateway.listen()).proxyUrl('rec');
});

afterAll(async () => {
  await gateway.close();
  await upstream.close();
  rmSync(folder, { recursive: true, force: true });
});

async function api<T>(method: string, path: string, body?: unknown): Promise<{ status: number; body: T }> {
  const answer = await gateway.api.request(`/api/v1${path}`, {
    method,
    headers: { authorization: `Bearer ${gateway.adminToken}`, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: answer.status, body: (await answer.json()) as T };
}

async function backUp(dir: string): Promise<BackupJob> {
  const { status, body } = await api<BackupJob>('POST', '/backups', { dir });
  if (status !== 202) throw new Error(JSON.stringify(body));
  for (;;) {
    const job = (await api<BackupJob>('GET', `/backups/${body.id}`)).body;
    if (job.state !== 'running') return job;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

const restoring = (from: string, to: string, more: Partial<RestoreOptions> = {}): RestoreOptions => ({
  from,
  settings: settingsOf(to),
  env,
  actor: ADMIN,
  ...more,
});

const filesOf = (dir: string): string[] =>
  readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));

describe('a backup under load', () => {
  let dir: string;
  let job: BackupJob;
  let callsAtBackup: number;

  beforeAll(async () => {
    // What a run keeps is a part of the data: a log that is being written, and pins.
    const runLog = join(data(), 'run', 'audit');
    const run = await openAuditLog({
      dir: runLog,
      clock: Date.now,
      hmacKey: KEYS.bytes('audit-hmac'),
      signingSeed: KEYS.bytes('audit-signing'),
      keyId: KEYS.keyId,
      // Nothing follows the line that is cut off below, however slow the machine is.
      idleHeadMs: 3_600_000,
    });
    await run.append({ kind: 'decision', requestId: 'of-a-run' }, 'process');
    const [segment] = readdirSync(join(runLog, 'calls'));
    appendFileSync(join(runLog, 'calls', segment as string), '{"v":1,"torn');
    mkdirSync(join(data(), 'run', 'pins'));
    writeFileSync(join(data(), 'run', 'pins', 'one.json'), '{"tools":[]}');

    dir = join(folder, 'backup');
    let stop = false;
    const load = async (): Promise<void> => {
      const client = new RawClient(url, token);
      await client.initialize();
      while (!stop) await client.call('echo');
    };
    const changes = async (): Promise<void> => {
      for (let i = 0; !stop; i += 1) await gateway.services.identities.create({ name: `one-${i}` }, ADMIN);
    };
    const running = [load(), load(), load(), changes()];
    while (upstream.calls('echo').length < 60) await new Promise((resolve) => setTimeout(resolve, 5));
    job = await backUp(dir);
    stop = true;
    await Promise.all(running);
    callsAtBackup = recordsOf(join(dir, 'audit'), 'calls').filter(({ kind }) => kind === 'intent').length;
  });

  it('[CFG-BACKUP] has a manifest, heads, no key and no token, and only its owner may read it', () => {
    expect(job.problem).toBeUndefined();
    expect(job).toMatchObject({ state: 'done', report: { dir, keyId: KEYS.keyId } });
    expect(job.copied).toBe(job.bytes);
    expect(statSync(dir).mode & 0o777).toBe(0o700);
    const secrets = [SECRET_KEY, Buffer.from(SECRET_KEY, 'hex').toString('base64'), token, SECRET, gateway.adminToken];
    for (const file of filesOf(dir)) {
      expect(statSync(file).mode & 0o777, file).toBe(0o600);
      const text = readFileSync(file, 'latin1');
      for (const secret of secrets) expect(text.includes(secret), file).toBe(false);
    }
    expect(existsSync(join(dir, 'run', 'pins', 'one.json'))).toBe(true);
    expect(readdirSync(folder).filter((name) => name.includes('.partial-'))).toEqual([]);
  });

  it('[CFG-BACKUP] holds the record of every change that its store holds, and no other', () => {
    const store = new DatabaseSync(join(dir, 'gatehouse.db'), { readOnly: true });
    const names = store.prepare("select name from identities where name like 'one-%' order by rowid").all();
    store.close();
    const recorded = recordsOf(join(dir, 'audit'), 'admin').filter(
      ({ action, after }) => action === 'identity.create' && (after as { name: string }).name.startsWith('one-'),
    );
    expect(names.length).toBeGreaterThan(0);
    expect(recorded.map(({ after }) => (after as { name: string }).name)).toEqual(names.map(({ name }) => name));
    expect(recordsOf(join(dir, 'audit'), 'admin').map(({ action }) => action)).toContain('backup.create');
  });

  it('[CFG-BACKUP] verifies by itself, to its last record, and its heads hold against the log it was taken from', async () => {
    const publicKeys = [{ publicKey: gateway.audit.publicKey() }];
    expect(await verifyAuditLog({ dir: join(dir, 'audit'), publicKeys })).toMatchObject({ ok: true, unproven: 0 });
    for (const externalHead of job.report?.heads ?? []) {
      const report = await verifyAuditLog({ dir: join(data(), 'audit'), publicKeys, externalHead });
      expect(report).toMatchObject({ externalHeadHeld: true });
    }
    expect(job.report?.heads).toHaveLength(2);
  });

  it('[CFG-BACKUP] restored elsewhere it verifies and serves: same token, same credentials, and the limits go on', async () => {
    const elsewhere = join(folder, 'elsewhere');
    const report = await restoreBackup(restoring(dir, elsewhere));
    expect(report).toMatchObject({ restored: true, keyId: KEYS.keyId, problems: 0, files: job.report?.files });
    const second = await openGateway(settingsOf(elsewhere), { env });
    try {
      const verified = await second.audit.verify();
      expect(verified.problems).toEqual([]);
      expect((await second.audit.searchAdmin({ action: 'backup.restore' })).rows).toHaveLength(1);
      const client = new RawClient((await second.listen()).proxyUrl('rec'), token);
      await client.initialize();
      upstream.forget();
      let allowed = 0;
      for (let i = 0; i <= MAX; i += 1) {
        const answer = await client.call('echo');
        if (answer.message?.result?.isError === true) break;
        allowed += 1;
      }
      expect(callsAtBackup).toBeGreaterThan(0);
      expect(allowed).toBe(MAX - callsAtBackup);
      expect(upstream.calls('echo')).toHaveLength(allowed);
      expect(upstream.calls('echo')[0]?.headers.authorization).toBe(SECRET);
    } finally {
      await second.close();
    }
    expect(existsSync(join(elsewhere, 'run', 'pins', 'one.json'))).toBe(true);
    const run = await verifyAuditLog({ dir: join(elsewhere, 'run', 'audit'), publicKeys: [] });
    expect([run.ok, run.torn]).toEqual([true, []]);
  });

  it('[CFG-RESTORE] is checked without being restored', async () => {
    const nowhere = join(folder, 'nowhere');
    expect(await restoreBackup(restoring(dir, nowhere, { checkOnly: true }))).toMatchObject({ restored: false });
    expect(existsSync(nowhere)).toBe(false);
  });

  it('[CFG-RESTORE] refuses a place where a gateway runs, and one that is not empty', async () => {
    const running = await refusal(restoreBackup(restoring(dir, data())));
    expect([running.code, running.message]).toEqual([
      'store_locked',
      expect.stringContaining(`Process ${process.pid}`),
    ]);
    const taken = join(folder, 'taken');
    mkdirSync(taken);
    writeFileSync(join(taken, 'mine.txt'), '');
    const error = await refusal(restoreBackup(restoring(dir, taken)));
    expect([error.code, error.message]).toEqual(['conflict', expect.stringContaining('mine.txt')]);
    expect(readdirSync(taken)).toEqual(['mine.txt']);
  });

  it('[CFG-RESTORE] takes an empty folder, and one where a restore was cut off', async () => {
    const cut = join(folder, 'cut');
    mkdirSync(join(cut, '.restoring', 'audit'), { recursive: true });
    writeFileSync(join(cut, '.restoring', 'audit', 'half'), '');
    writeFileSync(join(cut, 'lock.db'), '');
    expect(await restoreBackup(restoring(dir, cut))).toMatchObject({ restored: true });
    expect(readdirSync(cut)).toEqual(expect.not.arrayContaining(['.restoring']));
  });

  it('[CFG-RESTORE] without its key says what is lost and what is not; then it is restored and the key reset', async () => {
    const lost = join(folder, 'lost');
    const error = await refusal(restoreBackup(restoring(dir, lost, { env: OTHER_ENV })));
    expect(error.code).toBe('key_missing');
    expect(error.message).toContain(`needs the secret key ${KEYS.keyId}`);
    expect(error.message).toMatch(/never holds the key.*limits’ counts.*--without-key.*lost for good/);
    const none = restoring(dir, lost, { env: { XDG_CONFIG_HOME: join(folder, 'no-config') } });
    expect((await refusal(restoreBackup(none))).message).toMatch(/there is none at hand/);
    expect(existsSync(lost)).toBe(false);
    await restoreBackup(restoring(dir, lost, { env: OTHER_ENV, withoutKey: true }));
    expect((await refusal(openGateway(settingsOf(lost), { env: OTHER_ENV }))).code).toBe('key_missing');
    await resetKey({ settings: settingsOf(lost), env: OTHER_ENV, actor: ADMIN });
    const second = await openGateway(settingsOf(lost), { env: OTHER_ENV });
    expect(second.services.grants.list()).toHaveLength(1);
    expect((await second.audit.verify()).problems).toEqual([]);
    await second.close();
  });

  describe('that was changed', () => {
    let copy: string;
    beforeEach(() => {
      copy = join(folder, 'copy');
      cpSync(dir, copy, { recursive: true });
    });
    afterEach(() => rmSync(copy, { recursive: true, force: true }));

    const segment = (stream: 'calls' | 'admin'): string => {
      const [name] = readdirSync(join(copy, 'audit', stream));
      return join(copy, 'audit', stream, name as string);
    };
    const manifest = (change: (value: Record<string, unknown>) => void): void => {
      const path = join(copy, 'manifest.json');
      const value = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;
      change(value);
      writeFileSync(path, JSON.stringify(value));
    };

    it.each<[string, () => void, RegExp]>([
      [
        'a record',
        () => writeFileSync(segment('calls'), readFileSync(segment('calls'), 'utf8').replace('ana', 'eve')),
        /is not as it was/,
      ],
      ['a segment is missing', () => rmSync(segment('admin')), /is missing/],
      [
        'a file more',
        () => writeFileSync(join(copy, 'audit', 'calls', 'x-000000000001.jsonl'), ''),
        /was not in the backup/,
      ],
      ['the store', () => appendFileSync(join(copy, 'gatehouse.db'), 'x'), /gatehouse\.db is not as it was/],
      [
        'the manifest',
        () => manifest((value) => (value.created = '2020-01-01T00:00:00.000Z')),
        /not signed by the key/,
      ],
      [
        'a path that leads out',
        () => manifest((value) => (value.files = [{ path: '../x', bytes: 0, sha256: '0'.repeat(64) }])),
        /is no manifest/,
      ],
      ['no JSON', () => writeFileSync(join(copy, 'manifest.json'), '{'), /is not JSON/],
    ])('[CFG-RESTORE] is refused: %s', async (_, change, message) => {
      change();
      const target = join(folder, 'refused');
      const error = await refusal(restoreBackup(restoring(copy, target)));
      expect(error.code).toBe('backup_invalid');
      expect(error.message).toMatch(message);
      expect(existsSync(target)).toBe(false);
    });

    it('[CFG-RESTORE] is refused: credentials that the key does not open, however well it is signed', async () => {
      const path = join(copy, 'gatehouse.db');
      const store = new DatabaseSync(path);
      store.exec("update credentials set wrapped_key = replace(wrapped_key, substr(wrapped_key, -9), 'AAAAAAAAA')");
      store.close();
      const { signature: _signature, ...made } = readManifest(copy);
      const bytes = readFileSync(path);
      const changed = { path: 'gatehouse.db', bytes: bytes.length, sha256: hash('sha256', bytes) };
      const files = made.files.map((file) => (file.path === changed.path ? changed : file));
      const signer = headSigner(KEYS.bytes('audit-signing'), KEYS.keyId);
      writeFileSync(join(copy, 'manifest.json'), JSON.stringify(signManifest({ ...made, files }, signer)));
      const error = await refusal(restoreBackup(restoring(copy, join(folder, 'refused'))));
      expect([error.code, error.message]).toEqual(['key_missing', expect.stringContaining('does not open')]);
      expect(existsSync(join(folder, 'refused'))).toBe(false);
    });

    it('[CFG-RESTORE] is refused: a newer format, and a folder that is no backup', async () => {
      manifest((value) => (value.format = 2));
      expect((await refusal(restoreBackup(restoring(copy, join(folder, 'refused'))))).code).toBe('store_newer');
      rmSync(join(copy, 'manifest.json'));
      expect((await refusal(restoreBackup(restoring(copy, join(folder, 'refused'))))).code).toBe('not_found');
    });
  });
});

describe('a backup that cannot be made', () => {
  const noPartial = () => expect(readdirSync(folder).filter((name) => name.includes('.partial-'))).toEqual([]);

  it('[CFG-BACKUP] refuses a folder that is not empty, a file, a relative path, and the data folder', async () => {
    const full = join(folder, 'full');
    mkdirSync(full);
    writeFileSync(join(full, 'x'), '');
    for (const [dir, status] of [
      [full, 409],
      [join(full, 'x'), 409],
      ['relative', 400],
      [join(data(), 'backup'), 400],
    ] as const) {
      const { status: found, body } = await api<{ detail: string }>('POST', '/backups', { dir });
      expect([dir, found]).toEqual([dir, status]);
      expect(body.detail).toMatch(/[Nn]ame|new or empty/);
    }
    expect(readdirSync(full)).toEqual(['x']);
    noPartial();
  });

  it('[CFG-BACKUP] goes into an empty folder', async () => {
    const dir = join(folder, 'empty');
    mkdirSync(dir);
    expect(await backUp(`${dir}/`)).toMatchObject({ state: 'done', dir });
    expect(statSync(dir).mode & 0o777).toBe(0o700);
  });

  it('[CFG-BACKUP] says that there is no room, leaves nothing, and records that it failed', async () => {
    const dir = join(folder, 'no-room');
    const source = {
      dataDir: data(),
      instanceId: gateway.instanceId,
      audit: gateway.audit,
      copyStore: () => Promise.reject(new Error('not reached')),
      ring: () => ({ current: KEYS, previous: [] }),
      clock: Date.now,
      freeBytes: async () => 1000,
    };
    const error = await refusal(createBackup(source, dir, ADMIN));
    expect([error.code, error.message]).toEqual(['backup_failed', expect.stringMatching(/no room.*bytes are needed/)]);
    expect(existsSync(dir)).toBe(false);
    noPartial();
    expect((await gateway.audit.searchAdmin({ action: 'backup.create.failed' })).rows).toHaveLength(1);
  });

  it('[CFG-BACKUP] says that the place cannot be written', async () => {
    writeFileSync(join(folder, 'a-file'), '');
    const job = await backUp(join(folder, 'a-file', 'backup')).catch((error: unknown) => String(error));
    expect(JSON.stringify(job)).toMatch(/not a directory|is a file|ENOTDIR/i);
    noPartial();
  });

  it('[CFG-BACKUP] is not made without its record', async () => {
    const { admin } = gateway.audit;
    gateway.audit.admin = async () => {
      throw new Error('the disk is full');
    };
    const job = await backUp(join(folder, 'unrecorded'));
    gateway.audit.admin = admin;
    expect(job.problem).toMatchObject({ code: 'audit_unavailable' });
    expect(existsSync(join(folder, 'unrecorded'))).toBe(false);
    noPartial();
  });
});
