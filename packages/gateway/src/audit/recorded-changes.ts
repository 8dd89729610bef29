// Changes of state as the log has them, for the start that compares them with the store (control/change.ts).
import { closeSync, fstatSync, openSync } from 'node:fs';
import { parsePlainJson } from '@gatehouse/wire';
import type { AdminRecord } from './record.ts';
import { MAX_RECORD_BYTES } from './record.ts';
import { listSegments, readAt, type Segment } from './segments.ts';

/** What a change that was not made is recorded as. */
export const FAILED = '.failed';

export type RecordedChange = Required<Pick<AdminRecord, 'actor' | 'action' | 'target' | 'change'>>;

/** The end of a log is what counts; a process writes one segment or few. */
const NEWEST = 8;
const TAIL_BYTES = MAX_RECORD_BYTES + 64 * 1024;

/**
 * The records of changes with a greater number than this one which no later record says to have failed, in order.
 * Looks at the ends of the newest segments: changes are made one after the other, so that none but the last can be open.
 * Lines that cannot be read are passed over; the verifier names them.
 */
export function changesAfter(dir: string, change: number): RecordedChange[] {
  let open: RecordedChange[] = [];
  for (const segment of listSegments(dir, 'admin').slice(-NEWEST)) {
    for (const record of changesAtEnd(segment)) {
      if (record.change <= change) continue;
      if (record.action.endsWith(FAILED)) open = open.filter((one) => one.change !== record.change);
      else open.push(record);
    }
  }
  return open;
}

function changesAtEnd(segment: Segment): RecordedChange[] {
  const fd = openSync(segment.path, 'r');
  let text: string;
  try {
    const { size } = fstatSync(fd);
    const start = Math.max(0, size - TAIL_BYTES);
    text = readAt(fd, start, size - start).toString('utf8');
  } finally {
    closeSync(fd);
  }
  return text.split('\n').flatMap((line) => {
    if (!line.includes('"change":')) return [];
    try {
      const { kind, actor, action, target, change } = parsePlainJson(line) as Partial<RecordedChange> & {
        kind?: string;
      };
      if (kind !== 'admin' || actor === undefined || action === undefined || target === undefined) return [];
      return change === undefined ? [] : [{ actor, action, target, change }];
    } catch {
      return []; // Torn, or the rest of a line that begins before the tail.
    }
  });
}
