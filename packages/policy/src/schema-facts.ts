/** What a pinned schema says about one path: whether it may be absent, whether it may be null, its default. */
import type { Step } from './path.ts';
import { isObject, kindOf, member } from './values.ts';

export interface PathFacts {
  /** The schema names every step of the path. */
  readonly declared: boolean;
  /** The path cannot exist: some object on the way is closed (it lists properties) and does not list the step. */
  readonly unknownKey?: { readonly key: string; readonly candidates: readonly string[] };
  /** Per step: a `null` there counts as absence (optional or nullable, spec: policy §3). */
  readonly nullIsAbsent: readonly boolean[];
  /** Some step may be absent. */
  readonly optional: boolean;
  readonly default?: { readonly value: unknown };
  /** The types that the schema names for the value itself. */
  readonly types: readonly string[];
}

const MAX_REFS = 64;

/** A schema and the ones that apply in the same place: `$ref`, `allOf`, and the branches of `anyOf`, `oneOf` and `if`. */
interface Layer {
  readonly schema: Record<string, unknown>;
  /** False inside a branch that need not hold. */
  readonly certain: boolean;
}

function resolve(root: unknown, ref: string): unknown {
  if (!ref.startsWith('#')) return undefined;
  let node: unknown = root;
  let text = ref.slice(1);
  try {
    text = decodeURIComponent(text);
  } catch {
    return undefined;
  }
  if (text === '') return root;
  if (!text.startsWith('/')) return undefined;
  for (const token of text.slice(1).split('/')) {
    const key = token.replaceAll('~1', '/').replaceAll('~0', '~');
    node = Array.isArray(node) ? node[Number(key)] : isObject(node) ? member(node, key) : undefined;
  }
  return node;
}

function layers(
  root: unknown,
  schema: unknown,
  certain = true,
  out: Layer[] = [],
  budget = { left: MAX_REFS },
): Layer[] {
  if (!isObject(schema) || budget.left-- <= 0) return out;
  out.push({ schema, certain });
  const ref = member(schema, '$ref');
  if (typeof ref === 'string') layers(root, resolve(root, ref), certain, out, budget);
  const all = member(schema, 'allOf');
  if (Array.isArray(all)) for (const part of all) layers(root, part, certain, out, budget);
  for (const key of ['anyOf', 'oneOf']) {
    const branches = member(schema, key);
    if (Array.isArray(branches)) for (const part of branches) layers(root, part, false, out, budget);
  }
  for (const key of ['if', 'then', 'else']) layers(root, member(schema, key), false, out, budget);
  return out;
}

function typesOf(found: readonly Layer[]): string[] {
  const types = new Set<string>();
  for (const { schema } of found) {
    const type = member(schema, 'type');
    for (const one of Array.isArray(type) ? type : [type]) if (typeof one === 'string') types.add(one);
    if (member(schema, 'nullable') === true) types.add('null');
    const values = member(schema, 'enum');
    if (Array.isArray(values) && values.includes(null)) types.add('null');
    if (Object.hasOwn(schema, 'const') && schema.const === null) types.add('null');
  }
  return [...types];
}

interface StepResult {
  readonly found: Layer[];
  readonly required: boolean;
  readonly candidates: readonly string[];
  readonly open: boolean;
}

function throughKey(root: unknown, current: readonly Layer[], key: string): StepResult {
  const found: Layer[] = [];
  let required = false;
  const candidates = new Set<string>();
  let open = true;
  for (const { schema, certain } of current) {
    const properties = member(schema, 'properties');
    if (isObject(properties)) {
      open = false;
      for (const name of Object.keys(properties)) candidates.add(name);
      if (Object.hasOwn(properties, key)) layers(root, properties[key], certain, found);
    }
    const names = member(schema, 'required');
    if (certain && Array.isArray(names) && names.includes(key)) required = true;
  }
  for (const { schema } of current) {
    const additional = member(schema, 'additionalProperties');
    if (additional === true || isObject(additional) || isObject(member(schema, 'patternProperties'))) open = true;
    if (found.length === 0 && isObject(additional)) layers(root, additional, false, found);
  }
  return { found, required, candidates: [...candidates], open };
}

