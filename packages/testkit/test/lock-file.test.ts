// The lock file must install on a machine that is not this one.
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

interface LockedPackage {
  dev?: boolean;
  hasInstallScript?: boolean;
  integrity?: string;
  link?: boolean;
  optional?: boolean;
  optionalDependencies?: Record<string, string>;
  resolved?: string;
}

const lock = JSON.parse(readFileSync(new URL('../../../package-lock.json', import.meta.url), 'utf8')) as {
  packages: Record<string, LockedPackage>;
};
const packages = Object.entries(lock.packages);

describe('the lock file', () => {
  it('[BUILD-LOCK] has an entry for each optional dependency, or npm ci refuses it', () => {
    const have = new Set(packages.map(([path]) => path.split('node_modules/').at(-1)));
    const missing = packages.flatMap(([, { optionalDependencies }]) =>
      Object.keys(optionalDependencies ?? {}).filter((name) => !have.has(name)),
    );
    expect(missing).toEqual([]);
  });

  it('[BUILD-LOCK] records no download address', () => {
    expect(packages.filter(([, { resolved }]) => resolved?.startsWith('http')).map(([path]) => path)).toEqual([]);
  });

  it('[OPS-NO-SCRIPTS] no dependency at run time has an install script', () => {
    const scripted = packages.filter(([, entry]) => entry.hasInstallScript === true && entry.dev !== true);
    expect(scripted.map(([path]) => path)).toEqual([]);
  });

  it('[BUILD-LOCK] names each download by its digest', () => {
    const downloads = packages.filter(([path, { link }]) => path.includes('node_modules/') && link !== true);
    expect(downloads.filter(([, { integrity }]) => integrity === undefined).map(([path]) => path)).toEqual([]);
  });
});
