// The fixture server as a process: `node main.ts stdio`, or `node main.ts http [port]`, which prints its URL.
import { serveStdio } from '@modelcontextprotocol/server/stdio';
import { startFixtureHttp } from './http.ts';
import { createFixtureServer } from './server.ts';

const [transport, port] = process.argv.slice(2);
if (transport === 'stdio') {
  serveStdio(() => createFixtureServer());
} else if (transport === 'http') {
  const { url } = await startFixtureHttp(Number(port ?? 0));
  process.stdout.write(`${url}\n`);
} else {
  process.stderr.write('usage: main.ts stdio | http [port]\n');
  process.exitCode = 2;
}
