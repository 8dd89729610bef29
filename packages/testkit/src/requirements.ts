// requirements.yaml: every promise and every "must" as an id; tests cite ids in square brackets in their names.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';

export interface Requirement {
  id: string;
  /** One sentence. */
  text: string;
  /** Where it stands. */
  source: string;
  /** Not met yet: why, and the test that asserts that it fails. */
  unmet?: string;
}

export function readRequirements(file: string): Requirement[] {
  return (parse(readFileSync(file, 'utf8')) as { requirements: Requirement[] }).requirements;
}

const CITATION = /\[((?:P[1-8]|[A-Z]{2,8}-[A-Z0-9-]+)(?:,\s*(?:P[1-8]|[A-Z]{2,8}-[A-Z0-9-]+))*)\]/g;

/** Id → the test files that cite it, from the names of `it`, `test` and `describe`. */
export function citedRequirements(root: string): Map<string, string[]> {
  const cited = new Map<string, string[]>();
  for (const file of testFiles(root)) {
    const text = readFileSync(file, 'utf8');
    for (const match of text.matchAll(CITATION)) {
      for (const id of (match[1] as string).split(/,\s*/)) cited.set(id, [...(cited.get(id) ?? []), file]);
    }
  }
  return cited;
}

function testFiles(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return entry.name === 'node_modules' ? [] : testFiles(path);
    return /\.test\.ts$/.test(entry.name) ? [path] : [];
  });
}
