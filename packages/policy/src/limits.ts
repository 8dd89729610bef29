/** Limits (spec: policy §5): windows as written, the `rate_limit` shorthand, and their compilation to charges. */
import { type Amount, amountField, compileAmount } from './amount.ts';
import { compilePredicate, type Node, reasonOf } from './predicate.ts';
import type { Frame } from './read.ts';
import type { CalendarUnit, JudgeContext, LimitCharge, LimitScope, PinnedTool } from './types.ts';
import { INDETERMINATE, isObject, type Kleene, pointer, TRUE } from './values.ts';

export const SCOPES: readonly LimitScope[] = ['grant', 'identity', 'server', 'session'];

export const UNIT_SECONDS: Readonly<Record<CalendarUnit, number>> = {
  minute: 60,
  hour: 3600,
  day: 86_400,
  week: 604_800,
  // Nominal: calendar months are keyed and counted by their unit.
  month: 2_592_000,
};

/** Longer windows would outlive what anyone can check. */
export const MAX_SECONDS = 400 * 86_400;

export interface Window {
  readonly seconds: number;
  readonly align: 'sliding' | 'calendar';
  readonly unit: CalendarUnit | undefined;
}

export type WindowResult = { ok: true; window: Window } | { ok: false; field: 'window' | 'align'; message: string };

const DURATION = /^([1-9]\d{0,6})([mhd])$/;
const DURATION_SECONDS: Readonly<Record<string, number>> = { m: 60, h: 3600, d: 86_400 };

function secondsOf(window: unknown): number | undefined {
  if (typeof window === 'number') return Number.isSafeInteger(window) && window > 0 ? window : undefined;
  if (typeof window !== 'string') return undefined;
  if (Object.hasOwn(UNIT_SECONDS, window)) return UNIT_SECONDS[window as CalendarUnit];
  const found = DURATION.exec(window);
  return found ? Number(found[1]) * DURATION_SECONDS[found[2]!]! : undefined;
}

/** A window and its alignment as written. */
export function readWindow(window: unknown, align: unknown): WindowResult {
  const seconds = secondsOf(window);
  if (seconds === undefined) {
    return {
      ok: false,
      field: 'window',
      message:
        'A window is "minute", "hour", "day", "week" or "month", a whole number of seconds, or a duration such as "15m", "6h" or "30d".',
    };
  }
  if (seconds > MAX_SECONDS) return { ok: false, field: 'window', message: 'A window is at most 400 days long.' };
  if (align !== undefined && align !== 'sliding' && align !== 'calendar') {
    return { ok: false, field: 'align', message: '"align" is "sliding" or "calendar".' };
  }
  const named =
    typeof window === 'string' && Object.hasOwn(UNIT_SECONDS, window) ? (window as CalendarUnit) : undefined;
  const long = named === 'day' || named === 'week' || named === 'month';
  if ((align ?? (long ? 'calendar' : 'sliding')) === 'sliding') {
    if (named === 'month') {
      return {
        ok: false,
        field: 'align',
        message: 'A sliding window has a fixed length, which a month has not; write "30d".',
      };
    }
    return { ok: true, window: { seconds, align: 'sliding', unit: undefined } };
  }
  // Keyed by seconds: "day", 86400 and "1d" are one calendar window. 30 days are no month.
  const unit =
    named ??
    (Object.entries(UNIT_SECONDS).find(([u, s]) => s === seconds && u !== 'month')?.[0] as CalendarUnit | undefined);
  if (!unit) {
    return {
      ok: false,
      field: 'align',
      message: 'A calendar window is a minute, an hour, a day, a week or a month; other lengths are sliding.',
    };
  }
  return { ok: true, window: { seconds, align: 'calendar', unit } };
}

/** One limit as the document has it, `rate_limit` written out. */
export interface LimitSource {
  readonly pointer: string;
  readonly limit: Record<string, unknown>;
  readonly counter: string;
}

export type RateResult = { ok: true; max: unknown; window: unknown } | { ok: false; message: string };

export function readRate(value: unknown): RateResult {
  if (typeof value === 'string') {
    const found = /^(\d{1,15})\/([a-z0-9]+)$/.exec(value);
    if (!found) return { ok: false, message: 'A rate limit is written as "30/minute" or {"max": 30, "window": 60}.' };
    const window = /^\d+$/.test(found[2]!) ? Number(found[2]) : found[2];
    return { ok: true, max: Number(found[1]), window };
  }
  if (isObject(value)) return { ok: true, max: value.max, window: value.window };
  return {
    ok: false,
    message: 'A rate limit is written as "30/minute", as {"max": 30, "window": 60}, or as a list of such.',
  };
}

