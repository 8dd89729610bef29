import { createReadStream, readdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

/** The longest line that is read; a writer's are at most half of it. What is longer is skipped without being kept. */
export const MAX_LINE_BYTES = 16 * 1024 * 1024;

/** A segment's name says which chain it holds, from which record on. */
export interface SegmentName {
  stream: string;
  writer: string;
  firstSeq: number;
}

export interface InputFile {
  path: string;
  /** Absent for an export, which may hold several chains. */
  segment?: SegmentName;
}

export interface InputLine {
  bytes: Buffer;
  /** Line in its file, or in the input, from 1. */
  line: number;
  /** False for what stands behind a file's last line feed; undefined where line feeds are not known. */
  terminated: boolean | undefined;
  tooLong: boolean;
}

const SEGMENT = /^([A-Za-z0-9_-]{1,64})-(\d{12,16})\.jsonl$/;
const STREAMS = ['calls', 'admin'];

function segmentOf(path: string): SegmentName | undefined {
  const match = SEGMENT.exec(basename(path));
  const stream = basename(dirname(path));
  return match && STREAMS.includes(stream) ? { stream, writer: match[1]!, firstSeq: Number(match[2]) } : undefined;
}

function compare(a: InputFile, b: InputFile): number {
  const [left, right] = [a.segment, b.segment];
  if (!left || !right) return Number(right !== undefined) - Number(left !== undefined);
  const order = (x: string, y: string): number => (x < y ? -1 : x > y ? 1 : 0);
  return (
    STREAMS.indexOf(left.stream) - STREAMS.indexOf(right.stream) ||
    order(left.writer, right.writer) ||
    left.firstSeq - right.firstSeq
  );
}

/** Segments of a folder in order: stream, writer, first record. @throws Error when the folder holds no stream. */
export function filesOfDir(dir: string): InputFile[] {
  const files: InputFile[] = [];
  let folders = 0;
  for (const stream of STREAMS) {
    let names: string[];
    try {
      names = readdirSync(join(dir, stream));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') continue;
      throw error;
    }
    folders += 1;
    for (const name of names) {
      const path = join(dir, stream, name);
      const segment = segmentOf(path);
      if (segment) files.push({ path, segment });
    }
  }
  if (folders === 0) {
    throw new Error(
      `${dir} is no audit log: it has neither a folder "calls" nor a folder "admin". Give the log's own folder.`,
    );
  }
  return files.sort(compare);
}

/** Files as given: segments (by name and folder) in order, other files, taken as exports, before them. */
export function filesOfList(paths: readonly string[]): InputFile[] {
  return paths
    .map((path) => {
      const segment = segmentOf(path);
      return segment ? { path, segment } : { path };
    })
    .sort(compare);
}

/** Lines of a file, a chunk's worth at a time. */
export async function* linesOfFile(path: string): AsyncGenerator<InputLine[]> {
  let line = 0;
  let kept: Buffer[] = [];
  let length = 0;
  let skipping = false;
  const take = (bytes: Buffer, terminated: boolean): InputLine => {
    line += 1;
    const whole = kept.length > 0 ? Buffer.concat([...kept, bytes]) : bytes;
    const made = { bytes: skipping ? Buffer.alloc(0) : whole, line, terminated, tooLong: skipping };
    kept = [];
    length = 0;
    skipping = false;
    return made;
  };
  for await (const read of createReadStream(path, { highWaterMark: 256 * 1024 })) {
    const chunk = read as Buffer;
    const lines: InputLine[] = [];
    let start = 0;
    for (let end = chunk.indexOf(0x0a); end >= 0; end = chunk.indexOf(0x0a, start)) {
      lines.push(take(chunk.subarray(start, end), true));
      start = end + 1;
    }
    const rest = chunk.subarray(start);
    length += rest.length;
    if (length > MAX_LINE_BYTES) {
      skipping = true;
      kept = [];
    } else if (rest.length > 0) kept.push(rest);
    if (lines.length > 0) yield lines;
  }
  if (kept.length > 0 || skipping) yield [take(Buffer.alloc(0), false)];
}

/** Lines of an iterable, some at a time. */
export async function* linesOfIterable(input: AsyncIterable<string> | Iterable<string>): AsyncGenerator<InputLine[]> {
  let line = 0;
  let batch: InputLine[] = [];
  for await (const text of input) {
    line += 1;
    const bytes = Buffer.from(text);
    const tooLong = bytes.length > MAX_LINE_BYTES;
    batch.push({ bytes: tooLong ? Buffer.alloc(0) : bytes, line, terminated: undefined, tooLong });
    if (batch.length === 256) {
      yield batch;
      batch = [];
    }
  }
  if (batch.length > 0) yield batch;
}
