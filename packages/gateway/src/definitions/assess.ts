// What a definition is, given what a person accepted (spec: gateway §6, the table of changes).
import { TOOL_CLASSES, type ToolClass } from '@gatehouse/classify';
import type { DefinitionChange, DefinitionState } from '../model.ts';
import { diffSchemas, excerpt, type SchemaDifference, sameJson, unionKeys } from './schema-diff.ts';

export interface AcceptedDefinition {
  value: Readonly<Record<string, unknown>>;
  /** The class in force. */
  class: ToolClass;
  /** What the present classifier makes of the accepted definition: a better classifier is no change of the tool. */
  classNow: ToolClass;
}

export interface ObservedDefinition {
  value: Readonly<Record<string, unknown>>;
  class: ToolClass;
  /** What was found in its texts and its name, as sentences with the place. */
  poison: readonly { field: string; message: string; excerpt: string }[];
  /** Why its input schema cannot be compiled. */
  schemaProblem?: string;
  /** Patterns of its input schema that guard arguments and cannot be run. */
  unrunnable?: readonly { pattern: string; reason: string }[];
}

export interface Assessment {
  state: Exclude<DefinitionState, 'gone'>;
  changes: DefinitionChange[];
}

/** Pure; the same for every order and layout of keys. */
export function assessDefinition(accepted: AcceptedDefinition | undefined, observed: ObservedDefinition): Assessment {
  const poison = observed.poison.map(({ field, message, excerpt: after }): DefinitionChange => {
    return { pointer: pointerOf(field), kind: 'poison', message: `${field}: ${message}.`, after };
  });
  const schema = schemaNotes(observed);
  if (accepted === undefined) {
    const changes: DefinitionChange[] = [{ pointer: '', kind: 'new', message: 'Nobody has accepted this tool yet.' }];
    return { state: poison.length > 0 ? 'poisoned' : 'new', changes: [...poison, ...schema, ...changes] };
  }
  if (poison.length === 0 && sameJson(accepted.value, observed.value)) return { state: 'accepted', changes: [] };
  const { harmless, grave } = compare(accepted.value, observed.value);
  const higher = classChange(accepted, observed.class);
  const changes = [...poison, ...grave, ...higher, ...schema, ...harmless];
  if (poison.length > 0) return { state: 'poisoned', changes };
  const quarantined = grave.length > 0 || higher.length > 0 || observed.schemaProblem !== undefined;
  return { state: quarantined ? 'changed' : 'text_changed', changes };
}

function compare(
  accepted: Readonly<Record<string, unknown>>,
  observed: Readonly<Record<string, unknown>>,
): { harmless: DefinitionChange[]; grave: DefinitionChange[] } {
  const harmless: DefinitionChange[] = [];
  const grave: DefinitionChange[] = [];
  for (const key of unionKeys(accepted, observed)) {
    const before = accepted[key];
    const after = observed[key];
    if (sameJson(before, after)) continue;
    const pointer = `/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`;
    if (key === 'inputSchema') {
      for (const difference of diffSchemas(before, after)) {
        const kept = difference.kind === 'text' || difference.kind === 'order';
        (kept ? harmless : grave).push(fromSchema(pointer, difference, kept ? 'text' : 'input'));
      }
    } else if (key === 'outputSchema') {
      // Where there was none before, clients that read the accepted definition check nothing.
      const differences: SchemaDifference[] =
        before === undefined
          ? [{ pointer: '', kind: 'optional_property', message: 'The tool now describes its output.', after }]
          : diffSchemas(before, after);
      for (const difference of differences) {
        const text = difference.kind === 'text' || difference.kind === 'order';
        const change = fromSchema(pointer, difference, text ? 'text' : 'output');
        (difference.kind === 'structure' ? grave : harmless).push(change);
      }
    } else if (key === 'annotations') {
      harmless.push(...annotationChanges(before, after));
    } else {
      const kind = key === 'title' || key === 'description' ? 'text' : 'other';
      harmless.push({ pointer, kind, message: `The ${key} changed.`, ...given(before, after) });
    }
  }
  return { harmless, grave };
}

function annotationChanges(before: unknown, after: unknown): DefinitionChange[] {
  const from = asObject(before);
  const to = asObject(after);
  if (from === undefined || to === undefined) {
    return [
      { pointer: '/annotations', kind: 'annotation', message: 'The annotations changed.', ...given(before, after) },
    ];
  }
  return unionKeys(from, to)
    .filter((key) => !sameJson(from[key], to[key]))
    .map((key) => ({
      pointer: `/annotations/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`,
      kind: 'annotation' as const,
      message: `The annotation ${key} changed from ${excerpt(from[key])} to ${excerpt(to[key])}.`,
      ...given(from[key], to[key]),
    }));
}

function classChange(accepted: AcceptedDefinition, observed: ToolClass): DefinitionChange[] {
  const rank = (of: ToolClass): number => TOOL_CLASSES.indexOf(of);
  if (rank(observed) <= rank(accepted.class) || rank(observed) <= rank(accepted.classNow)) return [];
  return [
    {
      pointer: '',
      kind: 'class',
      message: `The tool looks like ${observed} now; it was accepted as ${accepted.class}.`,
      before: accepted.class,
      after: observed,
    },
  ];
}

function schemaNotes(observed: ObservedDefinition): DefinitionChange[] {
  const notes: DefinitionChange[] = [];
  if (observed.schemaProblem !== undefined) {
    notes.push({
      pointer: '/inputSchema',
      kind: 'input',
      message: `The argument schema cannot be compiled (${observed.schemaProblem}), so the tool cannot be accepted.`,
    });
  }
  for (const { pattern, reason } of observed.unrunnable ?? []) {
    notes.push({
      pointer: '/inputSchema',
      kind: 'input',
      message: `The pattern ${excerpt(pattern)} cannot be run (${reason}): arguments that it guards are denied.`,
    });
  }
  return notes;
}

function fromSchema(base: string, difference: SchemaDifference, kind: DefinitionChange['kind']): DefinitionChange {
  const { pointer, message, before, after } = difference;
  return { pointer: base + pointer, kind, message, ...given(before, after) };
}

/** The place of a finding (`inputSchema.anyOf[0].description`) as a JSON Pointer; names with dots come out as several steps. */
function pointerOf(field: string): string {
  return `/${field
    .replace(/ \(key\)$/, '')
    .replace(/\[(\d+)\]/g, '.$1')
    .split('.')
    .join('/')}`;
}

function given(before: unknown, after: unknown): { before?: unknown; after?: unknown } {
  return { ...(before === undefined ? {} : { before }), ...(after === undefined ? {} : { after }) };
}

function asObject(value: unknown): Readonly<Record<string, unknown>> | undefined {
  if (value === undefined) return {};
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : undefined;
}
