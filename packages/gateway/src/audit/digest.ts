import { createHmac, type KeyObject } from 'node:crypto';
import { canonicalize, InexactNumber, type JsonValue } from '@gatehouse/wire';

/** What the log keeps of one argument: never its value. */
export interface ArgumentDigest {
  type: 'string' | 'number' | 'boolean' | 'null' | 'array' | 'object';
  /** UTF-16 units of a string, items of an array, keys of an object. */
  length?: number;
  /** HMAC-SHA-256 of the value's canonical JSON under the log key, base64url. Equal values have equal digests. */
  digest: string;
}

/** What the log keeps of a call's arguments (spec: audit, member `arguments`). */
export interface ArgumentsDigest {
  /** HMAC-SHA-256 of the canonical JSON of all arguments. */
  digest: string;
  /** Length of that text in UTF-16 units. */
  length: number;
  keys: Record<string, ArgumentDigest>;
  /** Keys left out of `keys` because there were more than {@link MAX_KEYS}, or their names were too long. */
  omitted?: number;
}

/** Keys that one record describes. The digest of the whole covers the rest; a caller cannot make a record grow. */
export const MAX_KEYS = 64;
const MAX_KEY_LENGTH = 128;

function describe(value: JsonValue): { type: ArgumentDigest['type']; length?: number } {
  if (value === null) return { type: 'null' };
  if (typeof value === 'string') return { type: 'string', length: value.length };
  if (typeof value === 'boolean') return { type: 'boolean' };
  if (typeof value === 'number' || value instanceof InexactNumber) return { type: 'number' };
  if (Array.isArray(value)) return { type: 'array', length: value.length };
  return { type: 'object', length: Object.keys(value).length };
}

/** Canonical JSON of one value; strings, finite numbers and literals already have it from `JSON.stringify`. */
function canonicalText(value: JsonValue): string {
  return typeof value === 'object' && value !== null ? canonicalize(value) : JSON.stringify(value);
}

/**
 * Digests of a call's arguments. The key makes them useless for guessing a value back, and lets equal values be found.
 * @param key the log key, imported once: a Buffer would be imported again on each use.
 * @param args the arguments; anything but an object gives a digest of the whole only.
 * @param canonical RFC 8785 text of `args`, which the caller has already.
 */
export function digestArguments(key: KeyObject, args: unknown, canonical: string): ArgumentsDigest {
  const mac = (content: string): string => createHmac('sha256', key).update(content).digest('base64url');
  // A null prototype: an argument may be called `__proto__`.
  const keys: Record<string, ArgumentDigest> = Object.create(null) as Record<string, ArgumentDigest>;
  let omitted = 0;
  if (typeof args === 'object' && args !== null && !Array.isArray(args)) {
    let kept = 0;
    for (const [name, value] of Object.entries(args as Record<string, JsonValue>)) {
      if (kept === MAX_KEYS || name.length > MAX_KEY_LENGTH) {
        omitted += 1;
        continue;
      }
      kept += 1;
      keys[name] = { ...describe(value), digest: mac(canonicalText(value)) };
    }
  }
  const whole: ArgumentsDigest = { digest: mac(canonical), length: canonical.length, keys };
  return omitted > 0 ? { ...whole, omitted } : whole;
}
