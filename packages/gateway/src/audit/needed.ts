import { segmentEnds } from './segment-ends.ts';
import { listSegments } from './segments.ts';

/** The longest window is a month; one day more covers zones and clocks. */
const HORIZON_MS = 32 * 86_400_000;

/**
 * The segments of the stream `calls` that counters are still rebuilt from; retention leaves them (spec: audit).
 * @param dir folder of the log
 * @returns paths of segment files
 */
export async function segmentsNeeded(dir: string): Promise<Set<string>> {
  const from = Date.now() - HORIZON_MS;
  const needed = new Set<string>();
  for (const segment of listSegments(dir, 'calls')) {
    const ends = await segmentEnds(segment);
    if (ends === undefined || Date.parse(ends.last.time) >= from) needed.add(segment.path);
  }
  return needed;
}
