// The two ends of a closed segment, read without holding up calls: what retention judges by.
import { hash } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import { parsePlainJson } from '@gatehouse/wire';
import { MAX_RECORD_BYTES } from './record.ts';
import type { Segment } from './segments.ts';

export interface EndRecord {
  seq: number;
  /** RFC 3339. */
  time: string;
  kind: string;
  hash: string;
}

export interface SegmentEnds {
  first: EndRecord;
  last: EndRecord;
  /** Its writer stopped in order behind what stands here. */
  stopped: boolean;
  bytes: number;
}

const FIRST_READ = 64 * 1024;
const HASH_MEMBER = 75;
const LINE_FEED = 0x0a;

async function readAt(file: FileHandle, position: number, length: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(length);
  let got = 0;
  while (got < length) {
    const { bytesRead } = await file.read(buffer, got, length - got, position + got);
    if (bytesRead === 0) break;
    got += bytesRead;
  }
  return buffer.subarray(0, got);
}

/** A record whose hash is right and which belongs to the segment's chain; undefined otherwise. */
function readEnd(line: Buffer, segment: Segment): EndRecord | undefined {
  try {
    const {
      seq,
      time,
      kind,
      hash: digest,
      stream,
      writer,
    } = parsePlainJson(line.toString()) as Record<string, unknown>;
    const isOurs = stream === segment.stream && writer === segment.writer && Number.isSafeInteger(seq);
    const isWhole = digest === hash('sha256', line.subarray(0, line.length - HASH_MEMBER));
    if (!isOurs || !isWhole || typeof time !== 'string' || Number.isNaN(Date.parse(time))) return undefined;
    return { seq: seq as number, time, kind: String(kind), hash: digest as string };
  } catch {
    return undefined;
  }
}

async function firstLine(file: FileHandle, size: number): Promise<Buffer | undefined> {
  for (let length = Math.min(FIRST_READ, size); ; length = Math.min(length * 2, size)) {
    const head = await readAt(file, 0, length);
    const end = head.indexOf(LINE_FEED);
    if (end >= 0) return head.subarray(0, end);
    if (length === size || length > 2 * MAX_RECORD_BYTES) return undefined;
  }
}

/** The last whole line, and the one before it where both were read at once. */
async function lastLines(file: FileHandle, size: number): Promise<Buffer[]> {
  for (let length = Math.min(FIRST_READ, size); ; length = Math.min(length * 2, size)) {
    const tail = await readAt(file, size - length, length);
    const end = tail.lastIndexOf(LINE_FEED);
    const before = end > 0 ? tail.lastIndexOf(LINE_FEED, end - 1) : -1;
    if (end >= 0 && (before >= 0 || length === size)) {
      const last = tail.subarray(before + 1, end);
      if (before <= 0) return [last];
      return [last, tail.subarray(tail.lastIndexOf(LINE_FEED, before - 1) + 1, before)];
    }
    if (length === size || length > 2 * MAX_RECORD_BYTES) return [];
  }
}

/**
 * Reads the first and the last whole record of a segment.
 * @returns undefined when it has none, or one of them is damaged
 * @throws Error of the file system when the file cannot be read
 */
export async function segmentEnds(segment: Segment): Promise<SegmentEnds | undefined> {
  const file = await open(segment.path, 'r');
  try {
    const { size } = await file.stat();
    const head = await firstLine(file, size);
    const [tail, before] = await lastLines(file, size);
    const first = head && readEnd(head, segment);
    const last = tail && readEnd(tail, segment);
    if (!first || !last) return undefined;
    const stopped = last.kind === 'stop' || (before !== undefined && readEnd(before, segment)?.kind === 'stop');
    return { first, last, stopped, bytes: size };
  } finally {
    await file.close();
  }
}
