import * as z from 'zod';
import { MODEL_NAMES, OUTPUT_FORMATS } from '../models.ts';
import { TASK_STATES } from '../tasks/store.ts';

/** Longest prompt, in UTF-16 units. */
const MAX_PROMPT = 8_000;
/** Longest address of a picture: a 20 MiB picture as base64, with room for the head. */
const MAX_ADDRESS = 28_100_000;
export const MAX_COUNT = 8;
export const MAX_BATCH = 50;
export const MAX_WAIT_SECONDS = 50;
const MAX_SEED = 2 ** 32 - 1;

/**
 * Clients in use send numbers and lists as text; the original reads them, so this one does too. Defaults stand inside: one
 * around it would be missing from the JSON Schema.
 */
function fromText(value: unknown): unknown {
  if (typeof value !== 'string') return value;
  const trimmed = value.trim();
  if (!/^(-?\d+(\.\d+)?|\[.*\])$/s.test(trimmed)) return value;
  try {
    return JSON.parse(trimmed);
  } catch {
    return value;
  }
}

const prompt = (description: string) => z.string().trim().min(1).max(MAX_PROMPT).meta({ title: 'Prompt', description });

const size = (description: string) => z.string().max(200).nullable().default(null).meta({ title: 'Size', description });

const callbackUrl = z.string().max(2_048).nullable().default(null).meta({
  title: 'Callback Url',
  description: 'Public https URL that gets the finished task as a signed POST. The result is kept for polling as well.',
});

const shared = {
  seed: z.preprocess(fromText, z.int().min(0).max(MAX_SEED).nullable().default(null)).meta({
    title: 'Seed',
    description:
      'Whole number from 0 to 4294967295. The same seed and prompt give the same picture. Default: a random one, told in the result.',
  }),
  output_format: z
    .enum(OUTPUT_FORMATS)
    .default('png')
    .meta({ title: 'Output Format', description: 'Encoding of the picture.' }),
  wait_seconds: z.preprocess(fromText, z.number().min(0).max(MAX_WAIT_SECONDS).default(30)).meta({
    title: 'Wait Seconds',
    description: 'How long to wait for the pictures before the task id is handed back. 0 returns at once.',
  }),
  inline: z.enum(['none', 'thumbnail', 'full']).default('none').meta({
    title: 'Inline',
    description:
      'Whether pictures come in the result itself: none (links only), thumbnail (WebP, at most 100 KB each) or full (whole pictures, which costs many tokens).',
  }),
};

export const generateInput = z.object({
  prompt: prompt('What the picture shows: subject, style, light, composition, colours.'),
  size: size(
    'Pixels as WIDTHxHEIGHT (64 to 4096 a side), or a ratio such as 16:9. Default: the model’s own, about one megapixel.',
  ),
  model: z.enum(MODEL_NAMES).default('flux-dev').meta({
    title: 'Model',
    description: 'Which Flux model. flux_list_models says what each is good for.',
  }),
  count: z.preprocess(fromText, z.int().min(1).max(MAX_COUNT).nullable().default(null)).meta({
    title: 'Count',
    description: `How many pictures, 1 to ${MAX_COUNT}. Default 1.`,
  }),
  callback_url: callbackUrl,
  ...shared,
});

const address = z.string().trim().min(1).max(MAX_ADDRESS);

export const editInput = z.object({
  prompt: prompt('What is to change, and what must stay as it is.'),
  image_url: address.meta({
    title: 'Image Url',
    description:
      'The picture to change: an https URL of the picture itself (not of a page), a data URI, a flux://images/… address from an earlier result, or a file: URL inside a folder the server was allowed.',
  }),
  size: size('Pixels as WIDTHxHEIGHT (64 to 4096 a side), or a ratio such as 16:9. Default: the size of the picture.'),
  model: z.enum(MODEL_NAMES).default('flux-kontext-pro').meta({
    title: 'Model',
    description: 'Which Flux model. The kontext models are made for edits.',
  }),
  callback_url: callbackUrl,
  reference_images: z.preprocess(fromText, z.array(address).max(8).nullable().default(null)).meta({
    title: 'Reference Images',
    description: 'Up to 8 more pictures that the prompt may refer to, in the same forms as image_url.',
  }),
  ...shared,
});

