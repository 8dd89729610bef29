// Policy documents as files: reading, and saying where in the text a problem lies.
import { existsSync, readFileSync } from 'node:fs';
import { extname } from 'node:path';
import type { PolicyProblem } from '@gatehouse/policy';
import { isMap, isNode, isPair, isSeq, LineCounter, type Node, parseDocument } from 'yaml';
import type { Context } from './context.ts';
import { notFound, usageError } from './errors.ts';

export interface PolicyFile {
  /** As the person named it; `-` is standard input. */
  path: string;
  text: string;
  contentType: 'application/json' | 'application/yaml';
}

export async function readPolicyFile(context: Context, path: string): Promise<PolicyFile> {
  if (path === '-') return { path: 'standard input', text: await context.readStdin(), contentType: 'application/yaml' };
  if (!existsSync(path)) throw notFound(`There is no file ${path}.`);
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw usageError(`${path} cannot be read: ${(error as Error).message}`);
  }
  return { path, text, contentType: extname(path) === '.json' ? 'application/json' : 'application/yaml' };
}

/** Whether what a person wrote for a policy is meant as a file: it is one, or it cannot be a policy's name. */
export function looksLikeFile(text: string): boolean {
  return text === '-' || !/^[a-z0-9][a-z0-9-]{0,62}$/.test(text) || existsSync(text);
}

/**
 * Finds the places of JSON Pointers in a policy's text (JSON or YAML).
 * @returns for a pointer the line and column, from 1, of what it names, or of the nearest part around it that is there
 */
export function placesIn(text: string): (pointer: string) => { line: number; column: number } | undefined {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, uniqueKeys: false });
  const at = (offset: number | undefined): { line: number; column: number } | undefined => {
    if (offset === undefined) return undefined;
    const { line, col } = lines.linePos(offset);
    return { line, column: col };
  };
  return (pointer) => {
    if (pointer !== '' && !pointer.startsWith('/')) return undefined;
    let node: Node | null = document.contents;
    let offset = node?.range?.[0];
    for (const part of pointer.split('/').slice(1)) {
      const name = part.replaceAll('~1', '/').replaceAll('~0', '~');
      const [inner, start]: [Node | null, number | undefined] = stepInto(node, name);
      if (start === undefined) break;
      node = inner;
      offset = start;
    }
    return at(offset);
  };
}

/** The member of a node, and where it begins: at its key in a mapping, at the item in a list. */
function stepInto(node: Node | null, name: string): [Node | null, number | undefined] {
  if (isMap(node)) {
    const pair = node.items.find(({ key }) => String(isNode(key) ? key.toJSON() : key) === name);
    if (!isPair(pair) || !isNode(pair.key)) return [null, undefined];
    return [isNode(pair.value) ? pair.value : null, pair.key.range?.[0]];
  }
  if (isSeq(node)) {
    const item = node.items[Number(name)];
    return isNode(item) ? [item, item.range?.[0]] : [null, undefined];
  }
  return [null, undefined];
}

/** Problems for people, one a line, in the form that editors and CI services turn into links: `file:line:column: …`. */
export function problemLines(file: PolicyFile, problems: readonly PolicyProblem[]): string[] {
  const placeOf = placesIn(file.text);
  return problems.map(({ pointer, message, suggestion, severity }) => {
    const place = placeOf(pointer);
    const where = place === undefined ? file.path : `${file.path}:${place.line}:${place.column}`;
    const named = pointer === '' ? '' : `${pointer}: `;
    return `${where}: ${severity}: ${named}${message}${suggestion === undefined ? '' : ` (${suggestion})`}`;
  });
}
