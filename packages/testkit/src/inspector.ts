// The MCP Inspector's command line, from a lock file of its own: it stays out of what a newcomer installs.
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { isUnreachable, npmEnvironment, ROOT, type Sandbox } from './launch.ts';

const LOCKED = join(ROOT, 'packages', 'testkit', 'inspector');
const CACHE = join(ROOT, 'node_modules', '.cache');
const MAIN = join('node_modules', '@modelcontextprotocol', 'inspector', 'clients', 'launcher', 'build', 'index.js');

/**
 * The file that runs the Inspector: installed on first use, without its scripts, and kept beside the other tools' caches.
 * @returns undefined when npm cannot reach its registry
 * @throws Error with npm's words when the installation fails for another reason
 */
export async function inspectorMain(sandbox: Sandbox): Promise<string | undefined> {
  const digest = createHash('sha256')
    .update(readFileSync(join(LOCKED, 'package-lock.json')))
    .digest('hex');
  const folder = join(CACHE, `gatehouse-inspector-${digest.slice(0, 16)}`);
  if (existsSync(folder)) return join(folder, MAIN);
  mkdirSync(CACHE, { recursive: true });
  const part = mkdtempSync(join(CACHE, 'gatehouse-inspector-part-'));
  try {
    cpSync(LOCKED, part, { recursive: true });
    const args = ['ci', '--ignore-scripts', '--omit=optional'];
    const { code, stderr } = await sandbox.run('npm', args, { cwd: part, env: npmEnvironment() });
    if (code !== 0 && isUnreachable(stderr)) return undefined;
    if (code !== 0) throw new Error(`npm ${args.join(' ')} for the Inspector ended with ${code}:\n${stderr}`);
    // Whole or not at all, so that a broken installation is never taken for one.
    renameSync(part, folder);
    return join(folder, MAIN);
  } finally {
    rmSync(part, { recursive: true, force: true });
  }
}
