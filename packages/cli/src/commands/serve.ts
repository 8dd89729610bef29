import type { Command } from 'commander';
import { type Context, defineCommand, handle } from '../context.ts';
import { type ServeOptions, serveGateway } from '../serve-gateway.ts';

export function addServeCommand(program: Command, context: Context): void {
  const command = defineCommand(program, 'serve', {
    description: 'run the gateway until it is told to stop (Ctrl-C, SIGTERM)',
    examples: ['gatehouse serve', 'gatehouse serve --data /srv/gatehouse --port 8080 --ready-file /run/gatehouse.json'],
    notes: 'A bind beyond loopback needs public_url and a secret key of yours; see: gatehouse config show',
  })
    .option('--host <address>', 'address to listen on (default: 127.0.0.1)')
    .option('--port <number>', 'port to listen on; 0 takes a free one (default: 8080, with TLS 8443)')
    .option('--ready-file <file>', 'written when it is ready: addresses and the admin token, as JSON, mode 600');
  handle<ServeOptions>(context, command, (_, options) => serveGateway(context, options));
}
