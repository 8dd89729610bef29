// How a pinned tool and what changed in it are shown.
import type { Definition } from '../api-types.ts';
import { type Cell, jsonText, type Output } from '../output.ts';

const DESCRIPTION_COLUMNS = 60;
const VALUE_CHARACTERS = 400;

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
    if (change.before !== undefined) out.text(`    - ${valueText(change.before)}`);
    if (change.after !== undefined) out.text(`    + ${valueText(change.after)}`);
  }
}
