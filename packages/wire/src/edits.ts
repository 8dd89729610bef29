// The closed list of edits (spec: gateway §1, P2). Each splices members outside `arguments` and reads the result again;
// all other bytes stay. Nothing else in the product changes a message on its way.
import { checkValue, type Message, type Reply, readMessage, readReply } from './envelope.ts';
import { arrayItems, type MemberTable, scanMembers } from './members.ts';
import { type ListKind, META } from './methods.ts';
import { applySplices, changeMembers, cutElements, type Member, type Splice } from './splices.ts';
import { encodeText, type Span } from './text.ts';

/** One JSON value as text or UTF-8, without white space around it. */
export type RawValue = string | Uint8Array;

/** Members of `_meta` that only the modern era has. */
export type EraMember = (typeof META)[
  | 'protocolVersion'
  | 'clientCapabilities'
  | 'clientInfo'
  | 'logLevel'
  | 'serverInfo'];

export interface ListItemEdit {
  /** The item's place, as `arrayItems` gives it. */
  readonly item: Span;
  /** What stands there instead; null cuts the item out. */
  readonly replacement: RawValue | null;
}

/** An edit that does not fit the message, or whose result is refused: nothing may go on. */
export class EditError extends Error {
  override readonly name = 'EditError';
}

/** Replaces the id of a request or a response. */
export function replaceId<M extends Message | Reply>(message: M, id: RawValue): M {
  return replaceAt(message, message.idSpan, id, 'id');
}

/** Replaces the progress token: of a request in its `_meta`, of `notifications/progress` in its params. */
export function replaceProgressToken<M extends Message | Reply>(message: M, token: RawValue): M {
  const place =
    message.method === 'notifications/progress'
      ? message.params?.get('progressToken')
      : message.meta?.get(META.progressToken);
  return replaceAt(message, place, token, 'progress token');
}

/** Replaces the subscription id in the `_meta` of a server's notification or result. */
export function replaceSubscriptionId(message: Reply, id: RawValue): Reply {
  const meta = message.kind === 'response' ? message.resultMeta : message.meta;
  return replaceAt(message, meta?.get(META.subscriptionId), id, 'subscription id');
}

/** Replaces the id that `notifications/cancelled` names. */
export function replaceCancelledId<M extends Message | Reply>(message: M, id: RawValue): M {
  const place = message.method === 'notifications/cancelled' ? message.params?.get('requestId') : undefined;
  return replaceAt(message, place, id, 'cancelled id');
}

/**
 * Sets era members in the `_meta` of `params` (of `result` in responses), or removes those given as null. `params` and
 * `_meta` are made where they are missing and something is set.
 */
export function setEraMembers<M extends Message | Reply>(
  message: M,
  changes: Partial<Record<EraMember, RawValue | null>>,
): M {
  const wanted = new Map<string, Uint8Array | null>();
  for (const [key, value] of Object.entries(changes)) wanted.set(key, value === null ? null : checkedValue(value));
  const response = message.kind === 'response';
  const holder = !response ? message.params : message.side === 'server' ? message.resultMembers : undefined;
  const meta = holder?.get('_meta');
  if (meta !== undefined) return changed(message, meta, wanted);
  const set = [...wanted].filter((entry): entry is [string, Uint8Array] => entry[1] !== null);
  if (set.length === 0) return message;
  const object = new Map([['_meta', objectOf(set)]]);
  if (response) {
    if (message.result === undefined || holder === undefined) throw new EditError('the message has no result object');
    return changed(message, message.result, object);
  }
  if (message.paramsSpan !== undefined) return changed(message, message.paramsSpan, object);
  return changed(message, rootSpan(message.bytes), new Map([['params', objectOf([...object])]]));
}

/**
 * Replaces `requestState` of a client's retry, or removes it (null); sets it in a server's result, or removes it there.
 */
export function replaceRequestState<M extends Message | Reply>(message: M, state: RawValue | null): M {
  const raw = state === null ? null : checkedValue(state);
  if (message.side === 'server') return changeResultMember(message, 'requestState', raw) as M;
  const { params, paramsSpan } = message;
  if (paramsSpan === undefined || params?.has('requestState') !== true)
    throw new EditError('the message has no request state');
  return changed(message, paramsSpan, new Map([['requestState', raw]]));
}

