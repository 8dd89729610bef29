import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from '@modelcontextprotocol/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import parity from './data/parity.json' with { type: 'json' };
import { call, ERAS, pngSize, readImage, Workbench } from './harness.ts';

const bench = new Workbench();
afterAll(() => bench.close());

describe.each(ERAS)('on stdio, %s era', (era) => {
  let client: Client;
  beforeAll(async () => {
    ({ client } = await bench.stdio(era, bench.folder()));
  });

  it('[FLUX-PARITY] [FLUX-ANNOTATIONS] lists the six tools with titles, annotations and output schemas, and the prompts', async () => {
    const { tools } = await client.listTools();
    expect(tools.map(({ name }) => name)).toEqual(parity.tools.map(({ name }) => name));
    for (const tool of tools) {
      const makes = tool.name === 'flux_generate_image' || tool.name === 'flux_edit_image';
      expect(tool.title).toBeTruthy();
      expect(tool.outputSchema?.type).toBe('object');
      expect(tool.annotations).toMatchObject(
        makes ? { readOnlyHint: false, destructiveHint: false, openWorldHint: true } : { readOnlyHint: true },
      );
    }
    const { prompts } = await client.listPrompts();
    expect(prompts.map(({ name }) => name)).toEqual(parity.prompts);
    const { messages } = await client.getPrompt({ name: 'flux_prompt_writing_guide' });
    expect(JSON.stringify(messages)).toContain('Lettering');
  });

  it('[FLUX-SIZE] [FLUX-LINK] makes a PNG of the asked size and links to it, without a picture in the result', async () => {
    const { isError, task, blocks, text } = await call(client, 'flux_generate_image', {
      prompt: 'a red fox',
      size: '640x352',
    });
    expect(isError).toBe(false);
    expect(task).toMatchObject({ state: 'succeeded', success: true, size: '640x352', notice: 'preview, not Flux' });
    expect(blocks.map(({ type }) => type)).toEqual(['text', 'text', 'resource_link']);
    expect(JSON.parse(blocks[0]?.text ?? '')).toEqual(task);
    expect(text).toContain('preview, not Flux');
    const uri = blocks[2]?.uri ?? '';
    expect(uri).toMatch(/^flux:\/\/images\/[0-9a-f]{32}\.png$/);
    expect(pngSize(await readImage(client, uri))).toEqual({ width: 640, height: 352 });
    const { resources } = await client.listResources();
    expect(resources.map((resource) => resource.uri)).toContain(uri);
  });

  it('[FLUX-INLINE] gives the picture itself for full, and a small WebP for thumbnail', async () => {
    const full = await call(client, 'flux_generate_image', { prompt: 'the sea', size: '320x200', inline: 'full' });
    const image = full.blocks.find(({ type }) => type === 'image');
    expect(image?.mimeType).toBe('image/png');
    expect(pngSize(Buffer.from(image?.data ?? '', 'base64'))).toEqual({ width: 320, height: 200 });

    const small = await call(client, 'flux_generate_image', {
      prompt: 'the sea',
      size: '16:9',
      count: 2,
      inline: 'thumbnail',
    });
    const thumbnails = small.blocks.filter(({ type }) => type === 'image');
    expect(thumbnails).toHaveLength(2);
    for (const { mimeType, data } of thumbnails) {
      const bytes = Buffer.from(data ?? '', 'base64');
      expect(mimeType).toBe('image/webp');
      expect(bytes.toString('latin1', 8, 12)).toBe('WEBP');
      expect(bytes.length).toBeLessThanOrEqual(100 * 1024);
    }
  });

  it('[FLUX-SEED] repeats a picture by its seed, and counts up for the others', async () => {
    const first = await call(client, 'flux_generate_image', {
      prompt: 'a castle',
      size: '128x128',
      count: 2,
      seed: 40,
    });
    const again = await call(client, 'flux_generate_image', { prompt: 'a castle', size: '128x128', seed: 41 });
    const [, second] = first.task.images;
    expect(second).toMatchObject({ seed: 41 });
    const [one, two] = await Promise.all(
      [second, again.task.images[0]].map((image) => readImage(client, image?.uri ?? '')),
    );
    expect(one?.equals(two ?? Buffer.alloc(0))).toBe(true);
  });

  it('[FLUX-WAIT] hands back a task id at once for a wait of 0, and sends rising progress while it waits', async () => {
    const { task } = await call(client, 'flux_generate_image', {
      prompt: 'a forest',
      size: '2048x2048',
      wait_seconds: 0,
    });
    expect(task.success).toBeUndefined();
    expect(task.mcp_async_submission).toMatchObject({ should_poll: true });
    expect(task.mcp_async_submission?.next_step).toContain('flux_get_task');
    const got = await call(client, 'flux_get_task', { task_id: task.task_id });
    expect(got.task).toMatchObject({ state: 'succeeded', mcp_task_polling: { is_complete: true, should_poll: false } });

    const seen: number[] = [];
    const onprogress = ({ progress }: { progress: number }): void => void seen.push(progress);
    await call(client, 'flux_generate_image', { prompt: 'a forest', size: '512x512', count: 3 }, { onprogress });
    expect(seen.length).toBeGreaterThan(1);
    expect(seen).toEqual([...seen].sort((a, b) => a - b));
    expect(new Set(seen).size).toBe(seen.length);
  });

  it('[FLUX-BATCH] answers for several tasks and names the unknown', async () => {
    const made = await call(client, 'flux_generate_image', { prompt: 'a boat', size: '64x64' });
    const { task } = await call(client, 'flux_get_tasks_batch', { task_ids: [made.task.task_id, 'nothing'] });
    expect(task.items).toMatchObject([{ task_id: made.task.task_id, state: 'succeeded' }]);
    expect(task.unknown).toEqual(['nothing']);
  });

  it('[FLUX-EDIT] changes a picture given as a data URI or by its address, and keeps its size unless asked', async () => {
    const made = await call(client, 'flux_generate_image', { prompt: 'a meadow', size: '200x120' });
    const uri = made.task.images[0]?.uri ?? '';
    const original = await readImage(client, uri);
    const kept = await call(client, 'flux_edit_image', { prompt: 'make it night', image_url: uri });
    expect(kept.task.size).toBe('200x120');
    const data = `data:image/png;base64,${original.toString('base64')}`;
    const sized = await call(client, 'flux_edit_image', {
      prompt: 'make it night',
      image_url: data,
      size: '1:1',
      output_format: 'webp',
      reference_images: [uri],
    });
    expect(sized.task).toMatchObject({ size: '1024x1024', images: [{ mime_type: 'image/webp' }] });
    expect((await readImage(client, kept.task.images[0]?.uri ?? '')).equals(original)).toBe(false);
  });

  it.each([
    ['flux_generate_image', { prompt: 'x', size: '9000x100' }, /width 9000 is outside 64 to 4096.*What to do: Use/s],
    ['flux_generate_image', { prompt: 'x', count: 9 }, /count/],
    ['flux_generate_image', { prompt: 'x', callback_url: 'http://169.254.169.254/' }, /callback_url.*What to do/s],
    ['flux_edit_image', { prompt: 'x', image_url: 'http://127.0.0.1/a.png' }, /image_url.*What to do/s],
    ['flux_edit_image', { prompt: 'x', image_url: 'file:///etc/passwd' }, /takes no file: URLs.*--files/s],
    ['flux_edit_image', { prompt: 'x', image_url: 'data:image/png;base64,aGVsbG8=' }, /no PNG, JPEG, WebP or GIF/],
    ['flux_get_task', { task_id: 'nothing' }, /no task "nothing".*What to do/s],
  ])('[FLUX-ERRORS] [FLUX-EGRESS] %s %o says what is wrong and what to do', async (name, args, message) => {
    const { isError, text } = await call(client, name, args);
    expect(isError).toBe(true);
    expect(text).toMatch(message);
  });

  it('lists the models of the provider and the actions', async () => {
    const models = await client.callTool({ name: 'flux_list_models', arguments: {} });
    expect(models.structuredContent).toMatchObject({ provider: 'preview', models: { length: 8 } });
    const actions = await client.callTool({ name: 'flux_list_actions', arguments: {} });
    expect(actions.structuredContent).toMatchObject({ tools: { length: 6 } });
  });
});

