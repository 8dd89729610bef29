import { randomInt } from 'node:crypto';
import type { CallToolResult, ServerContext } from '@modelcontextprotocol/server';
import { checkCallbackUrl } from '../callbacks.ts';
import { FluxError } from '../errors.ts';
import type { ModelName, OutputFormat } from '../models.ts';
import type { ModelOffer, SourceImage } from '../providers/provider.ts';
import { type PixelSize, resolveSize } from '../sizes.ts';
import { isFinished, type TaskRecord } from '../tasks/store.ts';
import type { Toolbox } from '../toolbox.ts';
import { errorResult, type Inline, inlineImages, linkTo } from './results.ts';
import type { EditArguments, GenerateArguments } from './schemas.ts';
import { describeTask, viewTask, withSubmission } from './views.ts';

const SEEDS = 2 ** 32;

/** What both image tools have in common after their own arguments are read. */
interface Production {
  action: TaskRecord['action'];
  prompt: string;
  model: ModelName;
  size: PixelSize | undefined;
  count: number;
  seed: number | null;
  format: OutputFormat;
  callbackUrl: string | null;
  sources: readonly SourceImage[];
  waitSeconds: number;
  inline: Inline;
}

export async function generate(
  toolbox: Toolbox,
  caller: string,
  input: GenerateArguments,
  ctx: ServerContext,
): Promise<CallToolResult> {
  const offer = offerOf(toolbox, input.model);
  return produce(toolbox, caller, ctx, {
    action: 'generate',
    prompt: input.prompt,
    model: input.model,
    size: resolveSize(input.size ?? offer.defaultSize, offer.sizes),
    count: input.count ?? 1,
    seed: input.seed,
    format: input.output_format,
    callbackUrl: input.callback_url,
    sources: [],
    waitSeconds: input.wait_seconds,
    inline: input.inline,
  });
}

export async function edit(
  toolbox: Toolbox,
  caller: string,
  input: EditArguments,
  ctx: ServerContext,
): Promise<CallToolResult> {
  const offer = offerOf(toolbox, input.model);
  const references = input.reference_images ?? [];
  if (!offer.edits) {
    const able = toolbox.provider.models().filter(({ edits }) => edits);
    throw new FluxError(
      'model_cannot_edit',
      `model: ${input.model} makes pictures from text only.`,
      `Use one of ${able.map(({ card }) => card.name).join(', ')}.`,
    );
  }
  if (references.length > offer.maxReferences) {
    throw new FluxError(
      'too_many_references',
      `reference_images: ${references.length} given, ${input.model} takes ${offer.maxReferences}.`,
      'Leave some out, or use a model that takes more; flux_list_models tells.',
    );
  }
  // The cheap checks come before anything is fetched.
  const size = input.size === null ? undefined : resolveSize(input.size, offer.sizes);
  const addresses = [input.image_url, ...references];
  const sources = await Promise.all(
    addresses.map((url, n) =>
      toolbox.sources.load(url, n === 0 ? 'image_url' : `reference_images[${n - 1}]`, caller, ctx.mcpReq.signal),
    ),
  );
  return produce(toolbox, caller, ctx, {
    action: 'edit',
    prompt: input.prompt,
    model: input.model,
    size,
    count: 1,
    seed: input.seed,
    format: input.output_format,
    callbackUrl: input.callback_url,
    sources,
    waitSeconds: input.wait_seconds,
    inline: input.inline,
  });
}

function offerOf(toolbox: Toolbox, model: ModelName): ModelOffer {
  const offers = toolbox.provider.models();
  const offer = offers.find(({ card }) => card.name === model);
  if (offer) return offer;
  throw new FluxError(
    'model_not_offered',
    `model: the provider "${toolbox.provider.name}" has no ${model}.`,
    `Use one of ${offers.map(({ card }) => card.name).join(', ')}.`,
  );
}

async function produce(
  toolbox: Toolbox,
  caller: string,
  ctx: ServerContext,
  production: Production,
): Promise<CallToolResult> {
  const { tasks, provider } = toolbox;
  const { signal } = ctx.mcpReq;
  if (production.callbackUrl !== null) await checkCallbackUrl(production.callbackUrl, toolbox.outside);
  const noted = await tasks.submit(
    caller,
    production.action,
    {
      prompt: production.prompt,
      model: production.model,
      width: production.size?.width,
      height: production.size?.height,
      count: production.count,
      seed: production.seed ?? randomInt(SEEDS),
      format: production.format,
      callbackUrl: production.callbackUrl ?? undefined,
    },
    production.sources,
  );
  const report = progressReporter(ctx);
  const task = await tasks.wait(noted.id, caller, production.waitSeconds * 1000, signal, report);
  if (signal.aborted && !isFinished(task.state)) {
    await tasks.cancel(task.id);
    // Nobody reads this answer: the protocol drops the result of a cancelled request.
    return errorResult(
      new FluxError('cancelled', 'The call was cancelled.', 'Ask anew if the picture is still wanted.'),
    );
  }
  if (task.state === 'failed' && task.error) {
    const { code, message, what_to_do, http_status, trace_id } = task.error;
    const origin = {
      ...(http_status === undefined ? {} : { httpStatus: http_status }),
      ...(trace_id === undefined ? {} : { traceId: trace_id }),
    };
    return errorResult(new FluxError(code, message, what_to_do, origin), task.id);
  }
  const view = withSubmission(viewTask(task, provider.notice, toolbox.imagesUrl), provider.polling);
  return {
    structuredContent: view,
    content: [
      { type: 'text', text: JSON.stringify(view, null, 2) },
      { type: 'text', text: describeTask(view, provider.polling) },
      ...task.images.map(linkTo),
      ...(await inlineImages(task.images, production.inline, toolbox, signal)),
    ],
  };
}

/** Sends progress in percent, and only when it grew: the protocol wants rising values. */
function progressReporter(ctx: ServerContext): (task: TaskRecord) => void {
  const progressToken = ctx.mcpReq._meta?.progressToken;
  let last = -1;
  return (task) => {
    const progress = Math.floor(task.progress * 100);
    if (progressToken === undefined || progress <= last) return;
    last = progress;
    const params = { progressToken, progress, total: 100, message: task.message };
    // A client that went away does not make its task fail; the signal tells about it.
    ctx.mcpReq.notify({ method: 'notifications/progress', params }).catch(() => {});
  };
}
