import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { replaceFigures } from './docs.ts';

const page = readFileSync(new URL('../../docs/benchmarks.md', import.meta.url), 'utf8');

describe('replaceFigures', () => {
  it('puts figures between the marks of the page and changes nothing else, however often', () => {
    const once = replaceFigures(page, 'FIRST');
    const twice = replaceFigures(once, 'SECOND');
    expect(once).toContain('FIRST');
    expect(twice).not.toContain('FIRST');
    expect(twice.replace('SECOND', 'FIRST')).toBe(once);
    const start = page.indexOf('<!-- figures');
    const end = page.indexOf('<!-- end of figures');
    expect(once.startsWith(page.slice(0, start))).toBe(true);
    expect(once.endsWith(page.slice(end))).toBe(true);
  });

  it('refuses a page without marks', () => {
    expect(() => replaceFigures('# Benchmarks', 'x')).toThrow('the page needs the lines');
  });
});
