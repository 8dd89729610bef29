// Tools that answer by themselves: contents, logging, progress, headers, schemas, changes of lists.
import { setTimeout as sleep } from 'node:timers/promises';
import { AUDIO, EMBEDDED, IMAGE, MIXED } from './content.ts';
import { type FixtureTool, text } from './tool.ts';

const STEP_MS = 50;

export const PLAIN_TOOLS: readonly FixtureTool[] = [
  {
    name: 'test_simple_text',
    description: 'Answers with text',
    run: () => text('This is a simple text response for testing.'),
  },
  { name: 'test_image_content', description: 'Answers with an image', run: () => ({ content: IMAGE }) },
  { name: 'test_audio_content', description: 'Answers with sound', run: () => ({ content: AUDIO }) },
  { name: 'test_embedded_resource', description: 'Answers with a resource', run: () => ({ content: EMBEDDED }) },
  {
    name: 'test_multiple_content_types',
    description: 'Answers with text, image and resource',
    run: () => ({ content: MIXED }),
  },
  {
    name: 'test_error_handling',
    description: 'Answers with an error',
    run: () => ({ ...text('This tool intentionally returns an error for testing'), isError: true }),
  },
  {
    name: 'test_tool_with_logging',
    description: 'Logs three times before it answers',
    run: async (_args, ctx) => {
      for (const data of ['Tool execution started', 'Tool processing data', 'Tool execution completed']) {
        await ctx.mcpReq.notify({ method: 'notifications/message', params: { level: 'info', data } });
        await sleep(STEP_MS);
      }
      return text('Tool with logging executed successfully');
    },
  },
  {
    name: 'test_tool_with_progress',
    description: 'Reports progress to who asked for it',
    run: async (_args, ctx) => {
      const progressToken = ctx.mcpReq._meta?.progressToken;
      if (progressToken === undefined) return text('no-progress-token');
      for (const progress of [0, 50, 100]) {
        await ctx.mcpReq.notify({
          method: 'notifications/progress',
          params: { progressToken, progress, total: 100, message: `Completed step ${progress} of 100` },
        });
        await sleep(STEP_MS);
      }
      return text(String(progressToken));
    },
  },
  {
    name: 'test_logging_tool',
    description: 'Logs where the request names a level',
    run: async (_args, ctx) => {
      await ctx.mcpReq.log('info', 'logged for the level of the request');
      return text('logged');
    },
  },
  {
    name: 'test_reconnection',
    description: 'Closes its stream and answers on the one that resumes it',
    run: async (_args, ctx) => {
      ctx.http?.closeSSE?.();
      await sleep(2 * STEP_MS);
      return text('Reconnection test completed successfully.');
    },
  },
  {
    name: 'test_streaming_elicitation',
    description: 'Answers on a stream that holds no request of the server',
    run: () => text('no request'),
  },
  {
    name: 'test_x_mcp_header',
    description: 'Has an argument that is repeated in a header',
    inputSchema: {
      type: 'object',
      properties: {
        region: { type: 'string', 'x-mcp-header': 'Region' },
        level: { type: 'integer' },
      },
    },
    run: (args) => text(`region=${String(args.region ?? 'none')}`),
  },
  {
    name: 'json_schema_2020_12_tool',
    description: 'Its schema uses the words of JSON Schema 2020-12',
    inputSchema: {
      $schema: 'https://json-schema.org/draft/2020-12/schema',
      type: 'object',
      $defs: {
        address: {
          $anchor: 'addressDef',
          type: 'object',
          properties: { street: { type: 'string' }, city: { type: 'string' } },
        },
      },
      properties: {
        name: { type: 'string' },
        address: { $ref: '#/$defs/address' },
        contactMethod: { type: 'string', enum: ['phone', 'email'] },
        phone: { type: 'string' },
        email: { type: 'string' },
      },
      allOf: [{ anyOf: [{ required: ['phone'] }, { required: ['email'] }] }],
      if: { properties: { contactMethod: { const: 'phone' } }, required: ['contactMethod'] },
      // biome-ignore lint/suspicious/noThenProperty: a word of JSON Schema
      then: { required: ['phone'] },
      else: { required: ['email'] },
      additionalProperties: false,
    },
    run: (args) => text(`called with ${JSON.stringify(args)}`),
  },
  {
    name: 'test_trigger_tool_change',
    description: 'Tells all subscriptions that the tools changed',
    run: (_args, _ctx, notifier) => {
      notifier.toolsChanged();
      return text('told');
    },
  },
  {
    name: 'test_trigger_prompt_change',
    description: 'Tells all subscriptions that the prompts changed',
    run: (_args, _ctx, notifier) => {
      notifier.promptsChanged();
      return text('told');
    },
  },
];
