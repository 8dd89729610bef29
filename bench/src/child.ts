// The child's side of a process that the benchmark starts.
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/** Listens on a free port of loopback, tells the parent which, and ends when the parent is gone. */
export function listenAndTell(server: Server): void {
  server.listen(0, '127.0.0.1', () => process.send?.({ port: (server.address() as AddressInfo).port }));
  endWithParent();
}

export function endWithParent(): void {
  process.on('disconnect', () => process.exit(0));
  // Ctrl-C reaches the whole group: the parent ends its children in order.
  process.on('SIGINT', () => undefined);
}
