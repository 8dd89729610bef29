// A fresh clone, the machine's own Node and npm, and `npm start` (issue "The main job").
import { cpSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { isUnreachable, npmEnvironment, ROOT, Sandbox } from '../src/index.ts';

/** What a newcomer is promised, from the first command to the running gateway. */
const PROMISED_MS = 180_000;

let sandbox: Sandbox;
beforeAll(() => {
  sandbox = new Sandbox();
});
afterAll(() => sandbox.close());

it(
  '[CLI-FRESH-CLONE] npm start installs what it needs and ends in a running gateway within three minutes',
  async ({ skip }) => {
    const clone = sandbox.path('clone');
    const listed = await sandbox.run('git', ['ls-files', '--cached', '--others', '--exclude-standard', '-z'], {
      cwd: ROOT,
    });
    if (listed.code !== 0) return skip('could not run: this is not a clone, so git cannot tell what belongs to it');
    for (const file of listed.stdout.split('\0').filter(Boolean)) {
      mkdirSync(dirname(join(clone, file)), { recursive: true });
      cpSync(join(ROOT, file), join(clone, file));
    }
    const began = performance.now();
    const args = ['start', '--', '--port', '0', '--data', sandbox.path('data')];
    // A newcomer's cache is empty; the long run pays for that.
    const env = npmEnvironment();
    if (process.env.GATEHOUSE_TEST_LONG === '1') env.npm_config_cache = sandbox.path('npm-cache');
    const started = await sandbox
      .start('npm', args, { cwd: clone, env, timeoutMs: PROMISED_MS })
      .catch((error: Error) => error);
    if (started instanceof Error) {
      if (isUnreachable(started.message)) return skip('could not run: npm cannot reach its registry');
      throw started;
    }
    expect(performance.now() - began).toBeLessThan(PROMISED_MS);

    const [server] = started.ready.servers;
    const requestInit = { headers: { authorization: `Bearer ${server!.token}` } };
    const client = new Client({ name: 'e2e', version: '1.0.0' });
    await client.connect(new StreamableHTTPClientTransport(new URL(server!.url), { requestInit }));
    expect((await client.listTools()).tools).toHaveLength(6);
    await client.close();
    // A first sight of warnings would send a newcomer away; whether this machine's npm has settings of its own is not ours.
    expect(started.said().match(/^npm warn (?!Unknown).*$/gim) ?? []).toEqual([]);
    await started.stop();
    expect(sandbox.leftovers()).toEqual([]);
  },
  PROMISED_MS + 60_000,
);
