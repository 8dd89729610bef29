/**
 * Keys that equal a named one only after case folding (spec: gateway §4 Bodies). A server that ignores case would read
 * `Path` where every rule read `path`. Names are compared place by place, so that a free-form object further down may use
 * any spelling.
 */
import { foldKey } from '@gatehouse/wire';
import { formatSteps, type Path, parseArgsKey, parsePath, type Step } from './path.ts';
import type { ArgumentProblem } from './types.ts';
import { isObject, literal } from './values.ts';

/** The names that rules read, from `args` down. An index is any element: a name below one is a name below all. */
export interface NameTree {
  readonly names: Map<string, NameTree>;
  items: NameTree | undefined;
}

const NONE: readonly ArgumentProblem[] = [];
const tree = (): NameTree => ({ names: new Map(), items: undefined });
/** Nobody reads so many; the rest of a hostile call adds nothing to its denial. */
const MAX_PROBLEMS = 20;
const IN_PLACE = ['allOf', 'anyOf', 'oneOf'] as const;
const IN_PLACE_ONE = ['if', 'then', 'else', 'not'] as const;

/** The names in the rule blocks of a tool: keys of `args`, and every path of `require`, `deny_if` and the limits. */
function namesOfBlocks(blocks: readonly Readonly<Record<string, unknown>>[]): NameTree {
  const root = tree();
  for (const block of blocks) {
    if (isObject(block.args)) for (const key of Object.keys(block.args)) grow(root, parseArgsKey(key));
    for (const list of ['require', 'deny_if', 'limits']) growFrom(root, block[list]);
  }
  return root;
}

function growFrom(root: NameTree, value: unknown): void {
  if (Array.isArray(value)) for (const item of value) growFrom(root, item);
  else if (isObject(value)) {
    for (const [key, inner] of Object.entries(value)) {
      // Beside `path`, amounts name paths as plain strings, alone or in a list.
      const isPath = ['path', 'times', 'amount', 'increment_from'].includes(key);
      for (const text of isPath ? [inner].flat() : []) if (typeof text === 'string') grow(root, parsePath(text));
      if (key !== 'value') growFrom(root, inner);
    }
  }
}

function grow(root: NameTree, parsed: { ok: true; paths: Path[] } | { ok: false }): void {
  if (!parsed.ok) return;
  for (const path of parsed.paths) {
    if (path.root !== 'args') continue;
    let node = root;
    for (const step of path.steps) {
      if (step.kind === 'key') {
        const below = node.names.get(step.key) ?? tree();
        node.names.set(step.key, below);
        node = below;
      } else {
        node.items ??= tree();
        node = node.items;
      }
    }
  }
}

/** The names of one tool's arguments, from its rules and its schema, ready to be compared. */
export interface ArgumentNames {
  readonly tree: NameTree;
  readonly schema: unknown;
  /** Every name at the top: most calls have no other, and nothing below. */
  readonly top: ReadonlySet<string>;
}

export function argumentNames(blocks: readonly Readonly<Record<string, unknown>>[], schema: unknown): ArgumentNames {
  const named = namesOfBlocks(blocks);
  const top = new Set(named.names.keys());
  for (const place of placesOfOne(schema, schema)) for (const name of place.names) top.add(name);
  return { tree: named, schema, top };
}

/** One problem for each key that only folding makes a named one; empty for almost every call. */
export function foldedKeys(args: Readonly<Record<string, unknown>>, names: ArgumentNames): readonly ArgumentProblem[] {
  if (isPlain(args, names.top)) return NONE;
  const problems: ArgumentProblem[] = [];
  walk(args, [names.tree], placesOfOne(names.schema, names.schema), names.schema, [], problems);
  return problems;
}

/** All keys are named exactly, and none holds an object, alone or in a list. */
function isPlain(args: Readonly<Record<string, unknown>>, top: ReadonlySet<string>): boolean {
  for (const key in args) {
    const value = args[key];
    if (!top.has(key) || (isContainer(value) && !(Array.isArray(value) && !value.some(isContainer)))) return false;
  }
  return true;
}

function isContainer(value: unknown): boolean {
  return typeof value === 'object' && value !== null;
}

function walk(
  value: unknown,
  trees: readonly NameTree[],
  places: readonly Place[],
  root: unknown,
  steps: readonly Step[],
  problems: ArgumentProblem[],
): void {
  if (trees.length === 0 && places.length === 0) return;
  if (Array.isArray(value)) {
    const below = trees.flatMap((node) => node.items ?? []);
    const at = (index: number): Place[] =>
      placesOf(
        places.flatMap((place) => place.item(index)),
        root,
      );
    // A list is mostly of one kind of item.
    const all = places.some((place) => place.hasTuple) ? undefined : at(0);
    for (let index = 0; index < value.length && problems.length < MAX_PROBLEMS; index++) {
      const item: unknown = value[index];
      if (typeof item !== 'object' || item === null) continue;
      const here = all ?? at(index);
      if (isNamedThroughout(item, below, here)) continue;
      walk(item, below, here, root, [...steps, { kind: 'index', index }], problems);
    }
    return;
  }
  if (!isObject(value)) return;
  // On the path of every call: nothing is made for a key that is named exactly and holds no object.
  for (const key of Object.keys(value)) {
    if (problems.length >= MAX_PROBLEMS) return;
    if (!isNamed(key, trees, places)) {
      const named = twinOf(key, trees, places);
      if (named !== undefined) {
        problems.push({
          path: formatSteps('args', [...steps, { kind: 'key', key }]),
          message: `${formatSteps('', [...steps, { kind: 'key', key: named }])} is written with other letters; use exactly ${literal(named)}.`,
        });
        continue;
      }
    }
    const inner = value[key];
    if (typeof inner !== 'object' || inner === null) continue;
    const nodes = trees.flatMap((node) => node.names.get(key) ?? []);
    const schemas = places.flatMap((place) => place.property(key));
    walk(inner, nodes, placesOf(schemas, root), root, [...steps, { kind: 'key', key }], problems);
  }
}

