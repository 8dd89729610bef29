// Results of 2026-07-28 that ask the client for something, and the retries that answer them.
import type { RecordingUpstream } from '@gatehouse/testkit';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Answer, Harness, type RawClient } from './harness.ts';
import { answerWith, json, tool } from './replies.ts';

const META = {
  'io.modelcontextprotocol/protocolVersion': '2026-07-28',
  'io.modelcontextprotocol/clientCapabilities': { elicitation: {} },
};
const ASKS =
  '"inputRequests":{"name":{"method":"elicitation/create","params":{}},"n\\u006fte":{"method":"elicitation/create"}}';
const STATE = '{"step":1.0,"big":9007199254740993}';
const POLICY = {
  version: '1',
  default: 'allow',
  tools: {
    ask: { args: { x: { lte: 5 } }, limits: [{ counter: 'asks', window: 'hour', max: 4 }] },
    hidden_b: {},
  },
  hide: ['hidden_b'],
  prompts: { allow: ['*'] },
};
const LIFETIME_MS = 3_600_000;

let now: number;
let harness: Harness;
let upstream: RecordingUpstream;
let ana: RawClient;

const send = (client: RawClient, method: string, params: Record<string, unknown>): Promise<Answer> =>
  client.post(JSON.stringify({ jsonrpc: '2.0', id: 1, method, params: { ...params, _meta: META } }), {
    'mcp-protocol-version': '2026-07-28',
    'mcp-method': method,
    'mcp-name': String(params.name),
  });
const call = (more: Record<string, unknown> = {}, client = ana) =>
  send(client, 'tools/call', { name: 'ask', arguments: { x: 1 }, ...more });
const stateOf = (answer: Answer): string => String(answer.message?.result?.requestState);
const received = () => upstream.calls('ask').map(({ body }) => body.toString());
const asking = (state: string | undefined, method = 'tools/call') =>
  answerWith(upstream, method, (response, id) =>
    json(
      response,
      `{"jsonrpc":"2.0","id":${id},"result":{"resultType":"input_required",${ASKS}${state === undefined ? '' : `,"requestState":${state}`}}}`,
    ),
  );
const answered = { name: { action: 'accept', content: { name: 'Ana' } } };

beforeEach(async () => {
  now = Date.parse('2026-11-02T10:00:00Z');
  harness = await Harness.open({ clock: () => now });
  upstream = await harness.record('rec', {
    tools: [
      tool('ask', { inputSchema: { type: 'object', properties: { x: { type: 'integer' }, y: { type: 'integer' } } } }),
      tool('other', { inputSchema: { type: 'object', properties: { x: { type: 'integer' } } } }),
      tool('hidden_b'),
    ],
  });
  ana = harness.client('rec', (await harness.grant('rec', POLICY)).token);
});
afterEach(() => harness.close());

describe('a call in several rounds', () => {
  it('[GW-INPUT] the state reaches the client sealed, and the server in its own bytes', async () => {
    asking(STATE);
    const first = await call();
    expect(first.text).not.toContain('9007199254740993');
    expect(first.text).toContain(ASKS);
    const sealed = stateOf(first);
    await call({ inputResponses: answered, requestState: sealed });
    const [one, two] = received();
    // But for the state, the server gets what the client sent.
    expect(two).toBe(
      JSON.stringify({
        jsonrpc: '2.0',
        id: 1,
        method: 'tools/call',
        params: { name: 'ask', arguments: { x: 1 }, inputResponses: answered, requestState: 0, _meta: META },
      }).replace('"requestState":0', `"requestState":${STATE}`),
    );
    expect(one).not.toContain('requestState');
  });

  it('[GW-INPUT] a server without a state of its own gets none, and its questions are bound all the same', async () => {
    asking(undefined);
    const sealed = stateOf(await call());
    await call({ inputResponses: answered, requestState: sealed });
    expect(received()[1]).not.toContain('requestState');
    expect(received()[1]).toContain('"Ana"');
  });

  it('[GW-INPUT] answers are taken only for what was asked', async () => {
    asking(STATE);
    const given = { wrong: { action: 'accept' }, ...answered, note: { action: 'decline' }, __proto__x: {} };
    await call({ inputResponses: given });
    expect(received()[0]).toContain('"inputResponses":{}');
    await call({ inputResponses: given, requestState: stateOf(await call()) });
    expect(JSON.parse(received()[2] ?? '')).toMatchObject({
      params: { inputResponses: { name: answered.name, note: { action: 'decline' } } },
    });
    expect(received()[2]).not.toContain('wrong');
    expect((await call({ inputResponses: [answered] })).message?.error?.code).toBe(-32602);
    expect(received()).toHaveLength(3);
  });

  it('[GW-INPUT] each round is judged anew, counted and recorded', async () => {
    asking(STATE);
    let state = stateOf(await call());
    for (let round = 0; round < 3; round++)
      state = stateOf(await call({ inputResponses: answered, requestState: state }));
    const fifth = await call({ inputResponses: answered, requestState: state });
    expect(fifth.message?.result?._meta?.['dev.gatehouse/decision']?.rule).toBe('/tools/ask/limits/0');
    expect(received()).toHaveLength(4);
    const { rows } = await harness.gateway.audit.search({ tool: 'ask' });
    expect(rows.map((row) => row.outcome)).toEqual(['deny', 'allow', 'allow', 'allow', 'allow']);
    const lines = await harness.gateway.audit.byRequestId(rows[1]?.requestId ?? '');
    expect(JSON.stringify(lines)).toContain('"retry":{"answers":1,"dropped":0}');
    expect(JSON.stringify(lines)).not.toContain('Ana');
  });

  it('[GW-INPUT] prompts and resources ask in the same way', async () => {
    asking(STATE, 'prompts/get');
    const sealed = stateOf(await send(ana, 'prompts/get', { name: 'hello' }));
    await send(ana, 'prompts/get', { name: 'hello', inputResponses: answered, requestState: sealed });
    expect(upstream.received('prompts/get')[1]?.body.toString()).toContain(`"requestState":${STATE}`);
    const { message } = await send(ana, 'prompts/get', { name: 'other', requestState: sealed });
    expect(message?.error?.code).toBe(-32602);
  });
});

