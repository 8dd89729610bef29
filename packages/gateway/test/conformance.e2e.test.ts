// The official conformance suite, direct and through the gateway, check by check (P8).
import type { ChildProcess } from 'node:child_process';
import {
  type Checks,
  checkClient,
  checkServer,
  FIXTURE_CLIENT,
  FIXTURE_MAIN,
  REQUIREMENTS,
  type Requirements,
  Sandbox,
  scoredScenarios,
} from '@gatehouse/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compare, PermissiveGateway, startPrinting, startWays } from './conformance.ts';
import { FIXTURE_DIFFERENCES } from './conformance-expected.ts';

let sandbox: Sandbox;
let gateway: PermissiveGateway;

beforeAll(async () => {
  sandbox = new Sandbox();
  gateway = await PermissiveGateway.open();
});
afterAll(async () => {
  await gateway?.close();
  await sandbox?.close();
});

describe('the fixture server', () => {
  let child: ChildProcess;
  let urls: Record<'http' | 'stdio', string>;
  let direct: Record<Requirements, Checks>;

  beforeAll(async () => {
    const fixture = await startPrinting([FIXTURE_MAIN, 'http']);
    child = fixture.child;
    // A child is started for each session: most of its start is reading its own sources.
    const environment = { NODE_COMPILE_CACHE: sandbox.path('compiled') };
    const command = { command: process.execPath, args: [FIXTURE_MAIN, 'stdio'], environment };
    urls = {
      http: await gateway.open({ kind: 'http', url: fixture.url }),
      stdio: await gateway.open({ kind: 'stdio', ...command }),
    };
    const [old, modern] = await Promise.all(REQUIREMENTS.map((set) => checkServer(sandbox, fixture.url, set)));
    direct = { '2025-11-25': old as Checks, '2026-07-28': modern as Checks };
  });
  afterAll(() => child?.kill('SIGKILL'));

  const cases = REQUIREMENTS.flatMap((set) => [[set, 'http'] as const, [set, 'stdio'] as const]);
  it.concurrent.each(cases)('[CONF-SUITE, P8] gives the same checks of %s over %s', async (set, kind) => {
    const expected = FIXTURE_DIFFERENCES.filter(
      ({ requirements, upstream }) => requirements === set && (upstream ?? kind) === kind,
    );
    const made = new Set([...direct[set].keys()].map((check) => check.split('/', 1)[0]));
    expect(scoredScenarios(set, 'server').filter((scenario) => !made.has(scenario))).toEqual([]);
    expect(await compare(sandbox, set, direct[set], urls[kind], expected)).toEqual({
      failing: [],
      unexpected: [],
      stale: [],
    });
  });
});

describe('a client', () => {
  let ways: { address: string; close(): void };
  beforeAll(async () => {
    ways = await startWays(gateway);
  });
  afterAll(() => ways?.close());

  // The suite's authorization scenarios compare the address of the server with the one that was dialled: they are for who
  // speaks OAuth to an upstream, not for who stands before it.
  const scenarios = REQUIREMENTS.flatMap((set) =>
    scoredScenarios(set, 'client')
      .filter((scenario) => !scenario.startsWith('auth/'))
      .map((scenario) => [set, scenario] as const),
  );

  it.each(scenarios)('[CONF-SUITE, P8] passes %s %s through the gateway', async (set, scenario) => {
    const command = `${process.execPath} ${FIXTURE_CLIENT} --through ${ways.address}`;
    const checks = await checkClient(sandbox, command, scenario, set);
    const wrong = [...checks].filter(([, status]) => status !== 'SUCCESS' && status !== 'SKIPPED');
    expect(wrong).toEqual([]);
    expect([...checks.values()]).toContain('SUCCESS');
  });
});
