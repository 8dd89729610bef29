// The secret key changes while the gateway serves, and is lost: what goes on, what is told, what the log still proves.
import { randomBytes } from 'node:crypto';
import {
  copyFileSync,
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
import { RecordingUpstream } from '@gatehouse/testkit';
import { verifyAuditLog } from '@gatehouse/verify';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { headSigner } from '../src/audit/chain.ts';
import { recordsOf } from '../src/audit/testing.ts';
import { refusal } from '../src/control/testing.ts';
import { type Gateway, loadKeyRing, loadSettings, openGateway, resetKey, type Settings } from '../src/index.ts';
import { replaceKey } from '../src/key-ring.ts';
import { ADMIN, RawClient } from './harness.ts';

const SECRET = 'Bearer upstream-secret-5b1f';
const LIMITED = {
  version: '1',
  default: 'deny',
  tools: { echo: { limits: [{ counter: 'echo', window: 'day', max: 5, scope: 'grant' }] } },
};

let folder: string;
let env: Record<string, string>;
let settings: Settings;
let keyFile: string;
let upstream: RecordingUpstream;
let gateway: Gateway;
let client: RawClient;
let told: string[];

async function open(): Promise<void> {
  told = [];
  gateway = await openGateway(settings, { env, onAdminToken: (token) => told.push(token) });
}

/** Goes on with the client's token and session in the gateway that listens now. */
async function listen(token: string, session?: string): Promise<void> {
  const { proxyUrl } = await gateway.listen();
  client = new RawClient(proxyUrl('rec'), token);
  client.session = session;
}

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'gatehouse-rotation-'));
  env = { XDG_CONFIG_HOME: join(folder, 'config') };
  keyFile = join(folder, 'config', 'gatehouse', 'secret.key');
  ({ settings } = loadSettings({ env: {}, flags: { data: join(folder, 'data'), port: 0, log_level: 'silent' } }));
  upstream = await RecordingUpstream.start({ tools: [{ name: 'echo', inputSchema: { type: 'object' } }] });
  await open();
  const { services } = gateway;
  const transport = { kind: 'http', url: upstream.url } as const;
  const credentials = { kind: 'headers', values: { authorization: SECRET } } as const;
  await services.servers.create({ slug: 'rec', transport, credentials }, ADMIN);
  await gateway.readDefinitions('rec', { accept: true, actor: ADMIN });
  await services.policies.put('rec', 'p', LIMITED, undefined, ADMIN);
  const { secret } = await services.grants.create({ server: 'rec', identity: 'ana', policy: 'p' }, ADMIN);
  await listen(secret as string);
  await client.initialize();
});

afterEach(async () => {
  await gateway.close();
  await upstream.close();
  rmSync(folder, { recursive: true, force: true });
});

const ring = () => loadKeyRing({ env, dataDir: settings.data, create: false });
const logDir = () => join(settings.data, 'audit');

/** The public key of a secret key, with its name and without. */
function publicKeys(): { keyId: string; publicKey: string }[] {
  const { current, previous } = ring();
  return [current, ...previous].map((keys) => ({
    keyId: keys.keyId,
    publicKey: headSigner(keys.bytes('audit-signing'), keys.keyId).publicKey,
  }));
}

async function isAllowed(): Promise<boolean> {
  const { status, text, message } = await client.call('echo');
  if (status !== 200 || message?.result === undefined) throw new Error(`${status}: ${text}`);
  return message.result.isError !== true;
}

const rotate = (token: string) =>
  gateway.api.request('/api/v1/key/rotate', { method: 'POST', headers: { authorization: `Bearer ${token}` } });

