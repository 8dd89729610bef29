// How a pinned tool and what changed in it are shown.
import type { Definition } from '../api-types.ts';
import { type Cell, jsonText, type Output } from '../output.ts';

const DESCRIPTION_COLUMNS = 60;
const VALUE_CHARACTERS = 400;
/** How much of an unchanged stretch is shown on each side of a change. */
const AROUND_CHARACTERS = 40;

/** Whether a person has to look at it. */
export function waiting(definition: Definition): boolean {
  return definition.state !== 'accepted' && definition.state !== 'gone';
}

/** What the tool's author says of it; the observed definition is what lies there now. */
function descriptionOf(definition: Definition): string {
  const { observed } = definition;
  if (typeof observed !== 'object' || observed === null || !('description' in observed)) return '';
  return typeof observed.description === 'string' ? observed.description : '';
}

function shortened(text: string, characters: number): string {
  const points = Array.from(text);
  return points.length <= characters ? text : `${points.slice(0, characters - 1).join('')}…`;
}

export function toolRows(definitions: readonly Definition[]): Cell[][] {
  return definitions.map((definition) => {
    const firstLine = descriptionOf(definition).split('\n', 1)[0] ?? '';
    return [definition.name, definition.class, definition.state, shortened(firstLine, DESCRIPTION_COLUMNS)];
  });
}

function valueText(value: unknown): string {
  return shortened(typeof value === 'string' ? value : jsonText(value), VALUE_CHARACTERS);
}

/** `[-what went-]{+what came+}`, with a few words around it; long stretches that stayed are left out. */
function wordsText(words: readonly { kind: 'same' | 'removed' | 'added'; text: string }[]): string {
  return words
    .map(({ kind, text }, index) => {
      if (kind === 'removed') return `[-${text}-]`;
      if (kind === 'added') return `{+${text}+}`;
      const points = Array.from(text);
      if (points.length <= 2 * AROUND_CHARACTERS) return text;
      const before = index === 0 ? '' : points.slice(0, AROUND_CHARACTERS).join('');
      const after = index === words.length - 1 ? '' : points.slice(-AROUND_CHARACTERS).join('');
      return `${before}…${after}`;
    })
    .join('');
}

/** Everything that has to be known to accept a tool. The texts are the server's claim. */
export function showDefinition(out: Output, definition: Definition): void {
  out.fields([
    ['tool', definition.name],
    ['state', definition.state],
    ['class', definition.classOverride ? `${definition.class} (set by hand)` : definition.class],
    ['it says', descriptionOf(definition)],
    ['first seen', definition.firstSeenAt],
    ['accepted', definition.acceptedAt && `${definition.acceptedAt} by ${definition.acceptedBy ?? '?'}`],
    ['digest', definition.observedDigest],
  ]);
  for (const change of definition.changes) {
    out.text(`  ${change.kind} ${change.pointer}: ${change.message}`);
    if (change.words !== undefined) {
      out.text(`    ${wordsText(change.words)}`);
      continue;
    }
    if (change.before !== undefined) out.text(`    - ${valueText(change.before)}`);
    if (change.after !== undefined) out.text(`    + ${valueText(change.after)}`);
  }
}
