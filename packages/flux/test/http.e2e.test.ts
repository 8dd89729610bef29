import { spawnSync } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { createServer, type IncomingHttpHeaders, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { call, ERAS, MAIN, pngSize, readImage, Workbench } from './harness.ts';

const bench = new Workbench();
afterAll(() => bench.close());

let origin: string;
beforeAll(async () => {
  origin = await bench.serve(bench.folder());
});

function status(path: string, headers: Record<string, string>, method = 'GET'): Promise<number> {
  return new Promise((resolve, reject) => {
    const url = new URL(path, origin);
    request(url, { method, headers }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    })
      .on('error', reject)
      .end();
  });
}

describe.each(ERAS)('over HTTP, %s era', (era) => {
  it('[FLUX-HTTP] lists six tools, makes a picture with progress, and serves it', async () => {
    const client = await bench.http(era, origin);
    expect((await client.listTools()).tools).toHaveLength(6);
    const seen: number[] = [];
    const onprogress = ({ progress }: { progress: number }): void => void seen.push(progress);
    const args = { prompt: 'a harbour', size: '400x300', inline: 'full' };
    const { task, blocks } = await call(client, 'flux_generate_image', args, { onprogress });
    expect(seen.length).toBeGreaterThan(0);
    const image = blocks.find(({ type }) => type === 'image');
    expect(pngSize(Buffer.from(image?.data ?? '', 'base64'))).toEqual({ width: 400, height: 300 });

    const url = task.images[0]?.url ?? '';
    expect(url).toMatch(new RegExp(`^${origin}/images/[0-9a-f]{32}\\.png$`));
    const response = await fetch(url);
    expect(response.headers.get('content-type')).toBe('image/png');
    const served = Buffer.from(await response.arrayBuffer());
    expect(pngSize(served)).toEqual({ width: 400, height: 300 });
    expect(served.equals(await readImage(client, task.images[0]?.uri ?? ''))).toBe(true);

    const edited = await call(client, 'flux_edit_image', { prompt: 'purple', image_url: url });
    expect(edited.task.size).toBe('400x300');
  });

  it('[FLUX-CALLER] keeps the tasks of one bearer token from another', async () => {
    const ana = await bench.http(era, origin, 'token-of-ana');
    const ben = await bench.http(era, origin, 'token-of-ben');
    const { task } = await call(ana, 'flux_generate_image', { prompt: 'a boat', size: '64x64' });
    expect((await call(ana, 'flux_get_task', { task_id: task.task_id })).isError).toBe(false);
    expect((await call(ben, 'flux_get_task', { task_id: task.task_id })).isError).toBe(true);
    await expect(readImage(ben, task.images[0]?.uri ?? '')).rejects.toThrow();
    const stolen = await call(ben, 'flux_edit_image', { prompt: 'red', image_url: task.images[0]?.uri ?? '' });
    expect(stolen.text).toContain('no such picture');
  });
});

describe('the HTTP surface', () => {
  it('[FLUX-CANCEL] ends the work when a client of the new revision closes the stream', async () => {
    const data = bench.folder();
    const client = await bench.http('modern', await bench.serve(data));
    const abort = new AbortController();
    const args = { prompt: 'mountains', size: '4096x4096', count: 8, wait_seconds: 50 };
    const started = Promise.withResolvers<void>();
    const onprogress = () => started.resolve();
    const calling = call(client, 'flux_generate_image', args, { signal: abort.signal, onprogress });
    await started.promise;
    abort.abort(new Error('enough'));
    await expect(calling).rejects.toThrow();
    const db = new DatabaseSync(join(data, 'tasks.sqlite'), { readOnly: true });
    const state = () => db.prepare('SELECT state FROM tasks').get()?.state;
    await expect.poll(state, { timeout: 5_000 }).toBe('cancelled');
    db.close();
  });

  it('[FLUX-HTTP] answers /health, and 404 for what is not there', async () => {
    expect(await (await fetch(`${origin}/health`)).json()).toEqual({ status: 'ok', provider: 'preview' });
    expect(await status('/', {})).toBe(404);
    for (const name of ['x.png', `${'0'.repeat(32)}.png`, '..%2ftasks.sqlite', '../tasks.sqlite']) {
      expect(await status(`/images/${name}`, {})).toBe(404);
    }
  });

  it('[FLUX-REBIND] refuses foreign Host and Origin headers', async () => {
    expect(await status('/health', { host: 'evil.example' })).toBe(403);
    expect(await status('/mcp', { origin: 'https://evil.example' }, 'POST')).toBe(403);
    expect(await status('/health', { origin: 'http://localhost:3000' })).toBe(200);
  });

  it('[FLUX-TOKEN] asks for the token when one is set, and will not listen openly without one', async () => {
    const guarded = await bench.serve(bench.folder(), '--token', 'right');
    const post = (authorization?: string): Promise<Response> =>
      fetch(`${guarded}/mcp`, { method: 'POST', headers: authorization ? { authorization } : {} });
    expect((await post()).status).toBe(401);
    expect((await post('Bearer wrong')).status).toBe(401);
    expect((await post()).headers.get('www-authenticate')).toContain('Bearer');
    const client = await bench.http('legacy', guarded, 'right');
    expect((await client.listTools()).tools).toHaveLength(6);

    const open = spawnSync(process.execPath, [
      MAIN,
      '--transport',
      'http',
      '--host',
      '0.0.0.0',
      '--data',
      bench.folder(),
    ]);
    expect(open.status).toBe(2);
    expect(open.stderr.toString()).toContain('no token is set');
  });

  it('[FLUX-CALLBACK] posts the finished task with a signature that can be checked', async () => {
    let got: { headers: IncomingHttpHeaders; body: string } | undefined;
    const receiver = createServer((req, res) => {
      const chunks: Buffer[] = [];
      req.on('data', (chunk: Buffer) => chunks.push(chunk));
      req.on('end', () => {
        got = { headers: req.headers, body: Buffer.concat(chunks).toString() };
        res.end();
      });
    });
    await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve));
    const { client } = await bench.stdio('legacy', bench.folder(), {
      FLUX_EGRESS_ALLOW: '127.0.0.1',
      FLUX_EGRESS_HTTP: '1',
      FLUX_CALLBACK_SECRET: 'a secret',
    });
    const callbackUrl = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/done`;
    const { task } = await call(client, 'flux_generate_image', {
      prompt: 'a secret garden',
      size: '64x64',
      callback_url: callbackUrl,
    });
    await expect.poll(() => got, { timeout: 5_000 }).toBeDefined();
    receiver.close();
    const { headers, body } = got ?? { headers: {}, body: '' };
    const signed = `${String(headers['x-flux-timestamp'])}.${body}`;
    expect(headers['x-flux-signature']).toBe(`v1=${createHmac('sha256', 'a secret').update(signed).digest('hex')}`);
    expect(JSON.parse(body)).toMatchObject({ task_id: task.task_id, state: 'succeeded', images: [{ width: 64 }] });
    expect(body).not.toContain('garden');
  });
});
