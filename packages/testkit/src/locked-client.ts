// MCP clients for tests, each from a lock file of its own: they stay out of what a newcomer installs.
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { isUnreachable, npmEnvironment, ROOT, type Sandbox } from './launch.ts';

const CACHE = join(ROOT, 'node_modules', '.cache');

/** The file that runs it, below the folder of its lock file. */
const MAIN = {
  inspector: join('node_modules', '@modelcontextprotocol', 'inspector', 'clients', 'launcher', 'build', 'index.js'),
  'mcp-remote': join('node_modules', 'mcp-remote', 'dist', 'proxy.js'),
  'gemini-cli': join('node_modules', '@google', 'gemini-cli', 'bundle', 'gemini.js'),
} as const;

/**
 * The file that runs a client: installed on first use, without its scripts, and kept beside the other tools' caches.
 * @returns undefined when npm cannot reach its registry
 * @throws Error with npm's words when the installation fails for another reason
 */
export async function lockedClient(sandbox: Sandbox, name: keyof typeof MAIN): Promise<string | undefined> {
  const locked = join(ROOT, 'packages', 'testkit', name);
  const digest = createHash('sha256')
    .update(readFileSync(join(locked, 'package-lock.json')))
    .digest('hex');
  const folder = join(CACHE, `gatehouse-${name}-${digest.slice(0, 16)}`);
  if (existsSync(folder)) return join(folder, MAIN[name]);
  mkdirSync(CACHE, { recursive: true });
  const part = mkdtempSync(join(CACHE, `gatehouse-${name}-part-`));
  try {
    cpSync(locked, part, { recursive: true });
    const args = ['ci', '--ignore-scripts', '--omit=optional'];
    const { code, stderr } = await sandbox.run('npm', args, { cwd: part, env: npmEnvironment() });
    if (code !== 0 && isUnreachable(stderr)) return undefined;
    if (code !== 0) throw new Error(`npm ${args.join(' ')} for ${name} ended with ${code}:\n${stderr}`);
    // Whole or not at all, so that a broken installation is never taken for one.
    renameSync(part, folder);
    return join(folder, MAIN[name]);
  } finally {
    rmSync(part, { recursive: true, force: true });
  }
}
