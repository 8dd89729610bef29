import { describe, expect, it } from 'vitest';
import { checkHeadSettings, checkHeadSinks, checkReserve, checkRetention } from './doctor-audit.ts';

const MIB = 1024 ** 2;
const NOW = Date.parse('2026-05-02T12:00:00Z');

describe('doctor of the audit log', () => {
  it('[GW-DISK-RESERVE] the reserve: whole, in the making, impossible, off, spent', () => {
    const check = (held: number, more: object = {}) =>
      checkReserve({ writable: true, reserve: { bytes: 8 * MIB, held: held * MIB, spent: false, ...more } });
    expect(check(8)).toMatchObject({ status: 'ok', message: '8.0 MiB are kept' });
    expect(check(0)).toMatchObject({ status: 'ok', message: '0.0 MiB of 8.0 MiB are kept: it is being made' });
    expect(check(0, { problem: 'no room' })).toMatchObject({
      status: 'warn',
      message: expect.stringContaining('no room'),
    });
    expect(check(0, { bytes: 0 })).toMatchObject({ status: 'warn' });
    expect(check(1, { spent: true, problem: 'the disk is full' })).toMatchObject({
      status: 'fail',
      message: 'the disk is full',
    });
    const reserve = { bytes: MIB, held: MIB, spent: false };
    expect(checkReserve({ writable: false, lastError: 'EROFS', reserve })).toMatchObject({
      status: 'fail',
      message: 'the log cannot be written: EROFS',
    });
  });

  it('[AUD-RETENTION] retention: off, running, failed, late', () => {
    const state = { age: 400 * 86_400_000, cutSegments: 0, cutRecords: 0 };
    const started = '2026-05-02T11:00:00Z';
    expect(checkRetention({ ...state, age: null }, started, NOW)).toMatchObject({ status: 'ok' });
    expect(checkRetention(state, started, NOW)).toMatchObject({
      status: 'ok',
      message: 'segments older than 400 days are cut',
    });
    expect(checkRetention(state, '2026-05-02T01:00:00Z', NOW)).toMatchObject({ status: 'warn' });
    expect(checkRetention({ ...state, lastError: 'no room' }, started, NOW)).toMatchObject({ status: 'warn' });
    expect(checkRetention({ ...state, lastRun: started }, started, NOW).message).toContain(started);
  });

  it('[AUD-HEADS-OUT] warns when no head leaves the machine, or the disk', () => {
    const device = (path: string): number => (path.startsWith('/mnt') ? 2 : 1);
    expect(checkHeadSettings({}, '/data', device)).toMatchObject({
      status: 'warn',
      message: expect.stringContaining('no signed head'),
    });
    expect(checkHeadSettings({ file: '/data/heads' }, '/data', device)).toMatchObject({ status: 'warn' });
    expect(checkHeadSettings({ file: '/mnt/heads' }, '/data', device)).toBeUndefined();
    expect(checkHeadSettings({ webhook: 'https://x.example' }, '/data', device)).toBeUndefined();
    expect(checkHeadSettings({ file: '/no/such/folder/heads' }, '/')).toMatchObject({ status: 'warn' });
  });

  it('[AUD-HEADS-OUT] says of each sink when the last head arrived, and why none does', () => {
    const sink = { sink: 'webhook', target: 'x.example', waiting: 0, dropped: 0, failures: 0 } as const;
    const last = { stream: 'calls', writer: 'w', seq: 1, time: 't', exportedAt: '2026-05-02T11:59:00Z' };
    expect(checkHeadSinks([sink, { ...sink, last }])).toMatchObject([
      { status: 'ok', message: 'x.example; none was made yet' },
      { status: 'ok', message: 'x.example; the last arrived at 2026-05-02T11:59:00Z' },
    ]);
    expect(
      checkHeadSinks([{ ...sink, last, error: 'it answered 500', waiting: 3, dropped: 2, failures: 9 }])[0],
    ).toMatchObject({
      status: 'warn',
      message:
        'x.example takes none (it answered 500); the last arrived at 2026-05-02T11:59:00Z, 3 wait, 2 left out, 9 tries failed',
    });
  });
});
