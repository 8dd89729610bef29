/** RFC 3339 instants, compared exactly whatever the number of fraction digits. */

export interface Instant {
  /** Whole seconds since the epoch. */
  readonly seconds: number;
  /** Fraction digits without trailing zeros. */
  readonly fraction: string;
}

const RFC3339 = /^(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d{1,30}))?(?:[Zz]|([+-])(\d\d):(\d\d))$/;

/** `undefined` for anything outside RFC 3339 §5.6, for days that no calendar has, and for leap seconds, which no clock here counts. */
export function parseInstant(text: string): Instant | undefined {
  const found = RFC3339.exec(text);
  if (!found) return undefined;
  const [year, month, day, hour, minute, second] = found.slice(1, 7).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  if (month < 1 || month > 12 || hour > 23 || minute > 59 || second > 59) return undefined;
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  if (day < 1 || date.getUTCMonth() !== month - 1) return undefined;
  const offsetHour = Number(found[9] ?? 0);
  const offsetMinute = Number(found[10] ?? 0);
  if (offsetHour > 23 || offsetMinute > 59) return undefined;
  const offset = (offsetHour * 3600 + offsetMinute * 60) * (found[8] === '-' ? -1 : 1);
  const seconds = date.getTime() / 1000 + hour * 3600 + minute * 60 + second - offset;
  return { seconds, fraction: (found[7] ?? '').replace(/0+$/, '') };
}

/** Negative, zero or positive. */
export function compareInstants(a: Instant, b: Instant): number {
  if (a.seconds !== b.seconds) return a.seconds - b.seconds;
  return a.fraction === b.fraction ? 0 : a.fraction < b.fraction ? -1 : 1;
}