describe('a rotation of the secret key', () => {
  it('[CRED-REKEY] goes on without a stop: calls, sessions, credentials and limits', async () => {
    const before = ring().current.keyId;
    const tokenBefore = gateway.adminToken;
    expect(await isAllowed()).toBe(true);
    const session = client.session;
    const answer = await rotate(tokenBefore);
    expect(answer.status).toBe(200);
    const { current, previous } = ring();
    expect(await answer.json()).toEqual({
      keyId: current.keyId,
      previousKeyId: before,
      file: keyFile,
      previousFile: `${keyFile}.previous`,
      credentials: 1,
    });
    expect(previous.map(({ keyId }) => keyId)).toEqual([before]);
    expect(statSync(`${keyFile}.previous`).mode & 0o777).toBe(0o600);
    // The old admin token is no key any more; who asked to be told knows the new one.
    expect((await rotate(tokenBefore)).status).toBe(401);
    expect(told).toEqual([gateway.adminToken]);
    upstream.forget();
    expect(await isAllowed()).toBe(true);
    expect(client.session).toBe(session);
    expect(upstream.requests.map(({ headers }) => headers.authorization)).toEqual([SECRET]);
    const credentials = { kind: 'headers', values: { 'x-key': 'sealed under the new key' } } as const;
    const transport = { kind: 'http', url: upstream.url } as const;
    await gateway.services.servers.create({ slug: 'other', transport, credentials }, ADMIN);

    await gateway.close();
    await open();
    await listen(client.token, session);
    expect(await isAllowed()).toBe(true);
    expect(upstream.requests.at(-1)?.headers.authorization).toBe(SECRET);
    expect(await isAllowed()).toBe(true);
    expect(await isAllowed()).toBe(true);
    expect(await isAllowed()).toBe(false);
  });

  it('[CRED-REKEY] leaves nothing in the store that needs the old key', async () => {
    await gateway.services.servers.update('rec', { name: 'x' }, undefined, ADMIN);
    expect((await rotate(gateway.adminToken)).status).toBe(200);
    await gateway.close();
    rmSync(`${keyFile}.previous`);
    await open();
    await listen(client.token);
    await client.initialize();
    upstream.forget();
    expect(await isAllowed()).toBe(true);
    expect(upstream.requests[0]?.headers.authorization).toBe(SECRET);
  });

  it('[KEY-TRUST] the log verifies with the first public key, with the last, with all, and says which it used', async () => {
    const [first] = publicKeys();
    for (let round = 0; round < 2; round += 1) {
      await isAllowed();
      expect((await rotate(gateway.adminToken)).status).toBe(200);
      await isAllowed();
    }
    const running = await gateway.audit.verify();
    expect(running.problems).toEqual([]);
    await gateway.close();
    await open();
    await gateway.close();
    const all = publicKeys();
    expect(all).toHaveLength(3);
    const cases = [
      { given: [first!], sources: ['given', 'successor', 'successor'] },
      { given: [{ publicKey: first!.publicKey }], sources: ['given', 'successor', 'successor'] },
      { given: [all[0]!], sources: ['given', 'predecessor', 'predecessor'] },
      { given: [all[1]!], sources: ['given', 'predecessor', 'successor'] },
      { given: all, sources: ['given', 'given', 'given'] },
    ];
    for (const { given, sources } of cases) {
      const report = await verifyAuditLog({ dir: logDir(), publicKeys: given });
      expect(report).toMatchObject({ ok: true, unproven: 0 });
      expect(report.keys.map(({ source }) => source).toSorted()).toEqual(sources.toSorted());
      expect(report.keys.every(({ heads }) => heads > 0)).toBe(true);
    }
    // Without the file beside the records these alone say enough.
    rmSync(join(logDir(), 'keys.json'));
    expect(await verifyAuditLog({ dir: logDir(), publicKeys: [first!] })).toMatchObject({ ok: true, unproven: 0 });
    expect(await verifyAuditLog({ dir: logDir(), publicKeys: [all[0]!] })).toMatchObject({ ok: true, unproven: 0 });
    const files = ['calls', 'admin'].flatMap((stream) =>
      readdirSync(join(logDir(), stream)).map((name) => readFileSync(join(logDir(), stream, name), 'utf8')),
    );
    const exported = join(folder, 'export.jsonl');
    writeFileSync(exported, files.join(''));
    expect(await verifyAuditLog({ files: [exported], publicKeys: [all[0]!] })).toMatchObject({ ok: true, unproven: 0 });
  });

  it('[KEY-TRUST] a key that nobody names is not learned', async () => {
    const stranger = headSigner(randomBytes(32), 'stranger');
    await gateway.close();
    const [own] = publicKeys();
    const path = join(logDir(), 'keys.json');
    const file = JSON.parse(readFileSync(path, 'utf8')) as { keys: object[]; changes: object[] };
    const to = { key_id: 'stranger', public_key: stranger.rawPublicKey };
    const signature = stranger.signText('{}');
    file.changes.push({ from: file.keys[0], to, time: 'now', signatures: { from: signature, to: signature } });
    writeFileSync(path, JSON.stringify(file));
    const report = await verifyAuditLog({ dir: logDir(), publicKeys: [own!] });
    expect(report.keys.map(({ keyId }) => keyId)).toEqual([own!.keyId]);
    const theirs = { keyId: 'stranger', publicKey: stranger.publicKey };
    expect((await verifyAuditLog({ dir: logDir(), publicKeys: [theirs] })).problems[0]?.code).toBe('unknown_key');
    await open();
  });

  it('[AUD-ADMIN] is recorded by whom, with the ids of both keys', async () => {
    const before = ring().current.keyId;
    await rotate(gateway.adminToken);
    const [row] = (await gateway.audit.searchAdmin({ action: 'key.rotate' })).rows;
    expect(row).toMatchObject({ actor: { kind: 'local-admin' }, target: gateway.instanceId });
    const records = recordsOf(logDir(), 'admin').filter(({ action }) => action === 'key.rotate');
    expect(records).toEqual([
      expect.objectContaining({ before: { keyId: before }, after: { keyId: ring().current.keyId } }),
    ]);
  });

  it('[CRED-REKEY] a key from the environment is changed with a restart, which does the rest', async () => {
    await gateway.close();
    const old = readFileSync(keyFile, 'utf8').trim();
    env = { GATEHOUSE_SECRET_KEY: old };
    await open();
    const refused = await rotate(gateway.adminToken);
    expect(refused.status).toBe(500);
    expect(((await refused.json()) as { detail: string }).detail).toMatch(
      /GATEHOUSE_SECRET_KEY_PREVIOUS to the present/,
    );
    await gateway.close();
    env = { GATEHOUSE_SECRET_KEY: randomBytes(32).toString('hex'), GATEHOUSE_SECRET_KEY_PREVIOUS: old };
    await open();
    expect((await gateway.audit.searchAdmin({ action: 'key.rotate' })).rows).toHaveLength(1);
    await listen(client.token, client.session);
    upstream.forget();
    expect(await isAllowed()).toBe(true);
    expect(upstream.requests[0]?.headers.authorization).toBe(SECRET);
  });
});

