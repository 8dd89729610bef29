// Tasks of both forms through the front door: whose they are, what is judged, and when their slots come back.
import type { ServerResponse } from 'node:http';
import type { RecordingUpstream } from '@gatehouse/testkit';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ADMIN, type Answer, Harness, type RawClient } from './harness.ts';
import { json, tool } from './replies.ts';

const META = {
  'io.modelcontextprotocol/protocolVersion': '2026-07-28',
  'io.modelcontextprotocol/clientCapabilities': { extensions: { 'io.modelcontextprotocol/tasks': {} } },
};
const RELATED = 'io.modelcontextprotocol/related-task';
const POLICY = {
  version: '1',
  default: 'allow',
  tools: { slow: { args: { n: { lte: 5 } }, limits: [{ concurrent: 1 }] } },
};

let now: number;
let harness: Harness;
let upstream: RecordingUpstream;
let ana: RawClient;
let bob: RawClient;
/** Upstream's id → what `tasks/get` says of it. */
let tasks: Map<string, Record<string, unknown>>;
let stream: ServerResponse | undefined;

const seed = (id: string) => ({ taskId: id, status: 'working', ttlMs: 9007199254740993n, note: 1.5 });
const raw = (value: unknown): string =>
  JSON.stringify(value, (_key, each: unknown) => (typeof each === 'bigint' ? `#${each}#` : each)).replace(/"#|#"/g, '');

beforeEach(async () => {
  now = Date.parse('2026-11-02T10:00:00Z');
  harness = await Harness.open({ clock: () => now, flags: { call_deadline: '60s' } });
  upstream = await harness.record('rec', {
    tools: [tool('slow', { inputSchema: { type: 'object', properties: { n: { type: 'integer' } } } }), tool('other')],
  });
  tasks = new Map();
  stream = undefined;
  upstream.options.intercept = (request, response) => {
    if (request.method === 'GET') {
      stream = response;
      response.writeHead(200, { 'content-type': 'text/event-stream' }).write(': open\n\n');
      return true;
    }
    const { method = '', params = {} } = request.message ?? {};
    const answer = (result: unknown) =>
      json(response, `{"jsonrpc":"2.0","id":${JSON.stringify(request.message?.id)},"result":${raw(result)}}`);
    const id = String(params.taskId);
    if (method === 'tools/call') {
      const made = `task-${tasks.size + 1}`;
      tasks.set(made, seed(made));
      answer(params._meta === undefined ? { task: seed(made) } : { resultType: 'task', ...seed(made) });
    } else if (method === 'tasks/list') answer({ tasks: [...tasks.values()], nextCursor: 'c' });
    else if (method === 'tasks/result') answer({ content: [], _meta: { [RELATED]: { taskId: id } } });
    else if (method === 'tasks/get') answer(tasks.get(id));
    else if (method.startsWith('tasks/'))
      answer(params._meta === undefined ? tasks.get(id) : { resultType: 'complete' });
    else return false;
    return true;
  };
  ana = harness.client('rec', (await harness.grant('rec', POLICY)).token);
  bob = harness.client('rec', (await harness.grant('rec', POLICY, 'bob')).token);
  await ana.initialize();
  await bob.initialize();
});
afterEach(() => harness.close());

const legacyCall = (client = ana, name = 'slow') =>
  client.request('tools/call', { name, arguments: {}, task: { ttl: 60_000 } });
const modern = (client: RawClient, method: string, params: Record<string, unknown>, header?: string): Promise<Answer> =>
  harness
    .client('rec', client.token)
    .post(JSON.stringify({ jsonrpc: '2.0', id: 1, method, params: { ...params, _meta: META } }), {
      'mcp-protocol-version': '2026-07-28',
      'mcp-method': method,
      ...(header === undefined ? {} : { 'mcp-name': header }),
    });
const modernCall = (client = ana, name = 'slow') => modern(client, 'tools/call', { name, arguments: {} }, name);
const legacyId = ({ message }: Answer): string =>
  String((message?.result?.task as { taskId?: string } | undefined)?.taskId);
const modernId = ({ message }: Answer): string => message?.result?.taskId as string;
const idsOf = ({ message }: Answer): string[] =>
  ((message?.result?.tasks ?? []) as { taskId: string }[]).map(({ taskId }) => taskId);
const lastParams = () => upstream.requests.at(-1)?.message?.params;
const unknown = { code: -32602, message: 'Failed to retrieve task: Task not found' };

