// Puts the tables of a run into docs/benchmarks.md, between two marks.
import { readFileSync, writeFileSync } from 'node:fs';

const START = '<!-- figures: written by npm run bench -- --write-docs -->';
const END = '<!-- end of figures -->';

/** @throws Error when the page has not both marks, in order */
export function replaceFigures(page: string, figures: string): string {
  const start = page.indexOf(START);
  const end = page.indexOf(END);
  if (start === -1 || end < start) throw new Error(`the page needs the lines "${START}" and "${END}", in that order`);
  return `${page.slice(0, start + START.length)}\n\n${figures}\n\n${page.slice(end)}`;
}

/** @throws Error when the page cannot be read or written, or has not both marks */
export function writeFigures(file: string, figures: string): void {
  writeFileSync(file, replaceFigures(readFileSync(file, 'utf8'), figures));
}
