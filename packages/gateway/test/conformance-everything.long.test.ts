// The official conformance suite against a reference server from npm, direct and through the gateway, check by check (P8).
// It fails many checks, having none of the suite's tools: what counts is that it fails the same ones.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type Checks, checkServer, REQUIREMENTS, type Requirements, Sandbox } from '@gatehouse/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compare, PermissiveGateway } from './conformance.ts';
import { EVERYTHING_DIFFERENCES } from './conformance-expected.ts';

const EVERYTHING = join(
  dirname(fileURLToPath(import.meta.resolve('@modelcontextprotocol/server-everything/package.json'))),
  'dist',
  'index.js',
);

/** server-everything takes its port from the environment and does not say when it listens. */
async function startEverything(): Promise<{ url: string; child: ChildProcess }> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as AddressInfo;
  probe.close();
  const child = spawn(process.execPath, [EVERYTHING, 'streamableHttp'], {
    env: { ...process.env, PORT: String(port) },
    stdio: 'ignore',
  });
  const url = `http://localhost:${port}/mcp`;
  for (let attempt = 0; attempt < 100; attempt++) {
    if (
      await fetch(url).then(
        () => true,
        () => false,
      )
    )
      return { url, child };
    await sleep(100);
  }
  child.kill('SIGKILL');
  throw new Error('server-everything did not start');
}

describe.each(REQUIREMENTS)('server-everything, %s', (set: Requirements) => {
  let sandbox: Sandbox;
  let gateway: PermissiveGateway;
  let child: ChildProcess;
  let direct: Checks;
  let urls: Record<'http' | 'stdio', string>;

  beforeAll(async () => {
    sandbox = new Sandbox();
    gateway = await PermissiveGateway.open();
    const server = await startEverything();
    child = server.child;
    urls = {
      http: await gateway.open({ kind: 'http', url: server.url }),
      stdio: await gateway.open({
        kind: 'stdio',
        command: process.execPath,
        args: [EVERYTHING, 'stdio'],
        environment: {},
      }),
    };
    direct = await checkServer(sandbox, server.url, set);
  });
  afterAll(async () => {
    child?.kill('SIGKILL');
    await gateway?.close();
    await sandbox?.close();
  });

  // A child of an old SDK answers what it is asked without a handshake, where the same server over HTTP refuses for want
  // of a session: of a revision that it does not speak there is nothing to compare.
  const kinds = set === '2026-07-28' ? (['http'] as const) : (['http', 'stdio'] as const);
  it.each(kinds)('[CONF-SUITE, P8] gives the same checks over %s', async (kind) => {
    const expected = EVERYTHING_DIFFERENCES.filter(
      ({ requirements, upstream }) => requirements === set && (upstream ?? kind) === kind,
    );
    const { unexpected, stale } = await compare(sandbox, set, direct, urls[kind], expected);
    expect({ unexpected, stale }).toEqual({ unexpected: [], stale: [] });
  });
});
