import { TOOL_CLASSES } from '@gatehouse/classify';
import type { ControlContext } from '../control/context.ts';
import { timestamp } from '../control/context.ts';
import { definitionView, parseBytes } from '../control/views.ts';
import { type ErrorItem, GatehouseError } from '../errors.ts';
import type { Actor, Definition } from '../model.ts';
import type { AcceptChoice, IntakeReport, Services } from '../services.ts';
import type { DefinitionRecord, ServerRecord } from '../store/records.ts';
import { deleteDefinition, putDefinition } from '../store/tables/definitions.ts';
import { acceptRecord, type IntakeResult, takeIn } from './intake.ts';

/** Pinned tools: taking in what servers list, and accepting it (spec: gateway §6). */
export function definitionServices(context: ControlContext): Services['definitions'] {
  const { state, changes, pieces, directory } = context;
  const view = (definition: DefinitionRecord): Definition => definitionView(state, definition);
  const definitionsOf = (server: ServerRecord): ReadonlyMap<string, DefinitionRecord> =>
    state.definitions.get(server.id) ?? new Map<string, DefinitionRecord>();

  function apply(server: ServerRecord, records: readonly DefinitionRecord[], removed: readonly string[] = []): void {
    const kept = new Map(definitionsOf(server));
    for (const name of removed) kept.delete(name);
    for (const record of records) kept.set(record.name, record);
    state.definitions.set(server.id, kept);
    pieces.definitions(server);
    directory.changed();
  }

  return {
    list: (slug) =>
      [...definitionsOf(state.needServer(slug)).values()].sort((a, b) => (a.name < b.name ? -1 : 1)).map(view),
    get: (slug, tool) => view(needDefinition(definitionsOf(state.needServer(slug)), slug, tool)),

    intake: (slug, observed, options) =>
      changes.run<IntakeReport>(() => {
        const server = state.needServer(slug);
        const known = definitionsOf(server);
        const now = timestamp(context);
        const { records, removed, report } = takeIn({
          serverId: server.id,
          known,
          observed,
          complete: options.complete,
          server: { slug: server.slug, name: server.name, trusted: server.settings.trusted },
          compileSchema: context.compileSchema,
          now,
        });
        const accepting = acceptedAtOnce(context, server, known, { records, removed }, options);
        const final = new Map(records.map((record) => [record.name, record]));
        for (const record of accepting) {
          final.set(record.name, acceptRecord(record, { by: options.actor.id, now }));
        }
        if (final.size === 0 && removed.length === 0) return { unchanged: report };
        const stored = [...final.values()];
        return {
          records: [
            {
              actor: options.actor,
              action: 'definitions.observe',
              target: server.id,
              before: stored.filter(({ name }) => known.has(name)).map((record) => summary(known.get(record.name))),
              after: [...stored.map(summary), ...removed.map((tool) => ({ tool, removed: true }))],
            },
          ],
          async write(transaction) {
            for (const name of removed) await deleteDefinition(transaction, server.id, name);
            for (const record of stored) await putDefinition(transaction, record);
          },
          apply() {
            apply(server, stored, removed);
            return report;
          },
        };
      }),

    accept: (slug, choices, actor) =>
      changes.run<Definition[]>(() => {
        const server = state.needServer(slug);
        const known = definitionsOf(server);
        const now = timestamp(context);
        const named = choices === 'all' ? allThatWait(context, known) : choices;
        const records = readChoices(context, known, slug, named, actor, now);
        if (records.length === 0) return { unchanged: [] };
        return {
          records: [
            {
              actor,
              action: 'definitions.accept',
              target: server.id,
              before: records.map(({ name }) => summary(known.get(name))),
              after: records.map(summary),
            },
          ],
          async write(transaction) {
            for (const record of records) await putDefinition(transaction, record);
          },
          apply() {
            apply(server, records);
            return records.map(view);
          },
        };
      }),
  };
}

