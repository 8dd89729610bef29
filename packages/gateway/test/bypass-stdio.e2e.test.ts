// stdio upstreams under attack: lanes, ids, cancellations and line breaks, against a child that writes down all it gets.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readMessage } from '@gatehouse/wire';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { UpstreamSink } from '../src/upstreams/upstream.ts';
import { Harness, type RawClient } from './harness.ts';

const CHILD = `
const { appendFileSync } = require('node:fs');
const held = [];
let rest = '';
const say = (message) => process.stdout.write(JSON.stringify({ jsonrpc: '2.0', ...message }) + '\\n');
process.stdin.on('data', (chunk) => {
  const lines = (rest + chunk).split('\\n');
  rest = lines.pop();
  for (const line of lines) {
    appendFileSync(process.argv[2], process.pid + ' ' + line + '\\n');
    const { id, method, params } = JSON.parse(line);
    if (method === 'initialize') say({ id, result: { protocolVersion: params.protocolVersion, capabilities: { tools: {} }, serverInfo: { name: 'child', version: '1' } } });
    else if (method === 'tools/list') say({ id, result: { tools: ['get_a', 'hold', 'release', 'lie'].map((name) => ({ name, inputSchema: { type: 'object', properties: {} } })) } });
    else if (method === 'tools/call' && params.name === 'hold') held.push(id);
    else if (method === 'tools/call' && params.name === 'release') {
      for (const each of held.splice(0).concat(id)) say({ id: each, result: { content: [{ type: 'text', text: String(each) }] } });
    } else if (method === 'tools/call' && params.name === 'lie') {
      process.stdout.write('not a message\\n\\n{"jsonrpc":"2.0","id":' + id + ',"id":0,"result":{}}\\n');
      say({ id: 99999, result: {} });
      say({ id: String(id), result: {} });
      say({ method: 'notifications/progress', params: { progressToken: 99999, progress: 1 } });
      say({ id, result: { content: [{ type: 'text', text: 'first' }] } });
      say({ id, result: { content: [{ type: 'text', text: 'second' }] } });
    } else if (method === 'subscriptions/listen') {
      say({ method: 'notifications/subscriptions/acknowledged', params: { _meta: { 'io.modelcontextprotocol/subscriptionId': id }, notifications: {} } });
    } else if (id !== undefined) say({ id, result: { content: [{ type: 'text', text: 'pid ' + process.pid }] } });
  }
});
process.stdin.on('end', () => process.exit(0));
`;

const META =
  '"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}';

