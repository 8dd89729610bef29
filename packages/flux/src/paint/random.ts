/** A source of numbers that is the same for the same seeds. */
export interface Random {
  /** 0 up to, but without, 1. */
  (): number;
  between(low: number, high: number): number;
  /** A whole number from `low` to `high`, both included. */
  int(low: number, high: number): number;
  pick<T>(choices: readonly [T, ...T[]]): T;
}

/** 32 bits that depend on every character (FNV-1a). */
export function hashText(text: string): number {
  let hash = 0x811c9dc5;
  for (let n = 0; n < text.length; n += 1) hash = Math.imul(hash ^ text.charCodeAt(n), 0x01000193);
  return hash >>> 0;
}

/**
 * @param parts whatever the numbers are to depend on; two lists that differ anywhere give unrelated numbers
 */
export function randomFrom(...parts: readonly (string | number)[]): Random {
  let state = hashText(parts.join('\u0000'));
  // A 32-bit counter through a mixing function: enough for pictures, and the same on every machine.
  const next = (): number => {
    state = (state + 0x9e3779b9) >>> 0;
    let mixed = state;
    mixed = Math.imul(mixed ^ (mixed >>> 16), 0x21f0aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
    return ((mixed ^ (mixed >>> 15)) >>> 0) / 2 ** 32;
  };
  return Object.assign(next, {
    between: (low: number, high: number) => low + next() * (high - low),
    int: (low: number, high: number) => low + Math.floor(next() * (high - low + 1)),
    pick: <T>(choices: readonly [T, ...T[]]): T => choices[Math.floor(next() * choices.length)] ?? choices[0],
  });
}
