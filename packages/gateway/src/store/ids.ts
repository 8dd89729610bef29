import type { RandomBytes } from '../identity/base62.ts';
import { randomBase62 } from '../identity/base62.ts';

/** What an id names; the prefix makes a wrong id visible to people. */
export type IdPrefix = 'ins' | 'srv' | 'pol' | 'idn' | 'tok' | 'grt';

/** A new id: prefix, `_`, and 20 characters of base 62 (119 bits). */
export function makeId(prefix: IdPrefix, random: RandomBytes): string {
  return `${prefix}_${randomBase62(20, random)}`;
}
