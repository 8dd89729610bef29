import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

const folder = new URL('../src/', import.meta.url);
const sources = readdirSync(folder)
  .filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts'))
  .map((file) => ({ file, text: readFileSync(new URL(file, folder), 'utf8') }));

describe('[POL-PURE] the engine is pure', () => {
  it('imports nothing of Node, and Ajv only in its own subpath', () => {
    for (const { file, text } of sources) {
      const imported = [...text.matchAll(/from '([^']+)'/g)].map((m) => m[1]!);
      expect(
        imported.filter((name) => name.startsWith('node:')),
        file,
      ).toEqual([]);
      if (!file.startsWith('ajv'))
        expect(
          imported.filter((name) => /ajv/.test(name)),
          file,
        ).toEqual([]);
    }
  });

  it('reads no clock and no chance', () => {
    for (const { file, text } of sources)
      expect(/Date\.now\(|Math\.random\(|new Date\(\)|process\./.test(text), file).toBe(false);
  });
});
