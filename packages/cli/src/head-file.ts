// Heads that were kept outside the store: one as JSON, or as many as a gateway appended to a file, one a line.
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import type { SignedHead } from '@gatehouse/verify';
import { parsePlainJson } from '@gatehouse/wire';

export interface HeadFile {
  heads: SignedHead[];
  /** Lines that are no heads: torn ones, mostly. */
  unreadable: number;
  /** Heads left out so that memory is bounded; a later one of the same chain stands for each. */
  leftOut: number;
}

/** Besides the newest head of each chain; years of a file of a busy gateway. */
const MAX_HEADS = 200_000;

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function parsed(text: string): unknown {
  try {
    return parsePlainJson(text);
  } catch {
    return undefined;
  }
}

/** @throws Error of the file system when it cannot be read */
export async function readHeadFile(path: string, maxHeads = MAX_HEADS): Promise<HeadFile> {
  const newest = new Map<string, SignedHead>();
  let heads: SignedHead[] = [];
  let unreadable = 0;
  let count = 0;
  let leftOut = 0;
  // A single head may be written over several lines.
  let whole: string | undefined = '';
  for await (const line of createInterface({ input: createReadStream(path), crlfDelay: Number.POSITIVE_INFINITY })) {
    if (whole !== undefined) whole = whole.length < 65_536 ? `${whole}${line}\n` : undefined;
    if (line.trim() === '') continue;
    const head = parsed(line);
    if (!isObject(head)) {
      unreadable += 1;
      continue;
    }
    count += 1;
    const signed = head as unknown as SignedHead;
    newest.set(`${signed.stream}/${signed.writer}`, signed);
    heads.push(signed);
    if (heads.length > 2 * maxHeads) heads = heads.slice(-maxHeads);
  }
  if (count === 0 && whole !== undefined) {
    const head = parsed(whole);
    return isObject(head)
      ? { heads: [head as unknown as SignedHead], unreadable: 0, leftOut: 0 }
      : { heads: [], unreadable, leftOut: 0 };
  }
  if (count > maxHeads) {
    const last = new Set(heads.slice(-maxHeads));
    for (const head of newest.values()) last.add(head);
    heads = [...last];
    leftOut = count - heads.length;
  }
  return { heads, unreadable, leftOut };
}