describe('a rotation that is cut off', () => {
  it('[KEY-ROTATE-CRASH] before the store changed: the next start completes it', async () => {
    await gateway.close();
    const before = ring();
    await replaceKey(before);
    await open();
    expect(ring().current.keyId).not.toBe(before.current.keyId);
    expect((await gateway.audit.searchAdmin({ action: 'key.rotate' })).rows).toMatchObject([
      { actor: { kind: 'gatehouse' } },
    ]);
    await listen(client.token, client.session);
    upstream.forget();
    expect(await isAllowed()).toBe(true);
    expect(upstream.requests[0]?.headers.authorization).toBe(SECRET);
    expect((await gateway.audit.verify()).problems).toEqual([]);
  });

  it('[KEY-ROTATE-CRASH] between the two files: the old key is still in force', async () => {
    await gateway.close();
    copyFileSync(keyFile, `${keyFile}.previous`);
    writeFileSync(`${keyFile}.new`, 'half a ke');
    await open();
    expect((await gateway.audit.searchAdmin({ action: 'key.rotate' })).rows).toEqual([]);
    expect((await rotate(gateway.adminToken)).status).toBe(200);
    expect(existsSync(`${keyFile}.new`)).toBe(false);
  });

  it('[KEY-ROTATE-CRASH] when the store or the log refuses it, the old key is in force again and no key is lost', async () => {
    const before = ring().current.keyId;
    const { admin } = gateway.audit;
    gateway.audit.admin = async () => {
      throw new Error('the disk is full');
    };
    const answer = await rotate(gateway.adminToken);
    expect([answer.status, ((await answer.json()) as { code: string }).code]).toEqual([503, 'audit_unavailable']);
    gateway.audit.admin = admin;
    expect(ring().current.keyId).toBe(before);
    expect(ring().previous).toHaveLength(1);
    expect(await isAllowed()).toBe(true);
    expect((await rotate(gateway.adminToken)).status).toBe(200);
    await gateway.close();
    await open();
    expect((await gateway.audit.verify()).problems).toEqual([]);
  });

  it('[KEY-ROTATE-CRASH] files that cannot be written change nothing, and it says what to do', async () => {
    const before = ring().current.keyId;
    // A folder stands where the new file is to be written, which stops every user.
    for (const path of [`${keyFile}.previous.new`, `${keyFile}.new`]) {
      mkdirSync(join(path, 'in-the-way'), { recursive: true });
      const answer = await rotate(gateway.adminToken);
      rmSync(path, { recursive: true });
      expect(answer.status).toBe(500);
      expect(((await answer.json()) as { detail: string }).detail).toMatch(
        /was not changed.*cannot be written.*by hand/,
      );
      expect(ring().current.keyId).toBe(before);
      expect(await isAllowed()).toBe(true);
    }
    expect((await rotate(gateway.adminToken)).status).toBe(200);
  });
});

