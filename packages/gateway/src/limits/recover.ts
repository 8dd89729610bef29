// Counters after a restart or a crash: what the log's intents reserved, less what was given back (spec: policy §5, audit).
import type { WindowState } from '@gatehouse/policy';
import { parsePlainJson } from '@gatehouse/wire';
import type { OpenCall } from './slots.ts';

/** The longest window is a month; one day more covers zones and clocks. */
const HORIZON_MS = 32 * 86_400_000;

interface Reserved {
  key: string;
  units: number;
  slice: number;
}

interface LimitedRecord {
  kind: string;
  time: string;
  request_id: string;
  decision?: {
    outcome: string;
    limits?: { key: string; units: number; slice?: number; slot?: boolean }[];
    deadline?: string;
  };
  detail?: { slots?: string };
}

export interface RecoveredCounters {
  states: Map<string, WindowState>;
  /** Calls that took slots and whose end is not known: they may run until their deadline. */
  openCalls: OpenCall[];
  /** Lines that are damaged, so that what they reserved is not known. */
  unreadable: number;
}

/**
 * Reads a whole log, line by line, and keeps only the counters. A damaged line is counted and passed over: loss of power
 * may leave one, and it is the verifier's to find, not a reason to stay down.
 * @param lines as the log gives them, in the order they were written
 * @param now milliseconds since the epoch; older records than the longest window are passed over
 */
export async function recoverCounters(lines: AsyncIterable<string>, now: number): Promise<RecoveredCounters> {
  const states = new Map<string, WindowState>();
  /** Intents whose outcome has not come yet: only a call that was not sent gives its units back. */
  const open = new Map<string, Reserved[]>();
  const openCalls = new Map<string, OpenCall>();
  let unreadable = 0;
  for await (const line of lines) {
    // Most records reserve nothing and end nothing: they are not even parsed.
    const reserves = line.includes('"limits":[');
    if (!reserves && (open.size === 0 || !line.includes('"kind":"outcome"'))) continue;
    try {
      const record = parsePlainJson(line) as LimitedRecord;
      take(states, open, record, now - HORIZON_MS);
      takeSlots(openCalls, record, now);
    } catch {
      unreadable += 1;
    }
  }
  return { states, openCalls: [...openCalls.values()], unreadable };
}

function take(
  states: Map<string, WindowState>,
  open: Map<string, Reserved[]>,
  record: LimitedRecord,
  from: number,
): void {
  if (record.kind === 'outcome') {
    if (record.decision?.outcome === 'not_sent') {
      for (const one of open.get(record.request_id) ?? []) giveBack(states, one);
    }
    open.delete(record.request_id);
    return;
  }
  const time = Date.parse(record.time);
  if (record.kind !== 'intent' || time < from) return;
  const reserved = (record.decision?.limits ?? []).filter((one): one is Reserved => one.slice !== undefined);
  for (const one of reserved) count(states, one, time);
  open.set(record.request_id, reserved);
}

/** The relay says of an outcome whether the call may still run (`records.ts`); without a word on it, it is over. */
function takeSlots(
  open: Map<string, OpenCall>,
  { kind, request_id: id, decision, detail }: LimitedRecord,
  now: number,
): void {
  if (kind === 'outcome') {
    if (detail?.slots !== 'held') open.delete(id);
  } else if (kind === 'intent' && decision?.limits !== undefined) {
    const keys = decision.limits.filter(({ slot }) => slot === true).map(({ key }) => key);
    const deadline = Date.parse(decision.deadline ?? '');
    if (keys.length > 0 && deadline > now) open.set(id, { id, deadline, keys });
  }
}

function count(states: Map<string, WindowState>, { key, units, slice }: Reserved, time: number): void {
  let state = states.get(key);
  if (state === undefined) {
    state = { time, slices: [], units: [] };
    states.set(key, state);
  }
  state.time = Math.max(state.time, time);
  // Slices ascend; the chains of two processes may overlap by a little.
  let at = state.slices.length;
  while (at > 0 && (state.slices[at - 1] as number) >= slice) at -= 1;
  if (state.slices[at] === slice) state.units[at] = (state.units[at] as number) + units;
  else {
    state.slices.splice(at, 0, slice);
    state.units.splice(at, 0, units);
  }
}

function giveBack(states: Map<string, WindowState>, { key, units, slice }: Reserved): void {
  const state = states.get(key);
  const at = state?.slices.indexOf(slice) ?? -1;
  if (state !== undefined && at >= 0) state.units[at] = Math.max(0, (state.units[at] as number) - units);
}
