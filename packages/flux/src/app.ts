import { randomBytes, randomUUID } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { type Logger, pino } from 'pino';
import { callbackSecretOf, deliverCallback } from './callbacks.ts';
import { ImageFiles } from './media/files.ts';
import { MediaPool } from './media/pool.ts';
import { SourceLoader } from './media/sources.ts';
import { createOutside } from './outside.ts';
import { createPreviewProvider } from './providers/preview.ts';
import type { Settings } from './settings.ts';
import { thisProcess } from './tasks/owner.ts';
import { TaskService } from './tasks/service.ts';
import { TaskStore } from './tasks/store.ts';
import type { Toolbox } from './toolbox.ts';
import { viewTask } from './tools/views.ts';

/** More drawing threads than this help nobody: a picture takes a fraction of a second. */
const MAX_THREADS = 4;
const DAY_MS = 86_400_000;

export interface App extends Toolbox {
  close(): Promise<void>;
}

/** Logs go to stderr, since stdout belongs to the protocol. Prompts, addresses and tokens are never put into one. */
export function createLog(level: string): Logger {
  return pino({ name: 'gatehouse-flux', level }, pino.destination({ dest: 2, sync: true }));
}

/**
 * Puts the parts together and takes over what an earlier process left unfinished.
 *
 * @throws FluxError `store` when the data folder cannot be used
 */
export function createApp(settings: Settings, log: Logger, imagesUrl: string | undefined): App {
  const store = new TaskStore(settings.dataFolder, Date.now);
  const files = new ImageFiles(settings.dataFolder);
  const pool = new MediaPool(Math.min(availableParallelism(), MAX_THREADS));
  const provider = createPreviewProvider(pool);
  const outside = createOutside(settings.egressAllow, settings.egressHttp);
  const sources = new SourceLoader({
    outside,
    pool,
    folders: settings.fileFolders,
    ownImagesUrl: imagesUrl,
    readOwn: async (fileName, caller) => {
      const image = tasks.imageByFileName(fileName, caller);
      return image && files.readImage(image);
    },
  });
  const tasks = new TaskService({
    store,
    files,
    provider,
    owner: thisProcess(randomBytes(6).toString('hex')),
    log,
    now: Date.now,
    newTaskId: randomUUID,
    newImageId: () => randomBytes(16).toString('hex'),
    loadSources: (pictures, signal) => sources.check(pictures, signal),
    onFinished: (task) => {
      const url = task.request.callbackUrl;
      if (url === undefined) return;
      const secret = settings.callbackSecret ?? callbackSecretOf(settings.dataFolder);
      const payload = viewTask({ ...task, callback: 'none' }, provider.notice, imagesUrl);
      deliverCallback(url, payload, { outside, secret, now: Date.now, log, deliveryId: task.id })
        .then((delivered) => store.setCallback(task.id, delivered ? 'delivered' : 'failed'))
        .catch((error: unknown) => log.warn({ task: task.id, error: String(error) }, 'callback failed'));
    },
  });

  tasks.recover();
  // Not before the first answer: nobody waits for it.
  const cleaning = setTimeout(() => {
    const removed = store.removeBefore(Date.now() - settings.keepDays * DAY_MS);
    files.removeImages(removed).catch((error: unknown) => log.warn({ error: String(error) }, 'old pictures stay'));
  }, 1_000).unref();

  return {
    provider,
    tasks,
    files,
    pool,
    sources,
    outside,
    log,
    imagesUrl,
    async close() {
      clearTimeout(cleaning);
      await tasks.close();
      await pool.close();
      await provider.close();
      await outside.close();
      store.close();
    },
  };
}
