import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { checkDataFolder, checkDisk, checkNode, checkPort, checkUpstream } from './doctor-checks.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'gatehouse-doctor-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const GIB = 1024 ** 3;

describe('doctor', () => {
  it.each([
    ['24.7.0', 'ok'],
    ['25.0.0', 'ok'],
    ['24.6.9', 'fail'],
    ['22.20.0', 'fail'],
  ])('Node %s: %s', (version, status) => expect(checkNode(version).status).toBe(status));

  it('the data folder: missing, not a folder, open to others, well', () => {
    expect(checkDataFolder(join(folder, 'none')).status).toBe('warn');
    writeFileSync(join(folder, 'file'), '');
    expect(checkDataFolder(join(folder, 'file')).status).toBe('fail');
    const data = join(folder, 'data');
    mkdirSync(data, { mode: 0o700 });
    expect(checkDataFolder(data).status).toBe('ok');
    chmodSync(data, 0o750);
    expect(checkDataFolder(data, 'linux')).toMatchObject({ status: 'warn', action: `Run: chmod 700 ${data}` });
    expect(checkDataFolder(data, 'win32').status).toBe('ok');
  });

  it.each([
    [10 * GIB, 'ok'],
    [GIB - 1, 'warn'],
    [50 * 1024 ** 2, 'fail'],
  ])('%i bytes free: %s', (free, status) => expect(checkDisk(folder, () => free).status).toBe(status));

  it('ports and HTTP servers, taken or not', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const http = { kind: 'http', url: `http://127.0.0.1:${port}/mcp` } as const;
    expect((await checkPort('127.0.0.1', port)).status).toBe('fail');
    expect((await checkUpstream('a', http, '')).status).toBe('ok');
    await new Promise((resolve) => server.close(resolve));
    expect((await checkPort('127.0.0.1', port)).status).toBe('ok');
    expect((await checkUpstream('a', http, '')).status).toBe('fail');
    expect((await checkPort('127.0.0.1', 0)).status).toBe('ok');
  });

  it('commands: on the path, by their file, with their folder', async () => {
    const command = join(folder, 'serve-it');
    writeFileSync(command, '', { mode: 0o755 });
    const stdio = { kind: 'stdio', args: [], environment: {} } as const;
    const status = async (more: { command: string; cwd?: string }) =>
      (await checkUpstream('a', { ...stdio, ...more }, folder)).status;
    expect(await status({ command: 'serve-it' })).toBe('ok');
    expect(await status({ command })).toBe('ok');
    expect(await status({ command: 'no-such-command' })).toBe('fail');
    expect(await status({ command, cwd: join(folder, 'none') })).toBe('fail');
    chmodSync(command, 0o644);
    expect(await status({ command })).toBe('fail');
  });
});
