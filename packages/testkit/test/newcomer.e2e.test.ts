// What a newcomer does first: `npm start`, then an MCP client at the address that it prints (issue "The main job").
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { Client as ClientV2, StreamableHTTPClientTransport as TransportV2 } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as TransportV1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { lockedClient, plainPath, ROOT, type Running, Sandbox } from '../src/index.ts';
import { Api, type Content, type Outcome, pngSize, RawSession } from './client.ts';

const TOOLS = [
  'flux_edit_image',
  'flux_generate_image',
  'flux_get_task',
  'flux_get_tasks_batch',
  'flux_list_actions',
  'flux_list_models',
];
const perMinute = (counter: string) => ({ limits: [{ counter, window: 'minute', max: 30, scope: 'grant' }] });
const WINDOW_MS = 60_000;
/** Capacity may come back up to a sixtieth of the window late (spec: policy §5). */
const LATEST_MS = WINDOW_MS + WINDOW_MS / 60;

type Generate = (args: Record<string, unknown>) => Promise<Outcome>;

let sandbox: Sandbox;
let running: Running;
/** Of the calls that the minute's limit counts. */
let firstCallAt = 0;
let data: string;
const clients: { close(): Promise<void> }[] = [];

/** `npm start`, without the step before it that would install anew what these tests run on. */
const start = (): Promise<Running> =>
  sandbox.start('npm', ['start', '--silent', '--ignore-scripts', '--', '--port', '0', '--data', data], { cwd: ROOT });

const server = () => running.ready.servers[0]!;
const api = () => new Api(running.ready.api, running.ready.admin.token);
const asker = (client: { callTool(request: object): Promise<unknown> }): Generate => {
  return async (args) => (await client.callTool({ name: 'flux_generate_image', arguments: args })) as Outcome;
};

async function connectV2(token = server().token): Promise<ClientV2> {
  const client = new ClientV2({ name: 'newcomer-v2', version: '1.0.0' });
  const requestInit = { headers: { authorization: `Bearer ${token}` } };
  await client.connect(new TransportV2(new URL(server().url), { requestInit }));
  clients.push(client);
  return client;
}

async function connectV1(token = server().token): Promise<ClientV1> {
  const client = new ClientV1({ name: 'newcomer-v1', version: '1.0.0' });
  const requestInit = { headers: { authorization: `Bearer ${token}` } };
  await client.connect(new TransportV1(new URL(server().url), { requestInit }) as Parameters<ClientV1['connect']>[0]);
  clients.push(client);
  return client;
}

const names = (list: { tools: { name: string }[] }): string[] => list.tools.map(({ name }) => name).sort();
const small = (prompt: string) => ({ prompt, size: '64x64', inline: 'none' });
const picture = (outcome: Outcome): Content | undefined => outcome.content.find(({ type }) => type === 'image');
const said = (outcome: Outcome): string => outcome.content.map(({ text }) => text ?? '').join('\n');

/** Ids of the tasks that the Flux server itself has, asked without the gateway. */
async function tasksOfFlux(ids: readonly string[]): Promise<{ found: string[]; pictures: number }> {
  const transport = new StdioClientTransport({
    command: process.execPath,
    args: [join(ROOT, 'packages/flux/src/main.ts'), '--data', join(data, 'flux')],
    env: { PATH: process.env.PATH ?? '', HOME: sandbox.home },
  });
  const client = new ClientV2({ name: 'direct', version: '1.0.0' });
  await client.connect(transport);
  try {
    const batch = await client.callTool({ name: 'flux_get_tasks_batch', arguments: { task_ids: ids } });
    const { items } = batch.structuredContent as { items: { task_id: string }[] };
    const { resources } = await client.listResources();
    return { found: items.map(({ task_id }) => task_id).sort(), pictures: resources.length };
  } finally {
    await client.close();
  }
}

/** Every task that was allowed, in all tests of this file. */
const made: string[] = [];

beforeAll(async () => {
  sandbox = new Sandbox();
  data = sandbox.path('data');
  running = await start();
});

afterAll(async () => {
  await Promise.allSettled(clients.map((client) => client.close()));
  await sandbox.close();
});

