// What a tool of the fixture server is: data and one function, registered in `server.ts`.
import type { CallToolResult, InputRequiredResult, ServerContext } from '@modelcontextprotocol/server';

/** Tells of a change beyond the request that made it. */
export interface Notifier {
  toolsChanged(): void;
  promptsChanged(): void;
}

export type ToolResult = CallToolResult | InputRequiredResult;

export interface FixtureTool {
  name: string;
  description: string;
  /** JSON Schema, listed as it is. Default: an object with any members. */
  inputSchema?: Record<string, unknown>;
  run(
    args: Readonly<Record<string, unknown>>,
    ctx: ServerContext,
    notifier: Notifier,
  ): ToolResult | Promise<ToolResult>;
}

export function text(words: string): CallToolResult {
  return { content: [{ type: 'text', text: words }] };
}
