// The ids of tasks in messages of both directions, and what messages say of tasks (spec: gateway §4, streams).

import { judgeWithoutArguments } from '@gatehouse/policy';
import {
  arrayItems,
  keepInputResponses,
  type Message,
  objectMembers,
  type Reply,
  readString,
  replaceListedTasks,
  replaceTaskId,
  replaceWatchedTasks,
  type Span,
  type TaskIdPlace,
  taskIdAt,
  watchedTasks,
} from '@gatehouse/wire';
import type { Receipt } from '../limits/counters.ts';
import { hasLanes } from '../upstreams/upstream.ts';
import type { CallState } from './call.ts';
import { freeSlots, type Gate } from './gate.ts';
import { refusedInput } from './inbound.ts';
import { callerOf } from './judgement.ts';
import { hasEnded, type KnownTask, noteAsked, type TaskScope } from './tasks.ts';

/** What a client's message says of tasks, opened. */
export interface OpenedTasks {
  readonly message: Message;
  /** The task that the message is about. */
  readonly task?: KnownTask;
}

/** To the caller, a task of another is no task. */
export const UNKNOWN_TASK = 'Failed to retrieve task: Task not found';
const FORGOTTEN =
  'What this task asked for is not known here any more: read the task with tasks/get, and send the answers again.';

export function scopeOf(call: Pick<CallState, 'inbound' | 'lane'>): TaskScope {
  const { grant } = call.inbound;
  return { grant, lane: hasLanes(grant.entry) ? call.lane : '' };
}

/**
 * The message with the ids as its server knows them.
 * @returns undefined where it names no task; `refused` where one that it names is not its grant's
 */
export function openTasks(gate: Gate, call: CallState): OpenedTasks | { refused: string } | undefined {
  const method = call.message.method ?? '';
  const about = method.startsWith('tasks/') && method !== 'tasks/list';
  const related = taskIdAt(call.message, 'related');
  const watched = method === 'subscriptions/listen' ? watchedTasks(call.message) : undefined;
  if (!about && related === undefined && watched === undefined) return undefined;
  const scope = scopeOf(call);
  const open = (span: Span | undefined): KnownTask | undefined =>
    span === undefined || call.message.bytes[span.start] !== 0x22
      ? undefined
      : gate.tasks.open(scope, readString(call.message.bytes, span));
  const task = about ? open(taskIdAt(call.message, 'own')) : undefined;
  if (about && task === undefined) return { refused: UNKNOWN_TASK };
  const other = open(related);
  if (related !== undefined && other === undefined) return { refused: UNKNOWN_TASK };
  let message = call.message;
  if (watched !== undefined) {
    if (watched === 'unreadable') return { refused: UNKNOWN_TASK };
    const tasks = watched.map(open);
    if (!tasks.every((each) => each !== undefined)) return { refused: UNKNOWN_TASK };
    message = replaceWatchedTasks(
      message,
      tasks.map(({ id }) => JSON.stringify(id)),
    );
  }
  if (other !== undefined) message = replaceTaskId(message, 'related', JSON.stringify(other.id));
  if (task === undefined) return { message };
  message = replaceTaskId(message, 'own', JSON.stringify(task.id));
  if (method !== 'tasks/update' || message.params?.has('inputResponses') !== true) return { message, task };
  // Another process, or one from before, may have shown the questions: an answer must not be lost in silence.
  if (task.asked === undefined) return { refused: FORGOTTEN };
  return { message: keepInputResponses(message, task.asked), task };
}

/** An answer of a client to a request that belongs to a task; undefined: it names one that is not its grant's. */
export function openAnswered(gate: Gate, call: CallState, answer: Message): Message | undefined {
  const span = taskIdAt(answer, 'related');
  if (span === undefined) return answer;
  const task =
    answer.bytes[span.start] === 0x22 ? gate.tasks.open(scopeOf(call), readString(answer.bytes, span)) : undefined;
  return task === undefined ? undefined : replaceTaskId(answer, 'related', JSON.stringify(task.id));
}

/** An answer of the upstream as the client may see it. */
export interface SealedAnswer {
  readonly reply: Reply;
  /** The call made a task that has not ended: its slots are held. */
  readonly running?: boolean;
}

/**
 * Seals the ids of tasks in an answer, and notes what it says of them.
 * @returns undefined where it names none; `failed`: what is wrong with it
 */
export function sealAnswer(
  gate: Gate,
  call: CallState,
  reply: Reply,
  { task, receipt }: { task?: KnownTask | undefined; receipt: Receipt | undefined },
): SealedAnswer | { failed: string } | undefined {
  const { message } = call;
  const method = message.method ?? '';
  if (method === 'tools/call') {
    const place = madeAt(message, reply);
    if (place === undefined) return sealRelated(gate, call, reply);
    const id = textAt(reply, taskIdAt(reply, place));
    const made = id === undefined ? undefined : gate.tasks.made(scopeOf(call), message.name ?? '', id);
    if (made === undefined) return { failed: 'it made a task without an id' };
    if (receipt?.slots !== undefined) made.slots = receipt;
    const running = note(gate, call, made, reply, place);
    const own = replaceTaskId(reply, place, JSON.stringify(made.sealed));
    const sealed = sealRelated(gate, call, own) ?? { reply: own };
    return 'failed' in sealed ? sealed : { ...sealed, running };
  }
  if (!method.startsWith('tasks/') || reply.result === undefined) return sealRelated(gate, call, reply);
  if (method === 'tasks/list') return sealList(gate, call, reply);
  if (task === undefined) return undefined;
  if (method === 'tasks/result') end(gate, task);
  else if (taskIdAt(reply, 'own') !== undefined) {
    if (textAt(reply, taskIdAt(reply, 'own')) !== task.id) return { failed: ANOTHER };
    note(gate, call, task, reply, 'own');
    const own = replaceTaskId(reply, 'own', JSON.stringify(task.sealed));
    return sealRelated(gate, call, own) ?? { reply: own };
  }
  return sealRelated(gate, call, reply);
}

