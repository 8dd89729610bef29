// The benchmark as it is run, as briefly as can be. Its figures are not looked at: others use the machine too.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { compileSchema } from '@gatehouse/policy/ajv';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findNginx } from './nginx.ts';
import type { Result } from './result.ts';

const MAIN = fileURLToPath(new URL('./main.ts', import.meta.url));
const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const SCHEMA = fileURLToPath(new URL('../result.schema.json', import.meta.url));
const isGit = spawnSync('git', ['-C', ROOT, 'rev-parse', 'HEAD']).status === 0;
const LIMIT_MS = 120_000;

let folder: string;
let data: string;
let json: string;
let running: ChildProcess | undefined;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'gatehouse-bench-test-'));
  data = join(folder, 'data');
  json = join(folder, 'result.json');
});
afterEach(() => {
  // Only after a failure is there anything left to end.
  const { pid, exitCode, signalCode } = running ?? {};
  if (pid !== undefined && exitCode === null && signalCode === null) {
    for (const one of [...descendants(pid), pid]) process.kill(one, 'SIGKILL');
  }
  rmSync(folder, { recursive: true, force: true });
});

interface Running {
  child: ChildProcess;
  output: () => string;
}

function start(...args: string[]): Running {
  const child = spawn(process.execPath, [MAIN, '--data', data, '--json', json, ...args], { cwd: ROOT });
  running = child;
  let text = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (some: string) => {
      text += some;
    });
  }
  return { child, output: () => text };
}

async function run(...args: string[]): Promise<{ code: number | null; output: string }> {
  const { child, output } = start(...args);
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, output: output() };
}

function readResult(): Result {
  const text = readFileSync(json, 'utf8');
  const schema = compileSchema(JSON.parse(readFileSync(SCHEMA, 'utf8')));
  if (!schema.ok) throw new Error(schema.reason);
  const { problems, undeclared } = schema.validator.validate(JSON.parse(text));
  expect([...problems, ...undeclared]).toEqual([]);
  return JSON.parse(text) as Result;
}

function gatewayIsReady(): boolean {
  const made = existsSync(data) ? readdirSync(data, { recursive: true, encoding: 'utf8' }) : [];
  return made.some((path) => path.endsWith('ready.json'));
}

/** Every process below one. */
function descendants(pid: number): number[] {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').trim();
  const children = text === '' ? [] : text.split(' ').map(Number);
  return children.flatMap((child) => [child, ...descendants(child)]);
}

describe.skipIf(process.platform !== 'linux')('npm run bench', () => {
  it('[BENCH-WHOLE] measures every part with --quick and writes what the schema says', {
    timeout: LIMIT_MS,
  }, async () => {
    const { code, output } = await run('--quick');
    expect(output).toContain('json 300 B, 2 connections');
    expect(code).toBe(0);
    const { calls, flat, memory, judge, machine, missing } = readResult();

    const variants = ['direct', 'bare pass-through', 'nginx', 'gateway, read', 'gateway, write'];
    const expected = findNginx() === undefined ? variants.filter((name) => name !== 'nginx') : variants;
    expect(missing.length).toBe(variants.length - expected.length);
    for (const workload of ['json 300 B', 'json 20 kB', 'sse 300 B', 'sse 20 kB']) {
      const rows = calls?.rows.filter((row) => row.workload === workload) ?? [];
      expect(rows.map(({ variant }) => variant)).toEqual(expected);
      expect(rows.every(({ calls }) => calls > 0)).toBe(true);
      for (const { cpuRatio, addedToReference } of rows.slice(2)) {
        expect(cpuRatio?.value).toBeGreaterThan(0);
        expect(addedToReference).toBeDefined();
      }
    }
    expect(flat?.comparisons.map(({ variant, against }) => [variant, against])).toEqual([
      ['20 grants, 1 tool', '1 grant, 1 tool'],
      ['1 grant, 20 tools', '1 grant, 1 tool'],
    ]);
    expect(memory?.map(({ variant }) => variant)).toEqual(
      expected.filter((name) => name === 'nginx' || name.startsWith('bare')).concat('gateway'),
    );
    expect(judge?.map(({ name }) => name)).toContain('20 predicates');
    expect(machine.node).toBe(process.version);
    expect(readdirSync(data)).toEqual([]);
  });

  it.skipIf(!isGit)('[BENCH-AGAINST] measures another commit in the same rounds', { timeout: LIMIT_MS }, async () => {
    const some = ['--replies', 'json', '--sizes', '300', '--only', 'calls,judge'];
    const { code, output } = await run('--quick', '--against', 'HEAD', ...some);
    expect(output).toContain('new / old');
    expect(code).toBe(0);
    const { calls, judge, machine } = readResult();
    const name = `gateway ${machine.commit?.slice(0, 7)}`;
    expect(calls?.comparisons.map(({ variant, against }) => [variant, against])).toEqual([
      ['gateway new, read', expect.stringContaining(name)],
      ['gateway new, write', expect.stringContaining(name)],
    ]);
    expect(judge?.filter(({ ratio }) => ratio !== undefined).length).toBe((judge?.length ?? 0) / 2);
    expect(readdirSync(data)).toEqual([]);
    const worktrees = spawnSync('git', ['-C', ROOT, 'worktree', 'list'], { encoding: 'utf8' }).stdout;
    expect(worktrees).not.toContain(folder);
  });

  it('[BENCH-CLEAN] ends everything that it started, and takes away what it wrote, on SIGINT', {
    timeout: LIMIT_MS,
  }, async () => {
    const { child, output } = start('--only', 'calls');
    await expect.poll(gatewayIsReady, { timeout: 60_000 }).toBe(true);
    const started = descendants(child.pid!);
    child.kill('SIGINT');
    const [code] = (await once(child, 'close')) as [number | null];
    expect(code).toBe(1);
    expect(output()).toContain('bench: ended by SIGINT');
    expect(started.filter((pid) => existsSync(`/proc/${pid}`))).toEqual([]);
    expect(readdirSync(data)).toEqual([]);
  });

  it('[BENCH-CLEAN] leaves nothing behind where it fails', { timeout: LIMIT_MS }, async () => {
    const { code, output } = await run('--quick', '--against', 'no-such-commit');
    expect(code).toBe(1);
    expect(output).toMatch(/^bench: git rev-parse failed: /m);
    expect(readdirSync(data)).toEqual([]);
    expect(existsSync(json)).toBe(false);
  });
});
