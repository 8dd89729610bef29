import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { citedRequirements, readRequirements, refusedRequirements } from './requirements.ts';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const requirements = readRequirements(join(root, 'requirements.yaml'));
const ids = requirements.map(({ id }) => id);
const met = requirements.filter(({ unmet }) => unmet === undefined).map(({ id }) => id);
const unmet = requirements.filter((one) => one.unmet !== undefined).map(({ id }) => id);
const cited = citedRequirements(root);
const refused = refusedRequirements(root);

const without = (all: Iterable<string>, some: Iterable<string>): string[] => {
  const taken = new Set(some);
  return [...all].filter((id) => !taken.has(id)).sort();
};

describe('requirements.yaml', () => {
  it('gives each an id, one sentence and a source', () => {
    for (const one of requirements) {
      expect(one.id).toMatch(/^(P[1-8]|[A-Z]{2,8}-[A-Z0-9-]+)$/);
      expect(one.text, one.id).toMatch(/^[A-Z“"`/0-9].*\.$/s);
      expect(one.source, one.id).toMatch(/^(spec: (gateway|policy|audit|config|flux|catalogue)|design)/);
      expect(Object.keys(one), one.id).toSatisfy((keys: string[]) =>
        keys.every((key) => ['id', 'text', 'source', 'unmet'].includes(key)),
      );
      if (one.unmet !== undefined) expect(one.unmet.length, one.id).toBeGreaterThan(3);
    }
  });

  it('names each once, and all eight promises', () => {
    expect(ids.filter((id, i) => ids.indexOf(id) !== i)).toEqual([]);
    expect(ids).toEqual(expect.arrayContaining(['P1', 'P2', 'P3', 'P4', 'P5', 'P6', 'P7', 'P8']));
  });

  it('each that is met is cited by a test', () => {
    expect(without(met, cited.keys())).toEqual([]);
  });

  it('each id that a test cites stands in it', () => {
    expect(without([...cited.keys(), ...refused.keys()], ids)).toEqual([]);
  });

  it('none that is not met yet is cited as met, and none that is met is asserted to be refused', () => {
    expect(unmet.filter((id) => cited.has(id))).toEqual([]);
    expect(met.filter((id) => refused.has(id))).toEqual([]);
  });
});

describe('citations', () => {
  it('are read from test files alone, several in one name, and apart from what is not yet there', () => {
    const folder = mkdtempSync(join(tmpdir(), 'gatehouse-citations-'));
    mkdirSync(join(folder, 'node_modules'));
    // Put together here, so that this file cites nothing by it.
    const name = (text: string): string => `it('${'['}${text}] says so', () => {});\n`;
    writeFileSync(join(folder, 'a.test.ts'), name('GW-ONE, P9') + name('T5, GW-TWO, P3') + name('not yet: GW-LATER'));
    writeFileSync(join(folder, 'b.test.ts'), name('GW-TWO') + name('T17'));
    writeFileSync(join(folder, 'c.ts'), name('GW-SOURCE'));
    writeFileSync(join(folder, 'node_modules', 'd.test.ts'), name('GW-FOREIGN'));
    const short = (found: Map<string, string[]>) =>
      Object.fromEntries([...found].map(([id, files]) => [id, files.map((file) => file.slice(folder.length + 1))]));
    expect(short(citedRequirements(folder))).toEqual({ 'GW-TWO': ['a.test.ts', 'b.test.ts'], P3: ['a.test.ts'] });
    expect(short(refusedRequirements(folder))).toEqual({ 'GW-LATER': ['a.test.ts'] });
    rmSync(folder, { recursive: true });
  });
});
