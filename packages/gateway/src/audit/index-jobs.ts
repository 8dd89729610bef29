// What passes between the main thread and the one that keeps the search index.
import type { AdminPage, AdminQuery, AuditPage, AuditQuery, AuditRow } from './search.ts';

/** What the thread is given at its start. */
export interface IndexThreadData {
  /** Folder of the log. */
  dir: string;
  /** The writer whose records are counted in `indexed`. */
  writer: string;
}

export type ExportFormat = 'jsonl' | 'csv';

/** What the thread is asked for, and what it answers. */
export interface IndexJobs {
  /** Takes in what the segments hold; `closed`: only of those to which no record will be added. */
  build: { job: { which: 'all' | 'closed' }; value: null };
  search: { job: { query: AuditQuery }; value: AuditPage };
  changes: { job: { query: AdminQuery }; value: AdminPage };
  request: { job: { requestId: string }; value: AuditRow[] };
  /** Begins an export under the number `reader`. */
  export: { job: { reader: number; query: AuditQuery; format: ExportFormat }; value: null };
  /** The next lines of an export; none when it has ended. */
  read: { job: { reader: number }; value: string[] };
  /** Gives up an export. */
  end: { job: { reader: number }; value: null };
  /** Closes the index; the thread ends. */
  close: { job: object; value: null };
}

export type JobName = keyof IndexJobs;
export type Job<N extends JobName> = IndexJobs[N]['job'];
export type JobValue<N extends JobName> = IndexJobs[N]['value'];

export type IndexRequest = { [N in JobName]: { id: number; name: N } & Job<N> }[JobName];

export interface IndexReply {
  id: number;
  /** Records of the thread's writer that the index holds; absent when it cannot be read. */
  indexed?: number;
  value?: unknown;
  /** `query`: the question was wrong; `index`: the index does not work. */
  error?: { kind: 'query' | 'index'; message: string };
}
