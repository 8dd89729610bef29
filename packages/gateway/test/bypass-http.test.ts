// HTTP as an attacker writes it: raw bytes on a socket, with nothing in between that would mend them.
import { connect } from 'node:net';
import type { RecordingUpstream } from '@gatehouse/testkit';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ADMIN, Harness, type RawClient } from './harness.ts';

const TOOLS = [
  { name: 'get_a', inputSchema: { type: 'object', properties: {} } },
  { name: 'delete_b', inputSchema: { type: 'object', properties: {} } },
];
const CALL = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"get_a"}}';
const SMUGGLED = '{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"delete_b"}}';

describe('raw HTTP', () => {
  let harness: Harness;
  let upstream: RecordingUpstream;
  let client: RawClient;
  let host: string;

  beforeAll(async () => {
    harness = await Harness.open();
    upstream = await harness.record('rec', { tools: TOOLS });
    client = harness.client('rec', (await harness.grant('rec', { version: '1', default: 'allow' })).token);
    await client.initialize();
    host = new URL(client.url).host;
  });
  beforeEach(() => upstream.forget());
  afterAll(() => harness.close());

  /** Writes and reads until the other side ends, or is silent for a moment. */
  function raw(text: string): Promise<string> {
    const url = new URL(client.url);
    return new Promise((resolve) => {
      const socket = connect(Number(url.port), url.hostname, () => socket.write(text, 'latin1'));
      let seen = '';
      const end = (): void => {
        socket.destroy();
        resolve(seen);
      };
      socket.on('data', (chunk: Buffer) => {
        seen += chunk.toString('latin1');
      });
      socket.setTimeout(600, end);
      socket.on('error', end);
      socket.on('close', end);
    });
  }
  const statuses = (text: string): number[] =>
    [...text.matchAll(/HTTP\/1\.1 (\d{3})/g)].map((match) => Number(match[1]));
  const bearer = (): string => `authorization: Bearer ${client.token}\r\n`;
  const post = (headers: string, body: string, target = '/mcp/rec'): string =>
    `POST ${target} HTTP/1.1\r\n${headers}connection: close\r\ncontent-type: application/json\r\n${body}`;
  const sized = (body: string): string => `content-length: ${body.length}\r\n\r\n${body}`;

  const BROKEN: [string, () => string][] = [
    ['two lengths that differ', () => post(`host: ${host}\r\n${bearer()}`, `content-length: 5\r\n${sized(CALL)}`)],
    [
      'Transfer-Encoding beside Content-Length',
      () =>
        post(
          `host: ${host}\r\n${bearer()}`,
          `transfer-encoding: chunked\r\ncontent-length: ${CALL.length}\r\n\r\n0\r\n\r\n${post(`host: ${host}\r\n${bearer()}`, sized(SMUGGLED))}`,
        ),
    ],
    [
      'a transfer encoding that is unknown',
      () => post(`host: ${host}\r\n${bearer()}`, `transfer-encoding: xchunked\r\n\r\n${CALL}`),
    ],
    ['a folded header', () => post(`host: ${host}\r\nauthorization:\r\n Bearer ${client.token}\r\n`, sized(CALL))],
    ['a bare line feed in the head', () => post(`host: ${host}\nx: y\r\n${bearer()}`, sized(CALL))],
    ['white space before the colon', () => post(`host : ${host}\r\n${bearer()}`, sized(CALL))],
    [
      'a chunk size that is none',
      () => post(`host: ${host}\r\n${bearer()}`, `transfer-encoding: chunked\r\n\r\n-1\r\n${CALL}\r\n0\r\n\r\n`),
    ],
    ['a NUL in a header', () => post(`host: ${host}\r\nx: a\0b\r\n${bearer()}`, sized(CALL))],
    ['a negative length', () => post(`host: ${host}\r\n${bearer()}`, `content-length: -1\r\n\r\n${CALL}`)],
    ['no host', () => post(bearer(), sized(CALL))],
    ['two hosts', () => post(`host: ${host}\r\nhost: ${host}\r\n${bearer()}`, sized(CALL))],
    ['an empty host', () => post(`host: \r\n${bearer()}`, sized(CALL))],
    ['a host with a path', () => post(`host: ${host}/x?\r\n${bearer()}`, sized(CALL))],
    ['a host with a fragment', () => post(`host: ${host}#\r\n${bearer()}`, sized(CALL))],
    ['a host with user info', () => post(`host: a@${host}\r\n${bearer()}`, sized(CALL))],
    ['a host that rebinds', () => post(`host: localhost.evil.example\r\n${bearer()}`, sized(CALL))],
    ['an absolute target', () => post(`host: ${host}\r\n${bearer()}`, sized(CALL), `http://${host}/mcp/rec`)],
    ['a target with a NUL', () => post(`host: ${host}\r\n${bearer()}`, sized(CALL), '/mcp/rec\0')],
    ['CONNECT', () => `CONNECT /mcp/rec HTTP/1.1\r\nhost: ${host}\r\n${bearer()}\r\n`],
    [
      'a web page of elsewhere',
      () => post(`host: ${host}\r\norigin: https://evil.example\r\n${bearer()}`, sized(CALL)),
    ],
    ['an origin null', () => post(`host: ${host}\r\norigin: null\r\n${bearer()}`, sized(CALL))],
  ];
  it.each(BROKEN)('[T25, T69, T119] %s: refused, and nothing reaches the upstream', async (_name, text) => {
    const answered = statuses(await raw(text()));
    expect(answered.filter((status) => status < 400)).toEqual([]);
    expect(upstream.requests).toHaveLength(0);
  });

  it('[T25] a second request in the body of the first is body, and pipelined ones are answered one by one', async () => {
    const inner = post(`host: ${host}\r\n${bearer()}`, sized(SMUGGLED));
    expect(statuses(await raw(post(`host: ${host}\r\n${bearer()}`, sized(inner))))).toEqual([400]);
    expect(upstream.requests).toHaveLength(0);
    const denied = post(`host: ${host}\r\nauthorization: Bearer gh_x\r\n`, sized(inner));
    expect(statuses(await raw(denied))).toEqual([401]);
    expect(upstream.requests).toHaveLength(0);
    const both = post(`host: ${host}\r\n${bearer()}`, sized(CALL)).replace('connection: close\r\n', '').repeat(2);
    expect(statuses(await raw(both))).toEqual([200, 200]);
    expect(upstream.calls()).toHaveLength(2);
  });

  it('[T25] chunk extensions and trailers do not reach the upstream', async () => {
    const body = `transfer-encoding: chunked\r\ntrailer: x-evil\r\n\r\n${CALL.length.toString(16)};ext=1\r\n${CALL}\r\n0\r\nx-evil: 1\r\nauthorization: Bearer gh_x\r\n\r\n`;
    expect(statuses(await raw(post(`host: ${host}\r\n${bearer()}`, body)))).toEqual([200]);
    expect(upstream.calls()[0]?.body.toString()).toBe(CALL);
    expect(upstream.calls()[0]?.headers['x-evil']).toBeUndefined();
    expect(upstream.calls()[0]?.headers.authorization).toBeUndefined();
  });

  it('[T26, LIM-RELEASE] a body that breaks off is no message', async () => {
    await raw(post(`host: ${host}\r\n${bearer()}`, `content-length: ${CALL.length + 10}\r\n\r\n${CALL}`));
    expect(upstream.requests).toHaveLength(0);
  });

  const TOKENS: [string, () => string][] = [
    ['none', () => ''],
    ['an empty one', () => 'authorization: Bearer \r\n'],
    ['two headers, the first good', () => `${bearer()}authorization: Bearer gh_x\r\n`],
    ['two headers, the second good', () => `authorization: Bearer gh_x\r\n${bearer()}`],
    ['the same header twice', () => `${bearer()}${bearer()}`],
    ['two tokens in one header', () => `authorization: Bearer ${client.token}, Bearer ${client.token}\r\n`],
    ['another scheme', () => `authorization: Basic ${Buffer.from(`a:${client.token}`).toString('base64')}\r\n`],
    ['no scheme', () => `authorization: ${client.token}\r\n`],
    ['another case', () => `authorization: Bearer ${client.token.toUpperCase()}\r\n`],
    ['one character more', () => `authorization: Bearer ${client.token}a\r\n`],
    ['in another header', () => `x-api-key: ${client.token}\r\nproxy-authorization: Bearer ${client.token}\r\n`],
    ['in a cookie', () => `cookie: token=${client.token}; authorization=Bearer ${client.token}\r\n`],
    ['of 15 kB', () => `authorization: Bearer gh_${'a'.repeat(15_000)}\r\n`],
  ];
  it('[T63, T129] a token counts in one place, in one form, once', async () => {
    const answers = await Promise.all(
      TOKENS.map(async ([name, headers]) => [
        name,
        statuses(await raw(post(`host: ${host}\r\n${headers()}`, sized(CALL)))),
      ]),
    );
    expect(answers).toEqual(TOKENS.map(([name]) => [name, [401]]));
    const query = await raw(
      post(`host: ${host}\r\n`, sized(CALL), `/mcp/rec?access_token=${client.token}&token=${client.token}`),
    );
    expect(statuses(query)).toEqual([401]);
    expect(upstream.requests).toHaveLength(0);
    const lines: string[] = [];
    for await (const line of harness.gateway.audit.exportLines({})) lines.push(line);
    expect(lines.join('')).not.toContain(client.token);
  });

  it.each(['bearer', 'BEARER', 'Bearer '])('[T63] the scheme %j is the same scheme', async (scheme) => {
    const headers = `host: ${host}\r\nauthorization: ${scheme} ${client.token}\r\n`;
    expect(statuses(await raw(post(headers, sized(CALL))))).toEqual([200]);
  });

  it('[T63] a token of a megabyte ends its own connection only', async () => {
    const answer = await raw(
      post(`host: ${host}\r\nauthorization: Bearer gh_${'a'.repeat(1_000_000)}\r\n`, sized(CALL)),
    );
    expect(statuses(answer).filter((status) => status < 400)).toEqual([]);
    expect((await client.request('ping')).status).toBe(200);
  });

  it('[T73, T91] headers that claim to be the gateway’s own have no effect and do not go on', async () => {
    const claims = [
      'x-gatehouse-identity',
      'x-gateway-identity',
      'x-user',
      'mcp-init-host',
      'x-forwarded-for',
      'forwarded',
      'x-real-ip',
      'via',
      'proxy-authorization',
      'te',
      'x-http-method-override',
      'x-original-url',
      'x-rewrite-url',
    ];
    const { status } = await client.post(
      CALL,
      Object.fromEntries(claims.map((name) => [name, name === 'te' ? 'trailers' : '/mcp/other'])),
    );
    expect(status).toBe(200);
    expect(Object.keys(upstream.calls()[0]?.headers ?? {}).filter((name) => claims.includes(name))).toEqual([]);
    expect((await harness.gateway.audit.search({ tool: 'get_a', limit: 1 })).rows[0]?.identity?.name).toBe('ana');
  });

  it('[T70, T71, GW-HEADERS] headers that name a tool or an argument do not go on with a message that has no version', async () => {
    await client.post(CALL, { 'mcp-method': 'tools/list', 'mcp-name': 'delete_b', 'mcp-param-path': '/etc' });
    const names = Object.keys(upstream.calls()[0]?.headers ?? {}).filter((name) => name.startsWith('mcp-'));
    expect(names).toEqual(['mcp-session-id']);
  });

  it('[T70] a name in the header of a message that names nothing does not go on', async () => {
    const meta = '{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}';
    await harness.client('rec', client.token).post(`{"jsonrpc":"2.0","id":1,"method":"tools/list","params":${meta}}`, {
      'mcp-protocol-version': '2026-07-28',
      'mcp-method': 'tools/list',
      'mcp-name': 'delete_b',
    });
    expect(upstream.received('tools/list')[0]?.headers['mcp-name']).toBeUndefined();
  });

  it('[T70] a protocol header twice is no protocol header', async () => {
    const meta = '{"name":"get_a","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}';
    const body = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":${meta}}`;
    const head = `host: ${host}\r\n${bearer()}mcp-protocol-version: 2026-07-28\r\nmcp-method: tools/call\r\nmcp-name: get_a\r\n`;
    expect(statuses(await raw(post(head, sized(body))))).toEqual([200]);
    expect(statuses(await raw(post(`${head}mcp-name: delete_b\r\n`, sized(body))))).toEqual([400]);
    expect(statuses(await raw(post(`${head}mcp-method: tools/list\r\n`, sized(body))))).toEqual([400]);
    expect(
      statuses(
        await raw(
          post(`host: ${host}\r\n${bearer()}mcp-session-id: ${client.session}\r\nmcp-session-id: x\r\n`, sized(CALL)),
        ),
      ),
    ).toEqual([404]);
    expect(upstream.calls()).toHaveLength(1);
  });

  it('[T67] a session is its grant’s: not another’s, not a chosen one, not one in the URL, not one that was changed', async () => {
    const other = harness.client('rec', (await harness.grant('rec', { version: '1', default: 'allow' }, 'bob')).token);
    const mine = client.session ?? '';
    for (const session of [
      mine,
      'chosen',
      '1',
      mine.slice(0, -1),
      `${mine}=`,
      mine.replace('gs1_', 'gs2_'),
      `${mine.slice(0, -2)}${mine.at(-1)}${mine.at(-2)}`,
    ]) {
      other.session = session;
      expect([session.slice(0, 8), (await other.call('get_a')).status]).toEqual([session.slice(0, 8), 404]);
    }
    for (const method of ['GET', 'DELETE']) {
      const response = await fetch(client.url, {
        method,
        headers: { authorization: `Bearer ${other.token}`, 'mcp-session-id': mine },
      });
      expect(response.status).toBe(404);
    }
    expect(upstream.requests).toHaveLength(0);
    other.session = undefined;
    await fetch(`${client.url}?sessionId=${mine}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${other.token}` },
      body: CALL,
    });
    expect(upstream.calls()[0]?.headers['mcp-session-id']).toBeUndefined();
    expect((await client.request('ping')).status).toBe(200);
  });

  it('[T123] sessions that nobody uses are not kept: old ones still open, memory is bounded', async () => {
    const { sessions } = harness.gateway.gate;
    const who = harness.gateway.gate.directory.authenticate(`Bearer ${client.token}`, 'rec', Date.now(), '127.0.0.1');
    if (!who.ok) throw new Error('the grant does not hold');
    const { server } = who.grant.entry;
    const fields = {
      lane: 'l',
      grant: who.grant.id,
      identity: who.grant.identityId,
      server: server.id,
      revision: server.revision,
    };
    const first = sessions.seal(fields);
    for (let count = 0; count < 20_000; count++) sessions.seal(fields);
    expect(sessions.open(first.id, who.grant, false)?.grant).toBe(who.grant.id);
    expect((await client.request('ping')).status).toBe(200);
  });

  it('[T126] fields that a request may not have are refused, and nothing changes', async () => {
    const admin = (method: string, path: string, body: unknown, token: string): Promise<Response> =>
      fetch(`${harness.base}api/v1${path}`, {
        method,
        headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
        body: JSON.stringify(body),
      });
    const before = harness.gateway.services.grants.list().length;
    expect(
      (
        await admin(
          'POST',
          '/grants',
          { server: 'rec', identity: 'mallory', role: 'admin' },
          harness.gateway.adminToken,
        )
      ).status,
    ).toBe(400);
    expect((await admin('POST', '/grants', { server: 'rec', identity: 'mallory' }, client.token)).status).toBe(401);
    expect(harness.gateway.services.grants.list()).toHaveLength(before);
  });
});

describe('limits under load', () => {
  it('[T95, P4] 200 calls at once with a limit of 10, over two tokens of one grant: exactly 10 arrive', async () => {
    const harness = await Harness.open();
    const upstream = await harness.record('rec', { tools: TOOLS });
    const limited = {
      version: '1',
      default: 'deny',
      tools: { get_a: { limits: [{ counter: 'c', window: 'hour', max: 10, scope: 'identity' }] } },
    };
    const { id, token } = await harness.grant('rec', limited);
    const second = await harness.gateway.services.tokens.create({ identity: 'ana', grants: [id] }, ADMIN);
    const clients = [token, second.secret].map((secret) => harness.client('rec', secret));
    const answers = await Promise.all(
      Array.from({ length: 200 }, (_, at) => (clients[at % 2] as RawClient).call('get_a')),
    );
    expect(answers.filter((answer) => answer.message?.result?.isError !== true)).toHaveLength(10);
    expect(upstream.calls()).toHaveLength(10);
    await harness.close();
  });
});
