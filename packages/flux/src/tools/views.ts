import type { z } from 'zod';
import { imageFileName } from '../media/files.ts';
import { MIME_TYPES } from '../models.ts';
import type { ImageProvider, PollingAdvice } from '../providers/provider.ts';
import { toSizeText } from '../sizes.ts';
import { type ImageRecord, isFinished, type TaskRecord } from '../tasks/store.ts';
import type { ImageView, pollOutput, submissionOutput, TaskView } from './schemas.ts';

/** @param imagesUrl where pictures are served over HTTP, ending in `/images/`; `undefined` on stdio */
export function viewImage(image: ImageRecord, imagesUrl: string | undefined): ImageView {
  const name = imageFileName(image);
  return {
    id: image.id,
    uri: `flux://images/${name}`,
    ...(imagesUrl === undefined ? {} : { url: `${imagesUrl}${name}` }),
    mime_type: MIME_TYPES[image.format],
    width: image.width,
    height: image.height,
    bytes: image.bytes,
    ...(image.seed === undefined ? {} : { seed: image.seed }),
  };
}

/** What a caller gets to see of a task; the prompt stays out of it. */
export function viewTask(task: TaskRecord, notice: string | undefined, imagesUrl: string | undefined): TaskView {
  const { request, images } = task;
  const finished = isFinished(task.state);
  const first = images[0];
  const size =
    first ?? (request.width && request.height ? { width: request.width, height: request.height } : undefined);
  return {
    task_id: task.id,
    action: task.action,
    state: task.state,
    ...(finished ? { success: task.state === 'succeeded' } : {}),
    progress: task.progress,
    message: task.message,
    provider: task.provider,
    ...(notice === undefined ? {} : { notice }),
    model: request.model,
    ...(size ? { size: toSizeText(size) } : {}),
    count: request.count,
    seed: request.seed,
    output_format: request.format,
    created_at: new Date(task.createdAt).toISOString(),
    ...(task.finishedAt === undefined
      ? {}
      : {
          finished_at: new Date(task.finishedAt).toISOString(),
          elapsed_seconds: (task.finishedAt - task.createdAt) / 1000,
        }),
    ...(task.callback === 'none' ? {} : { callback: task.callback }),
    images: images.map((image) => viewImage(image, imagesUrl)),
    ...(task.error === undefined ? {} : { error: task.error }),
  };
}

function polling(view: TaskView, advice: PollingAdvice) {
  const finished = view.success !== undefined;
  return {
    task_id: view.task_id,
    poll_tool: 'flux_get_task',
    batch_poll_tool: 'flux_get_tasks_batch',
    recommended_action: finished ? 'stop' : 'poll',
    should_poll: !finished,
    terminal_state_reached: finished,
    polling_interval_seconds: advice.intervalSeconds,
    max_poll_attempts: advice.maxAttempts,
    next_step: nextStep(view, advice),
  } as const;
}

export function withSubmission(view: TaskView, advice: PollingAdvice): z.output<typeof submissionOutput> {
  return {
    ...view,
    mcp_async_submission: { ...polling(view, advice), expected_wait_seconds: advice.expectedSeconds },
  };
}

export function withPolling(view: TaskView, advice: PollingAdvice): z.output<typeof pollOutput> {
  return {
    ...view,
    mcp_task_polling: {
      ...polling(view, advice),
      is_complete: view.success === true,
      is_failed: view.success === false,
      state: view.state,
    },
  };
}

function nextStep(view: TaskView, advice: PollingAdvice): string {
  if (view.success === true) return 'Finished: show the pictures or use their addresses; no further call is needed.';
  if (view.success === false)
    return view.error?.what_to_do ?? 'It has ended without a picture; ask anew if it is still wanted.';
  return `Not finished: call flux_get_task with this task_id, at the earliest in ${advice.intervalSeconds} seconds.`;
}

/** A task in a few lines for a reader; the same facts as the structured content. */
export function describeTask(view: TaskView, advice: PollingAdvice): string {
  const lines = [
    `Task ${view.task_id}: ${view.state}${view.success === undefined ? ` (${Math.round(view.progress * 100)} %, ${view.message})` : ''}.`,
  ];
  if (view.error) lines.push(`${view.error.message} [${view.error.code}]`);
  for (const image of view.images) {
    const seed = image.seed === undefined ? '' : `, seed ${image.seed}`;
    lines.push(
      `- ${image.width}x${image.height} ${image.mime_type}, ${image.bytes} bytes${seed}: ${image.url ?? image.uri}`,
    );
  }
  if (view.notice) lines.push(`Note: ${view.notice}.`);
  lines.push(nextStep(view, advice));
  return lines.join('\n');
}

/** The offers of a provider for `flux_list_models`, read by people. */
export function describeModels(provider: ImageProvider, ratios: readonly string[]): string {
  const blocks = provider.models().map((offer) => {
    const { sizes, card } = offer;
    const price = offer.priceUsd === undefined ? offer.priceNote : `$${offer.priceUsd} a picture (${offer.priceNote})`;
    const step = sizes.multiple === 1 ? '' : `, multiples of ${sizes.multiple}`;
    return [
      card.name,
      `  speed ${card.speed} (here: ${offer.speedNote}), quality ${card.quality}`,
      `  best for ${card.bestFor}`,
      `  sizes ${sizes.min} to ${sizes.max} pixels a side${step}, default ${offer.defaultSize}; edits: ${offer.edits ? 'yes' : 'no'}`,
      `  price ${price}`,
    ].join('\n');
  });
  const head = `Models of the provider "${provider.name}"${provider.notice ? ` (${provider.notice})` : ''}.`;
  const advice =
    'For a quick draft take flux-dev, for the best picture flux-2-max, to change a picture flux-kontext-pro, for a difficult change flux-kontext-max.';
  return [head, ...blocks, `size also takes a ratio: ${ratios.join(', ')}.`, advice].join('\n\n');
}
