import { singular, tokenize } from './tokens.ts';

/** One parameter of a tool, at any depth of its input schema. */
export interface Parameter {
  /** Its path for people, such as `items[].url`. */
  path: string;
  /** Its place in the definition, such as `inputSchema.properties.items.items.properties.url`. */
  field: string;
  name: string;
  /** The words of its name in lower case, without plural endings. */
  words: readonly string[];
  types: readonly string[];
  format: string;
  /** In lower case. */
  description: string;
  /** The strings of `enum` or `const`; undefined when any value is allowed. */
  values: readonly string[] | undefined;
  schema: Readonly<Record<string, unknown>>;
}

// Bounds for schemas that an outsider wrote: deeper or wider ones add nothing to a class.
const MAX_DEPTH = 5;
const MAX_PARAMETERS = 300;

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** All parameters of an input schema. Ill-formed parts are passed over. */
export function listParameters(inputSchema: unknown): Parameter[] {
  const found: Parameter[] = [];
  if (isRecord(inputSchema)) walk(inputSchema, '', 'inputSchema', 0, found);
  return found;
}

function walk(schema: Record<string, unknown>, path: string, field: string, depth: number, found: Parameter[]): void {
  if (depth > MAX_DEPTH) return;
  const { properties } = schema;
  if (isRecord(properties)) {
    for (const [name, value] of Object.entries(properties)) {
      if (found.length >= MAX_PARAMETERS) return;
      const sub = isRecord(value) ? value : {};
      const subPath = path === '' ? name : `${path}.${name}`;
      const subField = `${field}.properties.${name}`;
      found.push({
        path: subPath,
        field: subField,
        name,
        words: tokenize(name).map(singular),
        types: typesOf(sub),
        format: typeof sub.format === 'string' ? sub.format : '',
        description: typeof sub.description === 'string' ? sub.description.slice(0, 1000).toLowerCase() : '',
        values: valuesOf(sub),
        schema: sub,
      });
      walk(sub, subPath, subField, depth + 1, found);
    }
  }
  if (isRecord(schema.items)) walk(schema.items, `${path}[]`, `${field}.items`, depth + 1, found);
  for (const keyword of ['anyOf', 'oneOf', 'allOf'] as const) {
    const branches = schema[keyword];
    if (!Array.isArray(branches)) continue;
    branches.forEach((branch: unknown, index) => {
      if (isRecord(branch)) walk(branch, path, `${field}.${keyword}[${index}]`, depth + 1, found);
    });
  }
}

function typesOf(schema: Record<string, unknown>): string[] {
  const { type } = schema;
  if (typeof type === 'string') return [type];
  if (Array.isArray(type)) return type.filter((each): each is string => typeof each === 'string');
  const branches = schema.anyOf ?? schema.oneOf;
  if (Array.isArray(branches)) return branches.flatMap((branch: unknown) => (isRecord(branch) ? typesOf(branch) : []));
  return [];
}

function valuesOf(schema: Record<string, unknown>): string[] | undefined {
  const list = 'const' in schema ? [schema.const] : schema.enum;
  if (Array.isArray(list)) return list.filter((each): each is string => typeof each === 'string');
  const branches = schema.anyOf ?? schema.oneOf;
  if (!Array.isArray(branches)) {
    return isRecord(schema.items) ? valuesOf(schema.items) : undefined;
  }
  const all = branches.map((branch: unknown) => (isRecord(branch) && branch.type !== 'null' ? valuesOf(branch) : []));
  // One branch without a list of values allows anything.
  return all.includes(undefined) ? undefined : all.flatMap((values) => values ?? []);
}

/** Whether text can be given: a type that says so, or none at all, and no closed list of values. */
export function takesText(parameter: Parameter): boolean {
  const { types, values, schema } = parameter;
  if (values !== undefined) return false;
  if (types.length === 0 || types.includes('string')) return true;
  return types.includes('array') && (!isRecord(schema.items) || typesOf(schema.items).includes('string'));
}
