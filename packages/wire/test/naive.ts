// A second reader of messages, as plain as it can be: decodes first, builds a tree, then checks one clause after another.
// It shares no code with the product, so that the two can be played against each other.
import type { RefusalReason } from '../src/refusals.ts';

export type Verdict =
  | { ok: true; kind: 'request' | 'notification' | 'response'; inexact: boolean }
  | { ok: false; reason: RefusalReason };

type Node =
  | { type: 'object'; entries: [string, Node][] }
  | { type: 'array'; items: Node[] }
  | { type: 'string'; text: string }
  | { type: 'number'; source: string }
  | { type: 'literal'; text: 'true' | 'false' | 'null' };

class Fault extends Error {
  readonly reason: RefusalReason;
  constructor(reason: RefusalReason) {
    super(reason);
    this.reason = reason;
  }
}

const REQUESTS = new Set(
  `initialize server/discover ping logging/setLevel tools/list tools/call resources/list resources/templates/list
  resources/read resources/subscribe resources/unsubscribe prompts/list prompts/get completion/complete
  subscriptions/listen tasks/get tasks/cancel tasks/update tasks/result tasks/list`.split(/\s+/),
);
const NOTIFICATIONS = new Set(
  `notifications/initialized notifications/cancelled notifications/progress notifications/roots/list_changed
  notifications/tasks/status`.split(/\s+/),
);
const NAMED = new Set(['tools/call', 'prompts/get']);
const URIS = new Set(['resources/read', 'resources/subscribe', 'resources/unsubscribe']);
const ENVELOPE = ['jsonrpc', 'id', 'method', 'params', 'result', 'error'];
const PARAMS = `_meta name uri arguments cursor ref argument context task taskId requestId progressToken protocolVersion
  capabilities inputResponses requestState notifications`.split(/\s+/);
const META = [
  'progressToken',
  ...[
    'protocolVersion',
    'clientCapabilities',
    'clientInfo',
    'logLevel',
    'serverInfo',
    'subscriptionId',
    'related-task',
  ].map((name) => `io.modelcontextprotocol/${name}`),
  'traceparent',
  'tracestate',
  'baggage',
];

export function naiveRead(bytes: Uint8Array, maxDepth = 64): Verdict {
  try {
    return judge(parse(decode(bytes), maxDepth));
  } catch (error) {
    if (error instanceof Fault) return { ok: false, reason: error.reason };
    throw error;
  }
}

/** The value of a JSON text, numbers as doubles. JSON.parse is no oracle here: V8 misreads escaped keys. */
export function naiveValue(text: string): unknown {
  return plain(parse(text, 2000));
}

function plain(node: Node): unknown {
  if (node.type === 'object') return Object.fromEntries(node.entries.map(([key, inner]) => [key, plain(inner)]));
  if (node.type === 'array') return node.items.map(plain);
  if (node.type === 'string') return node.text;
  if (node.type === 'number') return Number(node.source);
  return { true: true, false: false, null: null }[node.text];
}

function decode(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new Fault('invalid_utf8');
  }
}

