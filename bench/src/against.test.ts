import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { checkOut, linkModules } from './against.ts';

let folder: string;
beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'gatehouse-against-')));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function write(path: string, text: string): void {
  const file = join(folder, path);
  mkdirSync(join(file, '..'), { recursive: true });
  writeFileSync(file, text);
}

/** A checkout with one package of its own, which depends on `outside`. */
function checkout(name: string, lock = '{"lockfileVersion":3}'): string {
  write(`${name}/package-lock.json`, lock);
  write(`${name}/packages/wire/package.json`, '{"name":"@gatehouse/wire","main":"index.js"}');
  write(`${name}/packages/wire/index.js`, '');
  return join(folder, name);
}

function installed(name: string): string {
  const root = checkout(name);
  write(`${name}/node_modules/outside/package.json`, '{"name":"outside","main":"index.js"}');
  write(`${name}/node_modules/outside/index.js`, '');
  write(`${name}/node_modules/.bin/tool`, '');
  write(`${name}/packages/wire/node_modules/nested/package.json`, '{"name":"nested","main":"index.js"}');
  write(`${name}/packages/wire/node_modules/nested/index.js`, '');
  mkdirSync(join(root, 'node_modules/@gatehouse'));
  symlinkSync('../../packages/wire', join(root, 'node_modules/@gatehouse/wire'));
  return root;
}

describe('linkModules', () => {
  it('[BENCH-AGAINST] gives a checkout the installed dependencies, and its own packages', () => {
    const root = installed('present');
    const other = checkout('other');
    linkModules(root, other, 'abc1234');
    const { resolve } = createRequire(join(other, 'packages/wire/index.js'));
    expect(resolve('outside')).toBe(join(root, 'node_modules/outside/index.js'));
    expect(resolve('nested')).toBe(join(root, 'packages/wire/node_modules/nested/index.js'));
    expect(resolve('@gatehouse/wire')).toBe(join(other, 'packages/wire/index.js'));
  });

  it('refuses other dependencies, and says what to do', () => {
    const root = installed('present');
    const other = checkout('other', '{"lockfileVersion":2}');
    expect(() => linkModules(root, other, 'abc1234')).toThrow(
      'The commit abc1234 has other dependencies: its package-lock.json differs. Check it out into a folder of its own, run npm ci',
    );
  });

  it('refuses links that would lead to the present code', () => {
    const root = installed('present');
    rmSync(join(root, 'node_modules/@gatehouse/wire'));
    symlinkSync(join(root, 'packages/wire'), join(root, 'node_modules/@gatehouse/wire'));
    expect(() => linkModules(root, checkout('other'), 'abc1234')).toThrow('is no relative link to a workspace');
  });
});

describe('checkOut', () => {
  it('takes a folder with a checkout as it is', () => {
    const other = installed('other');
    const { name, root, remove } = checkOut(installed('present'), other, join(folder, 'unused'));
    remove();
    expect([name, root]).toEqual([other, other]);
    expect(createRequire(join(root, 'x.js')).resolve('outside')).toContain('/other/');
  });

  it('says what a folder without dependencies needs', () => {
    expect(() => checkOut(installed('present'), checkout('other'), join(folder, 'unused'))).toThrow(
      'Run npm ci in it.',
    );
  });
});