describe('processes', () => {
  it('[FLUX-RESTART] [FLUX-CALLER] keeps tasks over a restart for their caller and shows them to nobody else', async () => {
    const data = bench.folder();
    const first = await bench.stdio('legacy', data, { FLUX_CALLER: 'ana' });
    const { task } = await call(first.client, 'flux_generate_image', { prompt: 'a tree', size: '64x64' });
    await first.client.close();

    const { client: ana } = await bench.stdio('modern', data, { FLUX_CALLER: 'ana' });
    expect((await call(ana, 'flux_get_task', { task_id: task.task_id })).task.state).toBe('succeeded');
    expect(pngSize(await readImage(ana, task.images[0]?.uri ?? ''))).toEqual({ width: 64, height: 64 });

    const { client: ben } = await bench.stdio('legacy', data, { FLUX_CALLER: 'ben' });
    const foreign = await call(ben, 'flux_get_task', { task_id: task.task_id });
    const unknown = await call(ben, 'flux_get_task', { task_id: 'f'.repeat(36) });
    expect(foreign.isError).toBe(true);
    expect(foreign.text.replace(task.task_id, '')).toBe(unknown.text.replace('f'.repeat(36), ''));
    await expect(readImage(ben, task.images[0]?.uri ?? '')).rejects.toThrow();
    expect((await ben.listResources()).resources).toEqual([]);
  });

  it('[FLUX-RESTART] goes on with a task whose process was killed', async () => {
    const data = bench.folder();
    const { client, pid } = await bench.stdio('legacy', data);
    const args = { prompt: 'a city at night', size: '2048x2048', count: 8, wait_seconds: 0 };
    const { task } = await call(client, 'flux_generate_image', args);
    process.kill(pid, 'SIGKILL');
    const { client: next } = await bench.stdio('legacy', data);
    let state = '';
    for (let attempt = 0; attempt < 8 && state !== 'succeeded'; attempt += 1) {
      state = (await call(next, 'flux_get_task', { task_id: task.task_id })).task.state;
    }
    expect(state).toBe('succeeded');
  });

  it('[FLUX-CANCEL] ends the work when the call is cancelled', async () => {
    const data = bench.folder();
    const { client } = await bench.stdio('legacy', data);
    const abort = new AbortController();
    const args = { prompt: 'mountains', size: '4096x4096', count: 8, wait_seconds: 50 };
    const calling = call(client, 'flux_generate_image', args, { signal: abort.signal });
    await sleep(400);
    abort.abort(new Error('enough'));
    await expect(calling).rejects.toThrow();
    const db = new DatabaseSync(join(data, 'tasks.sqlite'), { readOnly: true });
    let state: unknown;
    for (let attempt = 0; attempt < 40 && state !== 'cancelled'; attempt += 1) {
      state = db.prepare('SELECT state FROM tasks').get()?.state;
      await sleep(100);
    }
    db.close();
    expect(state).toBe('cancelled');
  });

  it('[FLUX-LOG] logs failures, but nothing of a prompt or an address', async () => {
    const { client, logged } = await bench.stdio('legacy', bench.folder(), { LOG_LEVEL: 'trace' });
    await call(client, 'flux_generate_image', { prompt: 'xylophone', size: '64x64' });
    await call(client, 'flux_edit_image', { prompt: 'xylophone', image_url: 'https://127.0.0.1/zanzibar' });
    const callback = { callback_url: 'https://xylophone.invalid/zanzibar' };
    await call(client, 'flux_generate_image', { prompt: 'xylophone', size: '64x64', ...callback });
    await expect.poll(logged, { timeout: 10_000 }).toContain('callback not taken');
    expect(logged()).not.toMatch(/xylophone|zanzibar/);
  });

  // The time itself is the benchmarks' affair; what keeps it short is that nothing of the drawing is loaded for it.
  it.runIf(process.platform === 'linux')('[FLUX-START] loads nothing that draws before the first picture', async () => {
    const { client, pid } = await bench.stdio('legacy', bench.folder());
    const native = (): string => readFileSync(`/proc/${pid}/maps`, 'utf8');
    await client.listTools();
    await call(client, 'flux_list_models', {});
    expect(native()).not.toMatch(/skia|canvas|sharp|vips/);
    await call(client, 'flux_generate_image', { prompt: 'a boat', size: '64x64' });
    expect(native()).toMatch(/skia|canvas/);
    await client.close();
  });
});
