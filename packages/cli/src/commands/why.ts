import type { Command } from 'commander';
import type { Why } from '../api-types.ts';
import { type Context, defineCommand, type GlobalOptions, handle, withClient } from '../context.ts';
import { EXIT } from '../exit-codes.ts';
import { showTrace } from '../trace-view.ts';
import { queryOf } from '../values.ts';

export function addWhyCommand(program: Command, context: Context): void {
  const { out } = context;
  const command = defineCommand(program, 'why <request-id|tool>', {
    description: 'the truth about a denial, or what would happen to a call of a tool',
    examples: [
      'gatehouse why 0b8f7f0e-6a54-4a0e-9d3e-2f1f0f6f5c11',
      'gatehouse why flux_generate_image --grant grt_0123456789abcdefghij',
    ],
    notes: 'A denial names its request id. Unlike the agent, you are told whether a tool is hidden or unknown.',
  }).option('--grant <grant>', 'the tool as the caller of this grant: id or label');
  handle<GlobalOptions & { grant?: string }>(context, command, ([what], options) =>
    withClient(context, options, async (client) => {
      const { grant } = options;
      const query = queryOf(grant === undefined ? { requestId: what } : { tool: what, grant });
      const why = await client.request<Why>('GET', `/why${query}`);
      if (out.isJson) out.json(why);
      else {
        for (const sentence of why.sentences) out.text(sentence);
        if (why.trace !== undefined) {
          out.line();
          showTrace(out, why.trace);
        }
      }
      return EXIT.ok;
    }),
  );
}
