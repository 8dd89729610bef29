/** What a counter's key says of its window: the key stands in records, which outlive the policy that made it. */
import { parsePlainJson } from '@gatehouse/wire';
import { UNIT_SECONDS } from './limits.ts';
import type { CalendarUnit } from './types.ts';
import { isZone } from './zone.ts';

export interface CounterWindow {
  readonly windowSeconds: number;
  readonly align: 'sliding' | 'calendar';
  readonly unit?: CalendarUnit;
  readonly timezone: string;
}

/** Keys that share counter, window and scope share their first part; policies have few of these, keys are many. */
const known = new Map<string, CounterWindow | undefined>();
const MAX_KNOWN = 10_000;

/** The end of the first of the two JSON arrays that a key is made of. */
function firstPart(key: string): string {
  let inString = false;
  for (let i = 0; i < key.length; i++) {
    const code = key.charCodeAt(i);
    if (inString) {
      if (code === 0x5c) i++;
      else if (code === 0x22) inString = false;
    } else if (code === 0x22) inString = true;
    else if (code === 0x5d) return key.slice(0, i + 1);
  }
  return key;
}

function readPart(part: string): CounterWindow | undefined {
  let span: unknown;
  try {
    const list = parsePlainJson(part);
    span = Array.isArray(list) ? list[1] : undefined;
  } catch {
    return undefined;
  }
  if (typeof span === 'number') {
    const valid = Number.isSafeInteger(span) && span > 0;
    return valid ? { windowSeconds: span, align: 'sliding', timezone: 'UTC' } : undefined;
  }
  if (typeof span !== 'string') return undefined;
  const at = span.indexOf('@');
  const unit = span.slice(0, at) as CalendarUnit;
  const timezone = span.slice(at + 1);
  if (at < 0 || !Object.hasOwn(UNIT_SECONDS, unit) || !isZone(timezone)) return undefined;
  return { windowSeconds: UNIT_SECONDS[unit], align: 'calendar', unit, timezone };
}

/** The window of a `Charge.key`; undefined for what is no key of a window. */
export function windowOfKey(key: string): CounterWindow | undefined {
  const part = firstPart(key);
  if (known.has(part)) return known.get(part);
  const window = readPart(part);
  if (known.size >= MAX_KNOWN) known.clear();
  known.set(part, window);
  return window;
}
