import type { Trace } from '@gatehouse/policy';
import { describe, expect, it } from 'vitest';
import type { AuditRow } from '../audit/search.ts';
import { atPointer, limitSentences, prospectSentences, recordSentences, ruleSentences } from './why-sentences.ts';

const subject = { server: 'flux', tool: 'draw' };
const document = { version: '1', default: 'deny', tools: { draw: { args: { 'a/b': { lte: 4 } } } } };
const row: AuditRow = {
  time: Date.UTC(2026, 4, 1, 8),
  requestId: 'r1',
  kind: 'decision',
  writer: 'w',
  seq: 1,
  outcome: 'deny',
  count: 1,
  server: 'flux',
  tool: 'draw',
  method: 'tools/call',
  identity: { id: 'idn_1', name: 'ana' },
  grant: { id: 'grt_1', label: 'ana on flux' },
  policy: { id: 'pol_1', version: '2' },
};

describe('atPointer', () => {
  it('reads escaped keys, and nothing that is inherited', () => {
    expect(atPointer(document, '/tools/draw/args/a~1b/lte')).toBe(4);
    expect(atPointer(document, '/tools/constructor')).toBeUndefined();
    expect(atPointer(document, '/version/0/x')).toBeUndefined();
  });
});

describe('ruleSentences', () => {
  it.each([
    '(hidden)',
    '(unknown tool)',
    '(frozen)',
    '(no policy)',
    '(new tool)',
    '(definition changed)',
    '(default deny)',
    '(arguments)',
    '(resource)',
    '(internal error)',
  ])('explains %s', (rule) => {
    const sentences = ruleSentences(rule, subject, document);
    expect(sentences.join(' ')).not.toContain('What decided is called');
    expect(sentences.length).toBeGreaterThan(0);
  });

  it('quotes the piece of the policy that a pointer names', () => {
    expect(ruleSentences('/tools/draw/args/a~1b', subject, document)).toEqual([
      'The rule at /tools/draw/args/a~1b of the policy decided; it says: {"lte":4}',
    ]);
    expect(ruleSentences('/tools/gone', subject, document)).toEqual(['The rule at /tools/gone of the policy decided.']);
  });
});

describe('recordSentences', () => {
  it('[GW-WHY] tells the owner that a tool is hidden, where the caller was told that it is unknown', () => {
    const text = recordSentences({ ...row, rule: '(hidden)' }, undefined).join('\n');
    expect(text).toContain(
      'ana asked for the tool draw of flux with the grant ana on flux (grt_1) at 2026-05-01T08:00:00.000Z.',
    );
    expect(text).toContain('was denied');
    expect(text).toContain('hides this tool');
    expect(text).toContain('removed since');
  });

  it('says whether the policy has changed since', () => {
    const policy = { name: 'default', version: '2', document, currentVersion: 2 };
    expect(recordSentences(row, policy).join('\n')).toContain('It has not changed since.');
    expect(recordSentences(row, { ...policy, currentVersion: 5 }).join('\n')).toContain('at version 5 now');
  });

  it('says what the server answered, and when no outcome is known', () => {
    const failed = recordSentences({ ...row, outcome: 'error', status: 200, isError: true }, undefined).join('\n');
    expect(failed).toContain('HTTP status 200, a result marked as an error');
    expect(recordSentences({ ...row, outcome: 'unknown' }, undefined).join('\n')).toContain('no outcome was recorded');
  });
});

describe('prospectSentences', () => {
  const context = { identity: 'ana', grant: 'ana on flux', policy: { name: 'default', version: 2, document } };
  const denied = (step: number, rule: string): Trace => {
    const decision = { outcome: 'deny' as const, rule, reason: 'No.', concealed: false, failures: [] };
    return { steps: [{ step, title: 'x', result: 'deny', predicates: [] }], decision };
  };

  it('tells what no argument can change from what depends on them', () => {
    expect(prospectSentences(denied(5, '(default deny)'), subject, context)[0]).toContain('whatever its arguments');
    expect(prospectSentences(denied(8, '/tools/draw/args/a~1b'), subject, context)[0]).toContain(
      'depends on the arguments',
    );
  });

  it('names what would be charged', () => {
    const charge = {
      key: 'k',
      counter: 'images',
      windowSeconds: 60,
      align: 'sliding' as const,
      timezone: 'UTC',
      max: 30,
      amount: 1,
      pointer: '/tools/draw/limits/0',
      scope: 'grant' as const,
    };
    const decision = { outcome: 'allow' as const, charges: [charge], warnings: [], rule: '' as const };
    const text = prospectSentences({ steps: [], decision }, subject, context).join('\n');
    expect(text).toContain('would be allowed');
    expect(text).toContain('1 to images (at most 30 per 60 s and grant)');
    expect(limitSentences({ ok: true })).toEqual([]);
    expect(limitSentences({ ok: false, charge, used: 30, retryAfterMs: 1500 })[0]).toContain(
      '30 of 30 are used. A retry can pass in 1500 ms.',
    );
    expect(limitSentences({ ok: false, charge, used: 0, retryAfterMs: Number.POSITIVE_INFINITY })[0]).toContain(
      'never fits',
    );
  });

  it('[POL-CONCURRENT] names the slot that it would take, and how many are under way', () => {
    const charge = {
      kind: 'slot' as const,
      key: 'k',
      counter: 'draw_concurrent',
      max: 3,
      amount: 1 as const,
      pointer: '/tools/draw/limits/0',
      scope: 'grant' as const,
    };
    const decision = { outcome: 'allow' as const, charges: [charge], warnings: [], rule: '' as const };
    expect(prospectSentences({ steps: [], decision }, subject, context).join('\n')).toContain(
      'It would take a slot of draw_concurrent (at most 3 at once per grant).',
    );
    expect(limitSentences({ ok: false, charge, used: 3, retryAfterMs: 1000, freeWithinMs: 5000 })).toEqual([
      'Right now the limit at /tools/draw/limits/0 would deny it: 3 of 3 calls are under way. A retry can pass when one of them ends.',
    ]);
  });
});
