// Signed heads leave the machine behind the calls: what lies behind the last one that left, nobody outside can prove.
import { Backoff } from '@gatehouse/net';
import type { SignedHead } from './chain.ts';
import { fileSink, type HeadSink, webhookSink } from './head-sinks.ts';
import { type Schedule, type Timer, unrefTimers } from './schedule.ts';

/** Heads that wait for one sink. A later head of a chain holds what an earlier one held. */
const MAX_WAITING = 1_000;
const MIN_RETRY_MS = 1_000;
const MAX_RETRY_MS = 60_000;
const CLOSE_MS = 2_000;

export interface HeadSinkState {
  sink: HeadSink['kind'];
  /** The file, or the webhook's host. */
  target: string;
  /** The last head that arrived there, and when; absent before the first of this process. */
  last?: { stream: string; writer: string; seq: number; time: string; exportedAt: string };
  waiting: number;
  /** Heads that were left out because the sink was away for too long; later ones of their chains hold what they held. */
  dropped: number;
  /** Sendings that failed. */
  failures: number;
  /** Why the last one did; absent once one went well. */
  error?: string;
}

export interface HeadExportOptions {
  sinks: readonly HeadSink[];
  /** Milliseconds since the epoch. */
  clock: () => number;
  schedule?: Schedule;
  /** In [0, 1), spreads the retries. */
  random?: () => number;
  /** Heads that may wait for one sink; default 1,000. */
  maxWaiting?: number;
  /** Milliseconds that `close` waits at most; default 2,000. */
  closeMs?: number;
  /** Told when a sink begins to fail, and when it works again. */
  onChange?: (state: HeadSinkState) => void;
}

export class HeadExport {
  readonly #lanes: Lane[];

  constructor(options: HeadExportOptions) {
    this.#lanes = options.sinks.map((sink) => new Lane(sink, options));
  }

  /** Takes a head along; never waits and never throws. */
  push(head: SignedHead): void {
    for (const lane of this.#lanes) lane.push(head);
  }

  get states(): HeadSinkState[] {
    return this.#lanes.map((lane) => lane.state);
  }

  /** Sends what waits, for a short time at most. */
  async close(): Promise<void> {
    await Promise.all(this.#lanes.map((lane) => lane.close()));
  }
}

export interface HeadSettings {
  file?: string | undefined;
  webhook?: string | undefined;
  allow: readonly string[];
}

/** @throws TypeError when the webhook may not be reached */
export function headSinks({ file, webhook, allow }: HeadSettings, userAgent: string): HeadSink[] {
  return [
    ...(file === undefined ? [] : [fileSink(file)]),
    ...(webhook === undefined ? [] : [webhookSink({ url: webhook, allow, userAgent })]),
  ];
}

const chainOf = ({ stream, writer }: SignedHead): string => `${stream}/${writer}`;

/** One sink with what waits for it: one sending at a time, in order. */
class Lane {
  readonly #sink: HeadSink;
  readonly #options: HeadExportOptions;
  readonly #backoff: Backoff;
  readonly #state: Omit<HeadSinkState, 'waiting'>;
  #waiting: SignedHead[] = [];
  #sending: readonly SignedHead[] = [];
  #running: Promise<void> | undefined;
  #retry: Timer | undefined;
  #closing: boolean = false;

  constructor(sink: HeadSink, options: HeadExportOptions) {
    this.#sink = sink;
    this.#options = options;
    const { random } = options;
    this.#backoff = new Backoff({ minMs: MIN_RETRY_MS, maxMs: MAX_RETRY_MS, ...(random && { random }) });
    this.#state = { sink: sink.kind, target: sink.target, dropped: 0, failures: 0 };
  }

  get state(): HeadSinkState {
    return { ...this.#state, waiting: this.#waiting.length + this.#sending.length };
  }

  push(head: SignedHead): void {
    this.#waiting.push(head);
    this.#trim();
    if (this.#running === undefined && this.#retry === undefined) this.#start();
  }

  async close(): Promise<void> {
    this.#closing = true;
    this.#retry?.cancel();
    this.#retry = undefined;
    const { promise: late, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, this.#options.closeMs ?? CLOSE_MS);
    if (this.#waiting.length > 0 && this.#running === undefined) this.#start();
    await Promise.race([this.#running ?? Promise.resolve(), late]);
    clearTimeout(timer);
    await this.#sink.close();
  }

  #start(): void {
    this.#running = this.#send().finally(() => {
      this.#running = undefined;
    });
  }

  async #send(): Promise<void> {
    while (this.#waiting.length > 0) {
      this.#sending = this.#waiting.splice(0, this.#sink.batch);
      try {
        await this.#sink.send(this.#sending);
      } catch (error) {
        this.#failed(error);
        return;
      }
      this.#arrived(this.#sending.at(-1)!);
    }
  }

  #arrived({ stream, writer, seq, time }: SignedHead): void {
    const { clock, onChange } = this.#options;
    this.#sending = [];
    this.#backoff.reset();
    this.#state.last = { stream, writer, seq, time, exportedAt: new Date(clock()).toISOString() };
    if (this.#state.error === undefined) return;
    delete this.#state.error;
    onChange?.(this.state);
  }

  #failed(error: unknown): void {
    const { schedule = unrefTimers, onChange } = this.#options;
    this.#waiting = [...this.#sending, ...this.#waiting];
    this.#sending = [];
    this.#trim();
    const isFirst = this.#state.error === undefined;
    this.#state.failures += 1;
    this.#state.error = error instanceof Error ? error.message : String(error);
    if (isFirst) onChange?.(this.state);
    if (this.#closing) return;
    this.#retry = schedule(() => {
      this.#retry = undefined;
      this.#start();
    }, this.#backoff.failed(0));
  }

  /** Keeps the bound: the oldest goes that a later one of its chain stands for, so that the newest always arrives. */
  #trim(): void {
    const { maxWaiting = MAX_WAITING } = this.#options;
    while (this.#waiting.length > maxWaiting) {
      const newest = new Map(this.#waiting.map((head) => [chainOf(head), head]));
      const stoodFor = this.#waiting.findIndex((head) => newest.get(chainOf(head)) !== head);
      this.#waiting.splice(Math.max(0, stoodFor), 1);
      this.#state.dropped += 1;
    }
  }
}
