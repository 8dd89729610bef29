import type { Logger } from 'pino';
import type { ImageFiles } from './media/files.ts';
import type { MediaPool } from './media/pool.ts';
import type { SourceLoader } from './media/sources.ts';
import type { Outside } from './outside.ts';
import type { ImageProvider } from './providers/provider.ts';
import type { TaskService } from './tasks/service.ts';

/** What the tools of every session share. */
export interface Toolbox {
  provider: ImageProvider;
  tasks: TaskService;
  files: ImageFiles;
  pool: MediaPool;
  sources: SourceLoader;
  outside: Outside;
  log: Logger;
  /** Where pictures are served over HTTP, ending in `/images/`; `undefined` on stdio. */
  imagesUrl: string | undefined;
}
