// nginx as a pass-through: one worker, keep-alive to the upstream, no access log, bodies in memory.

import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { type Processes, type Started, waitFor } from './processes.ts';

// Debian keeps it where the search path of a plain user does not lead.
const CANDIDATES = ['nginx', '/usr/sbin/nginx', '/usr/local/sbin/nginx'];

/** The program and its version; undefined when it is not installed. */
export function findNginx(): { command: string; version: string } | undefined {
  for (const command of CANDIDATES) {
    const { status, stderr } = spawnSync(command, ['-v'], { encoding: 'utf8' });
    if (status === 0) return { command, version: stderr.trim().replace('nginx version: ', '') };
  }
  return undefined;
}

/** @throws Error with what nginx says, when it does not start */
export async function startNginx(
  processes: Processes,
  { command, folder, upstream }: { command: string; folder: string; upstream: URL },
): Promise<{ started: Started; url: string }> {
  const home = join(folder, 'nginx');
  mkdirSync(home);
  const port = await freePort();
  const file = join(home, 'nginx.conf');
  writeFileSync(file, config({ home, port, upstream }));
  const started = processes.spawn(command, ['-c', file, '-p', home]);
  await waitFor(started, 'nginx', () => answers(port));
  return { started, url: `http://127.0.0.1:${port}/` };
}

function config({ home, port, upstream }: { home: string; port: number; upstream: URL }): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (kind) => `  ${kind}_temp_path ${home}/${kind};`,
  );
  return `daemon off;
worker_processes 1;
pid ${home}/nginx.pid;
error_log stderr error;
worker_rlimit_nofile 20000;
events { worker_connections 16384; }
http {
  access_log off;
${temporary.join('\n')}
  keepalive_requests 1000000000;
  keepalive_timeout 600s;
  client_body_buffer_size 128k;
  proxy_buffer_size 32k;
  proxy_buffers 8 32k;
  proxy_busy_buffers_size 64k;
  proxy_read_timeout 3600s;
  upstream bench {
    server ${upstream.host};
    keepalive 1024;
    keepalive_requests 1000000000;
    keepalive_timeout 600s;
  }
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://bench;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
    }
  }
}
`;
}

/** A port that was free a moment ago: nginx cannot be given port 0. */
function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}

function answers(port: number): Promise<true | undefined> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(undefined));
  });
}