/** Removes the answers of a client's retry under keys that are not among `names`. */
export function keepInputResponses(message: Message, names: ReadonlySet<string>): Message {
  const place = message.params?.get('inputResponses');
  if (place === undefined || message.bytes[place.start] !== 0x7b)
    throw new EditError('the message has no object of input responses');
  const members = membersOf(message.bytes, place);
  const splices = cutElements(members, (index) => !names.has(members[index]?.key ?? ''));
  return splices.length === 0 ? message : applied(message, splices);
}

/**
 * Where a message names a task. `own`: in `params`, or in the `result` of what is about a task or made one (2026-07-28).
 * `made`: in `result.task` (2025-11-25). `related`: in `_meta`.
 */
export type TaskIdPlace = 'own' | 'made' | 'related';

/** The id of a task at that place; undefined where there is none. */
export function taskIdAt(message: Message | Reply, place: TaskIdPlace): Span | undefined {
  const { bytes, kind } = message;
  const ofClient = kind === 'response' && message.side === 'client' ? membersAt(bytes, message.result) : undefined;
  const ofServer = kind === 'response' && message.side === 'server' ? message : undefined;
  const holder = kind === 'response' ? (ofClient ?? ofServer?.resultMembers) : message.params;
  if (place === 'own') return holder?.get('taskId');
  if (place === 'made') return membersAt(bytes, holder?.get('task'))?.get('taskId');
  const ofParams = kind === 'response' ? ofServer?.resultMeta : message.meta;
  const meta = ofClient === undefined ? ofParams : membersAt(bytes, ofClient.get('_meta'));
  return membersAt(message.bytes, meta?.get(META.relatedTask))?.get('taskId');
}

/** Replaces the id of a task. */
export function replaceTaskId<M extends Message | Reply>(message: M, place: TaskIdPlace, id: RawValue): M {
  return replaceAt(message, taskIdAt(message, place), id, 'task id');
}

/** The ids of tasks that a subscription names, or that a server acknowledges; `unreadable` where they are no array. */
export function watchedTasks(message: Message | Reply): Span[] | 'unreadable' | undefined {
  const place = membersAt(message.bytes, message.params?.get('notifications'))?.get('taskIds');
  if (place === undefined) return undefined;
  return message.bytes[place.start] === 0x5b ? arrayItems(message.bytes, place) : 'unreadable';
}

/** Replaces the ids that `watchedTasks` gives, in their order; null cuts one out. */
export function replaceWatchedTasks<M extends Message | Reply>(message: M, ids: readonly (RawValue | null)[]): M {
  const items = watchedTasks(message);
  if (items === undefined || items === 'unreadable') throw new EditError('the message watches no tasks');
  return replaceItems(message, items, items, ids);
}

/** Replaces the ids in `result.tasks`, in their order; null cuts the task out. */
export function replaceListedTasks(message: Reply, ids: readonly (RawValue | null)[]): Reply {
  const place = message.resultMembers?.get('tasks');
  if (place === undefined || message.bytes[place.start] !== 0x5b)
    throw new EditError('the message has no list of tasks');
  const items = arrayItems(message.bytes, place);
  const places = items.map((item) => {
    const id = membersAt(message.bytes, item)?.get('taskId');
    if (id === undefined) throw new EditError('a task of the list has no id');
    return id;
  });
  return replaceItems(message, items, places, ids);
}

function replaceItems<M extends Message | Reply>(
  message: M,
  items: readonly Span[],
  places: readonly Span[],
  ids: readonly (RawValue | null)[],
): M {
  if (ids.length !== items.length) throw new EditError(`there are ${items.length} tasks, not ${ids.length}`);
  const splices = cutElements(items, (index) => ids[index] === null);
  places.forEach(({ start, end }, index) => {
    const id = ids[index];
    if (id !== null && id !== undefined) splices.push({ start, end, insert: checkedValue(id) });
  });
  return splices.length === 0 ? message : applied(message, splices);
}

function membersAt(bytes: Uint8Array, place: Span | undefined): MemberTable | undefined {
  return place === undefined || bytes[place.start] !== 0x7b ? undefined : scanMembers(bytes, place);
}

/** Sets `result.resultType`, or removes it (null). */
export function replaceResultType(message: Reply, resultType: string | null): Reply {
  return changeResult(message, 'resultType', resultType);
}

/** Sets `result.cacheScope`, or removes it (null). */
export function replaceCacheScope(message: Reply, cacheScope: 'public' | 'private' | null): Reply {
  return changeResult(message, 'cacheScope', cacheScope);
}