describe('task ids', () => {
  it('[GW-TASKS] 2025-11-25: reach the client sealed and the server as its own, everything else in its bytes', async () => {
    const made = await legacyCall();
    const id = legacyId(made);
    expect(id).toMatch(/^gt1_/);
    expect(made.text).toContain(`"task":{"taskId":"${id}","status":"working","ttlMs":9007199254740993,"note":1.5}`);
    const get = await ana.request('tasks/get', { taskId: id });
    expect(lastParams()).toEqual({ taskId: 'task-1' });
    // One task has one id, however often it is shown.
    expect(get.message?.result).toMatchObject({ taskId: id, status: 'working' });
    const result = await ana.request('tasks/result', { taskId: id });
    expect(result.message?.result?._meta?.[RELATED]).toEqual({ taskId: id });
    expect((await ana.request('tasks/cancel', { taskId: id })).message?.result?.taskId).toBe(id);
    expect(upstream.requests.every(({ body }) => !body.includes('gt1_'))).toBe(true);
  });

  it('[GW-TASKS] 2026-07-28: as well, with their header', async () => {
    const id = modernId(await modernCall());
    expect(id).toMatch(/^gt1_/);
    expect((await modern(ana, 'tasks/get', { taskId: id }, id)).message?.result?.taskId).toBe(id);
    expect(upstream.requests.at(-1)?.headers['mcp-name']).toBe('task-1');
    expect(lastParams()).toMatchObject({ taskId: 'task-1' });
    expect((await modern(ana, 'tasks/cancel', { taskId: id })).message?.result).toEqual({ resultType: 'complete' });
    upstream.forget();
    expect((await modern(ana, 'tasks/get', { taskId: id }, 'task-1')).message?.error?.code).toBe(-32020);
    expect(upstream.requests).toHaveLength(0);
  });

  it('[GW-TASKS, T85, T122] of another grant, or raw, changed or made up, are unknown, with the same bytes', async () => {
    const mine = legacyId(await legacyCall());
    const other = legacyId(await legacyCall(bob));
    upstream.forget();
    const texts = new Set<string>();
    for (const taskId of [other, 'task-2', `${mine}=`, `${mine.slice(0, -1)}!`, 'gt1_', '', 7, null]) {
      for (const method of ['tasks/get', 'tasks/result', 'tasks/cancel']) {
        const answer = await ana.post(JSON.stringify({ jsonrpc: '2.0', id: 1, method, params: { taskId } }));
        expect(answer.message?.error).toEqual(unknown);
        texts.add(answer.text);
      }
      expect((await modern(ana, 'tasks/update', { taskId, inputResponses: {} })).message?.error).toEqual(unknown);
      const notifications = { taskIds: [mine, taskId] };
      expect((await modern(ana, 'subscriptions/listen', { notifications })).message?.error).toEqual(unknown);
      const related = { name: 'other', arguments: {}, _meta: { [RELATED]: { taskId } } };
      expect((await ana.request('tools/call', related)).message?.error).toEqual(unknown);
    }
    expect((await ana.request('tasks/get')).message?.error).toEqual(unknown);
    expect(texts.size).toBe(1);
    expect(upstream.requests).toHaveLength(0);
    const { rows } = await harness.gateway.audit.search({ limit: 1 });
    expect(rows[0]).toMatchObject({ outcome: 'refuse', rule: '(unknown task)' });
  });

  it('[GW-TASKS, T122] a list shows the grant’s own alone', async () => {
    const mine = legacyId(await legacyCall());
    await legacyCall(bob);
    const list = await ana.request('tasks/list');
    expect(idsOf(list)).toEqual([mine]);
    expect(list.message?.result?.nextCursor).toBe('c');
    expect(list.text).not.toContain('task-2');
  });

  it('[GW-TASKS] an answer about another task than the one asked for is refused', async () => {
    const mine = legacyId(await legacyCall());
    await legacyCall(bob);
    tasks.set('task-1', seed('task-2'));
    const { message, text } = await ana.request('tasks/get', { taskId: mine });
    expect(message?.error?.message).toContain('another task');
    expect(text).not.toContain('task-2');
  });

  it('[GW-TASKS] status and whatever belongs to a task reach its grant alone', async () => {
    const mine = legacyId(await legacyCall());
    await legacyCall(bob);
    const response = await fetch(ana.url, {
      headers: {
        authorization: `Bearer ${ana.token}`,
        accept: 'text/event-stream',
        'mcp-session-id': ana.session ?? '',
      },
    });
    const tell = (method: string, params: unknown): unknown =>
      stream?.write(`data: ${JSON.stringify({ jsonrpc: '2.0', method, params })}\n\n`);
    for (const id of ['task-2', 'task-1']) {
      tell('notifications/tasks/status', { ...seed(id), ttlMs: 1 });
      tell('notifications/message', { level: 'info', data: id, _meta: { [RELATED]: { taskId: id } } });
    }
    tell('notifications/message', { level: 'info', data: 'last' });
    stream?.end();
    const seen = await response.text();
    expect(seen).not.toContain('task-2');
    expect(seen.split(`"taskId":"${mine}"`)).toHaveLength(3);
    expect(seen).toContain('last');
  });
});

