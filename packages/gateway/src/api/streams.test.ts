import { describe, expect, it } from 'vitest';
import type { AuditRow } from '../audit/search.ts';
import { begun, streamOfLines, streamOfRows } from './streams.ts';

const row = (requestId: string): AuditRow => ({
  time: 0,
  requestId,
  kind: 'decision',
  writer: 'w',
  seq: 1,
  outcome: 'deny',
  count: 1,
});

async function* numbers(count: number, state: { made: number; ended: boolean }): AsyncGenerator<string> {
  try {
    for (; state.made < count; ) yield `line ${state.made++}`;
  } finally {
    state.ended = true;
  }
}

describe('streamOfLines', () => {
  it('ends every line', async () => {
    const text = await new Response(streamOfLines(numbers(3, { made: 0, ended: false }), '\r\n')).text();
    expect(text).toBe('line 0\r\nline 1\r\nline 2\r\n');
  });

  it('reads no further than is taken, and ends the source when the reader goes', async () => {
    const state = { made: 0, ended: false };
    const reader = streamOfLines(numbers(1_000_000, state), '\n').getReader();
    expect(state.made).toBe(0);
    await reader.read();
    expect(state.made).toBeLessThan(50_000);
    await reader.cancel();
    expect(state.ended).toBe(true);
  });
});

describe('begun', () => {
  it('reads the first line at once, leaves the rest, and passes on the end and a failure', async () => {
    const state = { made: 0, ended: false };
    const lines = await begun(numbers(3, state));
    expect(state.made).toBe(1);
    expect(await Array.fromAsync(lines)).toEqual(['line 0', 'line 1', 'line 2']);
    const left = { made: 0, ended: false };
    for await (const line of await begun(numbers(3, left))) {
      expect(line).toBe('line 0');
      break;
    }
    expect(left).toEqual({ made: 1, ended: true });
    expect(await Array.fromAsync(await begun(numbers(0, { made: 0, ended: false })))).toEqual([]);
    const failing = async function* (): AsyncGenerator<string> {
      yield* [];
      throw new Error('no index');
    };
    await expect(begun(failing())).rejects.toThrow('no index');
  });
});

describe('streamOfRows', () => {
  it('sends rows as events, and stops listening when the reader goes', async () => {
    let push: ((row: AuditRow) => void) | undefined;
    let listening = true;
    const reader = streamOfRows((take) => {
      push = take;
      return () => {
        listening = false;
      };
    }).getReader();
    const decoder = new TextDecoder();
    const read = async (): Promise<string> => decoder.decode((await reader.read()).value);
    expect(await read()).toBe(': following\n\n');
    push!(row('r1'));
    const event = await read();
    expect(event).toMatch(/^event: row\nid: r1\ndata: \{.*\}\n\n$/);
    await reader.cancel();
    expect(listening).toBe(false);
  });

  it('[API-TAIL] a slow reader costs bounded memory and is told how many rows it missed', async () => {
    let push: ((row: AuditRow) => void) | undefined;
    const stream = streamOfRows((take) => {
      push = take;
      return () => {};
    });
    for (let i = 0; i < 5_000; i++) push!(row(`r${i}`));
    const reader = stream.getReader();
    let rows = 0;
    let dropped = 0;
    while (rows + dropped < 5_000) {
      const text = new TextDecoder().decode((await reader.read()).value);
      if (text.startsWith('event: row')) rows++;
      dropped += Number(/^event: dropped\ndata: \{"count":(\d+)\}/.exec(text)?.[1] ?? 0);
    }
    expect(rows).toBeLessThanOrEqual(1_000);
    expect(dropped).toBe(5_000 - rows);
    await reader.cancel();
  });
});
