// Finds the Node that the project runs on. Any Node from 18 up can parse this file.
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** The project needs type stripping without a flag and node:sqlite's iterate and backup: Node 24.7. */
export function isNewEnough(version) {
  const [major, minor] = version.split('.').map(Number);
  return major > 24 || (major === 24 && minor >= 7);
}

/** Path of a Node that is new enough: the running one, or the one that npm brought; undefined when there is none. */
export function findNode() {
  if (isNewEnough(process.versions.node)) return process.execPath;
  const os = process.platform === 'win32' ? 'win' : process.platform;
  const file = process.platform === 'win32' ? 'bin/node.exe' : 'bin/node';
  const brought = join(root, 'node_modules', `node-${os}-${process.arch}`, file);
  return existsSync(brought) ? brought : undefined;
}
