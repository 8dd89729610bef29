// What a server's list makes of the definitions that are kept. Pure: the service stores the result.
import { hash } from 'node:crypto';
import { classify, findDuplicateNames, findPoison, type ServerContext, type ToolDefinition } from '@gatehouse/classify';
import type { SchemaCompiler } from '@gatehouse/policy';
import { canonicalize, type JsonValue, parseJson } from '@gatehouse/wire';
import { parseBytes } from '../control/views.ts';
import type { DefinitionChange } from '../model.ts';
import type { IntakeReport, ObservedTool } from '../services.ts';
import type { DefinitionRecord } from '../store/records.ts';
import { type Assessment, assessDefinition } from './assess.ts';

const MAX_NAME_LENGTH = 256;

export interface IntakeInput {
  serverId: string;
  /** What is kept, by name. */
  known: ReadonlyMap<string, DefinitionRecord>;
  observed: readonly ObservedTool[];
  /** The observed tools are the whole list. */
  complete: boolean;
  server: ServerContext;
  compileSchema: SchemaCompiler;
  /** RFC 3339. */
  now: string;
}

export interface IntakeResult {
  /** Records that are new or differ from what is kept. */
  records: DefinitionRecord[];
  /** Names that are to be forgotten: nobody accepted them and the server does not list them any more. */
  removed: string[];
  report: IntakeReport;
}

interface Listed {
  value: Readonly<Record<string, unknown>>;
  bytes: Uint8Array;
  times: number;
}

export function takeIn(input: IntakeInput): IntakeResult {
  const report: IntakeReport = {
    new: [],
    changed: [],
    textChanged: [],
    poisoned: [],
    gone: [],
    returned: [],
    unusable: [],
  };
  const listed = readList(input.observed, report);
  const records: DefinitionRecord[] = [];
  const removed: string[] = [];
  let lookalikes: ReadonlyMap<string, Finding> | undefined;
  for (const [name, item] of listed) {
    const known = input.known.get(name);
    if (known !== undefined && isSame(known, item)) continue;
    lookalikes ??= findLookalikes(input.known, listed.keys());
    const record = observe(input, name, item, known, lookalikes.get(name));
    records.push(record);
    if (known?.state === 'gone') report.returned.push(name);
    note(report, record);
  }
  if (input.complete) {
    for (const [name, known] of input.known) {
      if (listed.has(name) || known.state === 'gone') continue;
      if (known.acceptedDigest === undefined) {
        // Kept, each list with made-up names would make the store grow for good.
        removed.push(name);
      } else if (known.state === 'changed' || known.state === 'poisoned') {
        // What waits to be looked at keeps waiting: leaving the list for a moment must not make it pass again.
        continue;
      } else {
        records.push({ ...known, state: 'gone' });
      }
      report.gone.push(name);
    }
  }
  return { records, removed, report };
}

/** The record with its observed definition accepted. */
export function acceptRecord(
  record: DefinitionRecord,
  choice: { class?: DefinitionRecord['class']; by: string; now: string },
): DefinitionRecord {
  const classified = record.classification.class;
  // What a person said of the tool before it got worse says nothing of what it is now.
  const kept = record.changes.some((change) => change.kind === 'class') ? undefined : record.classOverride;
  const chosen = choice.class ?? kept;
  const classOverride = chosen === classified ? undefined : chosen;
  return {
    ...record,
    state: 'accepted',
    class: classOverride ?? classified,
    classOverride,
    acceptedDigest: record.observedDigest,
    acceptedBytes: record.observedBytes,
    acceptedAt: choice.now,
    acceptedBy: choice.by,
    changes: [],
  };
}

/** SHA-256, hexadecimal, of the RFC 8785 canonical JSON. */
export function definitionDigest(value: unknown): string {
  return hash('sha256', canonicalize(value as JsonValue), 'hex');
}

type Finding = { field: string; message: string; excerpt: string };

function readList(observed: readonly ObservedTool[], report: IntakeReport): Map<string, Listed> {
  const listed = new Map<string, Listed>();
  observed.forEach(({ bytes, value }, index) => {
    const problem = nameProblem(value);
    if (problem !== undefined) {
      report.unusable.push(`Item ${index} of the list ${problem}.`);
      return;
    }
    const definition = value as Readonly<Record<string, unknown>>;
    const name = definition.name as string;
    const earlier = listed.get(name);
    if (earlier === undefined) listed.set(name, { value: definition, bytes, times: 1 });
    else earlier.times += 1;
  });
  return listed;
}

function nameProblem(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'is no object';
  const { name } = value as { name?: unknown };
  if (typeof name !== 'string' || name === '') return 'has no name';
  if (name.length > MAX_NAME_LENGTH)
    return `has a name of ${name.length} characters; at most ${MAX_NAME_LENGTH} are taken`;
  return undefined;
}

