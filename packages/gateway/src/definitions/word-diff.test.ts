import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type DiffSegment, wordDiff } from './word-diff.ts';

function side(segments: readonly DiffSegment[], without: DiffSegment['kind']): string {
  return segments
    .filter(({ kind }) => kind !== without)
    .map(({ text }) => text)
    .join('');
}

describe('wordDiff', () => {
  it('shows the words that changed, and only those', () => {
    expect(wordDiff('Draws one picture.', 'Draws many good pictures.')).toEqual([
      { kind: 'same', text: 'Draws ' },
      { kind: 'removed', text: 'one' },
      { kind: 'added', text: 'many' },
      { kind: 'same', text: ' ' },
      { kind: 'removed', text: 'picture' },
      { kind: 'added', text: 'good pictures' },
      { kind: 'same', text: '.' },
    ]);
    expect(wordDiff('same', 'same')).toEqual([{ kind: 'same', text: 'same' }]);
    expect(wordDiff('', 'new')).toEqual([{ kind: 'added', text: 'new' }]);
  });

  it('loses nothing of either text', () => {
    const text = fc.oneof(
      fc.string(),
      fc.array(fc.constantFrom('a ', 'b ', 'c.', '\n')).map((parts) => parts.join('')),
    );
    fc.assert(
      fc.property(text, text, (before, after) => {
        const segments = wordDiff(before, after);
        expect(side(segments, 'added')).toBe(before);
        expect(side(segments, 'removed')).toBe(after);
      }),
    );
  });

  it('stays cheap for long texts', () => {
    const long = (word: string): string => Array.from({ length: 5000 }, (_, index) => `${word}${index}`).join(' ');
    expect(wordDiff(`x ${long('a')} y`, `x ${long('b')} y`).map(({ kind }) => kind)).toEqual([
      'same',
      'removed',
      'added',
      'same',
    ]);
  });
});