describe('stdio lanes', () => {
  let harness: Harness;
  let log: string;
  let ana: RawClient;
  let bob: RawClient;

  beforeAll(async () => {
    harness = await Harness.open({ flags: { call_deadline: '5s' } });
    log = join(harness.dir, 'received.txt');
    const script = join(harness.dir, 'child.cjs');
    writeFileSync(script, CHILD);
    writeFileSync(log, '');
    await harness.server('kid', { kind: 'stdio', command: process.execPath, args: [script, log], environment: {} });
    ana = harness.client('kid', (await harness.grant('kid', { version: '1', default: 'allow' }, 'ana')).token);
    bob = harness.client('kid', (await harness.grant('kid', { version: '1', default: 'allow' }, 'bob')).token);
    await ana.initialize();
    await bob.initialize();
  });
  afterAll(() => harness.close());

  const received = (): { pid: string; line: string }[] =>
    readFileSync(log, 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => ({ pid: line.slice(0, line.indexOf(' ')), line: line.slice(line.indexOf(' ') + 1) }));
  const call = (name: string, id: string | number, more = ''): string =>
    `{"jsonrpc":"2.0","id":${JSON.stringify(id)},"method":"tools/call","params":{"name":"${name}"${more}}}`;
  const modern = (body: string, method: string, name?: string) =>
    harness.client('kid', ana.token).post(body, {
      'mcp-protocol-version': '2026-07-28',
      'mcp-method': method,
      ...(name === undefined ? {} : { 'mcp-name': name }),
    });
  const until = async (holds: () => boolean): Promise<void> => {
    for (let turn = 0; turn < 200 && !holds(); turn++) await new Promise((resolve) => setTimeout(resolve, 10));
    expect(holds()).toBe(true);
  };

  it('[T67] two sessions never share a child', async () => {
    const texts = await Promise.all(
      [ana, bob].map(async (who) => (await who.call('get_a')).message?.result?.content?.[0]?.text),
    );
    expect(texts[0]).toMatch(/^pid \d+$/);
    expect(texts[0]).not.toBe(texts[1]);
  });

  it('[T17] equal ids at once, numbers and texts of one look: each gets its own answer, in the bytes that it asked with', async () => {
    const ids = [7, '7', 'a', '\u00e9'];
    const answers = await Promise.all(ids.map((id) => ana.post(call('get_a', id))));
    expect(answers.map((answer) => answer.message?.id)).toEqual(ids);
  });

  it('[WIRE-LINES] line breaks between tokens do not make a second message', async () => {
    const smuggled = call('get_a', 5).replace(/,/g, ',\r\n').replace('{', '\n{\n');
    expect((await ana.post(smuggled)).message?.id).toBe(5);
    expect(received().every(({ line }) => typeof JSON.parse(line) === 'object')).toBe(true);
  });

  it('[T81] lines that are no message, foreign ids, keys twice and second answers are dropped', async () => {
    const { text, message } = await ana.call('lie');
    expect(message?.result?.content?.[0]?.text).toBe('first');
    expect(text).not.toContain('99999');
    expect((await ana.call('get_a')).message?.result?.content?.[0]?.text).toMatch(/^pid/);
  });

  it.each(['seen', 'metrics', 'audit'] as const)(
    '[P5] a fault of %s on the way back is answered, and the child lives on',
    async (part) => {
      const { gate } = harness.gateway;
      const fault = (): never => {
        throw new Error('injected');
      };
      const target = { seen: [gate.seen, 'has'], metrics: [gate.metrics, 'upstream'], audit: [gate.audit, 'enqueue'] }[
        part
      ];
      Reflect.defineProperty(target[0] as object, target[1] as string, {
        value: fault,
        configurable: true,
        writable: true,
      });
      const answer = await Promise.race([
        ana.request('tools/list'),
        new Promise((resolve) => setTimeout(resolve, 2_000, 'it hangs')),
      ]);
      Reflect.deleteProperty(target[0] as object, target[1] as string);
      expect(answer).not.toBe('it hangs');
      expect((await ana.call('get_a')).message?.result?.content?.[0]?.text).toMatch(/^pid/);
    },
  );

  it('[GW-CANCEL] a cancellation ends one’s own call only, and none where two have that id', async () => {
    const hold = call('hold', 1, `,${META}`);
    const before = received().length;
    const held = [modern(hold, 'tools/call', 'hold'), modern(hold, 'tools/call', 'hold')];
    await until(
      () =>
        received()
          .slice(before)
          .filter(({ line }) => line.includes('"hold"')).length === 2,
    );
    const cancel = `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1,${META}}}`;
    expect((await modern(cancel, 'notifications/cancelled')).status).toBe(202);
    expect(
      (await bob.post('{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}')).status,
    ).toBe(202);
    await modern(call('release', 2, `,${META}`), 'tools/call', 'release');
    for (const answer of await Promise.all(held)) expect(answer.message?.result?.content).toHaveLength(1);
    expect(
      received()
        .slice(before)
        .filter(({ line }) => line.includes('cancelled')),
    ).toEqual([]);
  });

  it('[GW-CANCEL] a client of 2026-07-28 that leaves cancels its own call at the child, under the id that the child knows', async () => {
    const before = received().length;
    const lines = (word: string) =>
      received()
        .slice(before)
        .filter(({ line }) => line.includes(word))
        .map(({ line }) => JSON.parse(line) as { id?: number; params: { requestId?: number; name?: string } });
    const leaving = new AbortController();
    const stays = modern(call('hold', 1, `,${META}`), 'tools/call', 'hold');
    const leaves = fetch(ana.url, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        authorization: `Bearer ${ana.token}`,
        'mcp-protocol-version': '2026-07-28',
        'mcp-method': 'tools/call',
        'mcp-name': 'hold',
      },
      body: call('hold', 1, `,"arguments":{},${META}`),
      signal: leaving.signal,
    }).catch(() => undefined);
    await until(() => lines('"hold"').length === 2);
    const left = received()
      .slice(before)
      .find(({ line }) => line.includes('"arguments":{}'));
    leaving.abort();
    await leaves;
    await until(() => lines('cancelled').length === 1);
    expect(lines('cancelled')[0]?.params.requestId).toBe((JSON.parse(left?.line ?? '') as { id: number }).id);
    await modern(call('release', 2, `,${META}`), 'tools/call', 'release');
    expect((await stays).message?.result?.content).toHaveLength(1);
    const { rows } = await harness.gateway.audit.search({ method: 'notifications/cancelled', limit: 1 });
    expect(rows[0]).toMatchObject({ identity: { name: 'gatehouse' }, rule: '(cancelled)' });
  });

  it('[GW-STDIO] a subscription of 2026-07-28 is told under its own id, and ends at the child when its client leaves', async () => {
    const before = received().length;
    const leaving = new AbortController();
    const response = await fetch(ana.url, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        authorization: `Bearer ${ana.token}`,
        'mcp-protocol-version': '2026-07-28',
        'mcp-method': 'subscriptions/listen',
      },
      body: `{"jsonrpc":"2.0","id":"mine","method":"subscriptions/listen","params":{"notifications":{},${META}}}`,
      signal: leaving.signal,
    });
    const reader = response.body?.getReader();
    let seen = '';
    while (!seen.includes('acknowledged')) {
      const piece = await reader?.read();
      expect(piece?.done, seen).toBe(false);
      seen += Buffer.from(piece?.value ?? []).toString();
    }
    expect(seen).toContain('"io.modelcontextprotocol/subscriptionId":"mine"');
    leaving.abort();
    await until(
      () =>
        received()
          .slice(before)
          .filter(({ line }) => line.includes('cancelled')).length === 1,
    );
  });

  it('[GW-SESSION] a session that has ended wakes no child, whatever was still under way', async () => {
    const carl = harness.client('kid', (await harness.grant('kid', { version: '1', default: 'allow' }, 'carl')).token);
    await carl.initialize();
    const { gate } = harness.gateway;
    const append = gate.audit.append.bind(gate.audit);
    let ended: Promise<unknown> | undefined;
    gate.audit.append = async (record, durability) => {
      await append(record, durability);
      if (record.kind !== 'intent') return;
      Reflect.deleteProperty(gate.audit, 'append');
      ended = fetch(carl.url, {
        method: 'DELETE',
        headers: { authorization: `Bearer ${carl.token}`, 'mcp-session-id': carl.session ?? '' },
      });
      await ended;
    };
    const pids = new Set(received().map(({ pid }) => pid)).size;
    const { message } = await carl.call('get_a');
    expect(message?.error?.message).toContain('The session has ended');
    expect((await carl.call('get_a')).status).toBe(404);
    expect(new Set(received().map(({ pid }) => pid)).size).toBe(pids);
  });

  it('[GW-SESSION] nothing but its initialize starts the child of a session', async () => {
    const entry = harness.gateway.gate.directory.server('kid');
    const message = readMessage(Buffer.from(call('get_a', 1)));
    if (entry === undefined || !message.ok) throw new Error('not set up');
    const upstream = harness.gateway.gate.upstream(entry);
    const failure = await new Promise<string>((resolve, reject) => {
      const sink: UpstreamSink = {
        onHandedOver: () => reject(new Error('it was handed over')),
        onHead() {},
        onMessage: () => true,
        onEvent: () => true,
        onEnd() {},
        onFailure: (what) => resolve(`${what.handedOver} ${what.message}`),
      };
      upstream.send({ message, headers: {}, session: undefined, lane: 'session:made-up' }, sink);
    });
    expect(failure).toBe('false The session has ended.');
    expect(upstream.knows('session:made-up')).toBe(false);
  });
});
