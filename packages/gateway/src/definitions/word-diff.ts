/** A run of words that both texts have, that only the first has, or that only the second has. */
export interface DiffSegment {
  kind: 'same' | 'removed' | 'added';
  text: string;
}

/** Above this many words on a side, only the common beginning and end are found: the table grows with their product. */
const MAX_WORDS = 2000;

/**
 * The word-level difference of two texts. The `same` and `removed` segments joined are `before`; `same` and `added`, `after`.
 */
export function wordDiff(before: string, after: string): DiffSegment[] {
  const a = words(before);
  const b = words(after);
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start++;
  let end = 0;
  while (end < a.length - start && end < b.length - start && a[a.length - 1 - end] === b[b.length - 1 - end]) end++;
  const segments: DiffSegment[] = [];
  const push = (kind: DiffSegment['kind'], text: string): void => {
    if (text === '') return;
    const last = segments.at(-1);
    if (last?.kind === kind) last.text += text;
    else segments.push({ kind, text });
  };
  push('same', a.slice(0, start).join(''));
  middle(a.slice(start, a.length - end), b.slice(start, b.length - end), push);
  push('same', a.slice(a.length - end).join(''));
  return segments;
}

/** Words with the white space behind them, so that joining gives the text again. */
function words(text: string): string[] {
  return text.match(/\s+|[\p{L}\p{N}_]+|[^\s\p{L}\p{N}_]/gu) ?? [];
}

function middle(
  a: readonly string[],
  b: readonly string[],
  push: (kind: DiffSegment['kind'], text: string) => void,
): void {
  if (a.length > MAX_WORDS || b.length > MAX_WORDS) {
    push('removed', a.join(''));
    push('added', b.join(''));
    return;
  }
  // Longest common subsequence; cell (i, j) is its length for the rests from i and j on.
  const width = b.length + 1;
  const table = new Uint16Array((a.length + 1) * width);
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      table[i * width + j] =
        a[i] === b[j]
          ? (table[(i + 1) * width + j + 1] as number) + 1
          : Math.max(table[(i + 1) * width + j] as number, table[i * width + j + 1] as number);
    }
  }
  let i = 0;
  let j = 0;
  while (i < a.length || j < b.length) {
    const down = i < a.length ? (table[(i + 1) * width + j] as number) : -1;
    const right = j < b.length ? (table[i * width + j + 1] as number) : -1;
    if (i < a.length && j < b.length && a[i] === b[j]) {
      push('same', a[i] as string);
      i++;
      j++;
    } else if (down >= right) {
      push('removed', a[i++] as string);
    } else {
      push('added', b[j++] as string);
    }
  }
}
