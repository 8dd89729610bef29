import { describe, expect, it } from 'vitest';
import { matches, TailRows } from './tail-rows.ts';

const base = { v: 1, stream: 'calls', writer: 'w1', time: '2026-05-01T08:00:00.000Z', prev: '0', hash: '0' };
const line = (members: object): string => JSON.stringify({ ...base, seq: 1, ...members });

const intent = {
  kind: 'intent',
  request_id: 'r1',
  grant: { id: 'grt_1', label: 'ana on flux' },
  identity: { id: 'idn_1', name: 'ana' },
  server: 'flux',
  method: 'tools/call',
  tool: 'draw',
  decision: { outcome: 'allow', policy: { id: 'pol_1', version: 3 } },
};

describe('TailRows', () => {
  it('joins intent and outcome into one row, when the call ends', () => {
    const rows = new TailRows();
    expect(rows.take(line(intent))).toBeUndefined();
    const row = rows.take(line({ kind: 'outcome', request_id: 'r1', seq: 2, result: { status: 200, bytes: 12 } }));
    expect(row).toMatchObject({
      requestId: 'r1',
      tool: 'draw',
      outcome: 'allow',
      status: 200,
      bytes: 12,
      seq: 1,
      policy: { id: 'pol_1', version: '3' },
    });
    // The call is over: a second outcome finds no intent.
    expect(rows.take(line({ kind: 'outcome', request_id: 'r1', result: {} }))?.tool).toBeUndefined();
  });

  it.each([{ is_error: true }, { error_code: -32000 }, { status: 502 }])(
    'names a failed call an error: %j',
    (result) => {
      const rows = new TailRows();
      rows.take(line(intent));
      expect(rows.take(line({ kind: 'outcome', request_id: 'r1', result }))?.outcome).toBe('error');
    },
  );

  it('shows a denial at once, with its rule', () => {
    const decision = { outcome: 'deny', rule: '(default deny)', message: 'Not listed.' };
    expect(new TailRows().take(line({ ...intent, kind: 'decision', decision }))).toMatchObject({
      outcome: 'deny',
      rule: '(default deny)',
      message: 'Not listed.',
      count: 1,
    });
  });

  it('leaves out changes of state and heads', () => {
    const rows = new TailRows();
    expect(rows.take(line({ stream: 'admin', kind: 'admin', action: 'grant.create' }))).toBeUndefined();
    expect(rows.take(line({ kind: 'head' }))).toBeUndefined();
  });

  it('has a bounded memory of open calls', () => {
    const rows = new TailRows();
    for (let i = 0; i <= 10_000; i++) rows.take(line({ ...intent, request_id: `r${i}` }));
    expect(rows.take(line({ kind: 'outcome', request_id: 'r0', result: {} }))?.tool).toBeUndefined();
    expect(rows.take(line({ kind: 'outcome', request_id: 'r1', result: {} }))?.tool).toBe('draw');
  });

  it('filters by ids and by names', () => {
    const row = new TailRows().take(line({ ...intent, kind: 'decision' }))!;
    for (const filter of [
      {},
      { grant: 'grt_1' },
      { grant: 'ana on flux' },
      { identity: 'ana' },
      { server: 'flux', tool: 'draw' },
    ]) {
      expect(matches(row, filter), JSON.stringify(filter)).toBe(true);
    }
    for (const filter of [
      { grant: 'grt_2' },
      { identity: 'bo' },
      { server: 'x' },
      { tool: 'x' },
      { outcome: 'deny' },
    ]) {
      expect(matches(row, filter), JSON.stringify(filter)).toBe(false);
    }
  });
});
