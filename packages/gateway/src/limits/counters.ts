import type { Charge, LimitCharge, SlotCharge } from '@gatehouse/policy';

/** One counter that a reservation charged; plain data, as it goes into the call's record. */
export interface ReservedCharge {
  readonly charge: Charge;
  /** Where the units stand; what a release needs. */
  readonly slice: number;
}

/** The call that a reservation is for; `concurrent` limits need it. */
export interface CallUnderWay {
  /** Request id, never used before: what the call's slots are held under. */
  readonly id: string;
  /** When the call ends at the latest; wall clock, milliseconds since the epoch, as its intent records it. */
  readonly deadline: number;
}

/** What was reserved for one call. */
export interface Receipt {
  readonly charges: readonly ReservedCharge[];
  /** Time of sliding windows, milliseconds since the epoch, where the wall clock said another; the record needs it. */
  readonly sliding?: number;
  /** Slots that the call holds until it is over; absent where it took none. */
  readonly slots?: { readonly id: string; readonly charges: readonly SlotCharge[] };
}

export type ReserveResult =
  | { readonly ok: true; readonly receipt: Receipt }
  | {
      readonly ok: false;
      /** The first limit, in the order of the document, that denies. */
      readonly charge: LimitCharge;
      /** Units that count at present; of a `concurrent` limit the calls under way. */
      readonly used: number;
      /**
       * Until all limits of the call that deny would let it pass; Infinity when it never fits. Nobody knows when a call
       * under way ends: a slot adds one second here, a fair pause between two tries.
       */
      readonly retryAfterMs: number;
      /** Where a `concurrent` limit denies: after so many milliseconds a call that is under way has ended at the latest. */
      readonly freeWithinMs?: number;
    };

export type LookResult = { readonly ok: true } | Extract<ReserveResult, { ok: false }>;

export interface CounterStats {
  /** Counters held at present, slots included. */
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
  /**
   * Reserves all charges or none, in one atomic step.
   * @param now wall clock, milliseconds since the epoch
   * @param call whose slots these are; needed where a charge is a slot
   */
  reserve(charges: readonly LimitCharge[], now: number, call?: CallUnderWay): ReserveResult | Promise<ReserveResult>;
  /** Whether a reservation would pass; counts nothing. */
  look(charges: readonly LimitCharge[], now: number): LookResult | Promise<LookResult>;
  /** Gives a reservation back, slots included, once: only when no byte of the call was handed over. */
  release(receipt: Receipt): void | Promise<void>;
  /** Frees the slots of a call that is over; its units stay counted. Once, and nothing after a release. */
  free(receipt: Receipt): void | Promise<void>;
  stats(): CounterStats;
  /** Frees what the counters hold open. Reservations are not taken afterwards. */
  close?(): void | Promise<void>;
}

/** @throws TypeError when a charge is a slot: a slot is held by a call */
export function needNoCall(charges: readonly LimitCharge[]): void {
  if (charges.some((charge) => charge.kind === 'slot'))
    throw new TypeError('a slot is held by a call, and none is given');
}

/** The counters cannot be asked; calls with a limit are denied (spec: gateway §9). */
export class CountersUnavailableError extends Error {
  /** What is wrong, in a few words without places; agents may read it. */
  readonly reason: string;

  /** @param detail what is wrong, where, and what to do; for the person who runs the gateway */
  constructor(reason: string, detail: string, options?: { cause?: unknown }) {
    super(detail, options);
    this.name = 'CountersUnavailableError';
    this.reason = reason;
  }
}
