// All metrics, with names, units and buckets, in one place. Prometheus text at /metrics.
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { HeadSinkState } from './audit/head-export.ts';
import type { AuditLog } from './audit/log.ts';
import type { Upkeep } from './audit/upkeep.ts';

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
      name: 'gatehouse_audit_reserve_bytes',
      help: 'Disk kept for the outcomes of calls under way; less than is set while the disk is full.',
      registers,
      collect() {
        this.set(audit.stats().reserve.held);
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

  /** What goes on beside the log; a sink appears once there is one. */
  observeUpkeep({ heads, retention }: Upkeep): void {
    const registers = [this.#registry];
    const seconds = (time: string): number => Date.parse(time) / 1000;
    const bySink = (
      Kind: typeof Gauge<'sink'> | typeof Counter<'sink'>,
      name: string,
      help: string,
      read: (state: HeadSinkState) => number | undefined,
    ): void => {
      new Kind({
        name,
        help,
        labelNames: ['sink'],
        registers,
        collect() {
          this.reset();
          for (const state of heads.states) {
            const value = read(state);
            if (value !== undefined) this.inc({ sink: state.sink }, value);
          }
        },
      });
    };
    bySink(
      Gauge,
      'gatehouse_audit_head_exported_timestamp_seconds',
      'When the last signed head arrived elsewhere.',
      ({ last }) => last && seconds(last.exportedAt),
    );
    bySink(
      Counter,
      'gatehouse_audit_head_failures_total',
      'Sendings of heads that failed.',
      ({ failures }) => failures,
    );
    bySink(Gauge, 'gatehouse_audit_heads_waiting', 'Heads that wait to be sent.', ({ waiting }) => waiting);
    bySink(
      Counter,
      'gatehouse_audit_heads_dropped_total',
      'Heads left out while a sink was away; later ones hold what they held.',
      ({ dropped }) => dropped,
    );
    new Gauge({
      name: 'gatehouse_audit_retention_timestamp_seconds',
      help: 'When the retention of the audit log last ran to its end.',
      registers,
      collect() {
        const { lastRun } = retention.state;
        if (lastRun !== undefined) this.set(seconds(lastRun));
      },
    });
    new Counter({
      name: 'gatehouse_audit_cut_records_total',
      help: 'Records that the retention cut.',
      registers,
      collect() {
        this.reset();
        this.inc(retention.state.cutRecords);
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
