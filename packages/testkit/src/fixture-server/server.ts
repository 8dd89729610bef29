// The server that passes every scored scenario of the official conformance suite, in both eras, on any transport.
import { fromJsonSchema, McpServer } from '@modelcontextprotocol/server';
import { ASKING_TOOLS } from './asking-tools.ts';
import { INPUT_TOOLS, REQUEST_STATE } from './input-tools.ts';
import { registerPrompts, registerResources } from './offers.ts';
import { PLAIN_TOOLS } from './plain-tools.ts';
import type { Notifier } from './tool.ts';

const ANY = { type: 'object', properties: {} };

/** @param everyone told of changes that are not this connection's alone. Default: the connection is told */
export function createFixtureServer(everyone?: Notifier): McpServer {
  const server = new McpServer(
    { name: 'gatehouse-fixture', version: '1.0.0' },
    {
      capabilities: {
        tools: { listChanged: true },
        resources: { subscribe: true, listChanged: true },
        prompts: { listChanged: true },
        logging: {},
        completions: {},
      },
      requestState: { verify: REQUEST_STATE.verify },
    },
  );
  const notifier = everyone ?? {
    toolsChanged: () => server.sendToolListChanged(),
    promptsChanged: () => server.sendPromptListChanged(),
  };
  for (const { name, description, inputSchema, run } of [...PLAIN_TOOLS, ...ASKING_TOOLS, ...INPUT_TOOLS]) {
    server.registerTool(
      name,
      { description, inputSchema: fromJsonSchema<Record<string, unknown>>(inputSchema ?? ANY) },
      (args, ctx) => run(args, ctx, notifier),
    );
  }
  registerResources(server);
  registerPrompts(server);
  server.server.setRequestHandler('resources/subscribe', () => ({}));
  server.server.setRequestHandler('resources/unsubscribe', () => ({}));
  server.server.setRequestHandler('logging/setLevel', () => ({}));
  server.server.setRequestHandler('completion/complete', () => ({
    completion: { values: [], total: 0, hasMore: false },
  }));
  return server;
}
