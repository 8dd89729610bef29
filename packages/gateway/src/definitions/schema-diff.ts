// What differs between two JSON Schemas, keyword by keyword, so that a reworded description is told from a new argument.
import { canonicalize, type JsonValue } from '@gatehouse/wire';

export interface SchemaDifference {
  /** JSON Pointer below the schema. */
  pointer: string;
  /**
   * `text`: only what people and models read. `order`: the same members in another order. `optional_property`: a new
   * property that need not be there. `structure`: anything else, so anything that this program does not know.
   */
  kind: 'text' | 'order' | 'optional_property' | 'structure';
  message: string;
  before?: unknown;
  after?: unknown;
}

type JsonObject = Record<string, unknown>;

const TEXTS = new Set(['title', 'description', '$comment']);
/** Keywords whose array is a set: its order means nothing, and some servers shuffle it at each start. */
const SETS = new Set(['required', 'enum', 'type']);
const MAPS = new Set(['properties', 'patternProperties', '$defs', 'definitions', 'dependentSchemas']);
const SCHEMAS = new Set([
  'items',
  'additionalItems',
  'additionalProperties',
  'unevaluatedItems',
  'unevaluatedProperties',
  'propertyNames',
  'contains',
  'not',
  'if',
  'then',
  'else',
]);
const LISTS = new Set(['allOf', 'anyOf', 'oneOf', 'prefixItems', 'items']);

/** All differences, in a fixed order. Never throws on JSON values. */
export function diffSchemas(before: unknown, after: unknown): SchemaDifference[] {
  const out: SchemaDifference[] = [];
  diffSchema(before, after, '', out);
  return out;
}

/** Equality of JSON values: numbers by value, keys in any order. */
export function sameJson(a: unknown, b: unknown): boolean {
  if (a === undefined || b === undefined) return a === b;
  return canonicalize(a as JsonValue) === canonicalize(b as JsonValue);
}

/** A value for a message, cut to 80 characters. */
export function excerpt(value: unknown): string {
  if (value === undefined) return 'nothing';
  const text = JSON.stringify(value);
  return text.length > 80 ? `${text.slice(0, 79)}…` : text;
}

function diffSchema(before: unknown, after: unknown, pointer: string, out: SchemaDifference[]): void {
  if (sameJson(before, after)) return;
  if (!isObject(before) || !isObject(after)) {
    out.push(changed(pointer, 'structure', pointer === '' ? 'The schema' : nameOf(pointer), before, after));
    return;
  }
  for (const key of unionKeys(before, after)) {
    diffKeyword(key, before, after, `${pointer}/${escapePointer(key)}`, out);
  }
}

function diffKeyword(key: string, from: JsonObject, to: JsonObject, pointer: string, out: SchemaDifference[]): void {
  const before = from[key];
  const after = to[key];
  if (sameJson(before, after)) return;
  const owner = nameOf(pointer.slice(0, pointer.lastIndexOf('/')));
  if ((TEXTS.has(key) && isText(before) && isText(after)) || key === 'examples') {
    out.push({ pointer, kind: 'text', message: `The ${key} of ${owner} changed.`, ...values(before, after) });
  } else if (SETS.has(key) && Array.isArray(before) && Array.isArray(after)) {
    diffSet(key, before, after, pointer, owner, out);
  } else if (MAPS.has(key) && isObject(before ?? {}) && isObject(after ?? {})) {
    diffMap(key, (before ?? {}) as JsonObject, (after ?? {}) as JsonObject, to, pointer, out);
  } else if (LISTS.has(key) && Array.isArray(before) && Array.isArray(after) && before.length === after.length) {
    before.forEach((item, index) => {
      diffSchema(item, after[index], `${pointer}/${index}`, out);
    });
  } else if (SCHEMAS.has(key) && isObject(before) && isObject(after)) {
    diffSchema(before, after, pointer, out);
  } else {
    out.push(changed(pointer, 'structure', `${key} of ${owner}`, before, after));
  }
}

function diffSet(
  key: string,
  before: readonly unknown[],
  after: readonly unknown[],
  pointer: string,
  owner: string,
  out: SchemaDifference[],
): void {
  const has = (list: readonly unknown[], item: unknown): boolean => list.some((other) => sameJson(other, item));
  const added = after.filter((item) => !has(before, item));
  const removed = before.filter((item) => !has(after, item));
  if (added.length === 0 && removed.length === 0) {
    out.push({ pointer, kind: 'order', message: `${key} of ${owner} is in another order.`, ...values(before, after) });
    return;
  }
  const parts = [
    ...(added.length > 0 ? [`now also ${added.map(excerpt).join(', ')}`] : []),
    ...(removed.length > 0 ? [`no longer ${removed.map(excerpt).join(', ')}`] : []),
  ];
  out.push({
    pointer,
    kind: 'structure',
    message: `${key} of ${owner}: ${parts.join('; ')}.`,
    ...values(before, after),
  });
}

function diffMap(
  key: string,
  before: JsonObject,
  after: JsonObject,
  owner: JsonObject,
  pointer: string,
  out: SchemaDifference[],
): void {
  for (const name of unionKeys(before, after)) {
    const at = `${pointer}/${escapePointer(name)}`;
    if (Object.hasOwn(before, name) && Object.hasOwn(after, name)) {
      diffSchema(before[name], after[name], at, out);
    } else if (Object.hasOwn(before, name)) {
      out.push({ pointer: at, kind: 'structure', message: `${nameOf(at)} is gone.`, before: before[name] });
    } else {
      const required = Array.isArray(owner.required) && owner.required.includes(name);
      const optional = key === 'properties' && !required;
      out.push({
        pointer: at,
        kind: optional ? 'optional_property' : 'structure',
        message: `${nameOf(at)} is new${key === 'properties' ? ` (${required ? 'required' : 'optional'})` : ''}.`,
        after: after[name],
      });
    }
  }
}

function changed(
  pointer: string,
  kind: SchemaDifference['kind'],
  what: string,
  before: unknown,
  after: unknown,
): SchemaDifference {
  const message = `${what} changed from ${excerpt(before)} to ${excerpt(after)}.`;
  return { pointer, kind, message, ...values(before, after) };
}

function values(before: unknown, after: unknown): { before?: unknown; after?: unknown } {
  return { ...(before === undefined ? {} : { before }), ...(after === undefined ? {} : { after }) };
}

/** The keys of both, each once, in an order that does not depend on theirs. */
export function unionKeys(before: object, after: object): string[] {
  return [...new Set([...Object.keys(before), ...Object.keys(after)])].sort((a, b) => (a < b ? -1 : 1));
}

/** The names of properties on the way, as people write them: `/properties/to/items` → `to[]`. */
function nameOf(pointer: string): string {
  const names: string[] = [];
  const parts = pointer
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
  for (let i = 0; i < parts.length; i++) {
    const part = parts[i] as string;
    if (MAPS.has(part) && parts[i + 1] !== undefined) names.push(parts[++i] as string);
    else if (part === 'items') names.push('[]');
    else names.push(part);
  }
  return names.length === 0 ? 'the schema' : names.join('.').replaceAll('.[]', '[]');
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isText(value: unknown): boolean {
  return value === undefined || typeof value === 'string';
}

function escapePointer(key: string): string {
  return key.replaceAll('~', '~0').replaceAll('/', '~1');
}
