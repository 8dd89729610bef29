// Tools that ask the client by a request of their own: revisions with sessions.
import type { ElicitRequestFormParams, ServerContext } from '@modelcontextprotocol/server';
import { type FixtureTool, text } from './tool.ts';

type Form = ElicitRequestFormParams['requestedSchema'];

/**
 * On the stream of the call: `elicitInput` and `requestSampling` of the SDK use the one of the session, and are lost where
 * the client has not opened it yet.
 */
async function ask(ctx: ServerContext, message: string, requestedSchema: Form): Promise<string> {
  const { action, content } = await ctx.mcpReq.send({
    method: 'elicitation/create',
    params: { message, requestedSchema },
  });
  return `action=${action}, content=${JSON.stringify(content ?? {})}`;
}

const DEFAULTS: Form = {
  type: 'object',
  properties: {
    name: { type: 'string', description: 'User name', default: 'John Doe' },
    age: { type: 'integer', description: 'User age', default: 30 },
    score: { type: 'number', description: 'User score', default: 95.5 },
    status: { type: 'string', enum: ['active', 'inactive', 'pending'], default: 'active' },
    verified: { type: 'boolean', description: 'Verification status', default: true },
  },
  required: [],
};

const OPTIONS = ['option1', 'option2', 'option3'];
const ENUMS: Form = {
  type: 'object',
  properties: {
    untitledSingle: { type: 'string', description: 'One', enum: OPTIONS },
    titledSingle: {
      type: 'string',
      description: 'One, with titles',
      oneOf: [
        { const: 'value1', title: 'First Option' },
        { const: 'value2', title: 'Second Option' },
        { const: 'value3', title: 'Third Option' },
      ],
    },
    legacyEnum: {
      type: 'string',
      description: 'One, as it was written before',
      enum: ['opt1', 'opt2', 'opt3'],
      enumNames: ['Option One', 'Option Two', 'Option Three'],
    },
    untitledMulti: {
      type: 'array',
      description: 'Several',
      minItems: 1,
      maxItems: 3,
      items: { type: 'string', enum: OPTIONS },
    },
    titledMulti: {
      type: 'array',
      description: 'Several, with titles',
      minItems: 1,
      maxItems: 3,
      items: {
        anyOf: [
          { const: 'value1', title: 'First Choice' },
          { const: 'value2', title: 'Second Choice' },
          { const: 'value3', title: 'Third Choice' },
        ],
      },
    },
  },
  required: [],
};

export const ASKING_TOOLS: readonly FixtureTool[] = [
  {
    name: 'test_sampling',
    description: 'Asks the model of the client',
    inputSchema: { type: 'object', properties: { prompt: { type: 'string' } }, required: ['prompt'] },
    run: async (args, ctx) => {
      const { content } = await ctx.mcpReq.send({
        method: 'sampling/createMessage',
        params: {
          messages: [{ role: 'user', content: { type: 'text', text: String(args.prompt) } }],
          maxTokens: 100,
        },
      });
      return text(`LLM response: ${JSON.stringify(content)}`);
    },
  },
  {
    name: 'test_elicitation',
    description: 'Asks the person at the client',
    inputSchema: { type: 'object', properties: { message: { type: 'string' } }, required: ['message'] },
    run: async (args, ctx) => {
      const answer = await ask(ctx, String(args.message), {
        type: 'object',
        properties: { username: { type: 'string' }, email: { type: 'string' } },
        required: ['username', 'email'],
      });
      return text(`User response: ${answer}`);
    },
  },
  {
    name: 'test_elicitation_sep1034_defaults',
    description: 'Asks with a default of every kind',
    run: async (_args, ctx) => text(`Elicitation completed: ${await ask(ctx, 'Please review the form', DEFAULTS)}`),
  },
  {
    name: 'test_elicitation_sep1330_enums',
    description: 'Asks for choices of every kind',
    run: async (_args, ctx) => text(`Elicitation completed: ${await ask(ctx, 'Please select', ENUMS)}`),
  },
];
