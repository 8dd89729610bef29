import { createHmac, createSecretKey } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { canonicalize, type JsonValue, parseJson } from '@gatehouse/wire';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type ArgumentsDigest, digestArguments, MAX_KEYS, Mac } from './digest.ts';
import { adminMembers, callMembers } from './record.ts';
import { denial, intent, testLog } from './testing.ts';

const key = new Mac(createSecretKey(Buffer.alloc(32, 7)));
const digest = (args: JsonValue, mac = key) => JSON.parse(digestArguments(mac, args)) as ArgumentsDigest;

describe('records', () => {
  it('[AUD-INJECT] one record is one line of plain JSON, whatever its strings hold', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const hostile = `${text}\n\r\u001b[2J\u0085\u2028\u2029\u202e\u200b\ufeff"}{`;
        const members = callMembers(
          denial(hostile, { tool: hostile, identity: { id: 'i', name: hostile }, detail: { x: hostile } }),
        );
        expect(members).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/);
        const read = JSON.parse(`{"z":0${members}}`) as Record<string, unknown>;
        expect(read).toMatchObject({
          request_id: hostile.toWellFormed() === hostile ? hostile : expect.any(String),
          tool: read.request_id,
        });
      }),
      { numRuns: 40 },
    );
  });

  it('[AUD-FIELDS] writes every member under its name in the format', () => {
    const members = callMembers({
      ...intent('r', {
        traceId: 't',
        session: 's',
        client: 'c',
        source: '::1',
        definition: 'sha256:x',
        arguments: digestArguments(key, { a: 1 }),
        count: 2,
        detail: { d: 1 },
      }),
      decision: {
        outcome: 'allow',
        rule: '/x',
        message: 'm',
        policy: { id: 'p', version: 1 },
        limits: [{ key: 'k', units: 2, slice: 3 }],
        approval: { id: 'ap', approver: 'me' },
        deadline: 0,
      },
      result: { status: 200, errorCode: -1, isError: false, bytes: 5, upstreamMs: 1.23456 },
    });
    expect(JSON.parse(`{"z":0${members}}`)).toEqual({
      z: 0,
      request_id: 'r',
      trace_id: 't',
      grant: { id: 'g1', label: 'ana on flux' },
      identity: { id: 'i1', name: 'Ana' },
      server: 'flux',
      session: 's',
      client: 'c',
      source: '::1',
      method: 'tools/call',
      tool: 'flux_generate_image',
      definition: 'sha256:x',
      arguments: { digest: expect.any(String), length: 7, keys: { a: { type: 'number', digest: expect.any(String) } } },
      decision: {
        outcome: 'allow',
        rule: '/x',
        message: 'm',
        policy: { id: 'p', version: 1 },
        limits: [{ key: 'k', units: 2, slice: 3 }],
        approval: { id: 'ap', approver: 'me' },
        deadline: '1970-01-01T00:00:00.000Z',
      },
      result: { status: 200, error_code: -1, is_error: false, bytes: 5, upstream_ms: 1.235 },
      count: 2,
      detail: { d: 1 },
    });
    expect(
      JSON.parse(
        `{"z":0${adminMembers({ actor: { kind: 'gatehouse', id: 'g' }, action: 'a', target: 't', before: 1, requestId: 'r' })}}`,
      ),
    ).toEqual({
      z: 0,
      request_id: 'r',
      actor: { kind: 'gatehouse', id: 'g' },
      action: 'a',
      target: 't',
      before: 1,
    });
  });
});

describe('digests of arguments', () => {
  it('[AUD-DIGEST] are HMAC-SHA-256 (RFC 2104) for texts of every length', () => {
    const secret = createSecretKey(Buffer.alloc(48, 9));
    const mac = new Mac(secret);
    for (const length of [0, 1, 55, 56, 63, 64, 65, 1000, 5461, 5462, 20_000]) {
      const text = 'é'.repeat(length);
      expect(mac.of(text)).toBe(createHmac('sha256', secret).update(text).digest('base64url'));
    }
    expect(() => new Mac(createSecretKey(Buffer.alloc(65)))).toThrow(RangeError);
  });

  it('[AUD-DIGEST] gives types, lengths and HMACs under the log key; equal values are equal, whatever their order', () => {
    const one = digest({ s: 'héllo', n: 1.5, b: true, z: null, a: [1, 2], o: { y: 1, x: 2 } });
    expect(Object.entries(one.keys).map(([name, of]) => `${name}:${of.type}:${of.length}`)).toEqual([
      'a:array:2',
      'b:boolean:undefined',
      'n:number:undefined',
      'o:object:2',
      's:string:5',
      'z:null:undefined',
    ]);
    expect(one.keys.s!.digest).toBe(createHmac('sha256', Buffer.alloc(32, 7)).update('"héllo"').digest('base64url'));
    expect(digest({ other: { x: 2, y: 1 } }).keys.other!.digest).toBe(one.keys.o!.digest);
    const otherKey = digest({ s: 'héllo' }, new Mac(createSecretKey(Buffer.alloc(32, 8))));
    expect(otherKey.keys.s!.digest).not.toBe(one.keys.s!.digest);
  });

  it('[AUD-DIGEST] digests the canonical JSON of the whole, whatever the arguments are', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string({ unit: 'grapheme' }), fc.jsonValue({ maxDepth: 2 })), (given) => {
        const args = parseJson(JSON.stringify(given));
        const whole = canonicalize(args);
        expect(digest(args)).toMatchObject({ digest: key.of(whole), length: whole.length });
      }),
      { numRuns: 100 },
    );
  });

  it('a caller cannot make a record grow', () => {
    const many = digest(Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`k${i}`, i])));
    expect([Object.keys(many.keys).length, many.omitted]).toEqual([MAX_KEYS, 1000 - MAX_KEYS]);
    expect(digest({ ['k'.repeat(1000)]: 1 })).toMatchObject({ keys: {}, omitted: 1 });
    expect(Object.keys(digest(JSON.parse('{"__proto__":1}') as Record<string, JsonValue>).keys)).toEqual(['__proto__']);
    expect(digest(null).keys).toEqual({});
  });

  it('[P6] no value of an argument stands in any file of the log', async () => {
    const canary = 'canary-7f3a9c51';
    const { log, dir } = await testLog();
    const args = { prompt: canary, nested: { deep: [canary] }, token: `Bearer ${canary}` };
    await log.append(intent('r1', { arguments: log.digestArguments(args) }), 'power');
    await log.search({});
    await log.close();
    const files = readdirSync(dir, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
    expect(files.length).toBeGreaterThan(2);
    for (const file of files) {
      const data = readFileSync(join(file.parentPath, file.name));
      expect(data.includes(canary), file.name).toBe(false);
      expect(data.includes(Buffer.alloc(32, 7)), file.name).toBe(false);
    }
  });
});
