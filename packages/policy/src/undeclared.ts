/**
 * Derives from an input schema one that finds undeclared properties at every depth (spec: policy §4), by the semantics of
 * `unevaluatedProperties`. The result is 2020-12, holds no assertions but those that choose a branch, and records what it
 * finds by the keyword `undeclared`: a failure inside would take the declarations around it away.
 */
import { isObject, member } from './values.ts';

/** `record`: always applies; `branch`: assertions count and an undeclared property refuses the branch; `plain`: assertions alone. */
type Mode = 'record' | 'branch' | 'plain';

const IN_PLACE_BRANCHES = ['anyOf', 'oneOf'];
const BELOW = ['additionalProperties', 'unevaluatedProperties', 'contains', 'additionalItems', 'unevaluatedItems'];
const BELOW_MAPS = ['properties', 'patternProperties'];
const DROPPED = ['$defs', 'definitions', '$id', '$anchor', '$schema', 'default', 'examples'];
const PREFIX = '#/$defs/';

export const UNDECLARED_KEYWORD = 'undeclared';

function set(object: Record<string, unknown>, key: string, value: unknown): void {
  Object.defineProperty(object, key, { value, enumerable: true, writable: true, configurable: true });
}

class Closer {
  readonly #root: unknown;
  readonly #definitions: Record<string, unknown> = {};
  readonly #names = new Map<string, string>();
  #places = 0;

  constructor(root: unknown) {
    this.#root = root;
  }

  build(): unknown {
    const schema = this.place(this.#root, 'record') as Record<string, unknown>;
    if (this.#places === 0) return undefined;
    return { ...schema, $defs: this.#definitions };
  }

  /** A schema at a place of its own: the root, a property, an item. */
  place(schema: unknown, mode: Mode): unknown {
    const result = this.within(schema, mode);
    if (mode === 'plain' || !isObject(schema) || !isObject(result) || !this.#lists(schema, new Set())) return result;
    this.#places++;
    if (Object.hasOwn(result, 'unevaluatedProperties')) return result;
    return { ...result, unevaluatedProperties: mode === 'branch' ? false : { [UNDECLARED_KEYWORD]: true } };
  }

  /** A schema that applies beside others in one place: only what lies below it is closed. */
  within(schema: unknown, mode: Mode): unknown {
    if (!isObject(schema)) return mode === 'record' ? true : schema;
    const copy: Record<string, unknown> = {};
    for (const [key, value] of Object.entries(schema)) {
      const kept = DROPPED.includes(key) ? undefined : this.#keyword(key, value, mode);
      if (kept !== undefined) set(copy, key, kept);
    }
    // Draft-07 wrote tuples as a list of `items`, and both kinds of dependencies under one name.
    if (Array.isArray(copy.items)) {
      copy.prefixItems = copy.items;
      delete copy.items;
      if (Object.hasOwn(copy, 'additionalItems')) copy.items = copy.additionalItems;
    }
    delete copy.additionalItems;
    return copy;
  }

  #keyword(key: string, value: unknown, mode: Mode): unknown {
    if (key === '$ref' && typeof value === 'string') return this.#reference(value, mode);
    if (key === 'allOf' && Array.isArray(value)) return value.map((part) => this.within(part, mode));
    const inner: Mode = mode === 'plain' ? 'plain' : 'branch';
    if (IN_PLACE_BRANCHES.includes(key) && Array.isArray(value)) return value.map((part) => this.within(part, inner));
    if (key === 'dependentSchemas' && isObject(value)) return this.#map(value, (part) => this.within(part, inner));
    if (key === 'if') return this.within(value, 'plain');
    if (key === 'then' || key === 'else') return this.within(value, mode);
    if (BELOW_MAPS.includes(key) && isObject(value)) return this.#map(value, (part) => this.place(part, mode));
    if (key === 'items' || key === 'prefixItems') {
      return Array.isArray(value) ? value.map((part) => this.place(part, mode)) : this.place(value, mode);
    }
    if (key === 'dependencies' && isObject(value)) {
      return this.#map(value, (part) =>
        Array.isArray(part) ? (mode === 'record' ? [] : part) : this.within(part, inner),
      );
    }
    // The original schema refuses what `additionalProperties: false` refuses.
    if (BELOW.includes(key)) return mode === 'record' && value === false ? undefined : this.place(value, mode);
    if (mode === 'record') return undefined;
    return key === 'not' || key === 'propertyNames' ? this.within(value, 'plain') : value;
  }

  #map(object: Record<string, unknown>, change: (part: unknown) => unknown): Record<string, unknown> {
    const copy: Record<string, unknown> = {};
    for (const [key, value] of Object.entries(object)) set(copy, key, change(value));
    return copy;
  }

  /** Targets are copied once per mode, so that recursive schemas stay finite. The reference's own place closes them. */
  #reference(ref: string, mode: Mode): string {
    const id = `${mode} ${ref}`;
    const known = this.#names.get(id);
    if (known !== undefined) return PREFIX + known;
    const target = this.#resolve(ref);
    if (target === undefined)
      throw new Error(`the reference ${JSON.stringify(ref)} does not resolve inside the schema`);
    const name = `r${this.#names.size}`;
    this.#names.set(id, name);
    this.#definitions[name] = this.within(target, mode);
    return PREFIX + name;
  }

