// Runs the official conformance suite and reads what it found, check by check.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parsePlainJson } from '@gatehouse/wire';
import { parse } from 'yaml';
import { ROOT, type Sandbox } from './launch.ts';

export type Requirements = '2025-11-25' | '2026-07-28';
export const REQUIREMENTS: readonly Requirements[] = ['2025-11-25', '2026-07-28'];

/** `scenario/check`, with `#2`, `#3` … behind where a scenario made a check again → SUCCESS, FAILURE, WARNING or SKIPPED. */
export type Checks = ReadonlyMap<string, string>;

const SUITE = '@modelcontextprotocol/conformance';
const RUN_MS = 280_000;

/** The fixture server's program: `node <it> stdio`, or `node <it> http`, which prints its URL. */
export const FIXTURE_MAIN: string = join(ROOT, 'packages', 'testkit', 'src', 'fixture-server', 'main.ts');
/** A client that does what the suite's client scenarios want, given the URL of their server. */
export const FIXTURE_CLIENT: string = join(ROOT, 'packages', 'testkit', 'src', 'fixture-client', 'main.ts');

/** Where the suite is installed. @throws Error when it is not */
function suiteFolder(): string {
  return dirname(dirname(fileURLToPath(import.meta.resolve(`${SUITE}/dist/index.js`))));
}

/** The scenarios that a revision requires. What else the suite runs for it is reported, and never scored. */
export function scoredScenarios(requirements: Requirements, side: 'server' | 'client'): readonly string[] {
  const file = join(suiteFolder(), 'requirements', `${requirements}.yaml`);
  const scored = (parse(readFileSync(file, 'utf8')) as Record<string, readonly string[]>)[side] ?? [];
  if (scored.length === 0) throw new Error(`${file} requires no scenario of the ${side}.`);
  return scored;
}

/** All server scenarios of a requirement set, against one URL. @throws Error with the suite's words when it could not run */
export function checkServer(sandbox: Sandbox, url: string, requirements: Requirements): Promise<Checks> {
  return run(sandbox, ['server', '--url', url, '--requirements', requirements]);
}

/**
 * One client scenario.
 * @param command gets the URL of the suite's server as its last argument
 */
export function checkClient(
  sandbox: Sandbox,
  command: string,
  scenario: string,
  requirements: Requirements,
): Promise<Checks> {
  return run(sandbox, ['client', '--command', command, '--scenario', scenario, '--spec-version', requirements]);
}

let runs = 0;

async function run(sandbox: Sandbox, args: readonly string[]): Promise<Checks> {
  runs += 1;
  const out = sandbox.path(`conformance-${runs}`);
  const main = join(suiteFolder(), 'dist', 'index.js');
  // Its exit code says what failed, which the files say one by one.
  const ran = await sandbox.run(process.execPath, [main, ...args, '--output-dir', out], { timeoutMs: RUN_MS });
  try {
    return readChecks(out);
  } catch (error) {
    throw new Error(`The conformance suite ended with ${ran.code}:\n${ran.stdout}${ran.stderr}`, { cause: error });
  }
}

function readChecks(folder: string): Checks {
  const checks = new Map<string, string>();
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort()) {
    const scenario = /^(?:server-|client-)?(.+)-\d{4}-\d\d-\d\dT[\dZ-]+[/\\]checks\.json$/.exec(name)?.[1];
    if (scenario === undefined) continue;
    const found = parsePlainJson(readFileSync(join(folder, name), 'utf8')) as { id: string; status: string }[];
    for (const { id, status } of found) {
      // What it only notes (requests it saw, times) is no check.
      if (status === 'INFO') continue;
      let key = `${scenario}/${id}`;
      for (let again = 2; checks.has(key); again++) key = `${scenario}/${id}#${again}`;
      checks.set(key, status);
    }
  }
  if (checks.size === 0) throw new Error(`${folder} holds no check.`);
  return checks;
}
