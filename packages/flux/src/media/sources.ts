import { open, realpath } from 'node:fs/promises';
import { isAbsolute, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { FluxError } from '../errors.ts';
import type { Outside } from '../outside.ts';
import type { SourceImage } from '../providers/provider.ts';
import type { MediaPool } from './pool.ts';
import { SOURCE_TYPES, sniffImageType } from './sniff.ts';

/** Largest picture that is taken in, in bytes. */
export const MAX_SOURCE_BYTES = 20 * 1024 * 1024;
const MAX_REDIRECTS = 3;
const FETCH_TIMEOUT_MS = 20_000;

const DATA_URI = /^data:([a-z0-9.+-]+\/[a-z0-9.+-]+)?(;[^,]*)?,/i;
const OWN_PREFIX = 'flux://images/';

const WAYS =
  'Give a public https URL of the picture itself, a data URI (data:image/png;base64,…), a flux://images/… address from an earlier result, or a file: URL inside a folder that the server was allowed.';

export interface SourceLoaderParts {
  outside: Outside;
  pool: Pick<MediaPool, 'run'>;
  /** Folders that `file:` URLs may point into. */
  folders: readonly string[];
  /** Where this server's own pictures are reachable over HTTP, ending in `/images/`; `undefined` on stdio. */
  ownImagesUrl: string | undefined;
  /** Reads a picture of a caller by its file name; `undefined` when there is none. */
  readOwn: (fileName: string, caller: string) => Promise<Uint8Array | undefined>;
}

/** Brings in the pictures that a call names (spec: flux §1, egress guard). */
export class SourceLoader {
  readonly #parts: SourceLoaderParts;

  constructor(parts: SourceLoaderParts) {
    this.#parts = parts;
  }

  /**
   * @param field the parameter, for the messages
   * @throws FluxError `invalid_image` saying what is wrong with which parameter
   */
  async load(url: string, field: string, caller: string, signal: AbortSignal): Promise<SourceImage> {
    return this.#check(await this.#read(url.trim(), field, caller, signal), field, signal);
  }

  /** Checks pictures that were loaded before. */
  check(pictures: readonly Uint8Array[], signal: AbortSignal): Promise<SourceImage[]> {
    return Promise.all(pictures.map((bytes) => this.#check(bytes, 'image_url', signal)));
  }

  async #read(url: string, field: string, caller: string, signal: AbortSignal): Promise<Uint8Array> {
    const own = this.#ownFileName(url);
    if (own !== undefined) {
      const bytes = await this.#parts.readOwn(own, caller);
      if (bytes) return bytes;
      throw invalid(field, 'there is no such picture on this server', WAYS);
    }
    const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(url)?.[1]?.toLowerCase();
    if (scheme === 'data') return fromDataUri(url, field);
    if (scheme === 'file') return this.#readFile(url, field);
    if (scheme === 'http' || scheme === 'https') return this.#fetch(url, field, signal);
    throw invalid(field, scheme === undefined ? 'this is no URL' : `the scheme "${scheme}:" is not taken`, WAYS);
  }

  #ownFileName(url: string): string | undefined {
    if (url.startsWith(OWN_PREFIX)) return url.slice(OWN_PREFIX.length);
    const { ownImagesUrl } = this.#parts;
    return ownImagesUrl !== undefined && url.startsWith(ownImagesUrl) ? url.slice(ownImagesUrl.length) : undefined;
  }

  async #fetch(first: string, field: string, signal: AbortSignal): Promise<Uint8Array> {
    let url = first;
    for (let hop = 0; hop <= MAX_REDIRECTS; hop += 1) {
      const response = await this.#parts.outside
        .request(url, {
          headers: { accept: SOURCE_TYPES.join(', ') },
          timeoutMs: FETCH_TIMEOUT_MS,
          maxBytes: MAX_SOURCE_BYTES,
          signal,
        })
        .catch((error: unknown) => {
          throw invalid(field, `the picture could not be fetched: ${messageOf(error)}`, WAYS, error);
        });
      if (response.status >= 200 && response.status < 300) return response.body;
      const location = response.headers.location;
      if (response.status < 300 || response.status >= 400 || typeof location !== 'string') {
        throw invalid(field, `the picture could not be fetched: its server answered ${response.status}`, WAYS);
      }
      // Every hop goes through the guard anew: a public address may point to a private one.
      if (!URL.canParse(location, url)) throw invalid(field, 'its server redirects to something that is no URL', WAYS);
      url = new URL(location, url).href;
    }
    throw invalid(field, `the picture could not be fetched: more than ${MAX_REDIRECTS} redirects`, WAYS);
  }

  async #readFile(url: string, field: string): Promise<Uint8Array> {
    if (this.#parts.folders.length === 0) {
      throw invalid(
        field,
        'this server takes no file: URLs',
        'Start it with --files FOLDER (or FLUX_FILES), or give a data URI.',
      );
    }
    // One message for "outside" and for "not there": which files exist elsewhere is nobody's business.
    const refusal = invalid(field, 'the file is not there, or not inside a folder that the server was allowed', WAYS);
    try {
      // Links are resolved first, so that none leads out of the folder.
      const path = await realpath(fileURLToPath(url));
      const folders = await Promise.all(this.#parts.folders.map((folder) => realpath(folder)));
      if (!folders.some((folder) => isInside(path, folder))) throw refusal;
      const handle = await open(path, 'r');
      try {
        const { size } = await handle.stat();
        if (size > MAX_SOURCE_BYTES) throw tooLarge(field, size);
        return await handle.readFile();
      } finally {
        await handle.close();
      }
    } catch (error) {
      throw error instanceof FluxError ? error : refusal;
    }
  }

  async #check(bytes: Uint8Array, field: string, signal: AbortSignal): Promise<SourceImage> {
    if (bytes.length > MAX_SOURCE_BYTES) throw tooLarge(field, bytes.length);
    const mimeType = sniffImageType(bytes);
    if (mimeType === undefined) {
      throw invalid(field, 'what it points to is no PNG, JPEG, WebP or GIF picture', WAYS);
    }
    try {
      const { width, height } = await this.#parts.pool.run({ kind: 'inspect', bytes }, signal);
      return { bytes, mimeType, width, height };
    } catch (error) {
      if (signal.aborted) throw error;
      throw invalid(
        field,
        `the picture cannot be read: ${messageOf(error)}`,
        'Give a whole picture of at most 40 megapixels.',
      );
    }
  }
}

