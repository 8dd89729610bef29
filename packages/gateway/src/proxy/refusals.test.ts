import { describe, expect, it } from 'vitest';
import type { AuditLog } from '../audit/log.ts';
import type { CallRecord } from '../audit/record.ts';
import { Refusals } from './refusals.ts';

function recorder(): { records: CallRecord[]; audit: AuditLog } {
  const records: CallRecord[] = [];
  return { records, audit: { enqueue: (record: CallRecord) => records.push(record) } as unknown as AuditLog };
}

describe('failed authentications', () => {
  it('[GW-AGGREGATE] make one record per source with the exact count, and the source is slowed down', () => {
    const { records, audit } = recorder();
    const refusals = new Refusals(audit, () => 'r');
    const waits = Array.from({ length: 500 }, () => refusals.add('10.0.0.1', 'unknown_token'));
    expect(refusals.add('10.0.0.2', 'missing')).toBe(0);
    expect(waits[0]).toBe(0);
    expect(waits[499]).toBeGreaterThan(0);
    refusals.close();
    expect(records.map(({ source, count }) => [source, count])).toEqual([
      ['10.0.0.1', 500],
      ['10.0.0.2', 1],
    ]);
    expect(records[0]?.detail).toMatchObject({ reasons: { unknown_token: 500 } });
  });

  it('[GW-AGGREGATE] a flood from many sources takes bounded memory and loses no count', () => {
    const { records, audit } = recorder();
    const refusals = new Refusals(audit, () => 'r');
    for (let source = 0; source < 12_000; source++) refusals.add(`s${source}`, 'missing');
    refusals.close();
    expect(records.length).toBe(10_001);
    expect(records.reduce((sum, record) => sum + (record.count ?? 0), 0)).toBe(12_000);
  });
});
