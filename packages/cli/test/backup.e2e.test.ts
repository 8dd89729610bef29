// Backup, restore and rotation with the real binary, beside a gateway that serves.
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { GrantCreated, ServerAdded } from '../src/api-types.ts';
import { EXIT } from '../src/exit-codes.ts';
import type { ReadyFile } from '../src/index.ts';
import { Home, McpClient, TINY_MCP } from './processes.ts';

let home: Home;
let other: Home;
beforeEach(() => {
  home = new Home();
  other = new Home();
});
afterEach(async () => {
  await home.close();
  await other.close();
});

const keyFile = (of: Home): string => join(of.dir, 'config', 'gatehouse', 'secret.key');

async function serveTiny() {
  const serving = await home.serve();
  const add = ['server', 'add', 'tiny', '--yes', '--accept', '--', process.execPath, TINY_MCP];
  await home.json<ServerAdded>(add);
  const policy = join(home.dir, 'policy.yaml');
  writeFileSync(policy, 'version: "1"\ndefault: deny\ntools: { get_double: {} }\n');
  await home.json(['policy', 'apply', policy, '--server', 'tiny', '--name', 'p']);
  const create = ['grant', 'create', '--server', 'tiny', '--to', 'ana', '--policy', 'p'];
  const grant = await home.json<GrantCreated>(create);
  return { serving, grant };
}

describe('with a gateway that serves', () => {
  it('[CFG-BACKUP] is backed up, and restored on another machine with the key, where the same token opens it', async () => {
    const { serving, grant } = await serveTiny();
    const client = new McpClient(grant.url, grant.secret!);
    expect(await client.open()).toBe(200);
    await client.call('get_double', { n: 4 });
    const backup = join(home.dir, 'backup');
    const made = await home.run(['backup', 'backup']);
    expect([made.stderr, made.code]).toEqual(['', EXIT.ok]);
    expect((await home.run(['backup', 'backup'])).code).toBe(EXIT.conflict);
    expect((await home.run(['restore', backup])).code).toBe(EXIT.unreachable);
    await serving.stop('SIGKILL');

    const lost = await other.run(['restore', backup]);
    expect([lost.code, lost.stderr]).toEqual([EXIT.error, expect.stringContaining('lost for good')]);
    mkdirSync(dirname(keyFile(other)), { recursive: true, mode: 0o700 });
    copyFileSync(keyFile(home), keyFile(other));
    const restored = await other.run(['restore', backup]);
    expect([restored.stderr, restored.code]).toEqual(['', EXIT.ok]);
    const again = await other.serve();
    const [server] = again.ready.servers;
    const second = new McpClient(server!.url, grant.secret!);
    expect(await second.open()).toBe(200);
    expect((await second.call('get_double', { n: 4 })).content[0]?.text).toContain('8');
    const verified = await other.run(['audit', 'verify']);
    expect([verified.code, verified.stdout]).toEqual([EXIT.ok, expect.stringContaining('INTACT')]);
    expect(await again.stop()).toBe(EXIT.ok);
  });

  it('[CFG-BACKUP] that is killed while it makes one, no backup is there, and the next one is made', async () => {
    const { serving } = await serveTiny();
    const making = home.run(['backup', 'cut-off']);
    for (const start = Date.now(); Date.now() - start < 10_000; await new Promise((done) => setImmediate(done))) {
      if (readdirSync(home.dir).some((name) => name.startsWith('cut-off'))) break;
    }
    await serving.stop('SIGKILL');
    const { code } = await making;
    // It may have been done by then: there is a whole one, or none.
    const whole = existsSync(join(home.dir, 'cut-off'));
    if (!whole) expect(code).not.toBe(EXIT.ok);
    else expect((await home.run(['restore', 'cut-off', '--check'])).code).toBe(EXIT.ok);
    expect((await home.run(['backup', 'next'])).code).toBe(EXIT.ok);
    expect((await home.run(['restore', 'next', '--check'])).code).toBe(EXIT.ok);
  });

  it('[CRED-REKEY] the key is rotated: clients go on, commands and the ready file have the new admin token', async () => {
    const { serving, grant } = await serveTiny();
    const client = new McpClient(grant.url, grant.secret!);
    expect(await client.open()).toBe(200);
    const before = readFileSync(keyFile(home), 'utf8');
    const rotated = await home.json<{ keyId: string; previousKeyId: string }>(['key', 'rotate']);
    expect(readFileSync(keyFile(home), 'utf8')).not.toBe(before);
    expect(readFileSync(`${keyFile(home)}.previous`, 'utf8')).toBe(before);
    expect((await client.call('get_double', { n: 4 })).content[0]?.text).toContain('8');
    expect((await home.run(['server', 'list'])).code).toBe(EXIT.ok);
    const ready = JSON.parse(readFileSync(serving.readyFile, 'utf8')) as ReadyFile;
    const status = async (token: string) =>
      (await fetch(`${ready.api}/status`, { headers: { authorization: `Bearer ${token}` } })).status;
    expect([await status(serving.ready.admin.token), await status(ready.admin.token)]).toEqual([401, 200]);
    expect(await serving.stop()).toBe(EXIT.ok);
    const verified = await home.run(['audit', 'verify']);
    expect([verified.code, verified.stdout]).toEqual([
      EXIT.ok,
      expect.stringContaining(`${rotated.previousKeyId}: given`),
    ]);
  });
});
