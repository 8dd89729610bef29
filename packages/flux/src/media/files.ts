import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { OutputFormat } from '../models.ts';

const IMAGE_FILE = /^([0-9a-f]{32})\.(png|jpeg|webp)$/;

/** The id in a file name `<id>.<ext>`, where the id is 32 hexadecimal digits; `undefined` for anything else. */
export function imageIdOf(fileName: string): string | undefined {
  return IMAGE_FILE.exec(fileName)?.[1];
}

export function imageFileName(image: { id: string; format: OutputFormat }): string {
  return `${image.id}.${image.format}`;
}

/**
 * The files of the data folder: pictures that were made, and the pictures that an unfinished edit still needs.
 * A file appears under its name only when it is whole.
 */
export class ImageFiles {
  readonly #images: string;
  readonly #sources: string;

  constructor(folder: string) {
    this.#images = join(folder, 'images');
    this.#sources = join(folder, 'sources');
  }

  async writeImage(image: { id: string; format: OutputFormat }, bytes: Uint8Array): Promise<void> {
    await writeWhole(this.#images, imageFileName(image), bytes);
  }

  readImage(image: { id: string; format: OutputFormat }): Promise<Buffer> {
    return readFile(join(this.#images, imageFileName(image)));
  }

  async removeImages(images: readonly { id: string; format: OutputFormat }[]): Promise<void> {
    for (const image of images) await rm(join(this.#images, imageFileName(image)), { force: true });
  }

  async writeSources(taskId: string, sources: readonly Uint8Array[]): Promise<void> {
    for (const [n, bytes] of sources.entries()) await writeWhole(this.#sources, `${taskId}-${n}`, bytes);
  }

  readSources(taskId: string, count: number): Promise<Buffer[]> {
    return Promise.all(Array.from({ length: count }, (_, n) => readFile(join(this.#sources, `${taskId}-${n}`))));
  }

  async removeSources(taskId: string, count: number): Promise<void> {
    for (let n = 0; n < count; n += 1) await rm(join(this.#sources, `${taskId}-${n}`), { force: true });
  }
}

async function writeWhole(folder: string, name: string, bytes: Uint8Array): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const file = join(folder, name);
  await writeFile(`${file}.part`, bytes, { mode: 0o600 });
  await rename(`${file}.part`, file);
}