export const taskInput = z.object({
  task_id: z
    .string()
    .trim()
    .min(1)
    .max(200)
    .meta({ title: 'Task Id', description: 'The task_id from flux_generate_image or flux_edit_image.' }),
});

export const batchInput = z.object({
  task_ids: z.preprocess(fromText, z.array(z.string().trim().min(1).max(200)).min(1).max(MAX_BATCH)).meta({
    title: 'Task Ids',
    description: `1 to ${MAX_BATCH} task ids.`,
  }),
});

export const noInput = z.object({});

export type GenerateArguments = z.output<typeof generateInput>;
export type EditArguments = z.output<typeof editInput>;

const imageOutput = z.object({
  id: z.string(),
  uri: z.string().describe('Address for resources/read, and for image_url of a later edit.'),
  url: z.string().optional().describe('Address for a browser, when the server runs over HTTP.'),
  mime_type: z.string(),
  width: z.int(),
  height: z.int(),
  bytes: z.int(),
  seed: z.int().optional(),
});

const errorOutput = z.object({
  code: z.string(),
  message: z.string(),
  what_to_do: z.string(),
  http_status: z.int().optional(),
  trace_id: z.string().optional(),
});

const taskShape = {
  task_id: z.string(),
  action: z.enum(['generate', 'edit']),
  state: z.enum(TASK_STATES),
  success: z.boolean().optional().describe('Absent while the task is not finished.'),
  progress: z.number().min(0).max(1),
  message: z.string(),
  provider: z.string(),
  notice: z.string().optional().describe('What to know about the provider of these pictures.'),
  model: z.string(),
  size: z.string().optional().describe('WIDTHxHEIGHT; absent while an edit follows the size of its source.'),
  count: z.int(),
  seed: z.int(),
  output_format: z.enum(OUTPUT_FORMATS),
  created_at: z.string().describe('ISO 8601.'),
  finished_at: z.string().optional().describe('ISO 8601.'),
  elapsed_seconds: z.number().optional(),
  callback: z.enum(['pending', 'delivered', 'failed']).optional(),
  images: z.array(imageOutput),
  error: errorOutput.optional(),
};

const pollingShape = {
  task_id: z.string(),
  poll_tool: z.literal('flux_get_task'),
  batch_poll_tool: z.literal('flux_get_tasks_batch'),
  recommended_action: z.enum(['poll', 'stop']),
  should_poll: z.boolean(),
  terminal_state_reached: z.boolean(),
  polling_interval_seconds: z.number(),
  max_poll_attempts: z.int(),
  next_step: z.string(),
};

export const taskOutput = z.object(taskShape);

export const submissionOutput = z.object({
  ...taskShape,
  mcp_async_submission: z.object({ ...pollingShape, expected_wait_seconds: z.number() }),
});

export const pollOutput = z.object({
  ...taskShape,
  mcp_task_polling: z.object({
    ...pollingShape,
    is_complete: z.boolean(),
    is_failed: z.boolean(),
    state: z.string(),
  }),
});

export const batchOutput = z.object({
  items: z.array(taskOutput),
  count: z.int(),
  unknown: z.array(z.string()).describe('Ids that name no task of this caller.'),
});

export const modelsOutput = z.object({
  provider: z.string(),
  notice: z.string().optional(),
  ratios: z.array(z.string()),
  models: z.array(
    z.object({
      name: z.string(),
      speed: z.string(),
      quality: z.string(),
      best_for: z.string(),
      edits: z.boolean(),
      price: z.object({ usd_per_image: z.number().optional(), note: z.string() }),
      sizes: z.object({
        default: z.string(),
        min: z.int(),
        max: z.int(),
        multiple_of: z.int(),
        max_pixels: z.int(),
      }),
      limits: z.object({ max_count: z.int(), max_reference_images: z.int(), output_formats: z.array(z.string()) }),
    }),
  ),
});

export const actionsOutput = z.object({
  tools: z.array(z.object({ name: z.string(), purpose: z.string() })),
  examples: z.array(
    z.object({
      title: z.string(),
      steps: z.array(z.object({ tool: z.string(), arguments: z.record(z.string(), z.unknown()) })),
    }),
  ),
});

export type TaskView = z.output<typeof taskOutput>;
export type ImageView = z.output<typeof imageOutput>;
