// Failed authentications: counted per source, slowed down, recorded in aggregate with their exact count (spec: gateway §3).
import type { AuditLog } from '../audit/log.ts';

/** One record per source and this many milliseconds. */
const WINDOW_MS = 10_000;
/** From this many failures of one source in one window on, answers wait. */
const SLOW_FROM = 20;
const SLOW_MS = 1_000;
/** Beyond this many sources in one window, all further ones are counted together, so that memory is bounded. */
const MAX_SOURCES = 10_000;
const OTHERS = '(others)';

interface Tally {
  count: number;
  reasons: Record<string, number>;
}

export class Refusals {
  readonly #audit: AuditLog;
  #tallies = new Map<string, Tally>();
  readonly #timer: NodeJS.Timeout;

  constructor(audit: AuditLog, newRequestId: () => string) {
    this.#audit = audit;
    this.#timer = setInterval(() => this.flush(newRequestId), WINDOW_MS);
    this.#timer.unref();
  }

  /** Counts one failure. @returns milliseconds that the answer shall wait */
  add(source: string, reason: string): number {
    let tally = this.#tallies.get(source);
    if (tally === undefined) {
      const key = this.#tallies.size < MAX_SOURCES ? source : OTHERS;
      tally = this.#tallies.get(key) ?? { count: 0, reasons: {} };
      this.#tallies.set(key, tally);
    }
    tally.count += 1;
    tally.reasons[reason] = (tally.reasons[reason] ?? 0) + 1;
    return tally.count > SLOW_FROM ? SLOW_MS : 0;
  }

  flush(newRequestId: () => string): void {
    const tallies = this.#tallies;
    this.#tallies = new Map();
    for (const [source, tally] of tallies) {
      this.#audit.enqueue({
        kind: 'aggregate',
        requestId: newRequestId(),
        source,
        count: tally.count,
        decision: { outcome: 'unauthorized', rule: '(authentication)' },
        detail: { reasons: tally.reasons, windowMs: WINDOW_MS },
      });
    }
  }

  close(newRequestId: () => string): void {
    clearInterval(this.#timer);
    this.flush(newRequestId);
  }
}
