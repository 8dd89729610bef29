// What the upstream gets is what the client sent, and what the client gets is what the upstream said, byte for byte.
import type { RecordingUpstream } from '@gatehouse/testkit';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BYTE_CORPUS } from './byte-corpus.ts';
import { answerWithValue, asEvent, callWith, exchange, frame, MODERN_HEADERS, MODERN_META } from './byte-exchange.ts';
import { Harness } from './harness.ts';
import { answerWith, json, tool } from './replies.ts';

const RUNS = Number(process.env.FC_RUNS ?? 40);
const OPEN = { type: 'object', properties: { z: {}, a: {} } };

const space = fc.stringMatching(/^[ \t\n\r]{0,3}$/);
const number = fc.stringMatching(/^-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,4})?$/);
const piece = fc.oneof(
  fc.string({ unit: 'binary' }).map((text) => JSON.stringify(text).slice(1, -1)),
  fc.constantFrom('\\/', '\\u0041', '\\u00Ab', '\\ud83d\\uDE00', '\\b', '\\"', '\\\\', '\u2028', '\ufeff', '\u007f'),
);
const text = fc.array(piece, { maxLength: 6 }).map((pieces) => pieces.join(''));
const { value } = fc.letrec<{ value: string; array: string; object: string }>((tie) => ({
  value: fc
    .tuple(
      space,
      fc.oneof(
        { maxDepth: 5 },
        number,
        text.map((inner) => `"${inner}"`),
        fc.constantFrom('true', 'false', 'null'),
        tie('array'),
        tie('object'),
      ),
      space,
    )
    .map((parts) => parts.join('')),
  array: fc.array(tie('value'), { maxLength: 5 }).map((items) => `[${items.join(',')}]`),
  // The number in front keeps keys apart: two that are equal after folding are refused, and rightly.
  object: fc
    .array(fc.tuple(space, text, space, tie('value')), { maxLength: 5 })
    .map((members) => `{${members.map(([a, key, b, item], n) => `${a}"${n} ${key}"${b}:${item}`).join(',')}}`),
}));

describe('bytes through the gateway over HTTP', () => {
  let harness: Harness;
  let upstream: RecordingUpstream;
  let token: string;
  let session: string;
  let said = '';
  let stream = false;

  beforeAll(async () => {
    harness = await Harness.open();
    upstream = await harness.record('rec', { tools: [tool('get_a', { inputSchema: OPEN })] });
    ({ token } = await harness.grant('rec', { version: '1', default: 'allow' }));
    const client = harness.client('rec', token);
    await client.initialize();
    session = client.session ?? '';
    answerWith(upstream, 'tools/call', (response) => {
      if (!stream) return json(response, said);
      response.writeHead(200, { 'content-type': 'text/event-stream' }).end(frame(said));
    });
  });
  afterAll(() => harness.close());

  async function passes(id: string, raw: string, era: 'legacy' | 'modern'): Promise<void> {
    const sent = callWith(id, raw, era === 'modern' ? MODERN_META : '');
    const headers: Record<string, string> = era === 'modern' ? MODERN_HEADERS : { 'mcp-session-id': session };
    said = answerWithValue(id, raw);
    upstream.forget();
    const heard = await exchange(harness.proxyUrl('rec'), { authorization: `Bearer ${token}`, ...headers }, sent);
    // Compared as a truth first: a difference in a megabyte would print it.
    const same = heard.message === (stream ? asEvent(said) : said);
    if (!same) expect(heard.message.slice(0, 4_000)).toBe(said.slice(0, 4_000));
    const arrived = upstream.calls().map((request) => request.body.toString('utf8'));
    expect([heard.status, same, arrived.length, arrived[0] === sent]).toEqual([200, true, 1, true]);
  }

  for (const era of ['legacy', 'modern'] as const) {
    for (const reply of ['JSON', 'an event stream']) {
      it.each(BYTE_CORPUS)(`[P2, P8, GW-BYTES, GW-BYTES-BOTH] ${era}, answered in ${reply}: %s`, async (_name, raw) => {
        stream = reply !== 'JSON';
        await passes('"\\u0061/ä"', raw, era);
      });

      it(`[P2, P8, GW-BYTES, GW-BYTES-BOTH] ${era}, answered in ${reply}: any JSON text`, async () => {
        stream = reply !== 'JSON';
        await fc.assert(
          fc.asyncProperty(value, fc.constantFrom('-0', '"\\u0000"', '""', '7', '"\ud83d\ude00"'), (raw, id) =>
            passes(id, raw, era),
          ),
          { numRuns: RUNS },
        );
      });
    }
  }
});
