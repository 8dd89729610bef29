// Messages and arguments that try to be read in two ways: by the gateway as one thing, by the server as another.
import type { RecordingUpstream } from '@gatehouse/testkit';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Harness, type RawClient } from './harness.ts';

const tool = (name: string, properties: Record<string, unknown> = {}, more: Record<string, unknown> = {}) => ({
  name,
  description: `Tool ${name}`,
  inputSchema: { type: 'object', properties, ...more },
});
const text = { type: 'string' };
const TOOLS = [
  tool('get_x'),
  tool('delete_x'),
  tool('hidden_x'),
  tool('push', { branch: text, force: { type: 'boolean' } }),
  tool('send', { to: {}, message: text }),
  tool('send_many', { to: { type: 'array', items: text } }),
  tool('fetch', { url: text }),
  tool('read', { path: text }),
  tool('pay', { amount: { type: 'number' }, currency: text }, { required: ['amount'] }),
  tool('pick', { status: { type: ['string', 'null'] }, mode: { enum: ['a', 'b'] } }),
  tool('nested', { 'a.b': text, a: { type: 'object', properties: { b: text } } }),
  tool('match', { word: text }),
  tool('count', { count: { type: 'integer', default: 1 } }),
  tool('big', { n: { type: 'integer' } }),
  tool('refund', { order: { type: 'object' } }),
];
const POLICY = {
  version: '1',
  default: 'deny',
  hide: ['hidden_x'],
  tools: {
    get_x: {},
    push: { require: [{ path: 'args.branch', op: 'in', value: ['feature/x', 'docs'], missing: 'fail' }] },
    send: { args: { to: { in: ['ok@acme.com'], required: true } } },
    send_many: { args: { 'to[*]': { in: ['ok@acme.com'], required: true } } },
    fetch: { args: { url: { url_in: ['https://acme.com/api/'], required: true } } },
    read: { args: { path: { path_within: ['/srv/data'], required: true } } },
    pay: {
      args: { amount: { gt: 0, lte: 100 }, currency: { in: ['EUR'], required: true } },
      limits: [{ counter: 'spent', window: 'day', max: 150, amount: { path: 'args.amount', missing: 'deny' } }],
    },
    pick: { deny_if: [{ path: 'args.status', op: 'eq', value: 'closed', missing: 'fail' }] },
    nested: { args: { '["a.b"]': { in: ['safe'], required: true }, 'a.b': { in: ['ok'], required: true } } },
    match: { args: { word: { matches: '(a+)+b', required: true } } },
    count: { require: [{ path: 'args.count', op: 'lte', value: 4, missing: 'fail' }] },
    big: { args: { n: { lte: 9007199254740991, required: true } } },
    refund: { deny_if: [{ path: 'args.order.amount', op: 'gt', value: 100, missing: 'pass' }] },
  },
};
describe('messages that try to be two things', () => {
  let harness: Harness;
  let upstream: RecordingUpstream;
  let client: RawClient;

  beforeAll(async () => {
    harness = await Harness.open();
    upstream = await harness.record('rec', { tools: TOOLS });
    client = harness.client('rec', (await harness.grant('rec', POLICY)).token);
    await client.initialize();
  });
  beforeEach(() => upstream.forget());
  afterAll(() => harness.close());

  const call = (params: string): string => `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":${params}}`;
  const named = (name: string): string => call(`{"name":${name}}`);
  const withArguments = (args: string): string => call(`{"name":"get_x","arguments":${args}}`);

  /** [T], what it is, body: each answered with 400 and a JSON-RPC error, and nothing sent on. */
  const REFUSED: [string, string, string | Uint8Array][] = [
    ['T1', 'no JSON', 'hello'],
    ['T1', 'nothing', ''],
    ['T1', 'a lone value', '"tools/call"'],
    ['T2', 'an empty batch', '[]'],
    ['T2', 'a batch of one', `[${named('"get_x"')}]`],
    ['T2', 'a batch of two', `[${named('"get_x"')},${named('"delete_x"')}]`],
    [
      'T3',
      'two methods',
      '{"jsonrpc":"2.0","id":1,"method":"tools/list","method":"tools/call","params":{"name":"delete_x"}}',
    ],
    ['T3', 'two names', call('{"name":"get_x","name":"delete_x"}')],
    ['T3', 'two names, one escaped', call('{"name":"get_x","n\\u0061me":"delete_x"}')],
    ['T3', 'an argument twice', withArguments('{"a":1,"a":2}')],
    ['T3', 'an argument twice, deep down', withArguments('{"a":[{"b":{"c":1,"\\u0063":2}}]}')],
    ['T5', 'Name beside name', call('{"name":"get_x","Name":"delete_x"}')],
    ['T5', 'Name instead of name', call('{"Name":"delete_x"}')],
    ['T5', 'Method', '{"jsonrpc":"2.0","id":1,"Method":"tools/call","params":{"name":"get_x"}}'],
    [
      'T5',
      'PARAMS beside params',
      '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"get_x"},"PARAMS":{"name":"delete_x"}}',
    ],
    ['T5', 'Arguments beside arguments', call('{"name":"get_x","arguments":{},"Arguments":{"a":1}}')],
    ['T6', 'paramſ', '{"jsonrpc":"2.0","id":1,"method":"tools/call","paramſ":{"name":"get_x"}}'],
    ['T6', 'argumentſ', call('{"name":"get_x","argumentſ":{}}')],
    ['T6', 'a Kelvin sign among arguments', withArguments('{"key":1,"\u212aey":2}')],
    ['T47', 'To beside to among arguments', withArguments('{"to":"ok@acme.com","To":"evil@x.com"}')],
    ['T9', 'a name that is an array', named('["get_x"]')],
    ['T9', 'a name that is a number', named('1')],
    ['T9', 'a name that is null', named('null')],
    ['T9', 'a name with toString', named('{"toString":"get_x"}')],
    ['T9', 'no name', call('{"arguments":{}}')],
    ['T10', 'arguments that are null', withArguments('null')],
    ['T10', 'arguments that are an array', withArguments('[]')],
    ['T10', 'arguments as text', withArguments('"{}"')],
    ['T10', 'params that are an array', call('["get_x"]')],
    ['T13', 'depth 10,000', withArguments(`{"a":${'['.repeat(10_000)}${']'.repeat(10_000)}}`)],
    ['T13', 'depth 10,000 that never closes', withArguments('['.repeat(10_000))],
    [
      'T14',
      'invalid UTF-8',
      Buffer.concat([
        Buffer.from('{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":"'),
        Buffer.from([0xc3, 0x28]),
        Buffer.from('"}}'),
      ]),
    ],
    ['T14', 'UTF-16', Buffer.from(named('"get_x"'), 'utf16le')],
    ['T14', 'a byte order mark', `\ufeff${named('"get_x"')}`],
    ['T14', 'a NUL byte', `${named('"get_x"')}\0`],
    ['T14', 'a lone surrogate', withArguments('{"a":"\\ud800"}')],
    [
      'T14',
      'an overlong slash',
      Buffer.concat([
        Buffer.from('{"jsonrpc":"2.0","id":1,"method":"tools'),
        Buffer.from([0xc0, 0xaf]),
        Buffer.from('call"}'),
      ]),
    ],
    ['T15', 'trailing bytes', `${named('"get_x"')}x`],
    ['T15', 'a second message', `${named('"get_x"')}\n${named('"delete_x"')}`],
    ['T15', 'a comment', '{"jsonrpc":"2.0",/* */"id":1,"method":"ping"}'],
    ['T15', 'a trailing comma', '{"jsonrpc":"2.0","id":1,"method":"ping",}'],
    ['T15', 'single quotes', "{'jsonrpc':'2.0','id':1,'method':'ping'}"],
    ['T15', 'a number that JSON has not', '{"jsonrpc":"2.0","id":01,"method":"ping"}'],
    ['T18', 'an id of 1 MB', `{"jsonrpc":"2.0","id":"${'x'.repeat(1_000_000)}","method":"ping"}`],
    ['T18', 'an id that is an object', '{"jsonrpc":"2.0","id":{"__proto__":1},"method":"ping"}'],
    ['T18', 'an id that is null', '{"jsonrpc":"2.0","id":null,"method":"ping"}'],
    ['T18', 'an id with a fraction', '{"jsonrpc":"2.0","id":1.5,"method":"ping"}'],
    [
      'T19',
      'method beside result',
      '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"get_x"},"result":{}}',
    ],
    ['T23', 'a progress token that is an object', call('{"name":"get_x","_meta":{"progressToken":{}}}')],
    ['T23', '_meta that is an array', call('{"name":"get_x","_meta":[]}')],
    ['T29', 'an empty name', named('""')],
    ['T29', 'a name of 129 characters', named(`"${'x'.repeat(129)}"`)],
    ['T29', 'a name of 1 MB', named(`"${'x'.repeat(1_000_000)}"`)],
    ['T29', 'a name with a line break', named('"get_x\\n"')],
    ['T29', 'a name with a lookalike', named('"get_х"')],
  ];
  it.each(REFUSED)('[%s, WIRE-REFUSE] refuses %s', async (_id, _what, body) => {
    const { status, message } = await client.post(body);
    expect([status, message?.error?.code === -32700 || message?.error?.code === -32600]).toEqual([400, true]);
    expect(upstream.requests).toHaveLength(0);
  });

  it('[T2, T23] refuses a batch, and a version in _meta that contradicts the header, in the other era as well', async () => {
    const headers = { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/call', 'mcp-name': 'get_x' };
    const fresh = harness.client('rec', client.token);
    expect((await fresh.post(`[${named('"get_x"')}]`, headers)).status).toBe(400);
    expect(
      (
        await fresh.post(
          call('{"name":"get_x","_meta":{"io.modelcontextprotocol/protocolVersion":"2025-06-18"}}'),
          headers,
        )
      ).status,
    ).toBe(400);
    expect(
      (await client.post(call('{"name":"get_x","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}')))
        .status,
    ).toBe(400);
    expect(upstream.requests).toHaveLength(0);
  });

  it('[T13] takes a hundred thousand keys or refuses them, in bounded time; a body above the limit is not read', async () => {
    const started = performance.now();
    const keys = Array.from({ length: 100_000 }, (_, at) => `"k${at}":1`).join(',');
    expect((await client.post(withArguments(`{${keys}}`))).status).toBeLessThan(500);
    expect(
      (await client.post(withArguments(`{"a":"${'x'.repeat(10_000_000)}"}`)).catch(() => ({ status: 413 }))).status,
    ).toBe(413);
    expect(performance.now() - started).toBeLessThan(8_000);
    expect(upstream.requests).toHaveLength(0);
  }, 10_000);

  it('[T19] drops an answer that nobody asked for', async () => {
    for (const body of [
      '{"jsonrpc":"2.0","id":1,"result":{}}',
      '{"jsonrpc":"2.0","id":"gsr_AAAA","result":{}}',
      '{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"m"}}',
    ]) {
      expect((await client.post(body)).status).toBe(202);
    }
    expect(upstream.requests).toHaveLength(0);
    expect((await harness.gateway.audit.search({ limit: 1 })).rows[0]).toMatchObject({
      outcome: 'refuse',
      rule: '(unasked answer)',
    });
  });

  it('[T17] one id used many times at once: each call gets its own answer', async () => {
    const other = harness.client('rec', (await harness.grant('rec', { version: '1', default: 'allow' }, 'bob')).token);
    await other.initialize();
    upstream.options.callResult = (params) =>
      JSON.stringify({ content: [{ type: 'text', text: JSON.stringify(params._meta) }] });
    const mark = (who: RawClient, token: number) =>
      who.post(call(`{"name":"get_x","_meta":{"progressToken":${token}}}`));
    const answers = await Promise.all(Array.from({ length: 20 }, (_, at) => mark(at % 2 === 0 ? client : other, at)));
    delete upstream.options.callResult;
    expect(answers.map((answer) => answer.message?.result?.content?.[0]?.text)).toEqual(
      answers.map((_, at) => `{"progressToken":${at}}`),
    );
  });

  it('[T7, T18] __proto__ and its like are plain data, as arguments, ids and names', async () => {
    for (const key of ['__proto__', 'constructor', 'prototype', 'toString']) {
      expect((await client.post(withArguments(`{"${key}":{"polluted":true}}`))).message?.result?.isError).toBe(true);
      expect((await client.post(named(`"${key}"`))).message?.error?.code).toBe(-32602);
      expect((await client.post(`{"jsonrpc":"2.0","id":"${key}","method":"ping"}`)).message?.id).toBe(key);
    }
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
    expect(upstream.calls()).toHaveLength(0);
  });

  it('[P2, WIRE-KEYS] an escaped key is the key that it denotes, whatever keys came before it', async () => {
    const refund = (order: string) => client.post(call(`{"name":"refund","arguments":{"order":${order}}}`));
    // After the first, V8's JSON.parse reads the key of the second as the first one's: nodejs/node#63785.
    expect((await refund('{"id":1,"\\\\u0061":0,"note":"x"}')).message?.result?.isError).toBeUndefined();
    expect((await refund('{"id":1,"\\u0061mount":5000,"note":"x"}')).message?.result?.isError).toBe(true);
    expect(upstream.calls()).toHaveLength(1);
  });

  it('[T27, T30] another case of a name is another, unknown tool; a hidden tool is answered as an unknown one', async () => {
    const answers = await Promise.all(['"Get_X"', '"GET_X"', '"hidden_x"'].map((name) => client.post(named(name))));
    const texts = answers.map((answer) => answer.text.replace(/Get_X|GET_X|hidden_x/, 'NAME'));
    expect(new Set(texts).size).toBe(1);
    expect(upstream.requests).toHaveLength(0);
  });

  /** [T], tool, arguments: each denied as a result, and nothing sent on. */
  const DENIED: [string, string, unknown][] = [
    ['T41', 'push', {}],
    ...['refs/heads/main', 'Main', 'main ', 'origin/main', 'HEAD', 'FEATURE/X', ''].map(
      (branch): [string, string, unknown] => ['T42', 'push', { branch }],
    ),
    ...[null, [], {}, 'closed', undefined].map((status): [string, string, unknown] => ['T43', 'pick', { status }]),
    ...[
      ['ok@acme.com', 'evil@x.com'],
      'ok@acme.com, evil@x.com',
      'ok@acme.com <evil@x.com>',
      'evil@x.com <ok@acme.com>',
      'ok@acme.com.evil.com',
      '"a@acme.com"@x.com',
      'ok@acme.com\nbcc: evil@x.com',
      'ok@acme.com%0a',
      '',
    ].map((to): [string, string, unknown] => ['T45', 'send', { to }]),
    ['T45', 'send_many', { to: ['ok@acme.com', 'evil@x.com'] }],
    ['T45', 'send_many', { to: 'ok@acme.com' }],
    ['T46', 'nested', { 'a.b': 'safe', a: { b: 'no' } }],
    ['T46', 'nested', { 'a.b': 'no', a: { b: 'ok' } }],
    ['T46', 'nested', { 'a.b': 'ok', a: { b: 'safe' } }],
    ['T47', 'send', { to: 'ok@acme.com', bcc: 'evil@x.com' }],
    ['T47', 'send', { To: 'evil@x.com' }],
    ['T47', 'nested', { 'a.b': 'safe', a: { b: 'ok', sidenote: 'x' } }],
    ...[
      'https://evil.example/?u=https://acme.com/api/',
      'https://acme.com.evil.example/api/',
      'https://acme.com@evil.example/api/',
      'http://acme.com/api/',
      'https://acme.com:444/api/',
      'https://ACME.com/api/',
      'https:/acme.com/api/x',
      'https://acme.com\\@evil.example/api/',
      ' https://acme.com/api/x',
      'see https://acme.com/api/x',
    ].map((url): [string, string, unknown] => ['T49, T53', 'fetch', { url }]),
    ['T50', 'match', { word: 'ab\nevil' }],
    ['T50', 'match', { word: 'evil\nab' }],
    ['T51', 'match', { word: 'a'.repeat(50_000) }],
    ...[
      'https://acme.com/apievil',
      'https://acme.com/api/../admin',
      'https://acme.com/api/%2e%2e/admin',
      'https://acme.com/api%2f..%2fadmin',
      'https://acme.com/api/..%2fadmin',
      'https://acme.com/API/',
    ].map((url): [string, string, unknown] => ['T54', 'fetch', { url }]),
    ...[
      '/srv/data/../etc',
      '/srv/data-evil',
      'C:\\srv\\data',
      '\\\\server\\share',
      '/srv/data/%2e%2e/x',
      '/srv/data/a\0b',
      '~root',
      '/SRV/DATA/x',
      '/proc/self/root/etc',
      'srv/data/x',
      '',
    ].map((path): [string, string, unknown] => ['T57', 'read', { path }]),
    ...[-5, 0, 1e9, '50', null, [50], 0.001].map((amount): [string, string, unknown] => [
      'T59, T98',
      'pay',
      { amount, currency: 'EUR' },
    ]),
    ['T59', 'pay', { amount: 50 }],
    ['T59', 'pay', { amount: 50, currency: 'eur' }],
    ['T61', 'count', {}],
    ['T127', 'get_x', { undeclared: 1 }],
    ['T127', 'pick', { mode: ['a'] }],
    ['T127', 'pick', { mode: 'c' }],
    ['T127', 'push', { branch: 'docs', force: 'true' }],
  ];
  it.each(DENIED.map(([id, name, args]) => [id, name, JSON.stringify(args).slice(0, 80), args] as const))(
    '[%s] denies %s %s',
    async (_id, name, _shown, args) => {
      const { message } = await client.call(name, args as Record<string, unknown>);
      expect(message?.result?.isError).toBe(true);
      expect(message?.result?._meta?.['dev.gatehouse/decision']?.outcome).toBe('deny');
      expect(upstream.requests).toHaveLength(0);
    },
  );

  it.each([
    ['push', { branch: 'docs' }],
    ['send', { to: 'ok@acme.com' }],
    ['fetch', { url: 'https://acme.com/api/x?y=1' }],
    ['read', { path: '/srv/data/x/../y.txt' }],
    ['nested', { 'a.b': 'safe', a: { b: 'ok' } }],
    ['match', { word: 'aaab' }],
    ['pay', { amount: 50, currency: 'EUR' }],
    ['count', { count: 4 }],
  ])('lets the honest %s %j pass, so that the denials above mean something', async (name, args) => {
    expect((await client.call(name, args)).message?.result?.isError).toBeUndefined();
    expect(upstream.calls(name)).toHaveLength(1);
  });

  it('[T11] compares numbers exactly, or denies', async () => {
    for (const n of ['9007199254740993', '9007199254740992.5', '1e400', '-1e400']) {
      const { message } = await client.post(call(`{"name":"big","arguments":{"n":${n}}}`));
      expect([n, message?.result?.isError]).toEqual([n, true]);
    }
    expect(upstream.requests).toHaveLength(0);
  });

  it('[T106, T107] what a client writes stays one record a line, and no value of an argument is in the log', async () => {
    const canary = 'canary-2f9b71';
    await client.post(`{"jsonrpc":"2.0","id":1,"method":"evil\\n{\\"v\\":1}\\u001b[31m\\u2028"}`);
    await client.call('send', { to: `${canary}@acme.com`, message: canary });
    await client.call('send', { to: canary });
    await client.post(
      `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"get_x","arguments":{"undeclared":"${canary}"}}}`,
      { 'x-canary': canary, cookie: canary },
    );
    const lines: string[] = [];
    for await (const line of harness.gateway.audit.exportLines({})) lines.push(line);
    expect(lines.every((line) => typeof JSON.parse(line) === 'object')).toBe(true);
    expect(lines.filter((line) => /[\u0000-\u001f\u2028]/.test(line))).toEqual([]);
    // The names of arguments are in the log, their values are not.
    expect(lines.filter((line) => line.includes(canary))).toEqual([]);
    expect(await harness.gateway.gate.metrics.text()).not.toContain(canary);
    expect(lines.join('')).not.toContain(client.token);
  });

  it('[GW-CLIP] a method or URI of a megabyte is refused without filling the log', async () => {
    const long = 'x'.repeat(1_000_000);
    const { text: answered } = await client.post(`{"jsonrpc":"2.0","id":1,"method":"${long}"}`);
    expect(answered.length).toBeLessThan(5_000);
    await client.request('resources/read', { uri: `file:///${long}` });
    const rows = (await harness.gateway.audit.search({ limit: 2 })).rows;
    const whole = await Promise.all(rows.map((row) => harness.gateway.audit.byRequestId(row.requestId)));
    expect(JSON.stringify(whole).length).toBeLessThan(20_000);
    expect(rows.map((row) => row.outcome)).toEqual(['deny', 'refuse']);
  });
});