describe('questions that belong to a task', () => {
  it('[GW-TASKS, GW-ELICIT] name it as the client knows it, and their answers as the server does; of another’s task they are refused', async () => {
    const mine = legacyId(await legacyCall());
    await legacyCall(bob);
    const others = upstream.options.intercept;
    let finish: (() => void) | undefined;
    upstream.options.intercept = (request, response) => {
      if (request.message?.method !== 'tasks/result') return others?.(request, response) === true;
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      for (const taskId of ['task-2', 'task-1']) {
        const params = { message: `about ${taskId}`, _meta: { [RELATED]: { taskId } } };
        const question = { jsonrpc: '2.0', id: `q-${taskId}`, method: 'elicitation/create', params };
        response.write(`data: ${JSON.stringify(question)}\n\n`);
      }
      finish = () => response.end(`data: {"jsonrpc":"2.0","id":${String(request.message?.id)},"result":{}}\n\n`);
      return true;
    };
    const response = await fetch(ana.url, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        authorization: `Bearer ${ana.token}`,
        'mcp-session-id': ana.session ?? '',
      },
      body: JSON.stringify({ jsonrpc: '2.0', id: 9, method: 'tasks/result', params: { taskId: mine } }),
    });
    const reader = response.body?.getReader();
    let seen = '';
    while (!seen.includes('about task-1')) {
      const piece = await reader?.read();
      expect(piece?.done, seen).toBe(false);
      seen += Buffer.from(piece?.value ?? []).toString();
    }
    expect(seen).not.toContain('about task-2');
    const asked = JSON.parse(/data: (.*elicitation.*)/.exec(seen)?.[1] ?? '') as { id: string; params: unknown };
    expect(asked.params).toMatchObject({ _meta: { [RELATED]: { taskId: mine } } });
    const answerAbout = (taskId: string) =>
      ana.post(
        JSON.stringify({
          jsonrpc: '2.0',
          id: asked.id,
          result: { action: 'accept', _meta: { [RELATED]: { taskId } } },
        }),
      );
    for (const taskId of ['task-1', 'task-2', mine]) expect((await answerAbout(taskId)).status).toBe(202);
    const answers = (): string[] =>
      upstream.requests
        .filter(({ method, message }) => method === 'POST' && message?.method === undefined)
        .map(({ body }) => body.toString());
    await expect.poll(answers).toHaveLength(2);
    expect(answers().sort()).toEqual([
      `{"jsonrpc":"2.0","id":"q-task-1","result":{"action":"accept","_meta":{"${RELATED}":{"taskId":"task-1"}}}}`,
      '{"jsonrpc":"2.0","id":"q-task-2","error":{"code":-32601,"message":"This client does not take such requests."}}',
    ]);
    finish?.();
    while (!(await reader?.read())?.done);
  });
});

describe('subscriptions to tasks', () => {
  it('[GW-TASKS] 2026-07-28: name tasks as the server knows them, and tell of the grant’s own alone', async () => {
    const mine = modernId(await modernCall());
    await modernCall(bob);
    const others = upstream.options.intercept;
    upstream.options.intercept = (request, response) => {
      if (request.message?.method !== 'subscriptions/listen') return others?.(request, response) === true;
      const tell = (method: string, params: Record<string, unknown>): unknown =>
        response.write(`data: ${JSON.stringify({ jsonrpc: '2.0', method, params })}\n\n`);
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      tell('notifications/subscriptions/acknowledged', { notifications: { taskIds: ['task-2', 'task-1'] } });
      tell('notifications/tasks', { taskId: 'task-2', status: 'working' });
      const asks = { taskId: 'task-1', status: 'input_required' };
      tell('notifications/tasks', { ...asks, inputRequests: { a: { method: 'sampling/createMessage' } } });
      tell('notifications/tasks', { ...asks, inputRequests: { b: { method: 'elicitation/create' } } });
      response.end();
      return true;
    };
    const { text } = await modern(ana, 'subscriptions/listen', { notifications: { taskIds: [mine] } });
    expect(lastParams()).toMatchObject({ notifications: { taskIds: ['task-1'] } });
    expect(text).toContain(`"taskIds":["${mine}"]`);
    expect(text.split(`"taskId":"${mine}"`)).toHaveLength(2);
    expect(text).not.toContain('task-');
    expect(text).not.toContain('sampling');
    await modern(ana, 'tasks/update', { taskId: mine, inputResponses: { a: {}, b: {} } });
    expect(lastParams()?.inputResponses).toEqual({ b: {} });
  });
});

