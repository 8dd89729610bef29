// The checks of `gatehouse doctor`: each looks at one thing, changes nothing, and says what to do.
import { accessSync, constants, existsSync, statfsSync, statSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { delimiter, isAbsolute, join } from 'node:path';
import type { Transport } from '@gatehouse/gateway';

export interface Check {
  name: string;
  status: 'ok' | 'warn' | 'fail';
  message: string;
  /** What to do about it. */
  action?: string;
}

const DISK_WARN_BYTES = 1024 ** 3;
const DISK_FAIL_BYTES = 100 * 1024 ** 2;
const CONNECT_TIMEOUT_MS = 3_000;

const ok = (name: string, message: string): Check => ({ name, status: 'ok', message });
const warn = (name: string, message: string, action: string): Check => ({ name, status: 'warn', message, action });
const fail = (name: string, message: string, action: string): Check => ({ name, status: 'fail', message, action });

export function checkNode(version: string): Check {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  if (major > 24 || (major === 24 && minor >= 7)) return ok('node', `Node ${version}`);
  return fail('node', `Node ${version} is too old`, 'Use Node 24.7 or newer.');
}

/** The folder belongs to this user, nobody else can read it, and it can be written. */
export function checkDataFolder(dir: string, platform: NodeJS.Platform = process.platform): Check {
  const name = 'data folder';
  if (!existsSync(dir)) return warn(name, `${dir} does not exist yet`, 'The first start makes it: gatehouse serve');
  const stats = statSync(dir);
  if (!stats.isDirectory()) return fail(name, `${dir} is not a folder`, 'Name another one with --data.');
  try {
    accessSync(dir, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch {
    return fail(name, `${dir} cannot be written by this user`, 'Run as its owner, or change its owner.');
  }
  if (platform !== 'win32') {
    if (process.getuid !== undefined && stats.uid !== process.getuid()) {
      return warn(name, `${dir} belongs to another user (uid ${stats.uid})`, 'Run as that user.');
    }
    if ((stats.mode & 0o077) !== 0) {
      const mode = (stats.mode & 0o777).toString(8);
      return warn(name, `${dir} can be entered by other users (mode ${mode})`, `Run: chmod 700 ${dir}`);
    }
  }
  return ok(name, dir);
}

/** Space for the log; the nearest existing folder counts where the data folder is not made yet. */
export function checkDisk(dir: string, freeBytes: (path: string) => number = freeSpace): Check {
  const free = freeBytes(existsSync(dir) ? dir : '/');
  const text = `${(free / 1024 ** 3).toFixed(1)} GiB free`;
  const action = 'Make room: without it the log cannot be written, and no call passes.';
  if (free < DISK_FAIL_BYTES) return fail('disk', text, action);
  if (free < DISK_WARN_BYTES) return warn('disk', text, action);
  return ok('disk', text);
}

function freeSpace(path: string): number {
  const { bavail, bsize } = statfsSync(path);
  return bavail * bsize;
}

/** Whether the port could be taken; not asked while a gateway of this data folder has it. */
export async function checkPort(host: string, port: number): Promise<Check> {
  if (port === 0) return ok('port', 'a free one is taken at each start');
  const failure = await new Promise<NodeJS.ErrnoException | undefined>((resolve) => {
    const server = createServer();
    server.once('error', resolve);
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(undefined)));
  });
  if (failure === undefined) return ok('port', `${host}:${port} is free`);
  if (failure.code === 'EADDRINUSE') {
    return fail(
      'port',
      `${host}:${port} is used by another program`,
      'Stop it, or choose another one: --port, GATEHOUSE_PORT.',
    );
  }
  return fail('port', `${host}:${port} cannot be used (${failure.code})`, 'Choose another host or port.');
}

/** Whether the server is there at all: a connection, or the command's file. Nothing is sent and nothing started. */
export async function checkUpstream(slug: string, transport: Transport, path: string): Promise<Check> {
  const name = `server ${slug}`;
  if (transport.kind !== 'stdio') {
    const { hostname, port, protocol } = new URL(transport.url);
    const number = Number(port) || (protocol === 'https:' ? 443 : 80);
    const failure = await connectFailure(hostname.replace(/^\[|\]$/g, ''), number);
    if (failure === undefined) return ok(name, `${hostname}:${number} answers`);
    return fail(
      name,
      `${hostname}:${number} cannot be reached (${failure})`,
      `Start it, or see: gatehouse server show ${slug}`,
    );
  }
  if (transport.cwd !== undefined && !existsSync(transport.cwd)) {
    return fail(name, `its folder ${transport.cwd} does not exist`, `See: gatehouse server show ${slug}`);
  }
  if (isExecutable(transport.command, path)) return ok(name, `${transport.command} is installed`);
  return fail(name, `${transport.command} is not found`, `Install it, or see: gatehouse server show ${slug}`);
}

async function connectFailure(host: string, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: CONNECT_TIMEOUT_MS });
    const end = (failure: string | undefined): void => {
      socket.destroy();
      resolve(failure);
    };
    socket
      .once('connect', () => end(undefined))
      .once('timeout', () => end('no answer in time'))
      .once('error', (error: NodeJS.ErrnoException) => end(error.code ?? error.message));
  });
}

function isExecutable(command: string, path: string): boolean {
  const candidates =
    isAbsolute(command) || command.includes('/') ? [command] : path.split(delimiter).map((dir) => join(dir, command));
  const endings = process.platform === 'win32' ? ['', '.exe', '.cmd', '.bat'] : [''];
  return candidates.some((candidate) =>
    endings.some((ending) => {
      try {
        accessSync(candidate + ending, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    }),
  );
}
