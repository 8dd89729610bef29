// Which judgement a message gets: the policy engine decides, this only finds out what to ask it.
import {
  type Caller,
  type Decision,
  type JudgeContext,
  judge,
  judgePrompt,
  judgeResource,
  judgeResourceTemplate,
  judgeWithoutArguments,
} from '@gatehouse/policy';
import {
  type ClientMethod,
  foldKey,
  type JsonValue,
  type Message,
  objectMembers,
  type Reply,
  readArguments,
  readString,
  readValue,
} from '@gatehouse/wire';
import type { GrantEntry, ServedTool } from '../model.ts';
import { isGatehouse } from './gate.ts';
import type { Session } from './sessions.ts';
import type { KnownTask } from './tasks.ts';

export interface Judgement {
  decision: Decision;
  tool?: ServedTool;
  toolName?: string;
  /** Parsed arguments of a tool call, for the record. */
  arguments?: JsonValue;
  /** Nothing above the class read can come of it. */
  read: boolean;
}

const ALLOWED: Decision = { outcome: 'allow', rule: '', charges: [], warnings: [] };
const NO_POLICY = denial('(no policy)', 'This grant has no policy.');

/** The call's context: the grant's own, with what this session adds. */
export function callerOf(grant: GrantEntry, session: Session | undefined): Caller {
  if (session === undefined) return grant.caller;
  return { ...grant.caller, session: session.id, ...(session.client === undefined ? {} : { client: session.client }) };
}

/** What a message is judged with, besides itself. */
export interface JudgedWith {
  rule: ClientMethod | undefined;
  /** The task that it is about. */
  task: KnownTask | undefined;
  session: Session | undefined;
  now: number;
}

/**
 * Any exception on the way is a denial with its own record (P5).
 * @param onFault gets it, for the program log
 */
export function judgeMessage(
  grant: GrantEntry,
  message: Message,
  judgedWith: JudgedWith,
  onFault: (error: unknown) => void,
): Judgement {
  try {
    return judgement(grant, message, judgedWith);
  } catch (error) {
    onFault(error);
    return { decision: denial('(internal error)', 'The call could not be judged, so it was not made.'), read: true };
  }
}

function judgement(grant: GrantEntry, message: Message, { rule, task, session, now }: JudgedWith): Judgement {
  const method = message.method ?? '';
  if (rule === undefined) {
    // A vendor method that the server's settings list: it may do anything.
    if (isGatehouse(grant)) return { decision: refusedForGatehouse(method), read: false };
    return { decision: grant.policy === undefined ? NO_POLICY : ALLOWED, read: false };
  }
  if (rule.action !== 'judge') return { decision: ALLOWED, read: true };
  if (isGatehouse(grant)) return { decision: refusedForGatehouse(method), read: true };
  const context: JudgeContext = {
    caller: callerOf(grant, session),
    now,
    toleratedArguments: grant.entry.toleratedArguments,
  };
  if (method === 'tools/call') return judgeTool(grant, message, context);
  if (method === 'subscriptions/listen') return judgeSubscription(grant, message, context);
  if (grant.policy === undefined) return { decision: NO_POLICY, read: true };
  if (method.startsWith('tasks/')) return judgeTask(grant, method, task, context);
  const subject = subjectOf(message);
  if (subject === undefined) {
    return { decision: denial('(arguments)', `${method} does not say what it is about.`), read: true };
  }
  const judgeSubject = { resource: judgeResource, template: judgeResourceTemplate, prompt: judgePrompt }[subject.kind];
  return { decision: judgeSubject(grant.policy, subject.name, context), read: true };
}

function judgeTool(grant: GrantEntry, message: Message, context: JudgeContext): Judgement {
  const name = message.name ?? '';
  const tool = grant.entry.tools.get(name);
  const { value: args, plain } = readArguments(message);
  const decision = judge(grant.policy, grant.entry.tools, { tool: name, arguments: args, plain }, context);
  const judgement: Judgement = { decision, toolName: name, arguments: args, read: tool?.class === 'read' };
  if (tool !== undefined) judgement.tool = tool;
  return judgement;
}

