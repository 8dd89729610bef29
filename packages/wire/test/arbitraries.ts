import fc from 'fast-check';

/** `FC_RUNS` multiplies the number of runs of every property. */
export function runs(base: number): { numRuns: number } {
  return { numRuns: base * Math.max(1, Number(process.env.FC_RUNS ?? 1)) };
}

export const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);

const space = fc.constantFrom('', '', '', ' ', '\n', '\t ', '\r\n');

/** A string as JSON text, with some characters escaped that need not be. */
export function jsonString(text: fc.Arbitrary<string>): fc.Arbitrary<string> {
  return fc.tuple(text, fc.array(fc.boolean(), { maxLength: 8 })).map(([value, escapes]) => {
    const units = Array.from({ length: value.length }, (_, i) => value.charCodeAt(i));
    const wanted = (i: number): boolean => escapes[i % Math.max(1, escapes.length)] === true;
    let out = '"';
    units.forEach((unit, i) => {
      const surrogate = unit >= 0xd800 && unit < 0xe000;
      // Both halves of a pair in one style: a raw half has no UTF-8 form.
      const escaped = surrogate ? wanted(0) : wanted(i);
      if (unit < 0x20 || unit === 0x22 || unit === 0x5c || escaped) out += `\\u${unit.toString(16).padStart(4, '0')}`;
      else out += String.fromCharCode(unit);
    });
    return `${out}"`;
  });
}

const word = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.constantFrom('a', 'A', 'k', 'K', '\u212a', 's', 'S', 'ſ', 'ss', 'ß', 'ı', 'i', 'I', 'é', 'É', ''),
  },
  {
    weight: 2,
    arbitrary: fc.constantFrom(
      'name',
      'Name',
      'naMe',
      'arguments',
      'argumentſ',
      '_meta',
      '_Meta',
      'uri',
      'progressToken',
      '__proto__',
    ),
  },
  { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 6 }).map((text) => text.toWellFormed()) },
);

export const numberText = fc.oneof(
  fc.integer().map(String),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map(String),
  fc.constantFrom(
    '0',
    '-0',
    '1.0',
    '1e2',
    '9007199254740993',
    '9007199254740992',
    '1e400',
    '1e-400',
    '0.1',
    '1e23',
    '5e-324',
  ),
  fc
    .tuple(
      fc.constantFrom('', '-'),
      fc.bigInt({ min: 0n, max: 10n ** 25n }),
      fc.constantFrom('', '.0', '.5', '.000000000000000001'),
      fc.constantFrom('', 'e5', 'E-7', 'e+300', 'e999'),
    )
    .map((parts) => parts.join('')),
);

/** JSON texts with duplicate, folded and escaped keys, odd numbers and white space. */
export const { jsonText } = fc.letrec<{ jsonText: string; leaf: string; object: string; array: string }>((tie) => ({
  leaf: fc.oneof(numberText, jsonString(word), fc.constantFrom('true', 'false', 'null')),
  object: fc
    .tuple(fc.array(fc.tuple(jsonString(word), space, tie('jsonText')), { maxLength: 5 }), space)
    .map(
      ([members, gap]) =>
        `{${gap}${members.map(([key, s, value]) => `${key}${s}:${s}${value}${s}`).join(`,${gap}`)}${gap}}`,
    ),
  array: fc
    .tuple(fc.array(tie('jsonText'), { maxLength: 4 }), space)
    .map(([items, gap]) => `[${gap}${items.join(`${gap},`)}${gap}]`),
  jsonText: fc.oneof({ maxDepth: 4, withCrossShrink: true }, tie('leaf'), tie('object'), tie('array')),
}));

const method = fc.constantFrom(
  'tools/call',
  'tools/call',
  'prompts/get',
  'resources/read',
  'tools/list',
  'completion/complete',
  'notifications/cancelled',
  'notifications/vendor',
  'vendor/act',
  'Tools/Call',
);

const member = (key: string, value: fc.Arbitrary<string>): fc.Arbitrary<string> =>
  value.map((text) => `${JSON.stringify(key)}:${text}`);

const params = fc
  .tuple(
    fc.option(member('name', fc.constantFrom('"get_x"', '"a/b.c-d"', '""', '5', '"bad name"', '"gét"')), {
      freq: 8,
      nil: undefined,
    }),
    fc.option(member('uri', fc.constantFrom('"file:///a"', '1')), { nil: undefined }),
    fc.option(
      member(
        'arguments',
        jsonText.map((text) => (text.startsWith('{') ? text : `{"v":${text}}`)),
      ),
      { nil: undefined },
    ),
    fc.option(
      member(
        '_meta',
        fc.constantFrom(
          '{}',
          '{"progressToken":"t"}',
          '{"progressToken":1}',
          '{"progressToken":1.5}',
          '{"ProgressToken":1}',
          '[]',
        ),
      ),
      { nil: undefined },
    ),
    fc.oneof(
      { weight: 4, arbitrary: fc.constant(undefined) },
      { weight: 1, arbitrary: fc.tuple(jsonString(word), jsonText).map(([key, value]) => `${key}:${value}`) },
    ),
  )
  .map((members) => `{${members.filter((text) => text !== undefined).join(',')}}`);

/** Messages that are often legal and otherwise wrong in one or two places. */
export const messageText = fc
  .tuple(
    fc.shuffledSubarray(['jsonrpc', 'id', 'method', 'params', 'extra', 'result', 'error', 'ID'], { minLength: 3 }),
    fc.constantFrom(...Array<string>(12).fill('"2.0"'), '"2\\u002e0"', '2.0', '"1.0"'),
    fc.constantFrom(
      ...Array<string>(12).fill('1'),
      '-7',
      '0',
      '"a"',
      '"\\u0061"',
      '1.0',
      'null',
      '[]',
      '12345678901234567890',
    ),
    method,
    params,
    jsonText,
    fc.integer({ min: 0, max: 9 }),
    space,
  )
  .map(([keys, version, id, name, given, other, strict, gap]) => {
    const values: Record<string, string> = { jsonrpc: version, id, method: JSON.stringify(name), params: given };
    // Mostly messages with the right members, so that the deeper checks are reached.
    const chosen = strict > 2 ? keys.filter((key) => key in values || (key === 'extra' && strict === 3)) : keys;
    if (strict > 2)
      for (const key of strict > 4 ? ['jsonrpc', 'id', 'method'] : ['jsonrpc', 'method'])
        if (!chosen.includes(key)) chosen.push(key);
    return `${gap}{${chosen.map((key) => `${gap}"${key}":${gap}${values[key] ?? other}`).join(',')}}${gap}`;
  });

export type Mutation = { at: number; kind: 'flip' | 'insert' | 'remove' | 'truncate'; byte: number };

export const mutation: fc.Arbitrary<Mutation> = fc.record({
  at: fc.nat(4096),
  kind: fc.constantFrom('flip', 'insert', 'remove', 'truncate'),
  byte: fc.oneof(
    fc.integer({ min: 0, max: 255 }),
    fc.constantFrom(0x22, 0x5c, 0x7b, 0x7d, 0x5b, 0x5d, 0x2c, 0x3a, 0xc0, 0xed, 0xa0),
  ),
});

export function mutate(bytes: Uint8Array, { at, kind, byte }: Mutation): Uint8Array {
  const place = at % (bytes.length + 1);
  const list = [...bytes];
  if (kind === 'insert') list.splice(place, 0, byte);
  else if (kind === 'remove') list.splice(place, 1);
  else if (kind === 'truncate') list.length = place;
  else if (place < list.length) list[place] = byte;
  return Uint8Array.from(list);
}
