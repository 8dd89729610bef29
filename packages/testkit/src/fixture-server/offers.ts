// Resources and prompts of the fixture server.
import {
  acceptedContent,
  fromJsonSchema,
  type GetPromptResult,
  type InputRequiredResult,
  inputRequired,
  type McpServer,
  ResourceTemplate,
  type ServerContext,
} from '@modelcontextprotocol/server';
import { PNG } from './content.ts';
import { askFor } from './input-tools.ts';

const TEXTS: Readonly<Record<string, string>> = {
  'static-text': 'This is the content of the static text resource.',
  'watched-resource': 'Watched resource content',
};

export function registerResources(server: McpServer): void {
  for (const [name, words] of Object.entries(TEXTS)) {
    const uri = `test://${name}`;
    server.registerResource(name, uri, { mimeType: 'text/plain' }, () => ({
      contents: [{ uri, mimeType: 'text/plain', text: words }],
    }));
  }
  const uri = 'test://static-binary';
  server.registerResource('static-binary', uri, { mimeType: 'image/png' }, () => ({
    contents: [{ uri, mimeType: 'image/png', blob: PNG }],
  }));
  server.registerResource(
    'template',
    new ResourceTemplate('test://template/{id}/data', { list: undefined }),
    { mimeType: 'application/json' },
    (asked, { id }) => ({
      contents: [
        {
          uri: asked.toString(),
          mimeType: 'application/json',
          text: JSON.stringify({ id, templateTest: true, data: `Data for ID: ${String(id)}` }),
        },
      ],
    }),
  );
}

const said = (...content: GetPromptResult['messages'][number]['content'][]): GetPromptResult => ({
  messages: content.map((block) => ({ role: 'user', content: block })),
});

const strings = (...names: string[]) =>
  fromJsonSchema<Record<string, string>>({
    type: 'object',
    properties: Object.fromEntries(names.map((name) => [name, { type: 'string' }])),
    required: names,
  });

export function registerPrompts(server: McpServer): void {
  server.registerPrompt('test_simple_prompt', { description: 'A prompt without arguments' }, () =>
    said({ type: 'text', text: 'This is a simple prompt for testing.' }),
  );
  server.registerPrompt(
    'test_prompt_with_arguments',
    { description: 'A prompt with arguments', argsSchema: strings('arg1', 'arg2') },
    ({ arg1, arg2 }) => said({ type: 'text', text: `Prompt with arguments: arg1='${arg1}', arg2='${arg2}'` }),
  );
  server.registerPrompt(
    'test_prompt_with_embedded_resource',
    { description: 'A prompt with a resource', argsSchema: strings('resourceUri') },
    ({ resourceUri }) =>
      said(
        {
          type: 'resource',
          resource: {
            uri: resourceUri ?? '',
            mimeType: 'text/plain',
            text: 'Embedded resource content for testing.',
          },
        },
        { type: 'text', text: 'Please process the embedded resource above.' },
      ),
  );
  server.registerPrompt('test_prompt_with_image', { description: 'A prompt with an image' }, () =>
    said(
      { type: 'image', data: PNG, mimeType: 'image/png' },
      { type: 'text', text: 'Please analyze the image above.' },
    ),
  );
  server.registerPrompt(
    'test_input_required_result_prompt',
    { description: 'A prompt that asks first' },
    // Without arguments a prompt is given the context alone.
    (ctx: ServerContext): GetPromptResult | InputRequiredResult => {
      const words = acceptedContent<{ context: string }>(ctx.mcpReq.inputResponses, 'user_context')?.context;
      if (words !== undefined) return said({ type: 'text', text: `Use the following context: ${words}` });
      return inputRequired({
        inputRequests: { user_context: askFor('What context should the prompt use?', 'context', 'string') },
      });
    },
  );
}