describe('the judgement of tasks', () => {
  it('[GW-TASKS] a call that makes a task is judged as any call', async () => {
    const denied = await ana.request('tools/call', { name: 'slow', arguments: { n: 9 }, task: {} });
    expect(denied.message?.result?._meta?.['dev.gatehouse/decision']?.rule).toBe('/tools/slow/args/n/lte');
    expect(tasks.size).toBe(0);
  });

  it('[GW-TASKS, T122] a revoked grant has no tasks, and a new one of the same person not those of the old', async () => {
    const mine = legacyId(await legacyCall());
    const { grants } = harness.gateway.services;
    for (const grant of grants.list({ server: 'rec', identity: 'ana' })) await grants.revoke(grant.id, ADMIN);
    upstream.forget();
    expect((await ana.request('tasks/get', { taskId: mine })).status).toBe(401);
    const again = harness.client('rec', (await harness.grant('rec', POLICY)).token);
    expect((await again.request('tasks/get', { taskId: mine })).message?.error).toEqual(unknown);
    expect(upstream.requests).toHaveLength(0);
  });

  it('[GW-TASKS] who may not call the tool any more may not read its task on, but may end it', async () => {
    const mine = legacyId(await legacyCall());
    const put = (document: unknown) =>
      harness.gateway.services.policies.put('rec', 'p-ana', document, undefined, ADMIN);
    await put({ version: '1', default: 'allow', tools: { slow: { action: 'deny' } } });
    upstream.forget();
    for (const method of ['tasks/get', 'tasks/result']) {
      expect((await ana.request(method, { taskId: mine })).message?.error?.code).toBe(-32010);
    }
    expect((await ana.request('tasks/list')).message?.result?.tasks).toEqual([]);
    await put({ version: '1', default: 'allow', hide: ['slow'] });
    expect((await ana.request('tasks/get', { taskId: mine })).message?.error).toEqual(unknown);
    expect(upstream.requests.map(({ message }) => message?.method)).toEqual(['tasks/list']);
    expect((await ana.request('tasks/cancel', { taskId: mine })).message?.result?.taskId).toBe(mine);
  });

  it('[GW-TASKS, T85] answers to a task are taken only for what it asked, of kinds that pass', async () => {
    const mine = modernId(await modernCall());
    const inputResponses = { name: { action: 'accept' }, other: {} };
    tasks.set('task-1', { ...seed('task-1'), inputRequests: { name: { method: 'elicitation/create' } } });
    await modern(ana, 'tasks/get', { taskId: mine });
    await modern(ana, 'tasks/update', { taskId: mine, inputResponses });
    expect(lastParams()).toMatchObject({ taskId: 'task-1', inputResponses: { name: { action: 'accept' } } });
    expect(JSON.stringify(lastParams())).not.toContain('other');
    tasks.set('task-1', { ...seed('task-1'), inputRequests: { name: { method: 'sampling/createMessage' } } });
    expect((await modern(ana, 'tasks/get', { taskId: mine })).message?.error?.message).toContain('sampling');
  });

  it('[GW-TASKS] tasks that a client runs are not declared', async () => {
    upstream.forget();
    await ana.initialize({ capabilities: { tasks: { requests: {} }, elicitation: {} } });
    expect(upstream.received('initialize')[0]?.message?.params?.capabilities).toEqual({ elicitation: {} });
  });
});

describe('slots of a call that made a task', () => {
  const held = async (): Promise<boolean> => (await legacyCall(ana)).message?.result?.isError === true;

  it.each(['completed', 'failed', 'cancelled'])('[GW-TASKS] are held until it is %s', async (status) => {
    const mine = legacyId(await legacyCall());
    expect(await held()).toBe(true);
    await ana.request('tasks/get', { taskId: mine });
    expect(await held()).toBe(true);
    tasks.set('task-1', { ...seed('task-1'), status });
    await ana.request('tasks/get', { taskId: mine });
    expect(await held()).toBe(false);
  });

  it('[GW-TASKS] are held until its result is there', async () => {
    const mine = legacyId(await legacyCall());
    await ana.request('tasks/result', { taskId: mine });
    expect(await held()).toBe(false);
  });

  it('[GW-TASKS] are held at most until the deadline of the call', async () => {
    modernId(await modernCall());
    now += 59_000;
    expect(await held()).toBe(true);
    now += 2_000;
    expect(await held()).toBe(false);
  });
});
