import { NOUN_LIKE_VERBS, PLAIN_VERBS } from './words.ts';

const WORDS = /[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+|[^\x00-\x7f]+/g;
const GLUED = /^([a-z]+?)or([a-z]+)$/;

/**
 * The words of a tool or parameter name, in lower case: snake_case, kebab-case, dots and camelCase are taken apart, and
 * so are two verbs glued with "or" (`createorupdate`). Digits stay with the word before them only as words of their own.
 */
export function tokenize(name: string): string[] {
  const tokens: string[] = [];
  for (const word of name.match(WORDS) ?? []) {
    const lower = word.toLowerCase();
    const glued = lower.length > 7 ? GLUED.exec(lower) : null;
    if (glued?.[1] !== undefined && glued[2] !== undefined && PLAIN_VERBS.has(glued[1]) && PLAIN_VERBS.has(glued[2])) {
      tokens.push(glued[1], 'or', glued[2]);
    } else tokens.push(lower);
  }
  return tokens;
}

const known = (word: string): boolean => PLAIN_VERBS.has(word) || NOUN_LIKE_VERBS.has(word);

/** The base form of an English verb that the vocabulary knows ("deletes", "deleting", "copied"), or the word itself. */
export function lemma(word: string): string {
  if (known(word)) return word;
  for (const [ending, replacements] of ENDINGS) {
    if (!word.endsWith(ending) || word.length - ending.length < 2) continue;
    const stem = word.slice(0, -ending.length);
    for (const replacement of replacements) {
      if (known(stem + replacement)) return stem + replacement;
    }
    // running, dropped
    const doubled = stem.length > 2 && stem.at(-1) === stem.at(-2) ? stem.slice(0, -1) : undefined;
    if (doubled !== undefined && known(doubled)) return doubled;
  }
  return word;
}

const ENDINGS: readonly [string, readonly string[]][] = [
  ['ies', ['y']],
  ['ied', ['y']],
  ['es', ['', 'e']],
  ['s', ['']],
  ['ing', ['', 'e']],
  ['ed', ['', 'e']],
];

/** A word without its plural ending, good enough to compare parameter names ("urls", "addresses", "directories"). */
export function singular(word: string): string {
  if (word.length < 3 || !word.endsWith('s') || word.endsWith('ss') || word.endsWith('us')) return word;
  if (word.endsWith('ies')) return `${word.slice(0, -3)}y`;
  if (word.endsWith('sses')) return word.slice(0, -2);
  return word.slice(0, -1);
}
