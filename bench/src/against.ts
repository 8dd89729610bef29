// The checkout that the present gateway is compared with: a commit in a worktree of its own, with the dependencies that are
// installed here.
import { spawnSync } from 'node:child_process';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import { isAbsolute, join, resolve } from 'node:path';

const LOCK = 'package-lock.json';
/** The folder in `node_modules` whose entries lead to the workspaces, by relative paths. */
const OWN_SCOPE = '@gatehouse';

export interface OtherCheckout {
  /** Short commit, or the folder as it was given. */
  name: string;
  root: string;
  /** Takes away what was made. */
  remove(): void;
}

/**
 * @param reference a commit, a branch, a tag, or a folder that holds a checkout with its dependencies installed
 * @param folder for the worktree; must not exist
 * @throws Error when there is no such commit, or its dependencies are not the installed ones
 */
export function checkOut(root: string, reference: string, folder: string): OtherCheckout {
  if (existsSync(join(reference, LOCK)) && statSync(reference).isDirectory()) {
    const other = resolve(reference);
    if (!existsSync(join(other, 'node_modules'))) {
      throw new Error(`The checkout ${reference} has no node_modules. Run npm ci in it.`);
    }
    return { name: reference, root: other, remove: () => undefined };
  }
  const name = git(root, ['rev-parse', '--short', '--verify', `${reference}^{commit}`]).trim();
  git(root, ['worktree', 'add', '--detach', folder, name]);
  const remove = (): void => {
    git(root, ['worktree', 'remove', '--force', folder]);
  };
  try {
    linkModules(root, folder, name);
  } catch (error) {
    remove();
    throw error;
  }
  return { name, root: folder, remove };
}

/**
 * Gives a checkout the installed dependencies. Its own packages are linked anew: a link to the whole folder would lead to
 * the packages of this checkout, and the present code would be compared with itself.
 * @throws Error when the lock file asks for other dependencies
 */
export function linkModules(root: string, worktree: string, name: string): void {
  const lock = (folder: string) => readFileSync(join(folder, LOCK), 'utf8');
  if (!existsSync(join(worktree, LOCK)) || lock(worktree) !== lock(root)) {
    throw new Error(
      `The commit ${name} has other dependencies: its ${LOCK} differs. Check it out into a folder of its own, run npm ci ` +
        'there, and give that folder to --against.',
    );
  }
  linkFolder(join(root, 'node_modules'), join(worktree, 'node_modules'));
  for (const group of ['packages', '.']) {
    for (const entry of readdirSync(join(root, group), { withFileTypes: true })) {
      const own = join(group, entry.name, 'node_modules');
      if (!entry.isDirectory() || entry.name === 'node_modules' || !existsSync(join(root, own))) continue;
      if (existsSync(join(worktree, group, entry.name))) linkFolder(join(root, own), join(worktree, own));
    }
  }
}

function linkFolder(from: string, to: string): void {
  mkdirSync(to);
  for (const name of readdirSync(from)) {
    if (name === OWN_SCOPE) linkOwnPackages(join(from, name), join(to, name));
    else if (!name.startsWith('.')) symlinkSync(join(from, name), join(to, name));
  }
}

function linkOwnPackages(from: string, to: string): void {
  mkdirSync(to);
  for (const name of readdirSync(from)) {
    const link = join(from, name);
    const target = lstatSync(link).isSymbolicLink() ? readlinkSync(link) : link;
    if (isAbsolute(target)) throw new Error(`${link} is no relative link to a workspace. Run npm ci.`);
    symlinkSync(target, join(to, name));
  }
}

function git(root: string, args: string[]): string {
  const { status, stdout, stderr, error } = spawnSync('git', ['-C', root, ...args], { encoding: 'utf8' });
  if (error !== undefined) throw new Error(`git cannot be run: ${error.message}`);
  if (status !== 0) throw new Error(`git ${args[0]} failed: ${stderr.trim()}`);
  return stdout;
}
