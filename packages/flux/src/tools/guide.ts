/** The tools with one line each, in the order of the list. */
export const TOOL_PURPOSES = [
  { name: 'flux_generate_image', purpose: 'Make pictures from a description.' },
  { name: 'flux_edit_image', purpose: 'Change an existing picture by a description of the change.' },
  { name: 'flux_get_task', purpose: 'Ask how one task stands, and get its pictures.' },
  { name: 'flux_get_tasks_batch', purpose: 'The same for up to 50 tasks in one call.' },
  { name: 'flux_list_models', purpose: 'See the models with their speed, quality, price and sizes.' },
  { name: 'flux_list_actions', purpose: 'See the tools and worked examples.' },
] as const;

/** Worked examples for `flux_list_actions`. */
export const EXAMPLES = [
  {
    title: 'A quick draft',
    steps: [
      {
        tool: 'flux_generate_image',
        arguments: { prompt: 'a lighthouse on a rocky coast at dusk, warm window light, wide view', size: '16:9' },
      },
    ],
  },
  {
    title: 'Choosing among variations, with small pictures in the answer',
    steps: [
      {
        tool: 'flux_generate_image',
        arguments: {
          prompt: 'poster of a red fox in a snowy forest, flat shapes',
          size: '3:4',
          count: 4,
          inline: 'thumbnail',
        },
      },
    ],
  },
  {
    title: 'Making one of them again in the best quality',
    steps: [
      {
        tool: 'flux_generate_image',
        arguments: {
          prompt: 'poster of a red fox in a snowy forest, flat shapes',
          size: '1152x1536',
          model: 'flux-2-max',
          seed: 4211,
        },
      },
    ],
  },
  {
    title: 'Changing a picture that was made before',
    steps: [
      {
        tool: 'flux_edit_image',
        arguments: {
          prompt: 'make it a clear winter night, keep the composition',
          image_url: 'flux://images/<id>.png',
        },
      },
    ],
  },
  {
    title: 'Several long tasks at once',
    steps: [
      { tool: 'flux_generate_image', arguments: { prompt: 'a harbour in the morning', wait_seconds: 0 } },
      { tool: 'flux_generate_image', arguments: { prompt: 'the same harbour at night', wait_seconds: 0 } },
      { tool: 'flux_get_tasks_batch', arguments: { task_ids: ['<first task_id>', '<second task_id>'] } },
    ],
  },
] as const;

/** The tools and examples as text. */
export function describeActions(): string {
  const tools = TOOL_PURPOSES.map(({ name, purpose }) => `- ${name}: ${purpose}`);
  const examples = EXAMPLES.map(({ title, steps }) =>
    [`${title}:`, ...steps.map((step) => `  ${step.tool} ${JSON.stringify(step.arguments)}`)].join('\n'),
  );
  return ['Tools', tools.join('\n'), 'Examples', ...examples].join('\n\n');
}