/** `owner`: the tool's name, `@class`, `all_tools`, `resources` or `prompts`. */
export function limitSources(at: string, block: Record<string, unknown>, owner: string): LimitSource[] {
  const sources: LimitSource[] = [];
  if (Array.isArray(block.limits)) {
    block.limits.forEach((limit, i) => {
      if (!isObject(limit)) return;
      const unnamed = Object.hasOwn(limit, 'concurrent') ? `${owner}_concurrent` : `${owner}_limit`;
      const counter = typeof limit.counter === 'string' ? limit.counter : unnamed;
      sources.push({ pointer: pointer(at, 'limits', i), limit, counter });
    });
  }
  const rates = block.rate_limit;
  const list = Array.isArray(rates) ? rates : rates === undefined ? [] : [rates];
  list.forEach((rate, i) => {
    const read = readRate(rate);
    if (!read.ok) return;
    const where = Array.isArray(rates) ? pointer(at, 'rate_limit', i) : pointer(at, 'rate_limit');
    sources.push({ pointer: where, limit: { max: read.max, window: read.window }, counter: `${owner}_rate` });
  });
  return sources;
}

export interface Limit {
  readonly pointer: string;
  readonly amount: Amount;
  readonly when: readonly Node[];
  readonly reason: string | undefined;
  readonly name: string | undefined;
  /** A `concurrent` limit. */
  readonly slot: boolean;
  charge(amount: number, context: JudgeContext): LimitCharge;
}

function scopeId(scope: LimitScope, { caller }: JudgeContext): string {
  switch (scope) {
    case 'grant':
      return JSON.stringify([caller.grant.id]);
    case 'identity':
      // A document belongs to one server: two servers may use one counter's name for different things.
      return JSON.stringify([caller.server.slug, caller.identity.id]);
    case 'server':
      return JSON.stringify([caller.server.slug]);
    case 'session':
      return caller.session === undefined
        ? JSON.stringify([caller.grant.id])
        : JSON.stringify([caller.grant.id, caller.session]);
  }
}

export function compileLimit(
  source: LimitSource,
  tool: PinnedTool | undefined,
  timezone: string,
  blockReason: string | undefined,
): Limit {
  const { limit } = source;
  if (Object.hasOwn(limit, 'concurrent')) return compileConcurrent(source, blockReason);
  const read = readWindow(limit.window, limit.align);
  if (!read.ok) throw new Error(read.message);
  const { seconds, align, unit } = read.window;
  const scope = (limit.scope ?? 'grant') as LimitScope;
  const name = typeof limit.name === 'string' ? limit.name : undefined;
  const reason = reasonOf(limit) ?? blockReason;
  const span = unit === undefined ? seconds : `${unit}@${timezone}`;
  const prefix = JSON.stringify([source.counter, span, scope]);
  const when = Array.isArray(limit.when) ? limit.when : [];
  return {
    pointer: source.pointer,
    amount: compileAmount(amountField(limit)?.value, tool),
    when: when.map((item, i) =>
      compilePredicate(pointer(source.pointer, 'when', i), item as Record<string, unknown>, {
        list: 'when',
        tool,
        inverted: false,
      }),
    ),
    reason,
    name,
    slot: false,
    charge: (amount, context) => ({
      key: `${prefix}${scopeId(scope, context)}`,
      counter: source.counter,
      windowSeconds: seconds,
      align,
      ...(unit && { unit }),
      timezone,
      max: limit.max as number,
      amount,
      pointer: source.pointer,
      ...(name !== undefined && { name }),
      ...(reason !== undefined && { reason }),
      scope,
    }),
  };
}

/**
 * Slots have no counter's name in the language: as with a window without one, each block has its own, so that limits
 * share slots where they stand in one block and have one scope.
 */
function compileConcurrent({ pointer: at, limit, counter }: LimitSource, blockReason: string | undefined): Limit {
  const scope = (limit.scope ?? 'grant') as LimitScope;
  const name = typeof limit.name === 'string' ? limit.name : undefined;
  const reason = reasonOf(limit) ?? blockReason;
  const prefix = JSON.stringify([counter, 'concurrent', scope]);
  return {
    pointer: at,
    amount: compileAmount(undefined, undefined),
    when: [],
    reason,
    name,
    slot: true,
    charge: (_amount, context) => ({
      kind: 'slot',
      key: `${prefix}${scopeId(scope, context)}`,
      counter,
      max: limit.concurrent as number,
      amount: 1,
      pointer: at,
      ...(name !== undefined && { name }),
      ...(reason !== undefined && { reason }),
      scope,
    }),
  };
}

/** Whether a limit applies: its `when` is a conjunction. */
export function applies(limit: Limit, frame: Frame): Kleene {
  let result: Kleene = TRUE;
  for (const node of limit.when) {
    const value = node.evaluate(frame);
    if (value === INDETERMINATE) result = INDETERMINATE;
    else if (value !== TRUE) return value;
  }
  return result;
}
