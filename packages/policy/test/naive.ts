/** A second evaluator of the language, written from the spec, slow and plain, sharing nothing with the first but the schema validator. */
import { posix } from 'node:path';
import { InexactNumber } from '@gatehouse/wire';
import { RE2JS } from 're2js';
import type { Call, Decision, JudgeContext, PinnedTool } from '../src/index.ts';
import { argumentPaths, hasAlias } from './naive-folded.ts';

// biome-ignore lint/suspicious/noExplicitAny: documents are walked as they come; nothing here is typed by the engine.
type Any = any;
type Value = 'T' | 'F' | 'I' | 'M';
export type NaiveDecision =
  | { outcome: 'deny'; rule: string }
  | { outcome: 'allow'; charges: Record<string, [number, number]>; slots: Record<string, number> };

const NOTHING = Symbol('nothing');
const BROKEN = Symbol('broken');
const own = (o: Any, k: string): Any => (o && Object.hasOwn(o, k) ? o[k] : undefined);
export const isObj = (v: Any): boolean =>
  v !== null && typeof v === 'object' && !Array.isArray(v) && !(v instanceof InexactNumber);
const esc = (s: string): string => s.replace(/~/g, '~0').replace(/\//g, '~1');

export function splitPath(text: string): (string | number | '*')[][] {
  const paths: Any[] = [];
  let rest = text;
  let steps: Any[] = [];
  while (rest !== '') {
    const m = /^(?:\[("(?:[^"\\]|\\.)*")\]|(\[\*\])|\[(\d+)\]|(\|)|\.?([^.[\]|]+))/.exec(rest);
    if (!m) throw new Error(`path ${text}`);
    if (m[4]) {
      paths.push(steps);
      steps = [];
    } else if (m[2]) steps.push('*');
    else if (m[3]) steps.push(Number(m[3]));
    else steps.push({ k: m[1] ? JSON.parse(m[1]) : m[5] });
    rest = rest.slice(m[0].length);
  }
  return [...paths, steps];
}

class Naive {
  doc: Any;
  tool: Any;
  call: Call;
  context: JudgeContext;
  constructor(doc: Any, tool: Any, call: Call, context: JudgeContext) {
    this.doc = doc;
    this.tool = tool;
    this.call = call;
    this.context = context;
  }

  /** All values a path reads. */
  read(root: string, steps: Any[]): Any {
    let value: Any;
    let schema: Any;
    const { caller } = this.context;
    if (root === 'args') [value, schema] = [this.call.arguments, this.tool?.inputSchema];
    else if (root === 'tool') value = this.tool;
    else if (root === 'time') value = this.time();
    else value = (caller as Any)[root] ?? {};
    return this.walk(value, schema, steps);
  }

  walk(value: Any, schema: Any, steps: Any[]): Any {
    const [step, ...rest] = steps;
    if (step === undefined) return value;
    let next: Any;
    let inner: Any;
    let optional = true;
    if (step === '*') {
      if (!Array.isArray(value)) return BROKEN;
      return value.flatMap((v) => {
        const r = v === null && nullable(own(schema, 'items')) ? NOTHING : this.walk(v, own(schema, 'items'), rest);
        return Array.isArray(r) && rest.includes('*') ? r : [r];
      });
    }
    if (typeof step === 'number') {
      if (!Array.isArray(value)) return BROKEN;
      if (step >= value.length) return NOTHING;
      [next, inner, optional] = [value[step], own(schema, 'items'), false];
    } else {
      if (!isObj(value)) return BROKEN;
      if (!Object.hasOwn(value, step.k)) return NOTHING;
      next = value[step.k];
      inner = own(own(schema, 'properties'), step.k);
      optional = !(own(schema, 'required') ?? []).includes(step.k);
    }
    if (next === undefined || (next === null && (optional || nullable(inner)))) return NOTHING;
    return this.walk(next, inner, rest);
  }

  time(): Any {
    const parts = new Intl.DateTimeFormat('en-GB', {
      timeZone: this.doc.timezone ?? 'UTC',
      dateStyle: undefined,
      year: 'numeric',
      month: '2-digit',
      day: '2-digit',
      hour: '2-digit',
      weekday: 'short',
      hour12: false,
    }).formatToParts(this.context.now);
    const of = (t: string): string => parts.find((p) => p.type === t)!.value;
    return {
      hour: Number(of('hour')) % 24,
      weekday: ['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun'].indexOf(of('weekday')) + 1,
      date: `${of('year')}-${of('month')}-${of('day')}`,
    };
  }

  /** A predicate; `list` decides `[*]` and absence, `flip` counts the nots around it. */
  predicate(p: Any, list: string, flip: boolean): Value {
    if (p.any) return or(p.any.map((x: Any) => this.predicate(x, list, flip)));
    if (p.all) return and(p.all.map((x: Any) => this.predicate(x, list, flip)));
    if (p.not) return neg(this.predicate(p.not, list, !flip));
    const [first, ...steps] = splitPath(p.path)[0] as Any[];
    return this.leaf(first.k, steps, p, list, flip);
  }

  leaf(root: string, steps: Any[], p: Any, list: string, flip: boolean): Value {
    const values = this.read(root, steps);
    const lets: Value = (list === 'args' || list === 'require') !== flip ? 'T' : 'F';
    let gone: Value;
    if (list === 'args' || p.missing === 'pass') gone = list === 'args' ? 'T' : lets;
    else if (list === 'when') gone = neg(lets);
    else if (p.missing === 'fail') gone = 'I';
    else gone = list === 'require' ? 'I' : lets;
    const one = (v: Any): Value => {
      if (v === BROKEN) return 'I';
      if (p.op === 'exists') return (v !== NOTHING) === p.value ? 'T' : 'F';
      return v === NOTHING ? 'M' : operator(p.op, v, p.value, p.style);
    };
    let result: Value;
    if (steps.includes('*') && Array.isArray(values)) {
      const each = values.map((v) => (one(v) === 'M' ? gone : one(v)));
      result = list === 'deny_if' ? or(each) : and(each);
    } else result = one(values);
    if (result === 'M') return gone;
    return p.negate ? neg(result) : result;
  }

  amount(limit: Any): number | null {
    const raw = limit.amount ?? limit.increment ?? limit.increment_from ?? 1;
    if (typeof raw === 'number') return raw;
    let sum = 0;
    for (const item of Array.isArray(raw) ? raw : [raw]) {
      const term = typeof item === 'string' ? { path: item } : item;
      for (const path of splitPath(term.path)) {
        const read = this.read((path[0] as Any).k, path.slice(1));
        let part = 0;
        for (const v of path.includes('*') && Array.isArray(read) ? read : [read]) {
          const n = this.count(term, v, path.slice(1));
          if (n === null) return null;
          part += n;
        }
        if (term.times) {
          const [times] = splitPath(term.times);
          const factor = this.read('args', times!.slice(1));
          if (!Number.isSafeInteger(factor) || factor < 0) return null;
          part *= factor;
        }
        if (!Number.isSafeInteger(part)) return null;
        sum += part;
      }
    }
    return Number.isSafeInteger(sum) ? sum : null;
  }

  count(term: Any, v: Any, steps: Any[]): number | null {
    if (v === BROKEN) return null;
    if (v === NOTHING) {
      if (typeof term.missing === 'number') return term.missing;
      if (term.missing !== 'schema_default') return null;
      let schema = this.tool.inputSchema;
      for (const s of steps) schema = s === '*' ? own(schema, 'items') : own(own(schema, 'properties'), s.k);
      const known = own(schema, 'default');
      return known === undefined ? null : this.count({ ...term, missing: 'deny' }, known, []);
    }
    if (term.table)
      return typeof v === 'string'
        ? ((v === 'else' ? undefined : own(term.table, v)) ?? own(term.table, 'else') ?? null)
        : null;
    if (term.of === 'length') return size(v);
    return Number.isSafeInteger(v) && v >= 0 ? v : null;
  }
}

const nullable = (s: Any): boolean => s?.type === 'null' || (Array.isArray(s?.type) && s.type.includes('null'));
const neg = (v: Value): Value => (v === 'T' ? 'F' : v === 'F' ? 'T' : v);
const or = (vs: Value[]): Value => (vs.includes('T') ? 'T' : vs.includes('I') ? 'I' : 'F');
const and = (vs: Value[]): Value => (vs.includes('F') ? 'F' : vs.includes('I') ? 'I' : 'T');
const bool = (b: boolean): Value => (b ? 'T' : 'F');
const size = (v: Any): number | null =>
  typeof v === 'string' ? [...v].length : Array.isArray(v) ? v.length : isObj(v) ? Object.keys(v).length : null;

const keysOf = (o: object): string => JSON.stringify(Object.keys(o).sort((x, y) => (x < y ? -1 : 1)));

function same(a: Any, b: Any): Value {
  if (a instanceof InexactNumber) return 'I';
  if (Array.isArray(a)) {
    if (!Array.isArray(b) || a.length !== b.length) return 'F';
    return and(a.map((x, i) => same(x, b[i])));
  }
  if (isObj(a)) {
    if (!isObj(b) || keysOf(a) !== keysOf(b)) return 'F';
    return and(Object.keys(a).map((k) => same(a[k], b[k])));
  }
  return bool(a === b || (a === 0 && b === 0));
}

function instant(text: Any): [bigint, string] | null {
  if (typeof text !== 'string') return null;
  const m = /^(\d{4}-\d\d-\d\d)t(\d\d:\d\d:[0-5]\d)(?:\.(\d+))?(z|[+-]\d\d:\d\d)$/i.exec(text);
  if (!m) return null;
  const day = new Date(`${m[1]}T00:00:00Z`);
  if (Number.isNaN(day.getTime()) || day.toISOString().slice(0, 10) !== m[1]) return null;
  const ms = Date.parse(`${m[1]}T${m[2]}${m[4]!.toUpperCase()}`);
  return Number.isNaN(ms) ? null : [BigInt(ms), (m[3] ?? '').padEnd(40, '0')];
}

function operator(op: string, v: Any, lit: Any, style: Any): Value {
  const str = (test: (s: string) => boolean): Value => (typeof v === 'string' ? bool(test(v)) : 'I');
  switch (op) {
    case 'eq':
      return same(v, lit);
    case 'neq':
      return neg(same(v, lit));
    case 'in':
      return v instanceof InexactNumber ? 'I' : or(lit.map((x: Any) => same(v, x)));
    case 'not_in':
      return v instanceof InexactNumber ? 'I' : neg(or(lit.map((x: Any) => same(v, x))));
    case 'lt':
    case 'lte':
    case 'gt':
    case 'gte': {
      let sign: number;
      if (typeof lit === 'number') {
        if (typeof v !== 'number') return 'I';
        sign = v - lit;
      } else {
        const [a, b] = [instant(v), instant(lit)];
        if (!a || !b) return 'I';
        sign = a[0] === b[0] ? a[1].localeCompare(b[1]) : a[0] < b[0] ? -1 : 1;
      }
      return bool(op === 'lt' ? sign < 0 : op === 'lte' ? sign <= 0 : op === 'gt' ? sign > 0 : sign >= 0);
    }
    case 'contains':
      if (typeof v === 'string') return typeof lit === 'string' ? bool(v.indexOf(lit) >= 0) : 'I';
      return Array.isArray(v) ? or(v.map((x) => same(x, lit))) : 'I';
    case 'starts_with':
      return str((s) => [...s].slice(0, [...lit].length).join('') === lit);
    case 'ends_with':
      return str((s) => [...s].slice(-[...lit].length).join('') === lit);
    case 'regex':
      return str((s) => RE2JS.compile(lit).matcher(s).find());
    case 'matches':
      return str((s) => RE2JS.compile(`^(?:${lit})$`).matcher(s).find());
    case 'length_lte':
    case 'length_gte': {
      const n = size(v);
      return n === null ? 'I' : bool(op === 'length_lte' ? n <= lit : n >= lit);
    }
    case 'keys_within':
      return isObj(v) ? bool(Object.keys(v).every((k) => lit.includes(k))) : 'I';
    case 'url_in':
      return urlIn(v, lit);
    case 'path_within':
      return pathWithin(v, lit, style ?? 'posix');
    default:
      throw new Error(op);
  }
}

function urlIn(v: Any, lit: string[]): Value {
  if (typeof v !== 'string' || !/^https?:\/\//.test(v)) return 'I';
  let url: URL;
  try {
    url = new URL(v);
  } catch {
    return 'I';
  }
  if (url.href !== v && !(url.href === `${v}/` && url.pathname === '/')) return 'I';
  if (/@/.test(url.href.split('/')[2]!.split(/[?#]/)[0]!) || /%2f|%5c/i.test(url.pathname) || url.href.includes('\\'))
    return 'I';
  return bool(
    lit.some((prefix) => {
      const p = new URL(prefix);
      if (p.protocol !== url.protocol || p.host !== url.host) return false;
      const want = p.pathname.split('/').slice(1);
      const have = url.pathname.split('/').slice(1);
      if (want.at(-1) === '') return have.length >= want.length && want.slice(0, -1).every((s, i) => s === have[i]);
      return want.every((s, i) => s === have[i]);
    }),
  );
}

function pathWithin(v: Any, lit: string[], style: string): Value {
  if (typeof v !== 'string' || v === '' || v.includes('\0') || /%[0-9a-f]{2}/i.test(v) || v[0] === '~') return 'I';
  let path = v;
  if (style === 'windows') {
    if (!/^[a-z]:[\\/]/i.test(v)) return 'I';
    const names = v
      .slice(3)
      .split(/[\\/]/)
      .filter((s) => !['', '.', '..'].includes(s));
    if (names.some((s) => /[. ]$|[:*?"<>|]|~\d/.test(s) || /^(con|prn|aux|nul|com\d|lpt\d)(\.|$)/i.test(s))) return 'I';
    path = `/${v[0]!.toLowerCase()}${posix.normalize(v.slice(2).replaceAll('\\', '/').toLowerCase())}`;
  } else {
    if (v.includes('\\')) return 'I';
    if (style === 'posix' && v[0] !== '/') return 'I';
    if (style === 'relative' && (v[0] === '/' || /^[a-z]:/i.test(v))) return 'I';
    // A path that leaves the base does so for good, also when it comes back.
    if (style === 'relative') {
      let depth = 0;
      for (const s of v.split('/')) {
        depth += s === '..' ? -1 : s === '' || s === '.' ? 0 : 1;
        if (depth < 0) return 'F';
      }
    }
    path = posix.normalize(style === 'relative' ? `/base/${v}` : v);
  }
  path = path.replace(/\/+$/, '');
  return bool(
    lit.some((bound) => {
      let b = bound.replaceAll('\\', style === 'windows' ? '/' : '\\');
      if (style === 'windows') b = `/${b[0]!.toLowerCase()}${b.slice(2).toLowerCase()}`;
      if (style === 'relative') b = `/base/${b}`;
      b = b.replace(/\/+$/, '');
      if (!/[*?]/.test(b)) return path === b || path.startsWith(`${b}/`);
      const source = b
        .split('/')
        .slice(1)
        .map((s) =>
          s === '**'
            ? '(?:/[^/]+)*'
            : `/${s
                .replace(/[.+^${}()|[\]\\]/g, '\\$&')
                .replaceAll('*', '[^/]*')
                .replaceAll('?', '[^/]')}`,
        )
        .join('');
      return new RegExp(`^${source}$`, 'u').test(path);
    }),
  );
}

export function naiveJudge(
  doc: Any,
  tools: ReadonlyMap<string, PinnedTool>,
  call: Call,
  context: JudgeContext,
): NaiveDecision {
  const no = (rule: string): NaiveDecision => ({ outcome: 'deny', rule });
  const tool = tools.get(call.tool);
  if (!tool) return no('(unknown tool)');
  const hide: string[] = doc?.hide ?? [];
  const hidden = hide.some((h) => h === '*' || h === tool.name || h === `@${tool.class}`);
  if (hidden && !hide.includes(`!${tool.name}`)) return no('(hidden)');
  if (context.frozen && tool.class !== 'read') return no('(frozen)');
  if (!doc) return no('(no policy)');
  if (tool.state === 'new') return no('(new tool)');
  if (tool.state === 'changed') return no('(definition changed)');
  const mine = own(doc.tools, tool.name);
  const ofClass = own(doc.classes, tool.class);
  if (doc.default === 'deny' && !mine && !ofClass) return no('(default deny)');
  const blocks: [string, string, Any][] = [];
  if (doc.all_tools) blocks.push(['/all_tools', 'all_tools', doc.all_tools]);
  if (ofClass && mine?.override_class !== true) blocks.push([`/classes/${tool.class}`, `@${tool.class}`, ofClass]);
  if (mine) blocks.push([`/tools/${esc(tool.name)}`, tool.name, mine]);
  for (const [at, , block] of blocks) if (block.action === 'deny') return no(`${at}/action`);
  if (!isObj(call.arguments)) return no('(arguments)');
  if (hasAlias(call.arguments, argumentPaths(blocks.map(([, , b]) => b)), [tool.inputSchema], tool.inputSchema)) {
    return no('(arguments)');
  }
  const said = (key: string): Any[] => blocks.map(([, , b]) => b.arguments?.[key]).filter((v) => v !== undefined);
  const strict = (key: string, order: Any[]): Any => order.find((v) => said(key).includes(v)) ?? order[0];
  const report = tool.validator.validate(call.arguments);
  if (strict('validate', [true, 'warn', false]) === true && report.problems.length > 0) return no('(arguments)');
  const surplus = report.undeclared.filter(
    (u) => ![...(context.toleratedArguments ?? [])].some((k) => u.path === `args.${k}`),
  );
  if (strict('undeclared', ['deny', 'warn', 'allow']) === 'deny' && surplus.length > 0) return no('(arguments)');
  const naive = new Naive(doc, tool, call, context);
  for (const [at, , block] of blocks) {
    for (const [key, entry] of Object.entries<Any>(block.args ?? {})) {
      for (const steps of splitPath(key)) {
        if (
          entry.required === true &&
          naive.leaf('args', steps, { op: 'exists', value: true }, 'args', false) !== 'T'
        ) {
          return no(`${at}/args/${esc(key)}/required`);
        }
        for (const [op, value] of Object.entries(entry)) {
          if (['required', 'style', 'name', 'reason', 'on_deny'].includes(op)) continue;
          const p = { op, value, style: entry.style };
          if (naive.leaf('args', steps, p, 'args', false) !== 'T') return no(`${at}/args/${esc(key)}/${op}`);
        }
      }
    }
    for (const [i, p] of (block.require ?? []).entries()) {
      if (naive.predicate(p, 'require', false) !== 'T') return no(`${at}/require/${i}`);
    }
  }
  for (const [at, , block] of blocks) {
    for (const [i, p] of (block.deny_if ?? []).entries()) {
      if (naive.predicate(p, 'deny_if', false) !== 'F') return no(`${at}/deny_if/${i}`);
    }
  }
  const charges: Record<string, [number, number]> = {};
  const slots: Record<string, number> = {};
  for (const [at, owner, block] of blocks) {
    const limits = [...(block.limits ?? [])].map((l: Any, i: number) => ({
      counter: `${owner}_limit`,
      ...l,
      at: `${at}/limits/${i}`,
    }));
    const rate = block.rate_limit;
    if (typeof rate === 'string')
      limits.push({ counter: `${owner}_rate`, max: Number(rate.split('/')[0]), at: `${at}/rate_limit` });
    else if (rate) limits.push({ counter: `${owner}_rate`, max: rate.max, at: `${at}/rate_limit` });
    for (const limit of limits) {
      if (limit.concurrent !== undefined) {
        const whose = `${owner}_concurrent/${limit.scope ?? 'grant'}`;
        slots[whose] = Math.min(limit.concurrent, slots[whose] ?? limit.concurrent);
        continue;
      }
      const when = and((limit.when ?? []).map((p: Any) => naive.predicate(p, 'when', false)));
      if (when === 'F') continue;
      const amount = when === 'I' ? null : naive.amount(limit);
      if (amount === null) return no(limit.at);
      charges[limit.counter] = [amount, Math.min(limit.max, charges[limit.counter]?.[1] ?? Number.POSITIVE_INFINITY)];
    }
  }
  return { outcome: 'allow', charges, slots };
}

/** A decision of the engine in the naive evaluator's words. */
export function plainDecision(decision: Decision): NaiveDecision {
  if (decision.outcome === 'deny') return { outcome: 'deny', rule: decision.rule };
  const charges: Record<string, [number, number]> = {};
  const slots: Record<string, number> = {};
  for (const c of decision.charges) {
    if (c.kind === 'slot') slots[`${c.counter}/${c.scope}`] = c.max;
    else charges[c.counter] = [c.amount, c.max];
  }
  return { outcome: 'allow', charges, slots };
}