function parse(text: string, maxDepth: number): Node {
  if (text.startsWith('\ufeff')) throw new Fault('byte_order_mark');
  let at = 0;
  const space = (): void => {
    while (at < text.length && ' \t\r\n'.includes(text[at] ?? '')) at++;
  };
  const string = (): string => {
    at++;
    let out = '';
    for (;;) {
      const c = text[at];
      if (c === undefined) throw new Fault('syntax');
      if (c === '"') break;
      if (c < ' ') throw new Fault('control_character');
      if (c !== '\\') {
        out += c;
        at++;
        continue;
      }
      const e = text[at + 1] ?? '';
      const simple = { '"': '"', '\\': '\\', '/': '/', b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' }[e];
      if (simple !== undefined) {
        out += simple;
        at += 2;
        continue;
      }
      const unit = /^\\u([0-9a-fA-F]{4})/.exec(text.slice(at, at + 6));
      if (unit === null) throw new Fault('syntax');
      const code = Number.parseInt(unit[1] ?? '', 16);
      at += 6;
      if (code >= 0xd800 && code < 0xe000) {
        const low = /^\\u(d[c-f][0-9a-f]{2})/i.exec(text.slice(at, at + 6));
        if (code >= 0xdc00 || low === null) throw new Fault('lone_surrogate');
        out += String.fromCharCode(code, Number.parseInt(low[1] ?? '', 16));
        at += 6;
      } else out += String.fromCharCode(code);
    }
    at++;
    return out;
  };
  const value = (depth: number): Node => {
    const c = text[at];
    if (c === '"') return { type: 'string', text: string() };
    if (c === '{' || c === '[') {
      if (depth > maxDepth) throw new Fault('too_deep');
      return c === '{' ? object(depth) : array(depth);
    }
    for (const literal of ['true', 'false', 'null'] as const) {
      if (text.startsWith(literal, at)) {
        at += literal.length;
        return { type: 'literal', text: literal };
      }
    }
    const number = /-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?/y;
    number.lastIndex = at;
    const source = number.exec(text)?.[0];
    if (source === undefined) throw new Fault('syntax');
    at += source.length;
    // "1." and "1e" end the number early for the pattern; what follows is then no comma.
    return { type: 'number', source };
  };
  const object = (depth: number): Node => {
    const entries: [string, Node][] = [];
    at++;
    space();
    if (text[at] === '}') {
      at++;
      return { type: 'object', entries };
    }
    for (;;) {
      if (text[at] !== '"') throw new Fault('syntax');
      const key = string();
      space();
      if (text[at] !== ':') throw new Fault('syntax');
      at++;
      space();
      entries.push([key, value(depth + 1)]);
      space();
      if (text[at] === '}') break;
      if (text[at] !== ',') throw new Fault('syntax');
      at++;
      space();
    }
    at++;
    return { type: 'object', entries };
  };
  const array = (depth: number): Node => {
    const items: Node[] = [];
    at++;
    space();
    if (text[at] === ']') {
      at++;
      return { type: 'array', items };
    }
    for (;;) {
      items.push(value(depth + 1));
      space();
      if (text[at] === ']') break;
      if (text[at] !== ',') throw new Fault('syntax');
      at++;
      space();
    }
    at++;
    return { type: 'array', items };
  };
  space();
  if (at === text.length) throw new Fault('empty');
  const root = value(1);
  if (root.type === 'number' && /[.eE]/.test(text[at] ?? '')) throw new Fault('syntax');
  space();
  if (at !== text.length) throw new Fault('trailing_bytes');
  return root;
}

function fold(key: string): string {
  return [...key].map((c) => c.toLowerCase().toUpperCase()).join('');
}

/** First fault among the keys of one object. */
function keyFault(entries: [string, Node][], folded: boolean): RefusalReason | undefined {
  const seen = new Map<string, string>();
  for (const [key] of entries) {
    const name = folded ? fold(key) : key;
    const other = seen.get(name);
    if (other !== undefined)
      return entries.filter(([again]) => again === key).length > 1 ? 'duplicate_key' : 'folded_key';
    seen.set(name, key);
  }
  return undefined;
}

function deepFault(node: Node, folded: boolean): RefusalReason | undefined {
  if (node.type === 'array')
    return node.items.map((item) => deepFault(item, folded)).find((fault) => fault !== undefined);
  if (node.type !== 'object') return undefined;
  return (
    keyFault(node.entries, folded) ??
    node.entries.map(([, inner]) => deepFault(inner, folded)).find((fault) => fault !== undefined)
  );
}

function stranger(entries: [string, Node][], known: readonly string[]): boolean {
  return entries.some(([key]) => !known.includes(key) && known.some((name) => fold(name) === fold(key)));
}

function judge(root: Node): Verdict {
  if (root.type === 'array') throw new Fault('batch');
  if (root.type !== 'object') throw new Fault('not_object');
  const rootFault = keyFault(root.entries, true);
  if (rootFault !== undefined) throw new Fault(rootFault);
  if (stranger(root.entries, ENVELOPE)) throw new Fault('folded_key');
  const members = new Map(root.entries);
  const id = members.get('id');
  if (id !== undefined && !goodId(id)) throw new Fault('bad_id');
  for (const [key, node] of root.entries) {
    const fault = deepFault(node, key === 'params');
    if (fault !== undefined) throw new Fault(fault);
  }
  const version = members.get('jsonrpc');
  if (version?.type !== 'string' || version.text !== '2.0') throw new Fault('bad_jsonrpc');
  const method = members.get('method');
  if (method && (members.has('result') || members.has('error'))) throw new Fault('method_with_result');
  if (members.has('result') && members.has('error')) throw new Fault('result_with_error');
  if (!method) {
    if (!members.has('result') && !members.has('error')) throw new Fault('missing_method');
    if (!id) throw new Fault('missing_id');
  } else if (method.type !== 'string') throw new Fault('bad_method');
  const name = method?.type === 'string' ? method.text : undefined;
  if (name !== undefined) {
    if (id && (NOTIFICATIONS.has(name) || name.startsWith('notifications/'))) throw new Fault('wrong_kind');
    if (!id && REQUESTS.has(name)) throw new Fault('wrong_kind');
  }
  const params = members.get('params');
  if (params && params.type !== 'object') throw new Fault('bad_params');
  checkParams(name, params ? params.entries : []);
  return {
    ok: true,
    kind: name === undefined ? 'response' : id ? 'request' : 'notification',
    inexact: params !== undefined && hasInexact(params),
  };
}

function checkParams(name: string | undefined, entries: [string, Node][]): void {
  const params = new Map(entries);
  const known = name !== undefined && (REQUESTS.has(name) || NOTIFICATIONS.has(name));
  const meta = params.get('_meta');
  if (known && (stranger(entries, PARAMS) || (meta?.type === 'object' && stranger(meta.entries, META))))
    throw new Fault('folded_key');
  if (meta && meta.type !== 'object') throw new Fault('bad_meta');
  const token = meta && new Map(meta.entries).get('progressToken');
  if (token && token.type !== 'string' && !(token.type === 'number' && /^-?\d+$/.test(token.source)))
    throw new Fault('bad_progress_token');
  if (name === undefined || !REQUESTS.has(name)) return;
  const args = params.get('arguments');
  if (!URIS.has(name) && args && args.type !== 'object') throw new Fault('bad_arguments');
  const called = params.get('name');
  if (NAMED.has(name) && !(called?.type === 'string' && /^[A-Za-z0-9_.\-/]{1,128}$/.test(called.text)))
    throw new Fault('bad_name');
  if (URIS.has(name) && params.get('uri')?.type !== 'string') throw new Fault('bad_uri');
}

function goodId(id: Node): boolean {
  if (id.type === 'number') return /^-?\d+$/.test(id.source) && id.source.length <= 256;
  // Ids of the fuzzers are short: how long one may be as written is a test of its own.
  return id.type === 'string';
}

function hasInexact(node: Node): boolean {
  if (node.type === 'object') return node.entries.some(([, inner]) => hasInexact(inner));
  if (node.type === 'array') return node.items.some(hasInexact);
  return node.type === 'number' && !sameDecimal(node.source, String(Number(node.source)));
}

/** Compares two decimals as fractions of integers. */
function sameDecimal(a: string, b: string): boolean {
  const read = (text: string): [bigint, number] | undefined => {
    const parts = /^(-?)(\d+)(?:\.(\d+))?(?:e([+-]?\d+))?$/i.exec(text);
    if (parts === null) return undefined;
    let digits = BigInt((parts[2] ?? '') + (parts[3] ?? ''));
    let exponent = Number(parts[4] ?? 0) - (parts[3] ?? '').length;
    if (digits === 0n) return [0n, 0];
    while (digits % 10n === 0n) {
      digits /= 10n;
      exponent++;
    }
    return [parts[1] === '-' ? -digits : digits, exponent];
  };
  const left = read(a);
  const right = read(b);
  return left !== undefined && right !== undefined && left[0] === right[0] && left[1] === right[1];
}
