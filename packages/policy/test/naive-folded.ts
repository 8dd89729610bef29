// The second, naive reading of keys that equal a named one only after folding.
import { isObj, splitPath } from './naive.ts';

// biome-ignore lint/suspicious/noExplicitAny: documents are walked as they come; nothing here is typed by the engine.
type Any = any;

/** gateway §4 Bodies: is there a key that equals a named one only after folding? Paths without their root. */
export function hasAlias(value: Any, paths: Any[][], schemas: Any[], root: Any): boolean {
  const all: Any[] = [];
  const take = (s: Any): void => {
    if (!isObj(s) || all.includes(s)) return;
    all.push(s);
    for (const k of ['allOf', 'anyOf', 'oneOf']) for (const part of s[k] ?? []) take(part);
    for (const k of ['if', 'then', 'else', 'not']) take(s[k]);
    for (const part of Object.values<Any>(s.dependentSchemas ?? {})) take(part);
    if (typeof s.$ref === 'string') take(s.$ref === '#' ? root : root.$defs?.[s.$ref.replace('#/$defs/', '')]);
  };
  for (const s of schemas) take(s);
  if (Array.isArray(value)) {
    const below = paths.filter(([step]) => typeof step === 'number' || step === '*').map((path) => path.slice(1));
    return value.some((item, i) =>
      hasAlias(
        item,
        below,
        all.flatMap((s) => [s.prefixItems?.[i], s.items, s.contains]),
        root,
      ),
    );
  }
  if (!isObj(value)) return false;
  const fold = (text: string): string => text.toLowerCase().toUpperCase();
  const named = [...paths.flatMap(([step]) => step?.k ?? []), ...all.flatMap((s) => Object.keys(s.properties ?? {}))];
  return Object.entries(value).some(([key, inner]) => {
    if (!named.includes(key) && named.some((name) => fold(name) === fold(key))) return true;
    const below = paths.filter(([step]) => step?.k === key).map((path) => path.slice(1));
    const under = all.flatMap((s) =>
      Object.hasOwn(s.properties ?? {}, key) ? [s.properties[key]] : [s.additionalProperties],
    );
    return hasAlias(inner, below, under, root);
  });
}

/** Every path below `args` that the blocks write, wherever it stands. */
export function argumentPaths(blocks: Any[]): Any[][] {
  const found: Any[][] = [];
  const search = (value: Any, key: string): void => {
    if (typeof value === 'string' && ['path', 'times', 'amount', 'increment_from'].includes(key)) {
      for (const part of value.split('|')) if (part.startsWith('args.')) found.push(...splitPath(part.slice(5)));
    } else if (Array.isArray(value)) for (const item of value) search(item, key);
    else if (isObj(value) && key !== 'value') for (const [k, v] of Object.entries(value)) search(v, k);
  };
  for (const block of blocks) {
    for (const key of Object.keys(block.args ?? {})) found.push(...splitPath(key));
    for (const list of ['require', 'deny_if', 'limits']) search(block[list], '');
  }
  return found;
}
