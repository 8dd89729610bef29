import type { McpServerFactory } from '@modelcontextprotocol/server';
import { type StdioServerHandle, StdioServerTransport, serveStdio as serve } from '@modelcontextprotocol/server/stdio';
import type { Logger } from 'pino';

/** A 20 MiB picture as base64, and the rest of the call. The default of the SDK would close the connection at 10 MiB. */
const MAX_MESSAGE_BYTES = 32 * 1024 * 1024;

/** @param onEnd is called when the client closed its end */
export function serveStdio(factory: McpServerFactory, log: Logger, onEnd: () => void): StdioServerHandle {
  process.stdin.once('end', onEnd);
  process.stdin.once('close', onEnd);
  return serve(factory, {
    transport: new StdioServerTransport(process.stdin, process.stdout, { maxBufferSize: MAX_MESSAGE_BYTES }),
    // The name alone: the message of a parse error quotes what was sent.
    onerror: (error) => log.warn({ error: error.name }, 'a message was refused'),
  });
}
