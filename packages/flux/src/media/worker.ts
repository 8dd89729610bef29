import { setPriority } from 'node:os';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { parentPort } from 'node:worker_threads';
import { drawPrompt } from '../paint/draw.ts';
import { editPicture } from '../paint/edit.ts';
import { encode, inspect, thumbnail } from './codec.ts';
import type { MediaJob, MediaReply, MediaRequest, MediaResult } from './jobs.ts';

async function perform(job: MediaJob): Promise<MediaResult> {
  switch (job.kind) {
    case 'draw':
      return encode(drawPrompt(job.prompt, job.seed, job.width, job.height), job.format);
    case 'edit':
      return encode(await editPicture(job.prompt, job.seed, job.sources, job.size), job.format);
    case 'inspect':
      return inspect(job.bytes);
    case 'thumbnail':
      return thumbnail(job.bytes, job.maxBytes);
  }
}

/** How many jobs may leave their canvases behind before they are collected. */
const JOBS_PER_COLLECTION = 8;

// The pixels of a canvas lie outside the heap and are not counted there, so the engine sees no reason to collect them.
setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;
let jobs = 0;

const port = parentPort;
if (port === null) throw new Error('media/worker.ts runs as a worker thread only');

// On Linux this is the priority of the calling thread alone, so drawing gives way to answering. Elsewhere it would be that
// of the whole process.
if (process.platform === 'linux') setPriority(10);

port.on('message', ({ id, job }: MediaRequest) => {
  jobs += 1;
  if (jobs % JOBS_PER_COLLECTION === 0) collectGarbage();
  perform(job).then(
    (result) => {
      // A Buffer may be a window into a pool shared with others, which must not be moved away.
      const bytes = new Uint8Array(result.bytes);
      port.postMessage({ id, result: { ...result, bytes } } satisfies MediaReply, [bytes.buffer]);
    },
    (error: unknown) => {
      port.postMessage({ id, error: error instanceof Error ? error.message : String(error) } satisfies MediaReply);
    },
  );
});