/** What an intake accepts by itself: all of it when told so, or new tools where the server's settings say so. */
function acceptedAtOnce(
  context: ControlContext,
  server: ServerRecord,
  known: ReadonlyMap<string, DefinitionRecord>,
  { records, removed }: Pick<IntakeResult, 'records' | 'removed'>,
  options: { accept?: boolean },
): DefinitionRecord[] {
  const acceptable = (record: DefinitionRecord): boolean =>
    record.state !== 'poisoned' && record.state !== 'gone' && record.state !== 'accepted' && compiles(context, record);
  if (options.accept === true) {
    const seen = new Set([...records.map((record) => record.name), ...removed]);
    const waiting = [...known.values()].filter((record) => !seen.has(record.name));
    return [...records, ...waiting].filter(acceptable);
  }
  // The first list is the registration itself: a person accepts that one in any case.
  if (server.settings.newTools !== 'accept' || known.size === 0) return [];
  return records.filter((record) => record.state === 'new' && acceptable(record));
}

function allThatWait(context: ControlContext, known: ReadonlyMap<string, DefinitionRecord>): AcceptChoice[] {
  return [...known.values()]
    .filter(({ state }) => state === 'new' || state === 'changed' || state === 'text_changed')
    .filter((record) => compiles(context, record))
    .map(({ name }) => ({ name }));
}

function readChoices(
  context: ControlContext,
  known: ReadonlyMap<string, DefinitionRecord>,
  slug: string,
  choices: readonly AcceptChoice[],
  actor: Actor,
  now: string,
): DefinitionRecord[] {
  const items: ErrorItem[] = [];
  const records = new Map<string, DefinitionRecord>();
  choices.forEach((choice, index) => {
    const record = needDefinition(known, slug, choice.name);
    if (choice.digest !== undefined && choice.digest !== record.observedDigest) {
      throw new GatehouseError(
        'precondition_failed',
        `${choice.name} changed since you looked at it (its digest is ${record.observedDigest} now). Look at it again.`,
      );
    }
    if (choice.class !== undefined && !TOOL_CLASSES.includes(choice.class)) {
      items.push({ pointer: `/${index}/class`, message: `A class is one of ${TOOL_CLASSES.join(', ')}.` });
    }
    const obstacle = whyNot(context, record);
    if (obstacle !== undefined) items.push({ pointer: `/${index}/name`, message: `${choice.name} ${obstacle}` });
    records.set(
      record.name,
      acceptRecord(record, { ...(choice.class === undefined ? {} : { class: choice.class }), by: actor.id, now }),
    );
  });
  const [first] = items;
  if (first !== undefined) throw new GatehouseError('invalid_input', `Nothing was accepted: ${first.message}`, items);
  return [...records.values()];
}

function whyNot(context: ControlContext, record: DefinitionRecord): string | undefined {
  if (record.listedTwice) return 'is listed more than once by its server; that must be put right there first.';
  if (record.state === 'gone')
    return 'is not listed by its server any more; what was accepted is kept until it returns.';
  if (!compiles(context, record))
    return 'has an argument schema that cannot be compiled; that must be put right at its server first.';
  return undefined;
}

function compiles(context: ControlContext, record: DefinitionRecord): boolean {
  const { inputSchema } = parseBytes(record.observedBytes) as { inputSchema?: unknown };
  return context.compileSchema(inputSchema ?? { type: 'object' }).ok;
}

function needDefinition(known: ReadonlyMap<string, DefinitionRecord>, slug: string, tool: string): DefinitionRecord {
  const record = known.get(tool);
  if (record !== undefined) return record;
  throw new GatehouseError('not_found', `${slug} has no tool ${JSON.stringify(tool)} (names are case-sensitive).`);
}

/** What the admin log says of a definition; the whole texts are in the store, named by their digests. */
function summary(record: DefinitionRecord | undefined): Record<string, unknown> | undefined {
  if (record === undefined) return undefined;
  return {
    tool: record.name,
    state: record.state,
    class: record.class,
    observedDigest: record.observedDigest,
    ...(record.acceptedDigest === undefined ? {} : { acceptedDigest: record.acceptedDigest }),
    changes: record.changes.map(({ pointer, kind, message }) => ({ pointer, kind, message })),
  };
}
