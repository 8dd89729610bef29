import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { type AuditLog, type AuditLogOptions, type CallRecord, openAuditLog } from './log.ts';
import type { Schedule } from './schedule.ts';

/** Timers that run when the test says so. */
export function handTimers(): { schedule: Schedule; run: () => void } {
  const armed = new Set<() => void>();
  return {
    schedule: (run) => {
      armed.add(run);
      return { refresh: () => armed.add(run), cancel: () => armed.delete(run) };
    },
    run: () => {
      const due = [...armed];
      armed.clear();
      for (const run of due) run();
    },
  };
}

/** A folder that is gone when the test ends. */
export function testFolder(): string {
  const dir = mkdtempSync(join(tmpdir(), 'gatehouse-audit-'));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

export const START = Date.parse('2026-03-01T10:00:00.000Z');

export interface TestLog {
  log: AuditLog;
  dir: string;
  /** Runs the timers that are armed. */
  tick: () => void;
}

/** A log in a folder of its own, under a clock that goes on one millisecond a look and timers run by hand. */
export async function testLog(options: Partial<AuditLogOptions> = {}): Promise<TestLog> {
  const dir = options.dir ?? testFolder();
  const timers = handTimers();
  let now = START;
  const log = await openAuditLog({
    dir,
    clock: () => now++,
    hmacKey: Buffer.alloc(32, 7),
    signingSeed: Buffer.alloc(32, 9),
    keyId: 'test-key',
    schedule: timers.schedule,
    ...options,
  });
  return { log, dir, tick: timers.run };
}

export function intent(requestId: string, more: Partial<CallRecord> = {}): CallRecord {
  return {
    kind: 'intent',
    requestId,
    grant: { id: 'g1', label: 'ana on flux' },
    identity: { id: 'i1', name: 'Ana' },
    server: 'flux',
    method: 'tools/call',
    tool: 'flux_generate_image',
    decision: { outcome: 'allow', policy: { id: 'p1', version: 3 }, limits: [{ key: 'k', units: 1, slice: 5 }] },
    ...more,
  };
}

export function outcome(requestId: string, result: CallRecord['result'] = { status: 200, bytes: 10 }): CallRecord {
  return { kind: 'outcome', requestId, result: result! };
}

export function denial(requestId: string, more: Partial<CallRecord> = {}): CallRecord {
  return intent(requestId, {
    kind: 'decision',
    decision: { outcome: 'deny', rule: '(default deny)', message: 'Not listed.' },
    ...more,
  });
}

/** All records of a stream, in the order of its segments' names. */
export function recordsOf(dir: string, stream: 'calls' | 'admin'): Record<string, unknown>[] {
  const folder = join(dir, stream);
  return readdirSync(folder)
    .toSorted()
    .flatMap((name) => readFileSync(join(folder, name), 'utf8').split('\n').slice(0, -1))
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}