function isSame(known: DefinitionRecord, item: Listed): boolean {
  if (known.state === 'gone' || known.listedTwice !== item.times > 1) return false;
  // The bytes first: a list is mostly what it was, and comparing is cheaper than hashing.
  return Buffer.compare(known.observedBytes, item.bytes) === 0 || known.observedDigest === definitionDigest(item.value);
}

/** Names that cannot be told from an earlier one; what a person accepted counts as earlier than anything. */
function findLookalikes(known: ReadonlyMap<string, DefinitionRecord>, names: Iterable<string>): Map<string, Finding> {
  const accepted = [...known.values()]
    .filter((record) => record.acceptedDigest !== undefined)
    .map((record) => record.name);
  const ordered = [...new Set([...accepted, ...names])];
  const findings = new Map<string, Finding>();
  for (const finding of findDuplicateNames(ordered.map((name) => ({ name })))) {
    const index = Number(/^tools\[(\d+)\]/.exec(finding.field)?.[1]);
    const name = ordered[index];
    if (name !== undefined && index >= accepted.length) findings.set(name, { ...finding, field: 'name' });
  }
  return findings;
}

function observe(
  input: IntakeInput,
  name: string,
  item: Listed,
  known: DefinitionRecord | undefined,
  lookalike: Finding | undefined,
): DefinitionRecord {
  const observedDigest = definitionDigest(item.value);
  // Classifier, poison rules and schema compiler take plain JSON; inexact numbers matter to the comparison alone.
  const plain = parseBytes(item.bytes) as ToolDefinition;
  const classification = classify(plain, input.server);
  const base = {
    serverId: input.serverId,
    name,
    classification,
    observedDigest,
    observedBytes: Uint8Array.from(item.bytes),
    listedTwice: item.times > 1,
    firstSeenAt: known?.firstSeenAt ?? input.now,
  };
  const accepted = acceptedOf(known, input.server);
  const twice: Finding[] = base.listedTwice
    ? [
        {
          field: 'name',
          message: 'the server lists this name more than once, so it is not known which one would be called',
          excerpt: '',
        },
      ]
    : [];
  const poison =
    observedDigest === known?.acceptedDigest
      ? twice // A person accepted exactly this, whatever is in it.
      : [...twice, ...(lookalike === undefined ? [] : [lookalike]), ...findPoison(plain)];
  const schema = input.compileSchema(plain.inputSchema ?? { type: 'object' });
  const assessed = assessDefinition(accepted, {
    value: item.value,
    class: classification.class,
    poison,
    ...(schema.ok ? { unrunnable: schema.unrunnable } : { schemaProblem: schema.reason }),
  });
  return {
    ...base,
    ...stillWaiting(known, assessed),
    class: accepted?.class ?? classification.class,
    classOverride: known?.classOverride,
    acceptedDigest: known?.acceptedDigest,
    acceptedBytes: known?.acceptedBytes,
    acceptedAt: known?.acceptedAt,
    acceptedBy: known?.acceptedBy,
  };
}

/**
 * A quarantine ends when a person accepts (spec: gateway §6), not when the server takes its change back: one that shows
 * another face every second time would else be trusted in between.
 */
function stillWaiting(known: DefinitionRecord | undefined, assessed: Assessment): Assessment {
  const waits = known?.acceptedDigest !== undefined && (known.state === 'changed' || known.state === 'poisoned');
  if (!waits || assessed.state === 'changed' || assessed.state === 'poisoned') return assessed;
  const before = known.changes.filter((change) => change.message !== WENT_BACK.message);
  return { state: 'changed', changes: [WENT_BACK, ...before] };
}

const WENT_BACK: DefinitionChange = {
  pointer: '',
  kind: 'other',
  message: 'The server took the change back; it waits all the same, for nobody has looked at what it was in between.',
};

function acceptedOf(known: DefinitionRecord | undefined, server: ServerContext) {
  if (known?.acceptedBytes === undefined) return undefined;
  // Numbers as exactly as the observed value has them.
  const value = parseJson(new TextDecoder().decode(known.acceptedBytes)) as Record<string, unknown>;
  const plain = parseBytes(known.acceptedBytes) as ToolDefinition;
  return { value, class: known.class, classNow: classify(plain, server).class };
}

function note(report: IntakeReport, record: DefinitionRecord): void {
  if (record.state === 'new') report.new.push(record.name);
  else if (record.state === 'changed') report.changed.push(record.name);
  else if (record.state === 'text_changed') report.textChanged.push(record.name);
  else if (record.state === 'poisoned') report.poisoned.push(record.name);
}
