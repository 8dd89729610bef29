// All metrics, with names, units and buckets, in one place. Prometheus text at /metrics.
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { AuditLog } from './audit/log.ts';

export type DecisionLabel = 'allow' | 'deny' | 'refuse' | 'unavailable';

/** Upstream times, seconds: from a local tool to the default deadline. */
const UPSTREAM_BUCKETS = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 15, 60, 600];

export class Metrics {
  readonly #registry = new Registry();
  readonly #decisions: Counter<'server' | 'outcome'>;
  readonly #upstream: Histogram<'server' | 'outcome'>;
  readonly #unauthorized: Counter;
  readonly #faults: Counter;
  readonly #onFault: (error: unknown) => void;

  /** @param onFault gets each exception that was turned into a denial, for the program log */
  constructor(onFault: (error: unknown) => void) {
    this.#onFault = onFault;
    const registers = [this.#registry];
    this.#decisions = new Counter({
      name: 'gatehouse_messages_total',
      help: 'Messages of clients by server and outcome (allow, deny, refuse, unavailable).',
      labelNames: ['server', 'outcome'],
      registers,
    });
    this.#upstream = new Histogram({
      name: 'gatehouse_upstream_seconds',
      help: 'Time from the first byte handed to the upstream to its last, by server and outcome.',
      labelNames: ['server', 'outcome'],
      buckets: UPSTREAM_BUCKETS,
      registers,
    });
    this.#unauthorized = new Counter({
      name: 'gatehouse_unauthorized_total',
      help: 'Requests without a token that opens the server.',
      registers,
    });
    this.#faults = new Counter({
      name: 'gatehouse_faults_total',
      help: 'Exceptions inside the gateway; each denied the message that met it.',
      registers,
    });
  }

  /** Gauges that are read when somebody asks. */
  observe(audit: AuditLog, counters: { stats(): { counters: number } }): void {
    const registers = [this.#registry];
    new Gauge({
      name: 'gatehouse_audit_writable',
      help: '1 while the audit log takes records.',
      registers,
      collect() {
        this.set(audit.writable ? 1 : 0);
      },
    });
    new Gauge({
      name: 'gatehouse_audit_queue_records',
      help: 'Records that wait to be written.',
      registers,
      collect() {
        this.set(audit.stats().queueDepth);
      },
    });
    new Gauge({
      name: 'gatehouse_audit_index_lag_records',
      help: 'Records that the search index does not hold yet.',
      registers,
      collect() {
        this.set(audit.stats().indexLag);
      },
    });
    new Gauge({
      name: 'gatehouse_counters',
      help: 'Limit counters and slots of calls under way.',
      registers,
      collect() {
        this.set(counters.stats().counters);
      },
    });
  }

  decision(server: string, outcome: DecisionLabel): void {
    this.#decisions.inc({ server, outcome });
  }

  upstream(server: string, outcome: string, ms: number): void {
    this.#upstream.observe({ server, outcome }, ms / 1000);
  }

  unauthorized(): void {
    this.#unauthorized.inc();
  }

  fault(error: unknown): void {
    this.#faults.inc();
    this.#onFault(error);
  }

  text(): Promise<string> {
    return this.#registry.metrics();
  }

  get contentType(): string {
    return this.#registry.contentType;
  }
}
