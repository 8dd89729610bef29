// On what a run was made: figures of another machine, or of another file system, cannot be compared with it.
import { spawnSync } from 'node:child_process';
import { closeSync, fdatasyncSync, openSync, writeSync } from 'node:fs';
import { arch, cpus, platform, release } from 'node:os';
import { join } from 'node:path';
import { median } from './statistics.ts';

export interface Machine {
  platform: string;
  cpus: number;
  model: string;
  node: string;
  nginx: string | undefined;
  /** Median time of one `fdatasync` after an append of 512 bytes in the data folder, in microseconds. */
  syncMicros: number;
  /** Of the checkout that is measured; undefined outside of git. */
  commit: string | undefined;
  /** There are changes that were not committed: the commit does not say what was measured. */
  changed: boolean | undefined;
}

const SYNCS = 60;
const APPEND = Buffer.alloc(512, 'x');

/** @param root checkout that is measured */
export function readMachine(folder: string, root: string, nginx: string | undefined): Machine {
  const cores = cpus();
  return {
    platform: `${platform()} ${release()} ${arch()}`,
    cpus: cores.length,
    model: cores[0]?.model.trim() ?? 'unknown',
    node: process.version,
    nginx,
    syncMicros: measureSync(folder),
    ...commitOf(root),
  };
}

function commitOf(root: string): Pick<Machine, 'commit' | 'changed'> {
  const git = (...args: string[]) => spawnSync('git', ['-C', root, ...args], { encoding: 'utf8' });
  const commit = git('rev-parse', 'HEAD');
  if (commit.status !== 0) return { commit: undefined, changed: undefined };
  return { commit: commit.stdout.trim(), changed: git('status', '--porcelain').stdout.trim() !== '' };
}

function measureSync(folder: string): number {
  const file = openSync(join(folder, 'sync'), 'w');
  try {
    return median(
      Array.from({ length: SYNCS }, () => {
        writeSync(file, APPEND);
        const start = performance.now();
        fdatasyncSync(file);
        return (performance.now() - start) * 1_000;
      }),
    );
  } finally {
    closeSync(file);
  }
}
