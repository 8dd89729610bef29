import { CallIndex } from './call-index.ts';
import { removeIndex } from './index-schema.ts';
import type { Stream } from './record.ts';
import { listSegments } from './segments.ts';

export interface IndexBuild {
  /** Records of both streams that were read, those without a row included. */
  records: number;
  rows: number;
  wallSeconds: number;
  /** User and system time of this process, all its threads. */
  cpuSeconds: number;
  /** The most memory that the process held so far, bytes. */
  maxRss: number;
}

/**
 * Builds the search index of a log's folder from nothing, in the calling thread, and says what that took: for `bench`,
 * which imports it by its path. Deletes the index that is there; no gateway may be using the folder.
 * @throws Error when the folder cannot be read, or the index not be written.
 */
export function buildIndex(dir: string): IndexBuild {
  removeIndex(dir);
  const cpu = process.cpuUsage();
  const start = performance.now();
  const index = new CallIndex(dir);
  try {
    index.catchUp();
    const wallSeconds = (performance.now() - start) / 1000;
    const { user, system } = process.cpuUsage(cpu);
    const streams: Stream[] = ['calls', 'admin'];
    const writers = new Set(streams.flatMap((stream) => listSegments(dir, stream).map((segment) => segment.writer)));
    const rowsOf = (table: string): number => Number(index.db.prepare(`SELECT count(*) AS n FROM ${table}`).get()!.n);
    return {
      records: [...writers].reduce((sum, writer) => sum + index.recordsOf(writer), 0),
      rows: rowsOf('calls') + rowsOf('changes'),
      wallSeconds,
      cpuSeconds: (user + system) / 1e6,
      maxRss: process.resourceUsage().maxRSS * 1024,
    };
  } finally {
    index.close();
  }
}
