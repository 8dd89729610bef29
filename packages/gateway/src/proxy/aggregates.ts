// What happens again and again: counted exactly, and written as one record a period (spec: audit, first paragraph).
import type { AuditLog } from '../audit/log.ts';
import type { CallRecord } from '../audit/record.ts';

/** Milliseconds of a period; what was counted and not yet written when a process is killed is at most this old. */
export const PERIOD_MS = 10_000;

/** What the record of a series says beside its number and its id. */
export type SeriesFields = Omit<CallRecord, 'kind' | 'requestId' | 'count'> & { detail: Record<string, unknown> };

/** Equal events of one period. */
export class Series {
  /** Request id of the record to come; each counted event has the id `<id>.<its number>`. */
  readonly id: string;
  readonly fields: SeriesFields;
  /** Events that wait for the record. */
  count = 0;

  constructor(id: string, fields: SeriesFields) {
    this.id = id;
    this.fields = fields;
  }
}

export interface AggregatesOptions {
  audit: Pick<AuditLog, 'enqueue'>;
  newRequestId: () => string;
  /** Events of one kind and period that make records of their own before the rest is counted. */
  own: number;
  /** Kinds of events that are told apart in a period: memory is bounded by it (about 1 kB each). */
  maxKinds: number;
}

interface Kind {
  seen: number;
  series: Series | undefined;
}

export class Aggregates {
  readonly #options: AggregatesOptions;
  #kinds = new Map<string, Kind>();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: AggregatesOptions) {
    this.#options = options;
    this.#timer = setInterval(() => this.endPeriod(), PERIOD_MS).unref();
  }

  /**
   * Takes note of an event.
   * @param fields made once for a series, from its first event
   * @returns the series with this event counted in; undefined: it makes a record of its own, since it is one of the
   *   first of its kind, or there are too many kinds to tell apart
   */
  add(key: string, fields: () => SeriesFields): Series | undefined {
    const { own, maxKinds, newRequestId } = this.#options;
    let kind = this.#kinds.get(key);
    if (kind === undefined) {
      if (this.#kinds.size >= maxKinds || this.#timer === undefined) return undefined;
      kind = { seen: 0, series: undefined };
      this.#kinds.set(key, kind);
    }
    kind.seen += 1;
    if (kind.seen <= own) return undefined;
    kind.series ??= new Series(newRequestId(), fields());
    kind.series.count += 1;
    return kind.series;
  }

  /** Events of this kind in this period, those with records of their own included. */
  seen(key: string): number {
    return this.#kinds.get(key)?.seen ?? 0;
  }

  /** Writes what was counted so far; the rate goes on being measured over the period. */
  flush(): void {
    for (const kind of this.#kinds.values()) {
      const { series } = kind;
      if (series === undefined) continue;
      kind.series = undefined;
      const { id, count, fields } = series;
      this.#options.audit.enqueue({ ...fields, kind: 'aggregate', requestId: id, count });
    }
  }

  /** Writes what was counted, and begins to measure anew. */
  endPeriod(): void {
    this.flush();
    this.#kinds.clear();
  }

  /** The last records; afterwards every event makes its own. */
  close(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.endPeriod();
  }
}