  #resolve(ref: string): unknown {
    if (ref === '#') return this.#root;
    const id = isObject(this.#root) ? member(this.#root, '$id') : undefined;
    const local = typeof id === 'string' && ref.startsWith(`${id}#`) ? ref.slice(id.length) : ref;
    if (!local.startsWith('#')) return undefined;
    if (!local.startsWith('#/')) return findAnchor(this.#root, local.slice(1));
    let node: unknown = this.#root;
    for (const token of decodeURIComponent(local.slice(2)).split('/')) {
      const key = token.replaceAll('~1', '/').replaceAll('~0', '~');
      node = Array.isArray(node) ? node[Number(key)] : isObject(node) ? member(node, key) : undefined;
    }
    return node;
  }

  /** Whether the schemas of a place list properties. */
  #lists(schema: unknown, seen: Set<unknown>): boolean {
    if (!isObject(schema) || seen.has(schema)) return false;
    seen.add(schema);
    if (isObject(member(schema, 'properties')) || isObject(member(schema, 'patternProperties'))) return true;
    const ref = member(schema, '$ref');
    if (typeof ref === 'string' && this.#lists(this.#resolve(ref), seen)) return true;
    const lists = ['allOf', ...IN_PLACE_BRANCHES].flatMap((key) => member(schema, key) ?? []);
    return [...lists, member(schema, 'then'), member(schema, 'else')].some((part) => this.#lists(part, seen));
  }
}

function findAnchor(node: unknown, name: string): unknown {
  if (Array.isArray(node)) {
    for (const item of node) {
      const found = findAnchor(item, name);
      if (found !== undefined) return found;
    }
    return undefined;
  }
  if (!isObject(node)) return undefined;
  if (member(node, '$anchor') === name || member(node, '$id') === `#${name}`) return node;
  return findAnchor(Object.values(node), name);
}

/** `undefined` when the schema declares everything at every depth. Throws where a reference leads out of the schema. */
export function closeUndeclared(schema: unknown): unknown {
  return new Closer(schema).build();
}

const FLAT = new Set(['type', 'properties', 'required', 'title', 'description', 'additionalProperties', '$comment']);

/**
 * The declared names of a schema that closes the outermost object and nothing below: the common case, for which a set is
 * many times faster than a second validator. `undefined` for every other schema.
 */
export function flatNames(schema: unknown): ReadonlySet<string> | undefined {
  if (!isObject(schema) || Object.keys(schema).some((key) => !FLAT.has(key))) return undefined;
  const properties = member(schema, 'properties');
  const additional = member(schema, 'additionalProperties');
  if (!isObject(properties) || (additional !== undefined && additional !== false)) return undefined;
  // A reference would need the root, which a property on its own has not.
  if (JSON.stringify(properties).includes('"$ref"')) return undefined;
  if (Object.values(properties).some((property) => closeUndeclared(property) !== undefined)) return undefined;
  return new Set(Object.keys(properties));
}
