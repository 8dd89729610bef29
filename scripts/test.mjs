// `npm test`: lint, types, unit tests, end-to-end tests. Says at the end what could not run; that is never counted as passed.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join, relative } from 'node:path';
import { findNode, root } from './node24.mjs';

const long = process.argv.includes('--long');
const node = findNode();
const bin = join(root, 'node_modules', '.bin');
// A home of its own, so that no test reads or changes what the person who runs it has.
const home = mkdtempSync(join(tmpdir(), 'gatehouse-test-home-'));
const env = {
  ...process.env,
  PATH: [bin, dirname(node), process.env.PATH].join(delimiter),
  HOME: home,
  XDG_CONFIG_HOME: join(home, '.config'),
  NO_COLOR: '1',
  ...(long ? { GATEHOUSE_TEST_LONG: '1', FC_RUNS: process.env.FC_RUNS ?? '50' } : {}),
};
for (const name of Object.keys(env))
  if (name.startsWith('GATEHOUSE_') && name !== 'GATEHOUSE_TEST_LONG') delete env[name];

const missing = [];
const failed = [];
const notRun = [];
const counts = { passed: 0, failed: 0 };

/** Debian packages that a test needs: installed where this may be done, named where it may not. */
function need(command, packages, what) {
  const found = () => spawnSync('sh', ['-c', `command -v ${command}`], { env }).status === 0;
  if (found()) return;
  const root = process.getuid?.() === 0 && existsSync('/usr/bin/apt-get');
  if (root) {
    console.log(`Installing ${packages} ...`);
    const quiet = {
      stdio: ['ignore', 'ignore', 'inherit'],
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    };
    spawnSync('apt-get', ['update', '-qq'], quiet);
    spawnSync('apt-get', ['install', '-y', '-qq', '--no-install-recommends', packages], quiet);
  }
  if (!found()) missing.push(`${what} (needs ${command}; on Debian: apt-get install ${packages})`);
}

function step(name, command, args) {
  const started = Date.now();
  console.log(`\n== ${name}`);
  const result = spawnSync(command, args, { cwd: root, env, stdio: 'inherit' });
  const seconds = ((Date.now() - started) / 1000).toFixed(1);
  if (result.status === 0) console.log(`-- ${name}: ok (${seconds} s)`);
  else {
    failed.push(name);
    console.log(`-- ${name}: FAILED (${seconds} s)`);
  }
}

function vitest(name, project) {
  const report = join(home, `${project}.json`);
  step(name, join(bin, 'vitest'), [
    'run',
    '--project',
    project,
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${report}`,
  ]);
  if (!existsSync(report)) return;
  const { numPassedTests, numFailedTests, testResults } = JSON.parse(readFileSync(report, 'utf8'));
  counts.passed += numPassedTests;
  counts.failed += numFailedTests;
  for (const { name: file, assertionResults } of testResults) {
    for (const { status, fullName } of assertionResults) {
      if (status !== 'passed' && status !== 'failed') notRun.push(`${relative(root, file)}: ${fullName}`);
    }
  }
}

need('chromium', 'chromium', 'screens in a real browser');
step('lint (biome)', join(bin, 'biome'), ['check', '.']);
step('types (tsc)', join(bin, 'tsc'), ['--noEmit']);
vitest('unit tests', 'unit');
vitest('end-to-end tests', 'e2e');
if (long) vitest('long tests', 'long');

rmSync(home, { recursive: true, force: true });
for (const check of [...missing, ...notRun]) console.log(`NOT RUN: ${check}`);
for (const name of failed) console.log(`FAILED: ${name}`);
console.log(`\n${counts.passed} passed, ${Math.max(counts.failed, failed.length)} failed, ${notRun.length} skipped`);
process.exit(failed.length > 0 || counts.failed > 0 ? 1 : 0);
