import { setPriority } from 'node:os';
import { parentPort, workerData } from 'node:worker_threads';
import type { IndexRequest, IndexThreadData } from './index-jobs.ts';
import { IndexService } from './index-service.ts';

const port = parentPort;
if (port === null) throw new Error('audit/index-worker.ts runs as a worker thread only');

// On Linux this is the priority of the calling thread alone, so the index gives way to calls. Elsewhere it would be that
// of the whole process. Not the lowest: somebody waits for a search.
if (process.platform === 'linux') setPriority(5);

const { dir, writer } = workerData as IndexThreadData;
const service = new IndexService(dir, writer);

port.on('message', (request: IndexRequest) => {
  void service.answer(request).then((reply) => {
    port.postMessage(reply);
    if (request.name === 'close') port.close();
  });
});
