// For tests: a control plane over a real store in a temporary folder, with a log in memory and a clock that is set by hand.
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AdminRecord } from '../audit/record.ts';
import { type ControlPlane, openControlPlane } from '../control.ts';
import { GatehouseError } from '../errors.ts';
import { deriveKeys, type SecretKeys } from '../keys.ts';
import type { Actor } from '../model.ts';
import type { ObservedTool, Services } from '../services.ts';

export const ADMIN: Actor = { kind: 'local-admin', id: 'local' };
export const START = Date.parse('2026-05-01T12:00:00.000Z');

export class MemoryAudit {
  readonly records: AdminRecord[] = [];
  failure: Error | undefined;

  async admin(record: AdminRecord): Promise<void> {
    if (this.failure !== undefined) throw this.failure;
    // As JSON, which is what the log keeps.
    this.records.push(JSON.parse(JSON.stringify(record)) as AdminRecord);
  }

  async close(): Promise<void> {}

  get actions(): string[] {
    return this.records.map((record) => record.action);
  }
}

export interface TestControl {
  readonly services: Services;
  readonly audit: MemoryAudit;
  readonly dataDir: string;
  readonly keys: SecretKeys;
  readonly instanceId: string;
  /** Milliseconds since the epoch; moves only when a test moves it. */
  now: number;
  /** Closes the store and opens it again, as a restart does. */
  reopen(keys?: SecretKeys): Promise<void>;
  end(): Promise<void>;
}

export async function openTestControl(): Promise<TestControl> {
  const dataDir = mkdtempSync(join(tmpdir(), 'gatehouse-control-'));
  const keys = deriveKeys(randomBytes(32), 'test');
  const audit = new MemoryAudit();
  const open = (with_: SecretKeys): Promise<ControlPlane<MemoryAudit>> =>
    openControlPlane({ dataDir, keys: with_, clock: () => control.now, openAudit: async () => audit });
  const control = { now: START, audit, dataDir, keys } as { -readonly [K in keyof TestControl]: TestControl[K] };
  const opened = await open(keys);
  control.services = opened.services;
  control.instanceId = opened.instanceId;
  control.reopen = async (other = keys) => {
    await control.services.close();
    control.services = (await open(other)).services;
  };
  control.end = async () => {
    await control.services.close();
    rmSync(dataDir, { recursive: true, force: true });
  };
  return control;
}

/** A tool as a server lists it. */
export function listed(value: Record<string, unknown>): ObservedTool {
  return { value, bytes: new TextEncoder().encode(JSON.stringify(value)) };
}

/** What a promise was refused with. */
export async function refusal(promise: Promise<unknown>): Promise<GatehouseError> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof GatehouseError) return error;
    throw error;
  }
  throw new Error('expected a refusal');
}
