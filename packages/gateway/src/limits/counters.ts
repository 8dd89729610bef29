import type { Charge } from '@gatehouse/policy';

/** One counter that a reservation charged; plain data, as it goes into the call's record. */
export interface ReservedCharge {
  readonly charge: Charge;
  /** Where the units stand; what a release needs. */
  readonly slice: number;
}

/** What was reserved for one call. */
export interface Receipt {
  readonly charges: readonly ReservedCharge[];
  /** Time of sliding windows, milliseconds since the epoch, where the wall clock said another; the record needs it. */
  readonly sliding?: number;
}

export type ReserveResult =
  | { readonly ok: true; readonly receipt: Receipt }
  | {
      readonly ok: false;
      /** The first limit, in the order of the document, that denies. */
      readonly charge: Charge;
      /** Units that count at present. */
      readonly used: number;
      /** Until all limits of the call that deny would let it pass; Infinity when it never fits. */
      readonly retryAfterMs: number;
    };

export type LookResult = { readonly ok: true } | Extract<ReserveResult, { ok: false }>;

export interface CounterStats {
  /** Counters held at present. */
  readonly counters: number;
  readonly reserved: number;
  readonly denied: number;
  readonly released: number;
}

/**
 * The counters of limits (spec: policy §5). A store elsewhere answers with promises; memory answers at once.
 * Every method may throw (or reject): the caller then denies.
 */
export interface Counters {
  /** Reserves all charges or none, in one atomic step. @param now wall clock, milliseconds since the epoch */
  reserve(charges: readonly Charge[], now: number): ReserveResult | Promise<ReserveResult>;
  /** Whether a reservation would pass; counts nothing. */
  look(charges: readonly Charge[], now: number): LookResult | Promise<LookResult>;
  /** Gives a reservation back, once: only when no byte of the call was handed over. */
  release(receipt: Receipt): void | Promise<void>;
  stats(): CounterStats;
}