/** Removes capabilities by name from what a client declares, in `initialize` and in the modern era's `_meta`. */
export function refuseCapabilities(message: Message, names: readonly string[]): Message {
  const splices: Splice[] = [];
  const declared = message.method === 'initialize' ? message.params?.get('capabilities') : undefined;
  for (const place of [declared, message.meta?.get(META.clientCapabilities)]) {
    if (place === undefined || message.bytes[place.start] !== 0x7b) continue;
    const members = membersOf(message.bytes, place);
    splices.push(...cutElements(members, (index) => names.includes(members[index]?.key ?? '')));
  }
  return splices.length === 0 ? message : applied(message, splices);
}

/** Cuts or replaces items of a list in `result`; white space and all other items stay. */
export function editListItems(message: Reply, list: ListKind, edits: readonly ListItemEdit[]): Reply {
  const place = message.resultMembers?.get(list);
  if (place === undefined) throw new EditError(`the message has no list of ${list}`);
  const items = arrayItems(message.bytes, place);
  const byStart = new Map(edits.map((edit) => [edit.item.start, edit]));
  if (byStart.size !== edits.length) throw new EditError(`an item of ${list} is edited twice`);
  const splices = cutElements(items, (index) => byStart.get(items[index]?.start ?? -1)?.replacement === null);
  let found = 0;
  for (const item of items) {
    const edit = byStart.get(item.start);
    if (edit?.item.end !== item.end) continue;
    found++;
    if (edit.replacement !== null) splices.push({ ...item, insert: checkedValue(edit.replacement) });
  }
  if (found !== edits.length) throw new EditError(`an edit names a place that is no item of ${list}`);
  return applied(message, splices);
}

function changeResult(message: Reply, key: string, value: string | null): Reply {
  return changeResultMember(message, key, value === null ? null : encodeText(JSON.stringify(value)));
}

function changeResultMember(message: Reply, key: string, raw: Uint8Array | null): Reply {
  if (message.result === undefined || message.resultMembers === undefined)
    throw new EditError('the message has no result object');
  return changed(message, message.result, new Map([[key, raw]]));
}

function replaceAt<M extends Message | Reply>(message: M, place: Span | undefined, value: RawValue, what: string): M {
  if (place === undefined) throw new EditError(`the message has no ${what}`);
  return applied(message, [{ start: place.start, end: place.end, insert: checkedValue(value) }]);
}

function changed<M extends Message | Reply>(
  message: M,
  object: Span,
  changes: ReadonlyMap<string, Uint8Array | null>,
): M {
  const splices = changeMembers(object, membersOf(message.bytes, object), changes);
  return splices.length === 0 ? message : applied(message, splices);
}

function applied<M extends Message | Reply>(message: M, splices: readonly Splice[]): M {
  const kept = message.side === 'client' ? message.argumentsSpan : undefined;
  if (kept !== undefined && splices.some(({ start, end }) => start < kept.end && end > kept.start))
    throw new EditError('an edit reaches into arguments');
  const bytes = applySplices(message.bytes, splices);
  const options = { maxDepth: message.maxDepth };
  const edited = message.side === 'client' ? readMessage(bytes, options) : readReply(bytes, options);
  if (!edited.ok) throw new EditError(`the edited message is refused: ${edited.message}`);
  return edited as M;
}

/** Exactly one JSON value: text that closes the member and opens another one would pass the second reading. */
function checkedValue(value: RawValue): Uint8Array {
  const raw = typeof value === 'string' ? encodeText(value) : value;
  const refusal = checkValue(raw, { start: 0, end: raw.length });
  if (refusal !== undefined) throw new EditError(`the new value is refused: ${refusal.message}`);
  return raw;
}

function objectOf(entries: readonly [string, Uint8Array][]): Uint8Array {
  const empty = encodeText('{}');
  return applySplices(empty, changeMembers({ start: 0, end: 2 }, [], new Map(entries)));
}

function membersOf(bytes: Uint8Array, object: Span): Member[] {
  const table = scanMembers(bytes, object);
  return Array.from({ length: table.size }, (_, at) => ({
    ...table.memberAt(at),
    key: table.keyAt(at),
    value: table.valueAt(at),
  }));
}

/** The outermost object of an accepted message. */
function rootSpan(bytes: Uint8Array): Span {
  return { start: bytes.indexOf(0x7b), end: bytes.lastIndexOf(0x7d) + 1 };
}
