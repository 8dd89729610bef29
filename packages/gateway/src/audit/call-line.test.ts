import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CallLineReader, callOf, parseLine } from './call-line.ts';
import { Chain } from './chain.ts';
import { GroupBuffer } from './group-buffer.ts';
import { type CallRecord, callMembers } from './record.ts';

const WRITER = '0mabcdefg-01020304';
const TIME = '2026-03-01T10:00:00.123Z';
const DIGEST = 'R2h1bMdwijGaf_T6jwUKjCXV49dw1is1h4RTyoOVhPw';
const reader = new CallLineReader(WRITER);

const lineOf = (record: CallRecord): string => {
  const group = new GroupBuffer();
  new Chain('calls', WRITER).add(group, TIME, record.kind, callMembers(record));
  return group.text(0, group.length - 1);
};
const readInPlace = (line: string) => reader.read(`x\n${line}\ny`, 2, 2 + line.length);
const parsed = (line: string) => {
  const record = parseLine(line);
  return record && callOf(record);
};

/** Everything that a record of a call can say. */
const FULL: CallRecord = {
  kind: 'intent',
  requestId: 'd419f1fb-cf2a-41a4-8468-bc03c1675b1b',
  traceId: '4bf92f3577b34da6a3ce929d0e0e4736',
  grant: { id: 'grt_1', label: 'ana on flux' },
  identity: { id: 'idn_1', name: 'Ana Müller' },
  server: 'flux',
  session: 'AbCdEfGhIjKlMnOp',
  client: 'bench/1.0.0',
  source: '127.0.0.1',
  method: 'tools/call',
  tool: 'flux_generate_image',
  definition: DIGEST,
  arguments: JSON.stringify({
    digest: DIGEST,
    length: 250,
    keys: { 'a"}]{[b\\': { type: 'string', length: 12, digest: DIGEST }, n: { type: 'null', digest: DIGEST } },
  }),
  decision: {
    outcome: 'allow',
    rule: '/tools/x/require/0',
    message: 'As it is.',
    policy: { id: 'bench', version: 7 },
    limits: [{ key: '["calls","hour"]', units: 1, slice: 5 }],
    approval: { id: 'apr_1', approver: 'Ben' },
    deadline: Date.parse('2026-03-01T10:01:00Z'),
  },
  result: { status: 200, errorCode: -32_000, isError: true, bytes: 10, upstreamMs: 1.25 },
  count: 3,
  detail: { subject: 'x', failures: [{ pointer: '/a', value: '}' }] },
};

describe('a line of the log', () => {
  it('[AUD-INDEX-EXACT] as the writer makes it is read in place, every member of it', () => {
    const line = lineOf(FULL);
    expect(readInPlace(line)).toEqual(parsed(line));
    expect(Object.values(readInPlace(line)!)).not.toContain(null);
    const names = ['traceId', 'grant', 'identity', 'server', 'session', 'client', 'source', 'method', 'tool'] as const;
    const more = ['definition', 'arguments', 'decision', 'result', 'count', 'detail'] as const;
    for (const name of [...names, ...more]) {
      const without = lineOf({ ...FULL, [name]: undefined });
      expect(readInPlace(without), name).toEqual(parsed(without));
      expect(readInPlace(without), name).toBeDefined();
    }
    const results = [{}, { status: 500 }, { isError: false, status: 200 }, { errorCode: 1 }, { upstreamMs: 3 }];
    for (const result of results) {
      const outcome = lineOf({ kind: 'outcome', requestId: 'r', result });
      expect(readInPlace(outcome), outcome).toEqual(parsed(outcome));
      expect(readInPlace(outcome), outcome).toBeDefined();
    }
  });

  it('[AUD-INDEX-EXACT] whatever it says, is read as JSON says or is left to the parser', () => {
    const text = fc.oneof(fc.string({ unit: 'grapheme' }), fc.string({ unit: fc.constantFrom(...'"\\{}[],:a\u0000') }));
    const some = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined });
    const record = fc.record({
      kind: fc.constantFrom('decision', 'intent', 'outcome', 'aggregate'),
      requestId: text,
      grant: some(fc.record({ id: text, label: text })),
      tool: some(text),
      arguments: some(
        fc
          .dictionary(text, fc.record({ type: fc.constant('string'), digest: text }))
          .map((keys) => JSON.stringify({ digest: DIGEST, length: 1, keys })),
      ),
      decision: some(
        fc.record({
          outcome: text,
          rule: some(text),
          policy: some(fc.record({ id: text, version: fc.oneof(fc.integer(), text) })),
          limits: some(fc.array(fc.record({ key: text, units: fc.integer() }))),
        }),
      ),
      result: some(fc.record({ status: some(fc.integer()), bytes: some(fc.double({ noNaN: true })) })),
      count: some(fc.nat()),
      detail: some(fc.dictionary(text, fc.jsonValue())),
    });
    fc.assert(
      fc.property(record, (value) => {
        const line = lineOf(value as CallRecord);
        const found = readInPlace(line);
        if (found !== undefined) expect(found).toEqual(parsed(line));
      }),
    );
  });

  it('[AUD-INDEX-EXACT] that somebody changed and that still is JSON gives no value that it does not have', () => {
    const line = lineOf(FULL);
    const pieces = ['"', '\\', ',', '{', '}', '[', ']', ':', '0', '-', ' ', ',"tool":"other"', ',"count":9', 'null'];
    const edit = fc.record({
      at: fc.nat(line.length),
      remove: fc.nat(3),
      insert: fc.oneof(fc.constant(''), fc.constantFrom(...pieces)),
    });
    let parseable = 0;
    fc.assert(
      fc.property(fc.array(edit, { minLength: 1, maxLength: 2 }), (edits) => {
        let changed = line;
        for (const { at, remove, insert } of edits)
          changed = changed.slice(0, at) + insert + changed.slice(at + remove);
        if (parseLine(changed) === undefined) return;
        parseable += 1;
        const found = readInPlace(changed);
        if (found !== undefined) expect(found).toEqual(parsed(changed));
      }),
      { numRuns: 3000 },
    );
    expect(parseable).toBeGreaterThan(50);
    // Whole members twice, or in another place.
    const members = [',"tool":"other"', ',"decision":{"outcome":"deny"}', ',"request_id":"other"', ',"arguments":"x"'];
    for (const member of members) {
      for (let at = line.indexOf(','); at >= 0; at = line.indexOf(',', at + 1)) {
        const changed = line.slice(0, at) + member + line.slice(at);
        const found = parseLine(changed) && readInPlace(changed);
        if (found !== undefined) expect(found, changed).toEqual(parsed(changed));
      }
    }
  });

  it('that is damaged makes no row, and no error', () => {
    const wrong = [
      '{"stream":"calls","request_id":"a","kind":"intent","seq":1,"writer":"w","time":"soon"}',
      '{"stream":"calls","request_id":"a","kind":"intent","seq":null,"writer":"w","time":"2026-01-01T00:00:00Z"}',
      '{"stream":"calls","request_id":5,"kind":"intent","seq":1,"writer":"w","time":"2026-01-01T00:00:00Z"}',
      'null',
      '[]',
      'nothing',
    ];
    for (const line of wrong) expect(parsed(line), line).toBeUndefined();
    const odd =
      '{"stream":"calls","request_id":"a","kind":"outcome","seq":1,"writer":"w","time":"2026-01-01T00:00:00Z",' +
      '"decision":null,"result":null,"grant":null,"tool":{},"count":"x"}';
    expect(parsed(odd)).toMatchObject({ outcome: 'unknown', tool: null, grantId: null, count: 1 });
  });
});
