// Rotations that are killed wherever they happen to be: no key, no credential and no record is lost.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { verifyAuditLog } from '@gatehouse/verify';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { headSigner } from '../src/audit/chain.ts';
import { type Gateway, loadKeyRing, loadSettings, openGateway, type Settings } from '../src/index.ts';
import { ADMIN } from './harness.ts';

/** Rotates without end and says each time that it did. */
const ROTATOR = `
  const { loadSettings, openGateway } = await import(process.argv[1]);
  const { settings } = loadSettings({ env: {}, flags: { data: process.argv[2], log_level: 'silent' } });
  const gateway = await openGateway(settings, { env: process.env });
  for (;;) {
    const headers = { authorization: 'Bearer ' + gateway.adminToken };
    const { status } = await gateway.api.request('/api/v1/key/rotate', { method: 'POST', headers });
    process.stdout.write(status + '\\n');
  }
`;
const ROUNDS = process.env.FC_RUNS === undefined ? 6 : 60;

let folder: string;
let env: Record<string, string>;
let settings: Settings;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'gatehouse-rotation-'));
  env = { XDG_CONFIG_HOME: join(folder, 'config') };
  ({ settings } = loadSettings({ env: {}, flags: { data: join(folder, 'data'), log_level: 'silent' } }));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const open = (): Promise<Gateway> => openGateway(settings, { env });

describe('rotations that are killed', () => {
  it('[KEY-ROTATE-CRASH] at random moments: each start goes on, and the first public key proves the whole log', async () => {
    const transport = { kind: 'http', url: 'http://127.0.0.1:9/mcp' } as const;
    let gateway = await open();
    const { current } = loadKeyRing({ env, dataDir: settings.data, create: false });
    const { publicKey } = headSigner(current.bytes('audit-signing'), current.keyId);
    const credentials = { kind: 'headers', values: { authorization: 'Bearer kept' } } as const;
    await gateway.services.servers.create({ slug: 'rec', transport, credentials }, ADMIN);
    await gateway.close();
    const index = fileURLToPath(new URL('../src/index.ts', import.meta.url));
    let rotations = 0;
    for (let round = 0; round < ROUNDS; round += 1) {
      const child = spawn(process.execPath, ['--input-type=module', '-e', ROTATOR, index, settings.data], {
        stdio: ['ignore', 'pipe', 'inherit'],
        env: { PATH: process.env.PATH ?? '', ...env },
      });
      let said = '';
      child.stdout.on('data', (chunk) => (said += chunk));
      await once(child.stdout, 'data');
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 60));
      child.kill('SIGKILL');
      await once(child, 'close');
      expect(said).toMatch(/^(200\n)+$/);
      rotations += said.split('\n').length - 1;
      gateway = await open();
      const entry = gateway.services.directory.server('rec');
      expect(entry?.credentialHeaders).toEqual({ authorization: 'Bearer kept' });
      await gateway.close();
      const report = await verifyAuditLog({ dir: join(settings.data, 'audit'), publicKeys: [{ publicKey }] });
      expect(report.problems).toEqual([]);
    }
    expect(rotations).toBeGreaterThanOrEqual(ROUNDS);
  });
});
