// Runs `npm ci` when the lock file is newer than what is installed. Any Node from 18 up can run this file.
import { spawnSync } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { findNode, root } from './node24.mjs';

const marker = join(root, 'node_modules', '.package-lock.json');
const lock = join(root, 'package-lock.json');

if (!existsSync(marker) || statSync(marker).mtimeMs < statSync(lock).mtimeMs) {
  console.log('Installing dependencies (npm ci), once ...');
  const npm = process.env.npm_execpath;
  // Without the level, an older Node is met by a screen of warnings that it is too old, although a newer one is on its way.
  const install = ['ci', '--loglevel=error'];
  const [command, args] = npm ? [process.execPath, [npm, ...install]] : ['npm', install];
  const result = spawnSync(command, args, { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] });
  if (result.status !== 0) {
    console.error('npm ci failed. Run it by hand in this folder to see why.');
    process.exit(1);
  }
}
if (!findNode()) {
  console.error(
    `Gatehouse needs Node 24.7 or newer and found ${process.versions.node}. npm brings one for linux-x64, linux-arm64, ` +
      'darwin-x64 and win-x64; on other machines install Node 24 and run this command again.',
  );
  process.exit(1);
}
