import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FluxError } from '../errors.ts';
import { ImageFiles } from '../media/files.ts';
import type { ImageJob, ImageProvider, JobContext, ProducedImage, SourceImage } from '../providers/provider.ts';
import { thisProcess } from './owner.ts';
import { TaskService } from './service.ts';
import { type TaskRecord, TaskStore } from './store.ts';

const request = {
  prompt: 'a fox',
  model: 'flux-dev' as const,
  width: 64,
  height: 64,
  count: 1,
  seed: 1,
  format: 'png' as const,
  callbackUrl: undefined,
};
const picture: ProducedImage = { bytes: new Uint8Array([1, 2, 3]), format: 'png', width: 64, height: 64, seed: 1 };
const never = new AbortController().signal;

/** A provider whose work is ended by hand. */
class HandProvider implements ImageProvider {
  readonly name = 'hand';
  readonly notice = undefined;
  readonly polling = { intervalSeconds: 1, maxAttempts: 1, expectedSeconds: 1 };
  starts = 0;
  cancelled: string[] = [];
  jobs: ImageJob[] = [];
  contexts: JobContext[] = [];
  ends: ((outcome: Error | readonly ProducedImage[]) => void)[] = [];
  startWith: () => Promise<string> = () => Promise.resolve(`handle-${this.starts}`);

  models() {
    return [];
  }
  start(): Promise<string> {
    this.starts += 1;
    return this.startWith();
  }
  collect(_handle: string, job: ImageJob, context: JobContext): Promise<readonly ProducedImage[]> {
    this.jobs.push(job);
    this.contexts.push(context);
    return new Promise((resolve, reject) => {
      context.signal.addEventListener('abort', () => reject(context.signal.reason as Error));
      this.ends.push((outcome) => (outcome instanceof Error ? reject(outcome) : resolve(outcome)));
    });
  }
  cancel(handle: string): Promise<boolean> {
    this.cancelled.push(handle);
    return Promise.resolve(true);
  }
  close(): Promise<void> {
    return Promise.resolve();
  }
}

let folder: string;
let store: TaskStore;
let provider: HandProvider;
let finished: TaskRecord[];
let ids = 0;
const services: TaskService[] = [];

function newService(nonce: string, providerName = 'hand'): TaskService {
  const renamed = () => Object.create(provider, { name: { value: providerName } }) as ImageProvider;
  const service = new TaskService({
    store,
    files: new ImageFiles(folder),
    provider: providerName === provider.name ? provider : renamed(),
    owner: thisProcess(nonce),
    log: pino({ level: 'silent' }),
    now: () => Math.round(performance.now()),
    newTaskId: () => `task-${++ids}`,
    newImageId: () => String(++ids).padStart(32, '0'),
    loadSources: (bytes) =>
      Promise.resolve(bytes.map((one): SourceImage => ({ bytes: one, mimeType: 'image/png', width: 1, height: 1 }))),
    onFinished: (task) => finished.push(task),
  });
  services.push(service);
  return service;
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'flux-service-'));
  store = new TaskStore(folder, () => 0);
  provider = new HandProvider();
  finished = [];
});

afterEach(async () => {
  await Promise.all(services.splice(0).map((service) => service.close()));
  store.close();
  rmSync(folder, { recursive: true });
});

const collecting = () => expect.poll(() => provider.ends.length).toBeGreaterThan(0);

describe('TaskService', () => {
  it('[FLUX-WAIT] waits to the end, tells progress, and hands the task back when the time is up', async () => {
    const service = newService('a');
    const { id } = await service.submit('ana', 'generate', request, []);
    expect((await service.wait(id, 'ana', 5, never)).state).toMatch(/queued|running/);
    await collecting();
    const seen: number[] = [];
    const waiting = service.wait(id, 'ana', 5_000, never, ({ progress }) => seen.push(progress));
    provider.contexts[0]?.onProgress(0.5, 'half');
    await expect.poll(() => seen).toContain(0.5);
    provider.ends[0]?.([picture]);
    expect(await waiting).toMatchObject({ state: 'succeeded', images: [{ bytes: 3 }] });
  });

  it('[FLUX-CANCEL] ends the work at the provider and keeps the task as cancelled', async () => {
    const service = newService('a');
    const { id } = await service.submit('ana', 'generate', request, []);
    await collecting();
    expect(await service.cancel(id)).toBe(true);
    expect(provider.cancelled).toEqual(['handle-1']);
    expect(service.get(id, 'ana')?.state).toBe('cancelled');
    expect(await service.cancel(id)).toBe(false);
  });

  it('[FLUX-ERRORS] keeps the code, status and trace id of a failure, and calls back once', async () => {
    const service = newService('a');
    const { id } = await service.submit('ana', 'generate', { ...request, callbackUrl: 'https://example.org/' }, []);
    await collecting();
    provider.ends[0]?.(
      new FluxError('used_up', 'The balance is used up.', 'Top it up.', { httpStatus: 403, traceId: 't9' }),
    );
    const task = await service.wait(id, 'ana', 5_000, never);
    expect(task).toMatchObject({ state: 'failed', error: { code: 'used_up', http_status: 403, trace_id: 't9' } });
    expect(finished.map((one) => one.id)).toEqual([id]);
  });

  it('[FLUX-RESTART] goes on with the handle of a stopped process and does not start the work again', async () => {
    const first = newService('a');
    const source = { bytes: new Uint8Array([7, 8]), mimeType: 'image/png', width: 1, height: 1 };
    const { id } = await first.submit('ana', 'edit', request, [source]);
    await collecting();
    await first.close();
    expect(store.get(id, 'ana')?.state).toBe('running');

    const second = newService('b');
    second.recover();
    await expect.poll(() => provider.ends.length).toBe(2);
    expect([...(provider.jobs[1]?.sources[0]?.bytes ?? [])]).toEqual([7, 8]);
    provider.ends[1]?.([picture]);
    expect((await second.wait(id, 'ana', 5_000, never)).state).toBe('succeeded');
    expect(provider.starts).toBe(1);
  });

  it('[FLUX-ONCE] never starts anew what may have been accepted: without a handle it fails with the reason', async () => {
    provider.startWith = () => new Promise(() => {});
    store.insert(
      { id: 'lost', caller: 'ana', action: 'generate', provider: 'hand', request: { ...request, sources: 0 } },
      'elsewhere:1:x',
      -1,
    );
    const service = newService('a');
    service.recover();
    expect(store.get('lost', 'ana')).toMatchObject({ state: 'failed', error: { code: 'interrupted' } });
    expect(provider.starts).toBe(0);
  });

  it('leaves the tasks of a living process alone, and fails those of another provider', async () => {
    const first = newService('a');
    const { id } = await first.submit('ana', 'generate', request, []);
    await collecting();
    store.insert(
      { id: 'theirs', caller: 'ana', action: 'generate', provider: 'hand', request: { ...request, sources: 0 } },
      'elsewhere:1:x',
      Number.MAX_SAFE_INTEGER,
    );
    await first.close();
    newService('b', 'other').recover();
    expect(store.get(id, 'ana')).toMatchObject({ state: 'failed', error: { code: 'provider_gone' } });
    expect(store.get('theirs', 'ana')?.state).toBe('queued');
  });
});