describe('npm start', () => {
  it('[CLI-READY] writes the ready file for its owner alone, with the addresses and tokens', () => {
    expect(statSync(running.readyFile).mode & 0o777).toBe(0o600);
    expect(statSync(join(data, 'flux-grant.json')).mode & 0o777).toBe(0o600);
    const secret = expect.stringMatching(/^gh_[0-9A-Za-z]{49}$/);
    expect(running.ready).toEqual({
      console: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+\/$/),
      api: `${running.ready.console}api/v1`,
      servers: [{ slug: 'flux', url: `${running.ready.console}mcp/flux`, token: secret }],
      admin: { token: expect.stringMatching(/^gha_/) },
    });
    expect(JSON.parse(readFileSync(running.readyFile, 'utf8'))).toEqual(running.ready);
    const printed = running.said();
    for (const name of ['Claude Code', 'Cursor', 'VS Code', 'Codex', 'Gemini CLI']) expect(printed).toContain(name);
    expect(printed).toContain(server().url);
    expect(printed).toContain(server().token);
  });

  it('[CLI-EXAMPLE] installs exactly the policy that is promised for Flux Pro', async () => {
    const { document } = await api().get<{ document: Record<string, unknown> }>('/servers/flux/policies/example');
    const { version, description, ...rules } = document;
    expect([version, typeof description]).toEqual(['1', 'string']);
    expect(rules).toEqual({
      default: 'deny',
      tools: {
        flux_generate_image: perMinute('flux_generate_image_rate'),
        flux_edit_image: perMinute('flux_edit_image_rate'),
        flux_get_task: {},
        flux_get_tasks_batch: {},
        flux_list_models: {},
        flux_list_actions: {},
      },
      resources: { allow: ['flux://images'] },
      prompts: { allow: ['*'] },
    });
  });

  it('[P5] answers a wrong token, and none, with the same 401', async () => {
    const wrong = await new RawSession(
      server().url,
      server().token!.replace(/.$/, (last) => (last === 'a' ? 'b' : 'a')),
    ).open();
    const none = await new RawSession(server().url, undefined).open();
    expect([wrong, none]).toEqual([401, 401]);
  });

  it('[P4] lets thirty pictures a minute through to two generations of the SDK, and tells the thirty-first when to return', async () => {
    const [v2, v1] = [await connectV2(), await connectV1()];
    expect(names(await v2.listTools())).toEqual(TOOLS);
    expect(names(await v1.listTools())).toEqual(TOOLS);

    firstCallAt = performance.now();
    const whole = { prompt: 'a red boat on a lake', size: '320x192', inline: 'full' };
    const shown = [await asker(v2)(whole), await asker(v1)(whole)];
    for (const outcome of shown) {
      const image = picture(outcome);
      expect([image?.mimeType, pngSize(image?.data ?? '')]).toEqual(['image/png', { width: 320, height: 192 }]);
    }

    const asked = Array.from({ length: 34 }, (_, n) => asker(n % 2 === 0 ? v2 : v1)(small(`boat ${n}`)));
    const outcomes = await Promise.all(asked);
    expect(performance.now() - firstCallAt).toBeLessThan(WINDOW_MS);
    const passed = [...shown, ...outcomes.filter(({ isError }) => isError !== true)];
    const denied = outcomes.filter(({ isError }) => isError === true);
    expect([passed.length, denied.length]).toEqual([30, 6]);
    made.push(...passed.map(({ structuredContent }) => structuredContent!.task_id));
    expect(new Set(made).size).toBe(30);

    for (const outcome of denied) {
      expect(said(outcome)).toMatch(/^\[POLICY DENIED\] /);
      const decision = outcome._meta?.['dev.gatehouse/decision'];
      expect(decision).toMatchObject({
        outcome: 'deny',
        rule: '/tools/flux_generate_image/limits/0',
        policy: 'example',
      });
      expect(decision!.retryAfterMs).toBeGreaterThan(0);
      expect(decision!.retryAfterMs).toBeLessThanOrEqual(LATEST_MS);
    }
    // Looking costs nothing, whatever the pictures did.
    expect((await v2.callTool({ name: 'flux_list_models', arguments: {} })).isError).not.toBe(true);
  });

  it('makes the pictures and the prompts of the server readable', async () => {
    const client = await connectV2();
    const { resources } = await client.listResources();
    expect(resources).toHaveLength(made.length);
    const { uri } = resources[0]!;
    expect(uri).toMatch(/^flux:\/\/images\/[0-9a-f]{32}\.png$/);
    const { contents } = await client.readResource({ uri });
    expect(pngSize((contents[0] as { blob: string }).blob).width).toBeGreaterThan(0);
    const { prompts } = await client.listPrompts();
    expect(prompts).toHaveLength(3);
    const { messages } = await client.getPrompt({ name: prompts[0]!.name });
    expect(messages).toHaveLength(1);
  });

  it('is used by the MCP Inspector on the command line', async ({ skip }) => {
    const inspector = await lockedClient(sandbox, 'inspector');
    if (inspector === undefined)
      return skip('could not run: npm cannot reach its registry to install the MCP Inspector');
    // A grant of its own: the example grant has used up its minute.
    const { secret } = await api().post<{ secret: string }>('/grants', {
      server: 'flux',
      identity: 'inspector',
      policy: 'example',
    });
    const inspect = async <T>(...method: string[]): Promise<T> => {
      const how = ['--transport', 'http', '--header', `Authorization: Bearer ${secret}`, '--method', ...method];
      const ran = await sandbox.run(process.execPath, [inspector, '--cli', server().url, ...how]);
      expect(ran.code, ran.stderr).toBe(0);
      return JSON.parse(ran.stdout) as T;
    };
    expect(names(await inspect('tools/list'))).toEqual(TOOLS);
    const args = ['prompt=a lighthouse at night', 'size=128x64', 'inline=full'];
    const outcome = await inspect<Outcome>('tools/call', '--tool-name', 'flux_generate_image', '--tool-arg', ...args);
    expect(pngSize(picture(outcome)?.data ?? '')).toEqual({ width: 128, height: 64 });
    made.push((JSON.parse(outcome.content[0]!.text!) as { task_id: string }).task_id);
  });

  it('[P5] denies a tool that the policy leaves out, and lets a hidden one look unknown', async () => {
    const { document } = await api().get<{ document: { tools: object } }>('/servers/flux/policies/example');
    const { flux_list_actions: _, ...tools } = document.tools as Record<string, object>;
    await api().put('/servers/flux/policies/narrow', { ...document, tools, hide: ['flux_list_models'] });
    const { secret } = await api().post<{ secret: string }>('/grants', {
      server: 'flux',
      identity: 'ana',
      policy: 'narrow',
    });
    const session = new RawSession(server().url, secret);
    expect(await session.open()).toBe(200);

    const denied = await session.call('flux_list_actions');
    expect(denied.result?.isError).toBe(true);
    expect(denied.result?.content[0]?.text).toMatch(/^\[POLICY DENIED\] /);

    const hidden = await session.call('flux_list_models');
    const unknown = await session.call('flux_list_modelz');
    expect(hidden.error?.code).toBe(-32602);
    expect(hidden.text.replaceAll('flux_list_models', '?')).toBe(unknown.text.replaceAll('flux_list_modelz', '?'));
    expect((await session.tools()).sort()).toEqual(TOOLS.filter((name) => name !== 'flux_list_models'));
  });

  it('[CLI-SECOND-START] finds everything as it was when it is started again', async () => {
    const before = {
      server: server().token,
      grants: await api().get('/grants?server=flux'),
      policies: await api().get('/servers/flux/policies'),
      definitions: await api().get('/servers/flux/tools'),
    };
    await running.stop();
    expect(sandbox.leftovers()).toEqual([]);
    expect(() => statSync(running.readyFile)).toThrow(/ENOENT/);

    running = await start();
    expect({
      server: server().token,
      grants: withoutUse(await api().get('/grants?server=flux')),
      policies: await api().get('/servers/flux/policies'),
      definitions: await api().get('/servers/flux/tools'),
    }).toEqual({ ...before, grants: withoutUse(before.grants) });
    const client = await connectV2();
    expect(names(await client.listTools())).toEqual(TOOLS);
  });

  it('[P4, LIM-RESTART] goes on counting after that: what was used stays used', async () => {
    const again = await asker(await connectV2())(small('one more boat'));
    expect(performance.now() - firstCallAt).toBeLessThan(WINDOW_MS);
    expect(again.isError, said(again)).toBe(true);
  });

  it('[P1] sent the allowed calls on and no others, as the server itself and the verified log tell', async () => {
    const { items } = await api().get<{ items: { outcome: string }[] }>(
      '/audit/records?tool=flux_generate_image&limit=1000',
    );
    await running.stop('SIGTERM');
    const count = (outcome: string): number => items.filter((item) => item.outcome === outcome).length;
    expect([count('allow'), count('deny'), items.length]).toEqual([made.length, 7, made.length + 7]);
    expect(await tasksOfFlux(made)).toEqual({ found: [...made].sort(), pictures: made.length });
    const launcher = join(ROOT, 'packages/cli/bin/gatehouse.mjs');
    const verified = await sandbox.run('node', [launcher, 'audit', 'verify', '--data', data], {
      env: { PATH: plainPath() },
    });
    expect(verified.code, verified.stdout + verified.stderr).toBe(0);
    expect(sandbox.leftovers()).toEqual([]);
  });
});

/** When a grant was last used changes with use. */
function withoutUse(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value, (key, part) => (/^last(Used|Use)/.test(key) ? undefined : part)));
}
