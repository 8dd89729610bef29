import type { CallToolResult, McpServer, ServerContext } from '@modelcontextprotocol/server';
import { FluxError, toErrorRecord } from '../errors.ts';
import { OUTPUT_FORMATS } from '../models.ts';
import { RATIO_TABLE } from '../sizes.ts';
import { isFinished } from '../tasks/store.ts';
import type { Toolbox } from '../toolbox.ts';
import { describeActions, EXAMPLES, TOOL_PURPOSES } from './guide.ts';
import { edit, generate } from './produce.ts';
import { publishable } from './publishable.ts';
import { errorResult, linkTo } from './results.ts';
import * as schemas from './schemas.ts';
import { describeModels, describeTask, viewTask, withPolling } from './views.ts';

/** A task that is not finished is watched this long before the answer, so that a poll is worth its call. Milliseconds. */
const POLL_WAIT_MS = 5_000;

const MAKES = { readOnlyHint: false, destructiveHint: false, idempotentHint: false, openWorldHint: true };
const READS = { readOnlyHint: true, openWorldHint: false };

const generateInput = publishable(schemas.generateInput);
const editInput = publishable(schemas.editInput);
const taskInput = publishable(schemas.taskInput);
const batchInput = publishable(schemas.batchInput);
const noInput = publishable(schemas.noInput);
const submissionOutput = publishable(schemas.submissionOutput);
const pollOutput = publishable(schemas.pollOutput);
const batchOutput = publishable(schemas.batchOutput);
const modelsOutput = publishable(schemas.modelsOutput);
const actionsOutput = publishable(schemas.actionsOutput);

/** The six tools (spec: flux §1) of one caller. */
export function registerTools(server: McpServer, toolbox: Toolbox, caller: string): void {
  const { provider, tasks, imagesUrl, log } = toolbox;

  /** Errors become results that say what to do; only what nobody foresaw is logged. */
  const answering =
    <Input>(handler: (input: Input, ctx: ServerContext) => Promise<CallToolResult> | CallToolResult) =>
    async (input: Input, ctx: ServerContext): Promise<CallToolResult> => {
      try {
        return await handler(input, ctx);
      } catch (error) {
        if (!(error instanceof FluxError)) log.error({ error: toErrorRecord(error).message }, 'a tool call failed');
        return errorResult(error);
      }
    };

  server.registerTool(
    'flux_generate_image',
    {
      title: 'Generate an image',
      description:
        'Makes one or more pictures from a description with Flux. Returns links to the pictures when they are ready in time, else a task_id for flux_get_task. To change an existing picture use flux_edit_image.',
      inputSchema: generateInput,
      outputSchema: submissionOutput,
      annotations: { title: 'Generate an image', ...MAKES },
    },
    answering((input, ctx) => generate(toolbox, caller, input, ctx)),
  );

  server.registerTool(
    'flux_edit_image',
    {
      title: 'Edit an image',
      description:
        'Changes an existing picture by a description of the change; the kontext models are made for it. The original stays as it is. Returns a link to the new picture, or a task_id for flux_get_task.',
      inputSchema: editInput,
      outputSchema: submissionOutput,
      annotations: { title: 'Edit an image', ...MAKES },
    },
    answering((input, ctx) => edit(toolbox, caller, input, ctx)),
  );

  server.registerTool(
    'flux_get_task',
    {
      title: 'Get a task',
      description:
        'How one task stands, with its pictures or its error. Waits up to 5 seconds when the task is not finished.',
      inputSchema: taskInput,
      outputSchema: pollOutput,
      annotations: { title: 'Get a task', ...READS },
    },
    answering(async ({ task_id }, ctx) => {
      if (!tasks.get(task_id, caller)) {
        throw new FluxError(
          'unknown_task',
          `task_id: there is no task "${task_id}".`,
          'Use the task_id exactly as flux_generate_image or flux_edit_image gave it.',
        );
      }
      const task = await tasks.wait(task_id, caller, POLL_WAIT_MS, ctx.mcpReq.signal);
      const view = withPolling(viewTask(task, provider.notice, imagesUrl), provider.polling);
      return {
        structuredContent: view,
        content: [
          { type: 'text', text: JSON.stringify(view, null, 2) },
          { type: 'text', text: describeTask(view, provider.polling) },
          ...task.images.map(linkTo),
        ],
      };
    }),
  );

  server.registerTool(
    'flux_get_tasks_batch',
    {
      title: 'Get several tasks',
      description: 'How up to 50 tasks stand, in one call and without waiting. Ids that name no task are listed apart.',
      inputSchema: batchInput,
      outputSchema: batchOutput,
      annotations: { title: 'Get several tasks', ...READS },
    },
    answering(({ task_ids }) => {
      const found = [...new Set(task_ids)].map((id) => ({ id, task: tasks.get(id, caller) }));
      const items = found.flatMap(({ task }) => (task ? [viewTask(task, provider.notice, imagesUrl)] : []));
      const unknown = found.flatMap(({ id, task }) => (task ? [] : [id]));
      const view = { items, count: items.length, unknown };
      const open = found.filter(({ task }) => task && !isFinished(task.state)).length;
      const summary = [
        `${items.length} found, ${open} not finished.`,
        ...(unknown.length > 0 ? [`Unknown: ${unknown.join(', ')}.`] : []),
        ...items.map((item) => describeTask(item, provider.polling)),
      ];
      return {
        structuredContent: view,
        content: [
          { type: 'text', text: JSON.stringify(view, null, 2) },
          { type: 'text', text: summary.join('\n') },
          ...found.flatMap(({ task }) => task?.images.map(linkTo) ?? []),
        ],
      };
    }),
  );

  server.registerTool(
    'flux_list_models',
    {
      title: 'List models',
      description:
        'The models of the provider in use: speed, quality, price, sizes and limits, and which to choose for what.',
      inputSchema: noInput,
      outputSchema: modelsOutput,
      annotations: { title: 'List models', ...READS },
    },
    answering(() => {
      const ratios = Object.keys(RATIO_TABLE);
      return {
        structuredContent: viewModels(toolbox, ratios),
        content: [{ type: 'text', text: describeModels(provider, ratios) }],
      };
    }),
  );

  server.registerTool(
    'flux_list_actions',
    {
      title: 'List actions',
      description: 'The tools of this server and worked examples of their use.',
      inputSchema: noInput,
      outputSchema: actionsOutput,
      annotations: { title: 'List actions', ...READS },
    },
    answering(() => ({
      structuredContent: { tools: [...TOOL_PURPOSES], examples: [...EXAMPLES] },
      content: [{ type: 'text', text: describeActions() }],
    })),
  );
}

function viewModels({ provider }: Toolbox, ratios: string[]) {
  return {
    provider: provider.name,
    ...(provider.notice === undefined ? {} : { notice: provider.notice }),
    ratios,
    models: provider.models().map(({ card, sizes, ...offer }) => ({
      name: card.name,
      speed: card.speed,
      quality: card.quality,
      best_for: card.bestFor,
      edits: offer.edits,
      price: {
        ...(offer.priceUsd === undefined ? {} : { usd_per_image: offer.priceUsd }),
        note: offer.priceNote,
      },
      sizes: {
        default: offer.defaultSize,
        min: sizes.min,
        max: sizes.max,
        multiple_of: sizes.multiple,
        max_pixels: sizes.maxPixels,
      },
      limits: {
        max_count: schemas.MAX_COUNT,
        max_reference_images: offer.maxReferences,
        output_formats: [...OUTPUT_FORMATS],
      },
    })),
  };
}