/** A task is its tool's: whoever may not call that any more may not read on either, but may end what it began. */
function judgeTask(grant: GrantEntry, method: string, task: KnownTask | undefined, context: JudgeContext): Judgement {
  // A list is cut to what is the grant's; an id that does not open is refused as unknown.
  if (task === undefined) return { decision: ALLOWED, read: true };
  const tool = grant.entry.tools.get(task.tool);
  const denied =
    method === 'tasks/cancel' ? undefined : judgeWithoutArguments(grant.policy, grant.entry.tools, task.tool, context);
  const judgement: Judgement = {
    decision: denied ?? ALLOWED,
    toolName: task.tool,
    read: method !== 'tasks/cancel' && tool?.class === 'read',
  };
  if (tool !== undefined) judgement.tool = tool;
  return judgement;
}

/** A subscription names the resources it watches; lists that change say nothing of what is in them. */
function judgeSubscription(grant: GrantEntry, message: Message, context: JudgeContext): Judgement {
  const span = message.params?.get('notifications');
  const filter =
    span === undefined ? {} : (readValue(message.bytes, span) as { resourceSubscriptions?: unknown } | null);
  // A server that ignores case would subscribe to what no rule has seen.
  for (const key of Object.keys(filter ?? {})) {
    if (key !== 'resourceSubscriptions' && foldKey(key) === foldKey('resourceSubscriptions')) {
      return { decision: denial('(arguments)', `${key} must be spelt resourceSubscriptions.`), read: true };
    }
  }
  const uris = filter?.resourceSubscriptions ?? [];
  if (!Array.isArray(uris) || !uris.every((uri) => typeof uri === 'string')) {
    return { decision: denial('(arguments)', 'resourceSubscriptions must be an array of URIs.'), read: true };
  }
  if (grant.policy === undefined) return { decision: NO_POLICY, read: true };
  for (const uri of uris) {
    const decision = judgeResource(grant.policy, uri, context);
    if (decision.outcome === 'deny') return { decision, read: true };
  }
  return { decision: ALLOWED, read: true };
}

/** Whether the client may read what `notifications/resources/updated` names, and so may hear of it (spec: policy §8). */
export function mayWatch(grant: GrantEntry, notification: Reply, session: Session | undefined, now: number): boolean {
  const span = notification.params?.get('uri');
  if (span === undefined || notification.bytes[span.start] !== 0x22) return false;
  const uri = readString(notification.bytes, span);
  return judgeResource(grant.policy, uri, { caller: callerOf(grant, session), now }).outcome === 'allow';
}

interface Subject {
  kind: 'resource' | 'template' | 'prompt';
  name: string;
}

/** The resource or prompt that a message is about; `completion/complete` names it in `ref`. */
function subjectOf(message: Message): Subject | undefined {
  if (message.method === 'completion/complete') {
    const span = message.params?.get('ref');
    if (span === undefined || message.bytes[span.start] !== 0x7b) return undefined;
    const ref = objectMembers(message.bytes, span);
    const read = (key: string): string | undefined => {
      const value = ref.get(key);
      return value !== undefined && message.bytes[value.start] === 0x22 ? readString(message.bytes, value) : undefined;
    };
    const type = read('type');
    if (type === 'ref/prompt') return named('prompt', read('name'));
    if (type === 'ref/resource') return named('template', read('uri'));
    return undefined;
  }
  return message.uri !== undefined ? { kind: 'resource', name: message.uri } : named('prompt', message.name);
}

function named(kind: Subject['kind'], name: string | undefined): Subject | undefined {
  return name === undefined ? undefined : { kind, name };
}

function refusedForGatehouse(method: string): Decision {
  return denial('(gatehouse)', `The gateway itself does not send ${method}.`);
}

export function denial(rule: string, reason: string): Extract<Decision, { outcome: 'deny' }> {
  return { outcome: 'deny', rule, reason, concealed: false, failures: [] };
}