describe('a lost key', () => {
  const lose = async (): Promise<void> => {
    await gateway.close();
    writeFileSync(keyFile, `${randomBytes(32).toString('base64')}\n`);
  };

  it('[KEY-MISSING] is a clear error that names the way on', async () => {
    await lose();
    const error = await refusal(open());
    expect(error.code).toBe('key_missing');
    expect(error.message).toMatch(/lost for good.*gatehouse key reset/);
    await resetKey({ settings, env, actor: ADMIN });
    await open();
  });

  it.each(['another key', 'no key at all'])(
    '[KEY-RESET] with %s, drops what cannot be opened, keeps all else, and records it',
    async (which) => {
      const lost = ring().current.keyId;
      const [lostKey] = publicKeys();
      await isAllowed();
      await isAllowed();
      await lose();
      if (which === 'no key at all') rmSync(keyFile);
      const reset = await resetKey({ settings, env, actor: ADMIN });
      const keyId = ring().current.keyId;
      expect(reset).toEqual({
        keyId,
        lostKeyId: lost,
        source: keyFile,
        dropped: [{ server: 'rec', kind: 'headers', names: ['authorization'] }],
        publicKeyKept: true,
      });
      await open();
      expect(gateway.services.servers.get('rec').credentials).toMatchObject({ kind: 'none' });
      const [record] = recordsOf(logDir(), 'admin').filter(({ action }) => action === 'key.reset');
      expect(record).toMatchObject({ before: { keyId: lost }, after: { keyId, droppedCredentials: reset.dropped } });
      // The new key vouches for what the lost one signed; the lost one cannot speak for the new one.
      expect(await gateway.audit.verify()).toMatchObject({ ok: true, keys: [{ keyId }, { source: 'predecessor' }] });
      const old = await verifyAuditLog({ dir: logDir(), publicKeys: [lostKey!] });
      expect(old.problems[0]?.code).toBe('unknown_key');
      // The session is gone with its key; the token and the counters are not.
      await listen(client.token, client.session);
      expect((await client.call('echo')).status).toBe(404);
      client.session = undefined;
      await client.initialize();
      expect([await isAllowed(), await isAllowed(), await isAllowed(), await isAllowed()]).toEqual([
        true,
        true,
        true,
        false,
      ]);
    },
  );

  it('[KEY-RESET] does nothing where the key is at hand, where a gateway runs, and where there is no store', async () => {
    expect((await refusal(resetKey({ settings, env, actor: ADMIN }))).code).toBe('store_locked');
    await gateway.close();
    const error = await refusal(resetKey({ settings, env, actor: ADMIN }));
    expect([error.code, error.message]).toEqual(['conflict', expect.stringContaining('Nothing is lost')]);
    const nowhere = { ...settings, data: join(folder, 'nowhere') };
    expect((await refusal(resetKey({ settings: nowhere, env, actor: ADMIN }))).code).toBe('not_found');
    await open();
  });
});
