import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { readHeadFile } from './head-file.ts';

const head = (seq: number, writer = 'w') => ({
  stream: 'calls',
  writer,
  seq,
  hash: 'h',
  time: 't',
  key_id: 'k',
  signature: 's',
});

function file(text: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-heads-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'heads.jsonl');
  writeFileSync(path, text);
  return path;
}

it('[AUD-HEADS-OUT] reads all heads of a file, and a single one however it is written', async () => {
  const lines = [head(1), head(2)].map((one) => JSON.stringify(one));
  expect(await readHeadFile(file(`${lines[0]}\n{"torn":\n\n${lines[1]}\n`))).toEqual({
    heads: [head(1), head(2)],
    unreadable: 1,
    leftOut: 0,
  });
  expect((await readHeadFile(file(lines[0]!))).heads).toEqual([head(1)]);
  expect(await readHeadFile(file(JSON.stringify(head(3), undefined, 2)))).toMatchObject({
    heads: [head(3)],
    unreadable: 0,
  });
  expect(await readHeadFile(file('nothing\nof the kind\n'))).toEqual({ heads: [], unreadable: 2, leftOut: 0 });
  expect((await readHeadFile(file(''))).heads).toEqual([]);
});

it('keeps the newest of each chain, and a bounded number of the others', async () => {
  const heads = [head(1, 'old'), ...Array.from({ length: 30 }, (_, i) => head(i + 1))];
  const { heads: kept, leftOut } = await readHeadFile(file(heads.map((one) => `${JSON.stringify(one)}\n`).join('')), 5);
  expect(kept.map(({ writer, seq }) => `${writer}${seq}`)).toEqual(['w26', 'w27', 'w28', 'w29', 'w30', 'old1']);
  expect(leftOut).toBe(25);
});