function fromDataUri(url: string, field: string): Uint8Array {
  const head = DATA_URI.exec(url);
  if (!head) throw invalid(field, 'this data URI is not whole', WAYS);
  if (!/;base64$/i.test(head[2] ?? '')) throw invalid(field, 'this data URI is not base64', WAYS);
  const encoded = url.slice(head[0].length).replace(/\s+/g, '');
  if (encoded.length > (MAX_SOURCE_BYTES * 4) / 3 + 4) throw tooLarge(field, Math.floor((encoded.length * 3) / 4));
  if (!/^[a-z0-9+/_-]*={0,2}$/i.test(encoded))
    throw invalid(field, 'this data URI holds something that is not base64', WAYS);
  return Buffer.from(encoded, 'base64');
}

function isInside(path: string, folder: string): boolean {
  const way = relative(folder, path);
  return way !== '' && way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way);
}

function tooLarge(field: string, bytes: number): FluxError {
  const limit = MAX_SOURCE_BYTES / 1024 / 1024;
  return invalid(
    field,
    `the picture has ${(bytes / 1024 / 1024).toFixed(1)} MiB, more than ${limit}`,
    'Give a smaller one.',
  );
}

function invalid(field: string, problem: string, whatToDo: string, cause?: unknown): FluxError {
  return new FluxError('invalid_image', `${field}: ${problem}.`, whatToDo, { cause });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
