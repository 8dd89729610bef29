import type { CallToolResult } from '@modelcontextprotocol/server';
import { toErrorRecord } from '../errors.ts';
import { type ImageFiles, imageFileName } from '../media/files.ts';
import type { MediaPool } from '../media/pool.ts';
import { MIME_TYPES } from '../models.ts';
import type { ImageRecord } from '../tasks/store.ts';
import { viewImage } from './views.ts';

/** Largest thumbnail in bytes (spec: flux §1). */
const MAX_THUMBNAIL_BYTES = 100 * 1024;
/**
 * Largest sum of whole pictures in one result, in bytes. As base64 it stays below the 10 MiB that the official SDK
 * reads as one message on stdio.
 */
const MAX_INLINE_BYTES = 6 * 1024 * 1024;

export type Inline = 'none' | 'thumbnail' | 'full';

type Block = CallToolResult['content'][number];

export function linkTo(image: ImageRecord, position: number): Block {
  const mimeType = MIME_TYPES[image.format];
  return {
    type: 'resource_link',
    uri: viewImage(image, undefined).uri,
    name: imageFileName(image),
    title: `Picture ${position + 1}, ${image.width}x${image.height}`,
    mimeType,
    size: image.bytes,
  };
}

/** Picture blocks as `inline` asks for them; whole pictures that would make the result too large are named instead. */
export async function inlineImages(
  images: readonly ImageRecord[],
  inline: Inline,
  parts: { files: ImageFiles; pool: Pick<MediaPool, 'run'> },
  signal: AbortSignal,
): Promise<Block[]> {
  if (inline === 'none') return [];
  let left = MAX_INLINE_BYTES;
  const blocks: Block[] = [];
  for (const image of images) {
    if (inline === 'full' && image.bytes > left) {
      const text = `${viewImage(image, undefined).uri} is left out of this result, which would get too large; read it as a resource.`;
      blocks.push({ type: 'text', text });
      continue;
    }
    const bytes = await parts.files.readImage(image);
    if (inline === 'full') {
      left -= bytes.length;
      blocks.push({ type: 'image', data: bytes.toString('base64'), mimeType: MIME_TYPES[image.format] });
    } else {
      const small = await parts.pool.run({ kind: 'thumbnail', bytes, maxBytes: MAX_THUMBNAIL_BYTES }, signal);
      blocks.push({ type: 'image', data: Buffer.from(small.bytes).toString('base64'), mimeType: 'image/webp' });
    }
  }
  return blocks;
}

/** An error as a result that the model can read and act on. */
export function errorResult(error: unknown, taskId?: string): CallToolResult {
  const record = toErrorRecord(error);
  const origin = [
    record.http_status === undefined ? [] : [`HTTP status ${record.http_status}`],
    record.trace_id === undefined ? [] : [`trace id ${record.trace_id}`],
    taskId === undefined ? [] : [`task ${taskId}`],
  ].flat();
  const lines = [`${record.message} [${record.code}]`, `What to do: ${record.what_to_do}`];
  if (origin.length > 0) lines.push(`(${origin.join(', ')})`);
  return { isError: true, content: [{ type: 'text', text: lines.join('\n') }] };
}
