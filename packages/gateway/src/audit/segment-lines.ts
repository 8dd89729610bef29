import { open } from 'node:fs/promises';
import { MAX_RECORD_BYTES } from './record.ts';

const CHUNK = 256 * 1024;

/**
 * The whole lines of a segment, without line feeds, a chunk at a time: a promise per line would cost more than the
 * line. What stands behind the last line feed is no line. A line that no writer makes (too long) is left out.
 * @throws Error when the file cannot be read
 */
export async function* segmentLines(path: string): AsyncGenerator<Buffer[]> {
  const file = await open(path, 'r');
  try {
    let rest: Buffer[] = [];
    let restLength = 0;
    for (;;) {
      const { buffer, bytesRead } = await file.read(Buffer.allocUnsafe(CHUNK), 0, CHUNK, null);
      if (bytesRead === 0) return;
      const read = buffer.subarray(0, bytesRead);
      const firstEnd = read.indexOf(0x0a);
      if (firstEnd < 0) {
        restLength += read.length;
        if (restLength <= 2 * MAX_RECORD_BYTES) rest.push(read);
        continue;
      }
      const lines = restLength > 2 * MAX_RECORD_BYTES ? [] : [Buffer.concat([...rest, read.subarray(0, firstEnd)])];
      let start = firstEnd + 1;
      for (let end = read.indexOf(0x0a, start); end >= 0; end = read.indexOf(0x0a, start)) {
        lines.push(read.subarray(start, end));
        start = end + 1;
      }
      yield lines;
      rest = [read.subarray(start)];
      restLength = read.length - start;
    }
  } finally {
    await file.close();
  }
}
