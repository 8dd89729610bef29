import { InexactNumber, type JsonValue } from '@gatehouse/wire';
import { describe, expect, it } from 'vitest';
import { compileSchema, MAX_SCHEMA_BYTES } from './ajv.ts';
import { translateEcmaScript } from './regex.ts';

function check(schema: object, args: unknown): { problems: string[]; undeclared: string[] } {
  const result = compileSchema(schema);
  if (!result.ok) throw new Error(result.reason);
  const report = result.validator.validate(args as JsonValue);
  return { problems: report.problems.map((p) => p.message), undeclared: report.undeclared.map((p) => p.path) };
}

const CLEAN = { problems: [], undeclared: [] };

describe('compileSchema', () => {
  it('[POL-TEACH] says what is wrong in plain words, without strings of the caller', () => {
    const schema = {
      type: 'object',
      required: ['id'],
      properties: {
        id: { type: 'integer', minimum: 1 },
        count: { type: 'integer', maximum: 4 },
        size: { enum: ['s', 'm'] },
        to: { type: 'array', maxItems: 1, items: { type: 'string', maxLength: 3 } },
        'a.b': { type: 'boolean' },
      },
    };
    expect(check(schema, { count: 8, size: 'hunter2', to: ['abc', 'abcd'], 'a.b': 1 }).problems).toEqual(
      expect.arrayContaining([
        'id is missing; it is required.',
        'count is 8; at most 4 is allowed.',
        'size must be one of "s" or "m".',
        'to has too many items; at most 1 item is allowed.',
        'to[1] is too long; at most 3 characters are allowed.',
        '["a.b"] is a number; true or false is needed.',
      ]),
    );
  });

  it('[POL-UNDECLARED] finds undeclared properties at every depth, through references and branches', () => {
    const schema = {
      type: 'object',
      properties: {
        node: { $ref: '#/$defs/node' },
        open: { type: 'object' },
        map: { type: 'object', properties: { a: {} }, additionalProperties: true },
        list: { type: 'array', items: { type: 'object', properties: { x: {} } } },
        either: {
          anyOf: [
            { properties: { kind: { const: 'a' }, a: {} }, required: ['kind', 'a'] },
            { properties: { kind: { const: 'b' }, b: {} }, required: ['kind', 'b'] },
          ],
        },
      },
      allOf: [{ properties: { extra: {} } }],
      $defs: { node: { type: 'object', properties: { next: { $ref: '#/$defs/node' }, v: {} } } },
    };
    expect(
      check(schema, { node: { next: { next: { v: 1 } } }, open: { z: 1 }, map: { z: 1 }, extra: 1, list: [{ x: 1 }] }),
    ).toEqual(CLEAN);
    expect(check(schema, { node: { next: { next: { w: 1 } } } }).undeclared).toEqual(['args.node.next.next.w']);
    expect(check(schema, { node: { v: 1, next: { v: 1, w: 1 } }, zz: 1 }).undeclared).toEqual([
      'args.node.next.w',
      'args.zz',
    ]);
    expect(check(schema, { list: [{ x: 1 }, { y: 1 }], q: 1 }).undeclared).toEqual(['args.list[1].y', 'args.q']);
    expect(check(schema, { either: { kind: 'a', a: 1 } })).toEqual(CLEAN);
    expect(check(schema, { either: { kind: 'a', a: 1, b: 2 } }).undeclared).toEqual(['args.either.b']);
    expect(check({ type: 'object', properties: { a: {} }, additionalProperties: false }, { b: 1 })).toEqual({
      problems: [],
      undeclared: ['args.b'],
    });
    expect(check({ type: 'object' }, { b: 1 })).toEqual(CLEAN);
    expect(check({ type: 'object', properties: {} }, JSON.parse('{"__proto__": 1}')).undeclared).toEqual([
      'args.__proto__',
    ]);
  });

  it('reads draft-07 where it is declared: tuples and definitions', () => {
    const schema = {
      $schema: 'http://json-schema.org/draft-07/schema#',
      type: 'object',
      properties: {
        pair: { type: 'array', items: [{ type: 'integer' }, { $ref: '#/definitions/o' }], additionalItems: false },
      },
      definitions: { o: { type: 'object', properties: { a: {} } } },
    };
    expect(check(schema, { pair: [1, { a: 1 }] })).toEqual(CLEAN);
    expect(check(schema, { pair: ['x'] }).problems).toEqual(['pair[0] is a string; a whole number is needed.']);
    expect(check(schema, { pair: [1, { b: 1 }] }).undeclared).toEqual(['args.pair[1].b']);
  });

  it('[POL-NULL] null for an optional property counts as absent, for a required one not', () => {
    const inner = { type: 'object', required: ['r'], properties: { r: { type: 'integer' }, o: { type: 'string' } } };
    const schema = {
      type: 'object',
      properties: { a: inner, list: { type: 'array', items: inner }, n: { type: 'null' } },
    };
    expect(check(schema, { a: { r: 1, o: null }, list: [{ r: 1, o: null }], n: null })).toEqual(CLEAN);
    expect(check(schema, { a: null })).toEqual(CLEAN);
    expect(check(schema, { a: { r: null } }).problems).toEqual(['a.r is null; a whole number is needed.']);
    expect(check(schema, { z: null })).toEqual(CLEAN);
  });

  it('[POL-SCHEMA] no coercion, no defaults, nothing fetched, formats are annotations', () => {
    const args = { n: '5' };
    expect(
      check({ type: 'object', properties: { n: { type: 'integer' }, d: { default: 3 } } }, args).problems,
    ).toHaveLength(1);
    expect(args).toEqual({ n: '5' });
    expect(check({ type: 'object', properties: { e: { type: 'string', format: 'email' } } }, { e: 'x' })).toEqual(
      CLEAN,
    );
  });

  it('[POL-SCHEMA] T38: refuses what it cannot compile within bounds', () => {
    const deep = (n: number): object => (n === 0 ? {} : { properties: { a: deep(n - 1) } });
    const refused: object[] = [
      { type: 'object', properties: { a: { $ref: 'https://example.com/schema' } } },
      { type: 'object', properties: { a: { $ref: '#/$defs/none' } } },
      { type: 'wrong' },
      { $schema: 'http://json-schema.org/draft-04/schema#' },
      { description: 'x'.repeat(MAX_SCHEMA_BYTES) },
      deep(80),
      [] as object,
    ];
    for (const schema of refused) expect(compileSchema(schema).ok, JSON.stringify(schema).slice(0, 80)).toBe(false);
    expect(compileSchema({ $id: 'https://x.example/a', type: 'object' }).ok).toBe(true);
    expect(compileSchema({ $id: 'https://x.example/a', type: 'object', properties: { a: {} } }).ok).toBe(true);
  });

  it('[POL-PATTERN] patterns run in linear time; one that RE2 cannot run denies the argument, also under not', () => {
    const slow = check({ type: 'object', properties: { a: { pattern: '^(a+)+$' } } }, { a: `${'a'.repeat(20_000)}!` });
    expect(slow.problems).toHaveLength(1);
    const result = compileSchema({
      type: 'object',
      properties: { a: { not: { pattern: '^(?=x)' } }, b: { pattern: '^\\d+$' }, c: { pattern: '^[^\\s]+$' } },
    });
    if (!result.ok) throw new Error(result.reason);
    expect(result.unrunnable).toEqual([{ pattern: '^(?=x)', reason: expect.stringContaining('(?=') }]);
    expect(result.validator.validate({ b: '12', c: 'x' })).toEqual(CLEAN);
    expect(result.validator.validate({ b: 'x' }).problems).toHaveLength(1);
    expect(result.validator.validate({ c: 'a\u00a0b' }).problems).toHaveLength(1);
    expect(result.validator.validate({ a: 'y' }).problems[0]?.message).toContain('RE2 cannot run');
  });

  it('translates ECMAScript’s spelling', () => {
    expect(translateEcmaScript('\\u{1F600}\\u0041\\cJ\\/')).toBe('\\x{1f600}\\x{41}\\x{a}/');
    expect(translateEcmaScript('\\uD83D\\uDE00')).toBe('\\x{1f600}');
    expect(translateEcmaScript('[.[]')).toBe('[.\\[]');
  });

  it('[POL-INEXACT] T11: holds an inexact number to its schema from both sides', () => {
    const schema = {
      type: 'object',
      properties: { n: { type: 'integer', maximum: 9007199254740992 }, f: { type: 'number' } },
    };
    expect(check(schema, { n: new InexactNumber('9007199254740993') }).problems).toHaveLength(1);
    expect(check(schema, { f: new InexactNumber('0.1000000000000000055') })).toEqual(CLEAN);
    expect(check(schema, { n: new InexactNumber('3.00000000000000000001') }).problems).toHaveLength(1);
    expect(check(schema, { f: new InexactNumber('1e400') }).problems).toHaveLength(1);
  });
});
