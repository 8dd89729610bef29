// Any Node from 18 up can parse and run this file: it finds a Node that is new enough and hands everything through.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));

/** Type stripping without a flag and the parts of node:sqlite that the store needs came with Node 24.7. */
function isNewEnough(version) {
  const [major, minor] = version.split('.').map(Number);
  return major > 24 || (major === 24 && minor >= 7);
}

/** The Node that npm brought as an optional dependency, in any node_modules folder at or above this file. */
function findBroughtNode() {
  const os = process.platform === 'win32' ? 'win' : process.platform;
  const file = process.platform === 'win32' ? 'bin/node.exe' : 'bin/node';
  for (let folder = here; ; folder = dirname(folder)) {
    const candidate = join(folder, 'node_modules', `node-${os}-${process.arch}`, file);
    if (existsSync(candidate)) return candidate;
    if (dirname(folder) === folder) return undefined;
  }
}

function handThrough(program, node, main) {
  const child = spawn(node, [main, ...process.argv.slice(2)], { stdio: 'inherit' });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('error', (error) => {
    console.error(`${program}: cannot start ${node}: ${error.message}`);
    process.exit(1);
  });
  child.on('exit', (code, signal) => {
    process.exit(signal ? 128 + (constants.signals[signal] ?? 0) : (code ?? 1));
  });
}

/**
 * Runs the first of `mains` that is there (paths from this folder): sources in the repository, compiled JavaScript in the
 * published package, since Node strips no types below node_modules.
 */
export async function launch(program, mains) {
  const main = mains.map((path) => join(here, path)).find((path) => existsSync(path));
  if (!main) {
    console.error(`${program}: the program files are missing beside this launcher; install the package again.`);
    process.exit(1);
  }
  if (isNewEnough(process.versions.node)) {
    await import(pathToFileURL(main).href);
    return;
  }
  const node = findBroughtNode();
  if (!node) {
    console.error(
      `${program}: needs Node 24.7 or newer and runs on ${process.versions.node}. npm brings one along for linux-x64, ` +
        'linux-arm64, darwin-x64 and win-x64 (unless installed with --omit=optional); on other machines install Node 24.',
    );
    process.exit(1);
  }
  handThrough(program, node, main);
}
