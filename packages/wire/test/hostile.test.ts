import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { readMessage } from '../src/index.ts';
import { bytesOf } from './arbitraries.ts';
import { naiveRead } from './naive.ts';

interface Hostile {
  /** Row of the list of bypass tests that this input belongs to. */
  threat: string;
  title: string;
  text?: string;
  hex?: string;
  repeat?: { before: string; unit: string; count: number; after: string };
  /** null: harmless once it is seen as it is, and accepted. */
  reason: string | null;
}

const inputs = JSON.parse(readFileSync(new URL('../testdata/hostile.json', import.meta.url), 'utf8')) as Hostile[];

function bytesOfInput({ text, hex, repeat }: Hostile): Uint8Array {
  if (hex !== undefined) return Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
  if (repeat !== undefined) return bytesOf(repeat.before + repeat.unit.repeat(repeat.count) + repeat.after);
  return bytesOf(text ?? '');
}

describe('hostile bodies', () => {
  it.each(inputs)('[WIRE-BODY] $threat $title', (input) => {
    const bytes = bytesOfInput(input);
    const read = readMessage(bytes);
    if (input.reason === null) {
      expect(read).toMatchObject({ ok: true });
      return;
    }
    expect(read).toMatchObject({ ok: false, reason: input.reason });
    if (!read.ok) {
      expect(read.message.length).toBeLessThan(400);
      expect(read.message).toMatch(/: .*(send|spell|escape|expected)/);
      expect(read.offset).toBeLessThanOrEqual(bytes.length);
      expect(read.message).not.toMatch(/[^ -~…]/);
    }
  });

  it('[P2] the naive reader sees each of them the same way', () => {
    for (const input of inputs) {
      // Its recursion and its regular expressions are not made for these.
      if (input.repeat !== undefined) continue;
      const naive = naiveRead(bytesOfInput(input));
      const seen = naive.ok ? null : naive.reason;
      if (seen !== 'invalid_utf8') expect(seen, `${input.threat} ${input.title}`).toBe(input.reason);
    }
  });

  it('[WIRE-BOUNDED] reads an object of 300,000 keys in time that grows with its size', () => {
    const members = Array.from({ length: 300_000 }, (_, i) => `"k${i}":0`).join(',');
    const bytes = bytesOf(
      `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","arguments":{${members}}}}`,
    );
    const before = performance.now();
    expect(readMessage(bytes)).toMatchObject({ ok: true });
    // Comparing each with each would take minutes.
    expect(performance.now() - before).toBeLessThan(5000);
  });
});
