// Loaded before a program (`node --import`): writes a line for whatever leads out of the process, into $NETWORK_RECORD.
import childProcess from 'node:child_process';
import dgram from 'node:dgram';
import dns from 'node:dns';
import { appendFileSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import net from 'node:net';

const note = (kind, target) =>
  appendFileSync(process.env.NETWORK_RECORD, `${JSON.stringify({ pid: process.pid, kind, target: String(target) })}\n`);

/** Calls `see` with the arguments before the method runs. */
function watch(owner, method, see) {
  const original = owner[method];
  owner[method] = function watched(...args) {
    see(args, this);
    return original.apply(this, args);
  };
}

// TCP and TLS, those of http, http2, fetch and undici included, all connect a socket.
watch(net.Socket.prototype, 'connect', ([first, second]) => {
  const options = Array.isArray(first) ? first[0] : first;
  if (typeof options === 'object') note('connect', options.path ?? options.host ?? 'localhost');
  else note('connect', typeof options === 'string' ? options : (second ?? 'localhost'));
});
watch(net.Server.prototype, 'listen', (_, server) =>
  server.once('listening', () => note('listen', server.address()?.address ?? server.address())),
);
for (const owner of [dns, dns.promises, dns.Resolver.prototype, dns.promises.Resolver.prototype]) {
  for (const method of Object.getOwnPropertyNames(owner)) {
    if (/^(lookup|resolve|reverse)/.test(method)) watch(owner, method, ([name]) => note('dns', name));
  }
}
for (const method of ['send', 'connect']) {
  watch(dgram.Socket.prototype, method, (args) =>
    note(
      'udp',
      args.findLast((value) => typeof value === 'string'),
    ),
  );
}
watch(childProcess.ChildProcess.prototype, 'spawn', ([{ file, args }]) =>
  note('spawn', [file, ...args.slice(1)].join(' ')),
);
for (const method of ['spawnSync', 'execFileSync', 'execSync']) {
  watch(childProcess, method, ([file]) => note('spawn', file));
}
syncBuiltinESMExports();
note('loaded', process.argv[1] ?? '');
