// Failed authentications: counted per source, slowed down, recorded in aggregate with their exact count (spec: gateway §3).
import type { AuditLog } from '../audit/log.ts';
import { Aggregates, PERIOD_MS, type SeriesFields } from './aggregates.ts';

/** From this many failures of one source in one period on, answers wait. */
const SLOW_FROM = 20;
const SLOW_MS = 1_000;
/** Beyond this many sources in one period, all further ones are counted together, so that memory is bounded. */
const MAX_SOURCES = 10_000;
const OTHERS = '(others)';

export class Refusals {
  readonly #aggregates: Aggregates;
  /** Beyond {@link MAX_SOURCES}: one series for all of them. */
  readonly #others: Aggregates;

  constructor(audit: Pick<AuditLog, 'enqueue'>, newRequestId: () => string) {
    this.#aggregates = new Aggregates({ audit, newRequestId, own: 0, maxKinds: MAX_SOURCES });
    this.#others = new Aggregates({ audit, newRequestId, own: 0, maxKinds: 1 });
  }

  /** Counts one failure. @returns milliseconds that the answer shall wait */
  add(source: string, reason: string): number {
    let series = this.#aggregates.add(source, () => fieldsOf(source));
    let seen = this.#aggregates.seen(source);
    if (series === undefined) {
      series = this.#others.add(OTHERS, () => fieldsOf(OTHERS));
      seen = this.#others.seen(OTHERS);
    }
    if (series !== undefined) {
      const reasons = series.fields.detail.reasons as Record<string, number>;
      reasons[reason] = (reasons[reason] ?? 0) + 1;
    }
    return seen > SLOW_FROM ? SLOW_MS : 0;
  }

  close(): void {
    this.#aggregates.close();
    this.#others.close();
  }
}

function fieldsOf(source: string): SeriesFields {
  return {
    source,
    decision: { outcome: 'unauthorized', rule: '(authentication)' },
    detail: { reasons: {}, windowMs: PERIOD_MS },
  };
}