const ANOTHER = 'its answer is about another task';

/** A server's own message as the client may see it; undefined: it is about a task that is not this client's. */
export function sealNotice(gate: Gate, call: CallState, message: Reply): Reply | undefined {
  const scope = scopeOf(call);
  let sealed = message;
  const { method } = message;
  if (method === 'notifications/tasks' || method === 'notifications/tasks/status') {
    const id = textAt(message, taskIdAt(message, 'own'));
    const task = id === undefined ? undefined : gate.tasks.own(scope, id);
    if (task === undefined) return undefined;
    note(gate, call, task, message, 'own');
    sealed = replaceTaskId(sealed, 'own', JSON.stringify(task.sealed));
  } else if (method === 'notifications/subscriptions/acknowledged') {
    const watched = watchedTasks(message);
    if (watched === 'unreadable') return undefined;
    if (watched !== undefined) {
      sealed = replaceWatchedTasks(
        sealed,
        watched.map((span) => sealedAt(gate, scope, message, span)),
      );
    }
  }
  const span = taskIdAt(sealed, 'related');
  if (span === undefined) return sealed;
  const related = sealedAt(gate, scope, sealed, span);
  return related === null ? undefined : replaceTaskId(sealed, 'related', related);
}

function sealRelated(gate: Gate, call: CallState, reply: Reply): SealedAnswer | { failed: string } | undefined {
  const span = taskIdAt(reply, 'related');
  if (span === undefined) return undefined;
  const sealed = sealedAt(gate, scopeOf(call), reply, span);
  return sealed === null ? { failed: ANOTHER } : { reply: replaceTaskId(reply, 'related', sealed) };
}

/** The grant's own tasks, of tools that it may still call. */
function sealList(gate: Gate, call: CallState, reply: Reply): SealedAnswer | { failed: string } {
  const scope = scopeOf(call);
  const { grant } = scope;
  const span = reply.resultMembers?.get('tasks');
  if (span === undefined || reply.bytes[span.start] !== 0x5b) return { failed: 'its list of tasks is no array' };
  const context = { caller: callerOf(grant, call.session), now: gate.clock() };
  const ids: (string | null)[] = [];
  for (const item of arrayItems(reply.bytes, span)) {
    const id = reply.bytes[item.start] === 0x7b ? objectMembers(reply.bytes, item).get('taskId') : undefined;
    const text = textAt(reply, id);
    if (text === undefined) return { failed: 'its list of tasks has one without an id' };
    const task = gate.tasks.own(scope, text);
    const listed =
      task !== undefined && judgeWithoutArguments(grant.policy, grant.entry.tools, task.tool, context) === undefined;
    ids.push(listed ? JSON.stringify(task.sealed) : null);
  }
  const listed = replaceListedTasks(reply, ids);
  return sealRelated(gate, call, listed) ?? { reply: listed };
}

/** Where the answer to a call names the task that the call made. */
function madeAt(call: Message, reply: Reply): TaskIdPlace | undefined {
  const members = reply.resultMembers;
  if (members === undefined) return undefined;
  if (textAt(reply, members.get('resultType')) === 'task') return 'own';
  return call.params?.has('task') === true && members.has('task') ? 'made' : undefined;
}

/** Notes the status and the questions of a task. @returns whether it goes on */
function note(gate: Gate, call: CallState, task: KnownTask, message: Reply, place: TaskIdPlace): boolean {
  const holder = message.kind === 'response' ? message.resultMembers : message.params;
  const made = place === 'made' ? holder?.get('task') : undefined;
  const members = made === undefined ? holder : objectMembers(message.bytes, made);
  task.asked ??= new Set();
  const asked = place === 'made' ? undefined : members?.get('inputRequests');
  // Questions that do not pass have no answers.
  if (asked !== undefined && refusedInput(call.inbound.grant.entry.server.settings, message) === undefined) {
    noteAsked(task, objectMembers(message.bytes, asked).keys());
  }
  const ended = hasEnded(textAt(message, members?.get('status')));
  if (ended) end(gate, task);
  return !ended;
}

function end(gate: Gate, task: KnownTask): void {
  const { slots } = task;
  delete task.slots;
  if (slots !== undefined) freeSlots(gate, slots);
}

function sealedAt(gate: Gate, scope: TaskScope, message: Reply, span: Span): string | null {
  const id = textAt(message, span);
  const task = id === undefined ? undefined : gate.tasks.own(scope, id);
  return task === undefined ? null : JSON.stringify(task.sealed);
}

function textAt(message: Reply, span: Span | undefined): string | undefined {
  return span !== undefined && message.bytes[span.start] === 0x22 ? readString(message.bytes, span) : undefined;
}
