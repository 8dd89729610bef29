// CPU time of processes, from Linux's /proc.
import { readdirSync, readFileSync } from 'node:fs';

/**
 * CPU time that a process and its children have used so far, in microseconds. It is the sum over their threads, which the kernel keeps in
 * nanoseconds: `/proc/<pid>/stat` counts in steps of 10 ms, too coarse for slices of half a second.
 * @throws Error on systems without /proc, and when the process is gone
 */
export function cpuMicros(pid: number): number {
  let nanos = 0;
  let children = '';
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    try {
      nanos += Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'latin1').split(' ', 1)[0]);
      children += `${readFileSync(`/proc/${pid}/task/${thread}/children`, 'latin1')} `;
    } catch (error) {
      // A thread may end between the listing and the reading of it.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT' && (error as NodeJS.ErrnoException).code !== 'ESRCH')
        throw error;
    }
  }
  return children
    .split(' ')
    .filter((child) => child.trim() !== '')
    .reduce((sum, child) => sum + cpuMicros(Number(child)), nanos / 1_000);
}
