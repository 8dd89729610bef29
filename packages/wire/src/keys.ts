import { foldKey } from './fold.ts';
import { quote, type Refusal, refuse } from './refusals.ts';
import { decodeBytes, readString, stringEnd } from './text.ts';

// How the keys of an object are compared with each other: not at all, after unescaping, after case folding too.
export const ANY = 0;
export const EXACT = 1;
export const FOLDED = 2;
export type KeyMode = typeof ANY | typeof EXACT | typeof FOLDED;

export interface KeyFault {
  readonly refusal: Refusal;
  /** The fault is in the outermost object, so that not even the id is certain. */
  readonly inRoot: boolean;
}

/** Above this many keys an object's keys go into a Map, which the engine hashes with a secret of the process. */
const FEW_KEYS = 32;

// Keys of the objects that are open: hash, start, end, plain. Shared by all messages: reading one never waits.
let openKeys = new Int32Array(4 * FEW_KEYS * 16);

/**
 * Finds keys that stand twice in an object. Keys of few are compared by hash, then by bytes, without making strings; the
 * work grows with the number of keys, not its square, whatever the keys are.
 */
export class KeyGuard {
  readonly #bytes: Uint8Array;
  /** Entries in use; an object sets it back to where it was when it ends. */
  open = 0;
  /** The first fault found, or the first one in the outermost object. */
  fault: KeyFault | undefined;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /**
   * Compares the key at `start` to `end` (without quotes) with those of its object that came before it, and remembers it.
   * `hash` as of `hashKey`; `plain`: ASCII without escapes; `base`: `open` when the object began; `many`: what the last
   * call for this object gave.
   */
  note(
    start: number,
    end: number,
    hash: number,
    plain: boolean,
    base: number,
    many: Map<string, number> | undefined,
    mode: typeof EXACT | typeof FOLDED,
    inRoot: boolean,
  ): Map<string, number> | undefined {
    // One fault is enough, but one in the outermost object says more: the id is not certain then.
    if (this.fault !== undefined && (!inRoot || this.fault.inRoot)) return many;
    if (many !== undefined) {
      this.#noteAmongMany(many, start, end, plain, mode, inRoot);
      return many;
    }
    const top = this.open;
    for (let at = base * 4; at < top * 4; at += 4) {
      if (openKeys[at] !== hash) continue;
      const met = this.#compare(
        openKeys[at + 1]!,
        openKeys[at + 2]!,
        start,
        end,
        plain && openKeys[at + 3] === 1,
        mode,
      );
      if (met !== undefined) this.#found(met, start, end, inRoot);
    }
    if (top - base === FEW_KEYS) {
      const map = new Map<string, number>();
      for (let at = base * 4; at < top * 4; at += 4) {
        map.set(this.#mapKey(openKeys[at + 1]!, openKeys[at + 2]!, openKeys[at + 3] === 1, mode), openKeys[at + 1]!);
      }
      this.#noteAmongMany(map, start, end, plain, mode, inRoot);
      return map;
    }
    if ((top + 1) * 4 > openKeys.length) {
      const grown = new Int32Array(openKeys.length * 2);
      grown.set(openKeys);
      openKeys = grown;
    }
    openKeys[top * 4] = hash;
    openKeys[top * 4 + 1] = start;
    openKeys[top * 4 + 2] = end;
    openKeys[top * 4 + 3] = plain ? 1 : 0;
    this.open = top + 1;
    return undefined;
  }

  #noteAmongMany(
    many: Map<string, number>,
    start: number,
    end: number,
    plain: boolean,
    mode: KeyMode,
    inRoot: boolean,
  ): void {
    const key = this.#mapKey(start, end, plain, mode);
    const other = many.get(key);
    if (other === undefined) many.set(key, start);
    else {
      const same = this.#text(other, stringEnd(this.#bytes, other)) === this.#text(start, end);
      this.#found(same ? 'duplicate_key' : 'folded_key', start, end, inRoot);
    }
  }

  /** The opening quote stays in front, so that no key is an array index: some engines hash those without a secret. */
  #mapKey(start: number, end: number, plain: boolean, mode: KeyMode): string {
    if (!plain) return `"${mode === FOLDED ? foldKey(this.#text(start, end)) : this.#text(start, end)}`;
    const key = decodeBytes(this.#bytes, start - 1, end);
    return mode === FOLDED ? key.toUpperCase() : key;
  }

  #compare(
    start: number,
    end: number,
    otherStart: number,
    otherEnd: number,
    plain: boolean,
    mode: KeyMode,
  ): 'duplicate_key' | 'folded_key' | undefined {
    if (!plain) {
      const key = this.#text(start, end);
      const other = this.#text(otherStart, otherEnd);
      if (key === other) return 'duplicate_key';
      return mode === FOLDED && foldKey(key) === foldKey(other) ? 'folded_key' : undefined;
    }
    if (end - start !== otherEnd - otherStart) return undefined;
    let same = true;
    for (let i = 0; i < end - start; i++) {
      const a = this.#bytes[start + i]!;
      const b = this.#bytes[otherStart + i]!;
      if (a === b) continue;
      const lower = a | 0x20;
      if (mode === EXACT || lower !== (b | 0x20) || lower < 0x61 || lower > 0x7a) return undefined;
      same = false;
    }
    return same ? 'duplicate_key' : 'folded_key';
  }

  #found(reason: 'duplicate_key' | 'folded_key', start: number, end: number, inRoot: boolean): void {
    const key = quote(this.#text(start, end));
    const at = start - 1;
    const message =
      reason === 'duplicate_key'
        ? `Key ${key} at byte ${at} stands twice in one object: send it once.`
        : `Key ${key} at byte ${at} differs only in case from another key of its object: send one of them.`;
    this.fault ??= { refusal: refuse(reason, at, message), inRoot };
    if (inRoot && !this.fault.inRoot) this.fault = { refusal: refuse(reason, at, message), inRoot };
  }

  #text(start: number, end: number): string {
    return readString(this.#bytes, { start: start - 1, end: end + 1 });
  }
}