/** All keys are named exactly, and none holds an object or a list: there is nothing to be found. */
function isNamedThroughout(value: object, trees: readonly NameTree[], places: readonly Place[]): boolean {
  if (Array.isArray(value)) return false;
  for (const key in value) {
    if (isContainer((value as Record<string, unknown>)[key]) || !isNamed(key, trees, places)) return false;
  }
  return true;
}

function isNamed(key: string, trees: readonly NameTree[], places: readonly Place[]): boolean {
  for (const node of trees) if (node.names.has(key)) return true;
  for (const place of places) if (place.names.has(key)) return true;
  return false;
}

function twinOf(key: string, trees: readonly NameTree[], places: readonly Place[]): string | undefined {
  const folded = foldKey(key);
  for (const node of trees) for (const name of node.names.keys()) if (foldKey(name) === folded) return name;
  for (const place of places) {
    const name = place.folded().get(folded);
    if (name !== undefined) return name;
  }
  return undefined;
}

/** What a schema says of one place: the properties that it names, and what lies below them. */
class Place {
  readonly #schema: Readonly<Record<string, unknown>>;
  readonly names: ReadonlySet<string>;
  #folded: Map<string, string> | undefined;

  constructor(schema: Readonly<Record<string, unknown>>) {
    this.#schema = schema;
    this.names = new Set(isObject(schema.properties) ? Object.keys(schema.properties) : []);
  }

  folded(): ReadonlyMap<string, string> {
    this.#folded ??= new Map([...this.names].map((name) => [foldKey(name), name]));
    return this.#folded;
  }

  property(key: string): unknown[] {
    const { properties, additionalProperties, unevaluatedProperties, patternProperties } = this.#schema;
    if (this.names.has(key)) return [(properties as Record<string, unknown>)[key]];
    const patterns = isObject(patternProperties) ? Object.values(patternProperties) : [];
    return [additionalProperties, unevaluatedProperties, ...patterns];
  }

  /** What an item may be depends on its place in the list. */
  get hasTuple(): boolean {
    return Array.isArray(this.#schema.prefixItems) || Array.isArray(this.#schema.items);
  }

  item(index: number): unknown[] {
    const { items, prefixItems, additionalItems, unevaluatedItems, contains } = this.#schema;
    const tuple = Array.isArray(prefixItems) ? prefixItems : Array.isArray(items) ? items : [];
    const rest = Array.isArray(items) ? additionalItems : items;
    return [tuple[index], rest, unevaluatedItems, contains];
  }
}

/** Schemas are pinned objects, so that what was found in one stays true while it lives. */
const cache = new WeakMap<object, readonly Place[]>();
const NOWHERE: readonly Place[] = [];

/** The schemas that apply in one place, with those that they take in: branches, conditions, local references. */
function placesOf(schemas: readonly unknown[], root: unknown): Place[] {
  return schemas.flatMap((schema) => placesOfOne(schema, root));
}

function placesOfOne(schema: unknown, root: unknown): readonly Place[] {
  if (!isObject(schema)) return NOWHERE;
  const known = cache.get(schema);
  if (known !== undefined) return known;
  const places: Place[] = [];
  collect(schema, root, places, new Set());
  cache.set(schema, places);
  return places;
}

function collect(schema: unknown, root: unknown, places: Place[], seen: Set<unknown>): void {
  if (!isObject(schema) || seen.has(schema)) return;
  seen.add(schema);
  places.push(new Place(schema));
  for (const key of IN_PLACE) {
    const parts = schema[key];
    if (Array.isArray(parts)) for (const part of parts) collect(part, root, places, seen);
  }
  for (const key of IN_PLACE_ONE) collect(schema[key], root, places, seen);
  for (const key of ['dependentSchemas', 'dependencies']) {
    const parts = schema[key];
    if (isObject(parts)) for (const part of Object.values(parts)) collect(part, root, places, seen);
  }
  for (const key of ['$ref', '$dynamicRef']) {
    const reference = schema[key];
    if (typeof reference === 'string') collect(referred(reference, root), root, places, seen);
  }
}

/** A JSON Pointer of the same document (RFC 6901); anything else names nothing here. */
function referred(reference: string, root: unknown): unknown {
  if (reference === '#') return root;
  if (!reference.startsWith('#/')) return undefined;
  let value = root;
  for (const part of reference.slice(2).split('/')) {
    let key: string;
    try {
      key = decodeURIComponent(part).replaceAll('~1', '/').replaceAll('~0', '~');
    } catch {
      return undefined;
    }
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined;
    value = (value as Record<string, unknown>)[key];
  }
  return value;
}
