import { describe, expect, it } from 'vitest';
import { formatReport } from './format.ts';
import { ChainMaker, KEYS } from './testing.ts';
import { verifyAuditLog } from './verify.ts';

const chain = (): ChainMaker => new ChainMaker('w1').start().call('r1').addHead();
const format = async (lines: readonly string[], publicKeys = KEYS): Promise<string> =>
  formatReport(await verifyAuditLog({ lines, publicKeys }));

describe('formatReport', () => {
  it('says what holds, and what is not proven', async () => {
    const text = await format(chain().add('intent', { request_id: 'open' }).lines);
    expect(text.split('\n')).toEqual([
      'INTACT as far as it can be proven.',
      '5 records in 1 chain: 4 proven by signed heads, 1 unproven.',
      '  calls/w1: 5 records, 1 head, 1 unproven, not stopped in order or still open',
      '1 intent without an outcome (the calls may have had their effect):',
      '  open (w1 record 5)',
      'What this does not prove:',
      expect.stringContaining('1 record lies behind the last signed head'),
      expect.stringContaining('No head from outside was given'),
    ]);
  });

  it('names the first bad record first', async () => {
    const { lines } = chain();
    const text = await format(lines.with(1, lines[1]!.replace('r1', 'r2')));
    expect(text).toMatch(/^NOT INTACT: 1 problem\.\nFirst bad record: calls\/w1 record 2 line 2 \(hash_mismatch\)\n/);
  });

  it('shows the first of many problems, torn lines, and no control characters', async () => {
    const { lines } = chain();
    const swapped = Array.from({ length: 30 }, () => lines[1]!);
    const text = await format([...lines, ...swapped, '{"torn']);
    expect(text).toContain('… and 19 more');
    expect(text).toContain('1 torn line (cut off while being written; not tampering):');
    const hostile = await format(chain().add('intent', { request_id: '\u001b[2J\u202e' }).lines);
    expect(hostile).toContain('?[2J?');
    expect(await format(lines, [])).toContain('signatures were not checked');
  });
});
