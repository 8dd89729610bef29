import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { CallRecord } from '../audit/record.ts';
import { Aggregates, PERIOD_MS } from './aggregates.ts';

let records: CallRecord[];
let ids: number;

beforeEach(() => {
  vi.useFakeTimers();
  records = [];
  ids = 0;
});
afterEach(() => vi.useRealTimers());

function aggregates(own: number, maxKinds: number): Aggregates {
  const audit = { enqueue: (record: CallRecord) => void records.push(record) };
  return new Aggregates({ audit, newRequestId: () => `id${++ids}`, own, maxKinds });
}

const fields = () => ({ detail: {} });

describe('aggregates', () => {
  it('[AUD-REPEATED] spare the first of a period, and write the rest with their count when it ends', () => {
    const repeated = aggregates(3, 100);
    const counted = Array.from({ length: 8 }, () => repeated.add('a', fields)?.count);
    expect(counted).toEqual([undefined, undefined, undefined, 1, 2, 3, 4, 5]);
    repeated.add('b', fields);
    expect(records).toEqual([]);
    vi.advanceTimersByTime(PERIOD_MS);
    expect(records).toMatchObject([{ kind: 'aggregate', requestId: 'id1', count: 5 }]);
    // A new period: the first make records of their own again.
    expect(repeated.add('a', fields)).toBeUndefined();
    vi.advanceTimersByTime(PERIOD_MS);
    expect(records).toHaveLength(1);
    repeated.close();
  });

  it('[AUD-REPEATED] are written at once where somebody asks, and go on under another id', () => {
    const repeated = aggregates(0, 100);
    repeated.add('a', fields);
    repeated.flush();
    expect(repeated.add('a', fields)).toMatchObject({ id: 'id2', count: 1 });
    repeated.close();
    expect(records.map(({ requestId, count }) => [requestId, count])).toEqual([
      ['id1', 1],
      ['id2', 1],
    ]);
  });

  it('[AUD-REPEATED] count no more than they have room to tell apart, and nothing once they are closed', () => {
    const repeated = aggregates(0, 2);
    expect(['a', 'b', 'c', 'a'].map((key) => repeated.add(key, fields)?.count)).toEqual([1, 1, undefined, 2]);
    repeated.close();
    expect(records.map(({ count }) => count)).toEqual([2, 1]);
    expect(repeated.add('a', fields)).toBeUndefined();
  });
});
