// `npm start`: the gateway on this machine with the Flux Pro server behind it. Any Node from 18 up can run this file.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { findNode, root } from './node24.mjs';

const child = spawn(findNode(), [join(root, 'packages/cli/src/main.ts'), 'start', ...process.argv.slice(2)], {
  stdio: 'inherit',
});
// The terminal sends Ctrl-C to the whole group; the child ends in order and this process reports how.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
child.on('exit', (code, signal) => process.exit(signal === null ? (code ?? 1) : 130));
