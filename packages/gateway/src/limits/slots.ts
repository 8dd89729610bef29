// Slots of `concurrent` limits: which calls are under way (spec: policy §5). Pure data; whoever uses it gives the time.

/** A pause after which a retry is fair: nobody knows when a call under way ends. Milliseconds. */
export const SLOT_RETRY_MS = 1_000;

/** A call whose intent stands in the log and whose end is not known: it may still run. */
export interface OpenCall {
  /** Request id. */
  readonly id: string;
  /** As the intent records it: milliseconds since the epoch. */
  readonly deadline: number;
  /** Keys of the slots that it took. */
  readonly keys: readonly string[];
}

export type SlotLook =
  | { readonly free: true }
  | { readonly free: false; readonly used: number; readonly freeWithinMs: number };

/**
 * Who holds which slot, and until when at the latest. Times are milliseconds of one clock that never goes back. A slot
 * ends when it is freed, or else at its time: whoever holds it may have died.
 */
export class Slots {
  /** Key of the limit → id of the call → the instant at which its slot ends by itself. */
  readonly #held = new Map<string, Map<string, number>>();
  #size = 0;
  #sweeper: Iterator<[string, Map<string, number>]> | undefined;

  /** Slots that are held, those included whose time is over and that nobody looked at since. */
  get size(): number {
    return this.#size;
  }

  /** Whether one more call fits. */
  look(key: string, max: number, now: number): SlotLook {
    const held = this.#held.get(key);
    // Only a limit that seems full is looked through, so that a call costs the same however many are under way.
    if (held === undefined || held.size < max) return { free: true };
    let first = Number.POSITIVE_INFINITY;
    for (const [id, until] of held) {
      if (until <= now) this.#drop(key, held, id);
      else first = Math.min(first, until);
    }
    return held.size < max ? { free: true } : { free: false, used: held.size, freeWithinMs: Math.ceil(first - now) };
  }

  /** Takes a slot, if one is free. @param until when it ends by itself */
  take(key: string, id: string, max: number, until: number, now: number): SlotLook {
    const look = this.look(key, max, now);
    if (look.free) this.#hold(key, id, until);
    return look;
  }

  /** True when the call held it: a slot is freed once. */
  free(key: string, id: string): boolean {
    const held = this.#held.get(key);
    return held !== undefined && this.#drop(key, held, id);
  }

  /** Goes on with calls that an earlier process left without an end: each holds its slots until its recorded deadline. */
  inherit(calls: Iterable<OpenCall>): void {
    for (const { id, deadline, keys } of calls) for (const key of keys) this.#hold(key, id, deadline);
  }

  /** Drops what ended by itself among the next few limits. */
  sweep(now: number, limits: number): void {
    if (this.#size === 0) return;
    for (let i = 0; i < limits; i++) {
      this.#sweeper ??= this.#held.entries();
      const next = this.#sweeper.next();
      if (next.done === true) {
        this.#sweeper = undefined;
        return;
      }
      const [key, held] = next.value;
      for (const [id, until] of held) if (until <= now) this.#drop(key, held, id);
    }
  }

  /** Drops all that ended by itself. */
  sweepAll(now: number): void {
    this.#sweeper = undefined;
    this.sweep(now, Number.POSITIVE_INFINITY);
  }

  #hold(key: string, id: string, until: number): void {
    let held = this.#held.get(key);
    if (held === undefined) {
      held = new Map();
      this.#held.set(key, held);
    }
    if (!held.has(id)) this.#size += 1;
    held.set(id, until);
  }

  #drop(key: string, held: Map<string, number>, id: string): boolean {
    if (!held.delete(id)) return false;
    this.#size -= 1;
    if (held.size === 0) this.#held.delete(key);
    return true;
  }
}
