import sharp, { type Sharp } from 'sharp';
import type { OutputFormat } from '../models.ts';
import type { MediaResult } from './jobs.ts';

/** Uncompressed picture: RGBA, 8 bits each, row by row. */
export interface Raster {
  data: Uint8Array;
  width: number;
  height: number;
}

/** More pixels than this are refused before they are decoded: a small file can hold a huge picture. */
const MAX_SOURCE_PIXELS = 40_000_000;
const THUMBNAIL_SIDES = [512, 384, 256, 128] as const;
const THUMBNAIL_QUALITIES = [78, 60, 42] as const;

// One thread per picture: the pool already runs one worker per core.
sharp.concurrency(1);
// A server lives long and never decodes the same file twice.
sharp.cache(false);

export async function encode(raster: Raster, format: OutputFormat): Promise<MediaResult> {
  const { width, height } = raster;
  const image = sharp(raster.data, { raw: { width, height, channels: 4 } }).removeAlpha();
  const encoded =
    format === 'png'
      ? image.png({ compressionLevel: 5 })
      : format === 'jpeg'
        ? image.jpeg({ quality: 90, chromaSubsampling: '4:4:4' })
        : image.webp({ quality: 86, effort: 2 });
  return { bytes: await encoded.toBuffer(), width, height };
}

/** @throws Error when the bytes are no picture, or one of too many pixels */
export async function decode(bytes: Uint8Array, size?: { width: number; height: number }): Promise<Raster> {
  let image = open(bytes).rotate().toColourspace('srgb').ensureAlpha();
  if (size) image = image.resize({ ...size, fit: 'cover', position: 'attention' });
  const { data, info } = await image.raw().toBuffer({ resolveWithObject: true });
  return { data, width: info.width, height: info.height };
}

/** Decodes the whole picture, so that a cut or broken file is found before any work is paid for. */
export async function inspect(bytes: Uint8Array): Promise<MediaResult> {
  const { info } = await open(bytes).rotate().raw().toBuffer({ resolveWithObject: true });
  return { bytes: new Uint8Array(), width: info.width, height: info.height };
}

/** A WebP of at most 512 pixels a side and at most `maxBytes` bytes. */
export async function thumbnail(bytes: Uint8Array, maxBytes: number): Promise<MediaResult> {
  for (const side of THUMBNAIL_SIDES) {
    for (const quality of THUMBNAIL_QUALITIES) {
      const { data, info } = await open(bytes)
        .rotate()
        .resize({ width: side, height: side, fit: 'inside', withoutEnlargement: true })
        .webp({ quality, effort: 3 })
        .toBuffer({ resolveWithObject: true });
      if (data.length <= maxBytes) return { bytes: data, width: info.width, height: info.height };
    }
  }
  throw new Error(`the picture has no thumbnail of at most ${maxBytes} bytes`);
}

function open(bytes: Uint8Array): Sharp {
  return sharp(bytes, { limitInputPixels: MAX_SOURCE_PIXELS, failOn: 'error', animated: false });
}
