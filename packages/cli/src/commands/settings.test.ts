// config and serve, as far as they need no process
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { run } from '../../test/harness.ts';
import type { Context } from '../context.ts';
import { EXIT } from '../exit-codes.ts';
import { loadGateway } from '../gateway-module.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'gatehouse-settings-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

describe('config', () => {
  it('check names every error at once, with its source; [CLI-EXIT] exit code 4', async () => {
    const file = join(folder, 'g.yaml');
    writeFileSync(file, 'prot: 8080\nmax_body: huge\n');
    const { code, stderr } = await run(['config', 'check', '--config', file], { env: { GATEHOUSE_PORT: '99999' } });
    expect(code).toBe(EXIT.denied);
    for (const name of ['prot', 'max_body', 'port']) expect(stderr).toMatch(new RegExp(`\\n  ${name}: `));
    const json = await run(['config', 'check', '--config', file, '--json']);
    expect([json.code, JSON.parse(json.stdout)]).toEqual([EXIT.denied, expect.objectContaining({ valid: false })]);
    expect((await run(['config', 'check'])).code).toBe(EXIT.ok);
  });

  it('show says where each value came from', async () => {
    const { stdout } = await run(['config', 'show', '--data', folder], { env: { GATEHOUSE_PORT: '8123' } });
    expect(stdout).toMatch(/\nport +8123 +environment /);
    expect(stdout).toMatch(new RegExp(`\\ndata +${folder} +flag `));
    expect(stdout).toMatch(/\nhost +127\.0\.0\.1 +default /);
    expect((await run(['config', 'show', 'nope'])).code).toBe(EXIT.notFound);
  });

  it('[P6] masks what a URL carries beside its address', async () => {
    const env = { GATEHOUSE_PUBLIC_URL: 'https://ana:hidden-pass@gate.example.com/' };
    for (const argv of [
      ['config', 'show'],
      ['config', 'show', '--json'],
      ['config', 'show', 'public_url', '--json'],
    ]) {
      const { stdout } = await run(argv, { env });
      expect(stdout).toContain('https://***@gate.example.com/');
      expect(stdout).not.toMatch(/hidden-pass|ana:/);
    }
  });

  it('[P6] never shows the secret key', async () => {
    const key = 'c2VjcmV0LWtleS1vZi0zMi1ieXRlcy1mb3ItdGVzdHM9';
    const { stdout } = await run(['config', 'show', '--json'], { env: { GATEHOUSE_SECRET_KEY: key } });
    expect(stdout).not.toContain(key);
  });
});

describe('serve', () => {
  it('writes the ready file with mode 600 when it is ready, and removes it when it is told to stop', async () => {
    const readyFile = join(folder, 'ready.json');
    writeFileSync(readyFile, '{"of": "an earlier run"}', { mode: 0o644 });
    const signal = new AbortController();
    const steps: string[] = [];
    let ready: unknown;
    const { loadSettings } = await loadGateway();
    const double = {
      loadSettings,
      openGateway: async () => {
        steps.push(`open, ready file: ${existsSync(readyFile)}`);
        return {
          adminToken: 'gha_x',
          instanceId: 'ins_1',
          api: { request: () => Response.json({ servers: [{ slug: 'a', url: 'http://h/mcp/a', state: 'up' }] }) },
          listen: async () => {
            setImmediate(function look() {
              if (!existsSync(readyFile)) return void setImmediate(look);
              ready = JSON.parse(readFileSync(readyFile, 'utf8'));
              steps.push(`mode ${(statSync(readyFile).mode & 0o777).toString(8)}`);
              signal.abort();
            });
            return { console: 'http://h/', api: 'http://h/api/v1' };
          },
          close: async () => {
            steps.push('close');
          },
        };
      },
    };
    const gateway = async () => double as unknown as Awaited<ReturnType<Context['gateway']>>;
    const argv = ['serve', '--data', folder, '--port', '0', '--ready-file', readyFile];
    const { code, stdout } = await run(argv, { gateway, signal: signal.signal });
    expect([code, steps]).toEqual([EXIT.ok, ['open, ready file: false', 'mode 600', 'close']]);
    expect(ready).toEqual({
      console: 'http://h/',
      api: 'http://h/api/v1',
      servers: [{ slug: 'a', url: 'http://h/mcp/a' }],
      admin: { token: 'gha_x' },
    });
    expect(stdout).not.toContain('gha_x');
    expect(existsSync(readyFile)).toBe(false);
  });
});
