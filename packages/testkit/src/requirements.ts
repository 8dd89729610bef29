// requirements.yaml: every promise and every "must" as an id; tests cite ids in square brackets in their names.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';

export interface Requirement {
  id: string;
  /** One sentence. */
  text: string;
  /** Where it stands: `spec: policy §5`, with the promise where it is a part of one (`spec: gateway §1 P4`). */
  source: string;
  /** Not met yet: what has to come first, in plain words. */
  unmet?: string;
}

export function readRequirements(file: string): Requirement[] {
  return (parse(readFileSync(file, 'utf8')) as { requirements: Requirement[] }).requirements;
}

// Threats of the review (`T17`) stand in the same brackets; they are no requirements.
const ID = '(?:P[1-8]|T\\d+|[A-Z]{2,8}-[A-Z0-9-]+)';
const THREAT = /^T\d+$/;
const CITED = new RegExp(`\\[(${ID}(?:,\\s*${ID})*)\\]`, 'g');
const REFUSED = new RegExp(`\\[not yet: (${ID}(?:,\\s*${ID})*)\\]`, 'g');

/** Id → the test files that cite it as met, `[POL-ORDER]`, from the names of `it`, `test` and `describe`. */
export function citedRequirements(root: string): Map<string, string[]> {
  return collect(root, CITED);
}

/** Id → the test files that assert that it is not met yet, `[not yet: POL-SQL]`: what needs it is refused by name. */
export function refusedRequirements(root: string): Map<string, string[]> {
  return collect(root, REFUSED);
}

function collect(root: string, pattern: RegExp): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const file of testFiles(root)) {
    for (const match of readFileSync(file, 'utf8').matchAll(pattern)) {
      for (const id of (match[1] as string).split(/,\s*/)) {
        if (THREAT.test(id)) continue;
        const files = found.get(id) ?? [];
        if (!files.includes(file)) files.push(file);
        found.set(id, files);
      }
    }
  }
  return found;
}

function testFiles(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return entry.name === 'node_modules' || entry.name === '.git' ? [] : testFiles(path);
    return /\.test\.ts$/.test(entry.name) ? [path] : [];
  });
}
