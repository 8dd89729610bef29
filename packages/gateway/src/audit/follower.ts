import type { Entry } from './open-segment.ts';

/** Follows what stands in the chain of calls, and says what belongs into it besides (`counters` records). */
export interface ChainFollower {
  /** These records stand in the file, in this order, behind all that were told before. Must not throw. */
  stored(entries: readonly Entry[]): void;
  /**
   * A `counters` record that is due, if one is. Everything before its place was told. Asked for once a write; `dueStored`
   * or `dueFailed` follows.
   */
  due(): { members: string; power: boolean } | undefined;
  dueStored(): void;
  /** It is not in the file, or not surely: what it was a part of begins anew. */
  dueFailed(): void;
  /** Members of a last `counters` record, before `stop`. */
  atStop(): string | undefined;
}
