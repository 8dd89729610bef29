import { FluxError } from '../errors.ts';
import type { MediaPool } from '../media/pool.ts';
import { MODEL_CARDS, MODEL_NAMES } from '../models.ts';
import type { SizeRule } from '../sizes.ts';
import type { ImageJob, ImageProvider, JobContext, ModelOffer, ProducedImage } from './provider.ts';

const NOTICE = 'preview, not Flux';

/** A drawing takes any size; 64 to 4096 is what this server promises for every provider (spec: flux §1). */
const SIZES: Omit<SizeRule, 'ratioStyle'> = { min: 64, max: 4096, multiple: 1, maxPixels: 4096 * 4096 };

/**
 * Draws a picture from the words of the prompt on the CPU, so that everything around a picture can be used and tested
 * without an account. It is no model: the notice says so in the picture, in the results and in the model list.
 */
export function createPreviewProvider(pool: Pick<MediaPool, 'run'>): ImageProvider {
  const offers: readonly ModelOffer[] = MODEL_NAMES.map((name) => {
    const card = MODEL_CARDS[name];
    return {
      card,
      sizes: { ...SIZES, ratioStyle: card.ratioStyle },
      defaultSize: '1024x1024',
      // A drawing can be put over any picture, so no model is refused here.
      edits: true,
      maxReferences: 8,
      priceUsd: 0,
      priceNote: 'free: drawn on this machine',
      speedNote: 'under a second for each picture of a megapixel, whatever the model',
    };
  });

  async function drawOne(job: ImageJob, n: number, signal: AbortSignal): Promise<ProducedImage> {
    const seed = (job.seed + n) % 2 ** 32;
    const { prompt, format } = job;
    if (job.action === 'edit') {
      const sources = job.sources.map(({ bytes }) => bytes);
      const result = await pool.run({ kind: 'edit', prompt, seed, size: job.size, format, sources }, signal);
      return { ...result, format, seed };
    }
    if (!job.size) throw new FluxError('invalid_size', 'size: missing.', 'Give a size such as 1024x1024 or 16:9.');
    const result = await pool.run({ kind: 'draw', prompt, seed, ...job.size, format }, signal);
    return { ...result, format, seed };
  }

  return {
    name: 'preview',
    notice: NOTICE,
    polling: { intervalSeconds: 2, maxAttempts: 60, expectedSeconds: 5 },
    models: () => offers,

    // Nothing is running anywhere else: the job alone is enough to draw the same picture again.
    start: (job) => Promise.resolve(`preview:${job.taskId}`),

    async collect(_handle: string, job: ImageJob, { signal, onProgress }: JobContext) {
      let drawn = 0;
      onProgress(0.05, `drawing ${job.count === 1 ? 'the picture' : `${job.count} pictures`}`);
      return Promise.all(
        Array.from({ length: job.count }, async (_, n) => {
          const image = await drawOne(job, n, signal);
          drawn += 1;
          onProgress(0.05 + (0.9 * drawn) / job.count, `${drawn} of ${job.count} drawn`);
          return image;
        }),
      );
    },

    // The signal of `collect` takes the waiting drawings out of the queue.
    cancel: () => Promise.resolve(true),
    close: () => Promise.resolve(),
  };
}