function throughItem(root: unknown, current: readonly Layer[], index: number | undefined): Layer[] {
  const found: Layer[] = [];
  for (const { schema, certain } of current) {
    const prefix = member(schema, 'prefixItems') ?? member(schema, 'items');
    if (Array.isArray(prefix)) {
      if (index !== undefined && index < prefix.length) layers(root, prefix[index], certain, found);
      if (index === undefined) for (const one of prefix) layers(root, one, false, found);
    }
    const items = member(schema, 'items');
    if (isObject(items)) layers(root, items, certain, found);
  }
  return found;
}

function guarantees(current: readonly Layer[], keyword: 'minItems', least: number): boolean {
  return current.some(({ schema, certain }) => {
    const value = member(schema, keyword);
    return certain && typeof value === 'number' && value >= least;
  });
}

/** Facts of a path below `args` in a tool's input schema. A schema that says nothing makes everything optional. */
export function pathFacts(schema: unknown, steps: readonly Step[]): PathFacts {
  let current = layers(schema, schema);
  let optional = false;
  let declared = true;
  let unknownKey: PathFacts['unknownKey'];
  const nullIsAbsent: boolean[] = [];
  for (const step of steps) {
    let next: Layer[];
    let stepOptional: boolean;
    if (step.kind === 'key') {
      const through = throughKey(schema, current, step.key);
      next = through.found;
      stepOptional = !through.required;
      if (next.length === 0 && !through.candidates.includes(step.key)) {
        if (declared && !through.open) unknownKey = { key: step.key, candidates: through.candidates };
        declared = false;
      }
    } else {
      next = throughItem(schema, current, step.kind === 'index' ? step.index : undefined);
      if (next.length === 0) declared = false;
      // `[*]` over an empty list reads nothing, which is no absence; an index can be absent.
      stepOptional = step.kind === 'index' && !guarantees(current, 'minItems', step.index + 1);
    }
    const nullable = typesOf(next).includes('null');
    nullIsAbsent.push((stepOptional && step.kind === 'key') || nullable);
    if (stepOptional || nullable) optional = true;
    current = next;
  }
  const withDefault = current.find(({ schema: s }) => Object.hasOwn(s, 'default'));
  return {
    declared,
    optional,
    nullIsAbsent,
    types: typesOf(current),
    ...(unknownKey && { unknownKey }),
    ...(withDefault && { default: { value: withDefault.schema.default } }),
  };
}

/** The top-level properties of an input schema. */
export function argumentNames(schema: unknown): string[] {
  const names = new Set<string>();
  for (const { schema: layer } of layers(schema, schema)) {
    const properties = member(layer, 'properties');
    if (isObject(properties)) for (const name of Object.keys(properties)) names.add(name);
  }
  return [...names];
}

/** A copy without the nulls of properties that the schema makes optional; the value itself where it has none. */
export function withoutOptionalNulls(schema: unknown, value: unknown): unknown {
  return hasNull(value) ? prune(schema, layers(schema, schema), value) : value;
}

function hasNull(value: unknown): boolean {
  if (value === null) return true;
  if (typeof value !== 'object') return false;
  if (Array.isArray(value)) return value.some(hasNull);
  return kindOf(value) === 'object' && Object.values(value as object).some(hasNull);
}

function prune(root: unknown, current: readonly Layer[], value: unknown): unknown {
  if (Array.isArray(value)) {
    return value.map((item, i) => (hasNull(item) ? prune(root, throughItem(root, current, i), item) : item));
  }
  if (!isObject(value)) return value;
  const copy: Record<string, unknown> = {};
  for (const [key, inner] of Object.entries(value)) {
    const through = throughKey(root, current, key);
    if (inner === null && !through.required) continue;
    const kept = hasNull(inner) ? prune(root, through.found, inner) : inner;
    // Assignment to `__proto__` would change the copy's prototype instead of adding a member.
    Object.defineProperty(copy, key, { value: kept, enumerable: true, writable: true, configurable: true });
  }
  return copy;
}
