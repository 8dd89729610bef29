// CPU time and memory of processes, from Linux's /proc.
import { readdirSync, readFileSync } from 'node:fs';

/** Microseconds of CPU. */
export interface CpuTimes {
  /** Of the thread that builds the search index: work that no call waits for. */
  index: number;
  /** Of everything else. */
  calls: number;
}

/**
 * Names of the gateway's index thread: Linux shows the name that a worker was given, and `WorkerThread` for one that was
 * given none. The gateway has no other worker.
 */
const INDEX_THREAD = /index|^WorkerThread$/;

/**
 * CPU time that a process and its children have used so far, by thread. The kernel keeps it in nanoseconds for each
 * (`/proc/<pid>/task/<tid>/schedstat`): `/proc/<pid>/stat` counts in steps of 10 ms, too coarse for slices of half a second.
 * @throws Error on systems without /proc, and when the process is gone
 */
export function cpuTimes(pid: number): CpuTimes {
  const times: CpuTimes = { calls: 0, index: 0 };
  addTimes(pid, times);
  return times;
}

/** The same as one sum. */
export function cpuMicros(pid: number): number {
  const { calls, index } = cpuTimes(pid);
  return calls + index;
}

function addTimes(pid: number, times: CpuTimes): void {
  const children: string[] = [];
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    const folder = `/proc/${pid}/task/${thread}`;
    try {
      const micros = Number(readFileSync(`${folder}/schedstat`, 'latin1').split(' ', 1)[0]) / 1_000;
      times[INDEX_THREAD.test(readFileSync(`${folder}/comm`, 'latin1').trim()) ? 'index' : 'calls'] += micros;
      children.push(...readFileSync(`${folder}/children`, 'latin1').split(' '));
    } catch (error) {
      ignoreGone(error);
    }
  }
  for (const child of children) {
    if (child.trim() === '') continue;
    try {
      addTimes(Number(child), times);
    } catch (error) {
      ignoreGone(error);
    }
  }
}

/** Threads and children may end between the listing and the reading of them. */
function ignoreGone(error: unknown): void {
  const { code } = error as NodeJS.ErrnoException;
  if (code !== 'ENOENT' && code !== 'ESRCH') throw error;
}

/**
 * Memory of a process and its children that is in RAM, in bytes.
 * @throws Error on systems without /proc, and when the process is gone
 */
export function residentBytes(pid: number): number {
  const kibibytes = /^VmRSS:\s*(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1];
  if (kibibytes === undefined) throw new Error(`the process ${pid} has no memory: it has ended`);
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').split(' ');
  return children
    .filter((child) => child.trim() !== '')
    .reduce((sum, child) => sum + residentBytes(Number(child)), Number(kibibytes) * 1_024);
}
