/** Local time of IANA zones by `Intl`, which browsers and Node share. All instants are milliseconds since the epoch. */

import type { CalendarUnit } from './types.ts';

const MINUTE = 60_000;
const HOUR = 3_600_000;
const DAY = 86_400_000;

export interface Zone {
  readonly name: string;
  /** Local time minus UTC, in milliseconds, at an instant. */
  offset(at: number): number;
  /** The day, week and month asked for last: calls come in the order of time, and a period is dear to find. */
  readonly periods: Map<CalendarUnit, { start: number; end: number }>;
}

const zones = new Map<string, Zone>();
const UTC: Zone = { name: 'UTC', offset: () => 0, periods: new Map() };

export function isZone(name: string): boolean {
  // Offsets such as "+02:00" are no IANA names, although `Intl` takes them; they know no daylight saving.
  if (!/^[A-Za-z]/.test(name)) return false;
  try {
    new Intl.DateTimeFormat('en-US', { timeZone: name });
    return true;
  } catch {
    return false;
  }
}

/** Throws RangeError for a name that `isZone` refuses. */
export function zoneOf(name: string): Zone {
  if (name === 'UTC') return UTC;
  const known = zones.get(name);
  if (known) return known;
  const zone = makeZone(name);
  zones.set(name, zone);
  return zone;
}

function makeZone(name: string): Zone {
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone: name,
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
    era: 'short',
  });
  // Since 1973 every zone changes on a whole minute, so one answer holds for the minute it was asked in.
  let cachedMinute = Number.NaN;
  let cachedOffset = 0;
  return {
    name,
    periods: new Map(),
    offset(at) {
      const minute = Math.floor(at / MINUTE);
      if (minute === cachedMinute) return cachedOffset;
      const start = minute * MINUTE;
      const part: Record<string, string> = {};
      for (const { type, value } of format.formatToParts(start)) part[type] = value;
      const year = part.era === 'BC' ? 1 - Number(part.year) : Number(part.year);
      const local = Date.UTC(
        year,
        Number(part.month) - 1,
        Number(part.day),
        Number(part.hour),
        Number(part.minute),
        Number(part.second),
      );
      cachedMinute = minute;
      cachedOffset = local - start;
      return cachedOffset;
    },
  };
}

/**
 * The instant of a local midnight: the earlier of two where clocks went back over it, the first instant after the gap
 * where they skipped it.
 */
function instantOf(localMidnight: number, zone: Zone): number {
  const before = zone.offset(localMidnight - DAY);
  const after = zone.offset(localMidnight + DAY);
  const early = localMidnight - before;
  if (before === after) {
    // Two changes within two days cancel out in both samples; look at the instant itself.
    return zone.offset(early) === before ? early : localMidnight - zone.offset(early);
  }
  const late = localMidnight - after;
  const earlyFits = zone.offset(early) === before;
  const lateFits = zone.offset(late) === after;
  if (earlyFits && lateFits) return Math.min(early, late);
  return lateFits && !earlyFits ? late : early;
}

/** Local midnight that begins the period `step` periods after the one that holds the local day. */
function localBoundary(localDay: number, unit: 'day' | 'week' | 'month', step: number): number {
  if (unit === 'day') return (localDay + step) * DAY;
  // Day 0 of the epoch was a Thursday; weeks begin on Monday.
  if (unit === 'week') return (localDay - ((((localDay + 3) % 7) + 7) % 7) + 7 * step) * DAY;
  const date = new Date(localDay * DAY);
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + step, 1);
}

/** The calendar period that holds an instant: [start, end). Periods of one unit and zone partition time. */
export function calendarPeriod(at: number, unit: CalendarUnit, zone: Zone): { start: number; end: number } {
  if (unit === 'minute' || unit === 'hour') {
    const length = unit === 'minute' ? MINUTE : HOUR;
    const offset = zone.offset(at);
    const start = Math.floor((at + offset) / length) * length - offset;
    return { start, end: start + length };
  }
  const recent = zone.periods.get(unit);
  if (recent && at >= recent.start && at < recent.end) return recent;
  const localDay = Math.floor((at + zone.offset(at)) / DAY);
  // Where clocks go back over midnight the local date says yesterday once more, though today has begun.
  for (const step of [0, -1, 1]) {
    const start = instantOf(localBoundary(localDay, unit, step), zone);
    const end = instantOf(localBoundary(localDay, unit, step + 1), zone);
    if (at >= start && at < end) {
      const period = { start, end };
      zone.periods.set(unit, period);
      return period;
    }
  }
  throw new RangeError(`no calendar ${unit} of ${zone.name} holds the instant ${at}`);
}

export interface LocalTime {
  readonly hour: number;
  /** Monday is 1, Sunday 7. */
  readonly weekday: number;
  readonly date: string;
}

export function localTime(at: number, zone: Zone): LocalTime {
  const local = at + zone.offset(at);
  const day = Math.floor(local / DAY);
  return {
    hour: Math.floor((local - day * DAY) / HOUR),
    weekday: ((((day + 3) % 7) + 7) % 7) + 1,
    date: new Date(local).toISOString().slice(0, 10),
  };
}
