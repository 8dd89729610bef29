// Legal JSON that a gateway which parses and writes again would change: each value is the raw text of one.

const planes = Array.from({ length: 17 }, (_, plane) => {
  const first = plane === 0 ? 0xa1 : plane * 0x1_0000;
  return String.fromCodePoint(first, first + 0x2fff, plane * 0x1_0000 + 0xfffd, plane * 0x1_0000 + 0xffff);
}).join('');

/** Containers that a request has open around a value in `arguments` or `params`: the bound is 64 in all. */
const AROUND = 3;
const MAX_DEPTH = 64;

/** Deepest array that a request may carry as a member of its `arguments`. */
export const DEEPEST = `${'['.repeat(MAX_DEPTH - AROUND)}${']'.repeat(MAX_DEPTH - AROUND)}`;

export const BYTE_CORPUS: readonly (readonly [name: string, raw: string])[] = [
  ['integers above 2^53', '[9007199254740993,-9007199254740993,18446744073709551616,123456789012345678901234567890]'],
  ['integers of 10,000 digits', `[${'9'.repeat(10_000)},-1${'0'.repeat(9_999)}]`],
  ['fractions with zeros', '[1.0,1.10,0.0,10.000000000000000000000000000001,-0.0]'],
  ['zeros with a sign', '[0,-0,-0.0,-0e0,0E+0,0e-0]'],
  ['exponents of every spelling', '[1e5,1E5,1e+5,1E+05,1e-5,1E-0005,12.50e+1]'],
  ['numbers that no double holds', '[1e400,-1e400,1e-400,5e-325,1.7976931348623159e308,2.5e-324]'],
  ['a fraction of 2,000 digits', `0.${'1234567890'.repeat(200)}`],
  ['every short escape', '"\\"\\\\\\/\\b\\f\\n\\r\\t"'],
  ['escapes of what needs none', '"\\u0041\\u005a\\u002f\\u002F/\\u0020\\u007e\\u00e9é"'],
  ['hexadecimal digits of both cases', '"\\u00ab\\u00AB\\u00aB\\uABcd\\ud83d\\uDE00😀"'],
  [
    'escaped controls',
    `"${Array.from({ length: 32 }, (_, code) => `\\u${code.toString(16).padStart(4, '0')}`).join('')}"`,
  ],
  ['raw DEL and C1 controls', '"\u007f\u0080\u0085\u009f"'],
  ['line and paragraph separators', '"\u2028\u2029\\u2028\\u2029"'],
  ['marks of order and joiners', '"\ufeff\u200b\u200d\u200e\u202e\u2066\ufffe\uffff"'],
  ['all planes', JSON.stringify(planes)],
  ['all planes as keys', JSON.stringify({ [planes]: planes })],
  ['composed and decomposed', '["\u00e9","e\u0301","\u1e69","s\u0323\u0307","\u212b","\u00c5","ﬁ","ẞ"]'],
  ['escaped keys', '{"\\u0061b":1,"\\/":2,"\\n":3,"\\"":4,"\\\\":5,"\\ud83d\\ude00":6}'],
  ['an empty key', '{"":{"":[{"":""}]}}'],
  [
    'keys of the prototype',
    '{"__proto__":{"__proto__":null},"constructor":{"prototype":{}},"toString":1,"hasOwnProperty":0}',
  ],
  ['keys like numbers, out of order', '{"10":1,"9":2,"01":3,"-1":4,"1e3":5,"b":6,"a":7,"0":8}'],
  ['white space of every kind', ' { \t"a"\t:\t[ 1\t, 2 ,\t3 ] , "b" :{ } ,"c": [\t] }\t '],
  ['raw line ends', '\n{\n  "a":\r\n  [\r1,\n\n2\r\n]\n}\n'],
  ['empty things', '[{},[],"",[[]],[{}],{"a":{}},null,true,false]'],
  [
    'what looks like a message',
    '{"jsonrpc":"1.0","id":99,"method":"x","result":{"tools":[]},"error":null,"params":{"name":"b"}}',
  ],
  ['text that looks like JSON', '"{\\"id\\":1,\\"method\\":\\"tools/call\\"}"'],
  ['text that looks like an event', '"data: x\\n\\nevent: message\\ndata: {}\\n\\n: comment\\nid: 7"'],
  ['the deepest nesting', DEEPEST],
  ['a string of a megabyte', `"${'ab\\u0063dé😀\\n'.repeat(50_000)}"`],
  ['an array of 20,000 numbers', `[${Array.from({ length: 20_000 }, (_, index) => `${index}.0`).join(', ')}]`],
];
