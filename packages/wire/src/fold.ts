/**
 * Folds the case of a key: two keys that any Unicode case folding makes equal have the same folded key.
 *
 * Lower then upper case covers full folding (`ß` meets `SS`, `ſ` meets `s`, KELVIN SIGN meets `k`). It is a little wider
 * than Unicode's CaseFolding.txt (dotless `ı` meets `i`), as comparisons by upper case are in some runtimes: of two
 * readings the stricter one is taken.
 */
export function foldKey(key: string): string {
  return key.toLowerCase().toUpperCase();
}

/** One step of the key hash. Bit 5 is forced, so that the two cases of an ASCII letter give the same hash. */
export function hashStep(hash: number, unit: number): number {
  return (Math.imul(hash, 31) + (unit | 0x20)) | 0;
}

/**
 * 32-bit hash of a key, equal for keys that are equal after folding.
 * It only saves comparisons among few keys: it is not safe against made-up collisions.
 */
export function hashKey(key: string): number {
  const folded = foldKey(key);
  let hash = 0;
  for (let i = 0; i < folded.length; i++) hash = hashStep(hash, folded.charCodeAt(i));
  return hash;
}