describe('a state that belongs elsewhere', () => {
  let sealed: string;
  beforeEach(async () => {
    asking(STATE);
    sealed = stateOf(await call());
    upstream.forget();
  });

  async function refused(answer: Promise<Answer>): Promise<string> {
    const { status, message } = await answer;
    expect([status, message?.error?.code]).toEqual([200, -32602]);
    expect(upstream.requests).toHaveLength(0);
    const { rows } = await harness.gateway.audit.search({ limit: 1 });
    expect(rows[0]).toMatchObject({ outcome: 'refuse', rule: '(request state)' });
    return message?.error?.message ?? '';
  }

  it('[GW-INPUT] is refused: of another grant, tool, argument, or made up, changed, raw or expired; all alike', async () => {
    const bob = harness.client('rec', (await harness.grant('rec', POLICY, 'bob')).token);
    const changed = `${sealed.slice(0, 40)}${sealed[40] === 'A' ? 'B' : 'A'}${sealed.slice(41)}`;
    const texts = [
      await refused(call({ requestState: sealed }, bob)),
      await refused(send(ana, 'tools/call', { name: 'other', arguments: { x: 1 }, requestState: sealed })),
      await refused(call({ arguments: { x: 2 }, requestState: sealed })),
      await refused(call({ arguments: { x: 1, y: 1 }, requestState: sealed })),
      await refused(call({ task: {}, requestState: sealed })),
      await refused(call({ requestState: changed })),
      await refused(call({ requestState: `${sealed}=` })),
      await refused(call({ requestState: STATE })),
      await refused(call({ requestState: JSON.parse(STATE) as unknown })),
      await refused(call({ requestState: null })),
    ];
    now += LIFETIME_MS;
    texts.push(await refused(call({ requestState: sealed })));
    expect(new Set(texts).size).toBe(1);
  });

  it('[GW-INPUT] holds to its last millisecond, whatever order the arguments come in and whatever token progress has', async () => {
    now += LIFETIME_MS - 1;
    const progressing = { ...META, progressToken: 5 };
    const body = `{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"requestState":${JSON.stringify(sealed)},"arguments":{"x":1.0},"name":"ask","_meta":${JSON.stringify(progressing)}}}`;
    const { message } = await ana.post(body, {
      'mcp-protocol-version': '2026-07-28',
      'mcp-method': 'tools/call',
      'mcp-name': 'ask',
    });
    expect(message?.result?.resultType).toBe('input_required');
  });

  it('[GW-INPUT] a changed server opens none of before', async () => {
    const { servers } = harness.gateway.services;
    const { revision } = servers.get('rec');
    await servers.update('rec', { settings: { toleratedArguments: ['z'] } }, revision, {
      kind: 'local-admin',
      id: 'local',
    });
    await refused(call({ requestState: sealed }));
  });

  it('[GW-INPUT] a policy that denies now says so, and hidden tools stay unknown', async () => {
    const denied = await call({ arguments: { x: 9 }, requestState: sealed });
    expect(denied.message?.result?.isError).toBe(true);
    const hidden = await send(ana, 'tools/call', { name: 'hidden_b', arguments: {}, requestState: sealed });
    expect(hidden.message?.error?.message).toContain('Unknown tool');
    expect(upstream.requests).toHaveLength(0);
  });
});
