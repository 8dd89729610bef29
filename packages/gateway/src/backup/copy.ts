// Copies with a digest, in pieces, so that calls go on between them.
import { createHash } from 'node:crypto';
import { type FileHandle, mkdir, open } from 'node:fs/promises';
import { dirname } from 'node:path';

const PIECE = 64 * 1024;

export interface CopiedFile {
  bytes: number;
  sha256: string;
}

export interface CopyOptions {
  /** Copies only so many bytes of its beginning. Default: all. */
  bytes?: number;
  signal?: AbortSignal;
  /** Told of each piece. */
  onBytes?: (count: number) => void;
}

/**
 * Copies a file, mode 600, through to the disk.
 * @throws Error of the file system; of the signal; or when the file is shorter than asked
 */
export async function copyFile(from: string, to: string, options: CopyOptions = {}): Promise<CopiedFile> {
  await mkdir(dirname(to), { recursive: true, mode: 0o700 });
  const source = await open(from, 'r');
  try {
    const target = await open(to, 'wx', 0o600);
    try {
      const copied = await pump(source, options, async (piece) => {
        for (let at = 0; at < piece.length; ) at += (await target.write(piece, at)).bytesWritten;
      });
      await target.sync();
      return copied;
    } finally {
      await target.close();
    }
  } finally {
    await source.close();
  }
}

/** Length and digest of a file. */
export async function digestFile(path: string): Promise<CopiedFile> {
  const source = await open(path, 'r');
  try {
    return await pump(source, {}, async () => undefined);
  } finally {
    await source.close();
  }
}

async function pump(
  source: FileHandle,
  { bytes = Number.POSITIVE_INFINITY, signal, onBytes }: CopyOptions,
  write: (piece: Buffer) => Promise<void>,
): Promise<CopiedFile> {
  const digest = createHash('sha256');
  const buffer = Buffer.allocUnsafe(PIECE);
  let done = 0;
  while (done < bytes) {
    signal?.throwIfAborted();
    const { bytesRead } = await source.read(buffer, 0, Math.min(PIECE, bytes - done), done);
    if (bytesRead === 0) break;
    const piece = buffer.subarray(0, bytesRead);
    digest.update(piece);
    await write(piece);
    done += bytesRead;
    onBytes?.(bytesRead);
  }
  if (Number.isFinite(bytes) && done < bytes) throw new Error(`it has ${done} bytes instead of ${bytes}`);
  return { bytes: done, sha256: digest.digest('hex') };
}

/** Makes a folder's entries durable. */
export async function syncFolder(path: string): Promise<void> {
  if (process.platform === 'win32') return;
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
