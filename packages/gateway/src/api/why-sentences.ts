// The truth about a denial in plain sentences, for the owner (spec: gateway §4, Denials). The caller is told less.
import type { Trace } from '@gatehouse/policy';
import type { AuditRow } from '../audit/search.ts';
import type { LookResult } from '../limits/counters.ts';

/** What the names in brackets mean (spec: policy §7), and what the owner can do. */
const NAMED_RULES: Readonly<Record<string, (call: Subject) => readonly string[]>> = {
  '(hidden)': () => [
    'The policy hides this tool, so the caller was told that there is no such tool.',
    'To show it, take it out of "hide" in the policy.',
  ],
  '(unknown tool)': ({ server }) => [
    'The server lists no tool of that name among its pinned definitions.',
    `If the server has it since, read its tools again: gatehouse server refresh ${server}`,
  ],
  '(frozen)': () => ['The server is frozen, so that only tools of the class read may be called.'],
  '(no policy)': ({ server }) => [
    'The grant carries no policy, and without one every call is denied.',
    `Give it one: gatehouse policy apply FILE --server ${server} --name NAME --grant GRANT`,
  ],
  '(new tool)': ({ server, tool }) => [
    'No person has accepted this tool yet.',
    `Look at it and accept it: gatehouse server accept ${server} ${tool}`,
  ],
  '(definition changed)': ({ server, tool }) => [
    'The tool changed at the server since a person accepted it, in a way that must be looked at.',
    `See what changed: gatehouse server show ${server}; then accept it: gatehouse server accept ${server} ${tool}`,
  ],
  '(default deny)': () => [
    'The policy has "default": "deny", and neither "tools" nor "classes" lists this tool.',
    'To allow it, add it to "tools"; {} allows it without further rules.',
  ],
  '(arguments)': () => [
    'The arguments do not fit the schema that was pinned when the tool was accepted.',
    'The caller was told what is wrong with each argument.',
  ],
  '(resource)': () => ['The policy does not allow this resource, or its address is not in a canonical form.'],
  '(internal error)': () => [
    'An error inside Gatehouse came up while it decided, and whatever cannot be decided is denied.',
    "Look for the request id in the program's log.",
  ],
};

export interface Subject {
  server: string;
  tool: string;
}

/** The value at a JSON Pointer (RFC 6901); undefined when there is none. */
export function atPointer(document: unknown, pointer: string): unknown {
  let value = document;
  for (const part of pointer.split('/').slice(1)) {
    if (typeof value !== 'object' || value === null) return undefined;
    const key = part.replaceAll('~1', '/').replaceAll('~0', '~');
    if (!Object.hasOwn(value, key)) return undefined;
    value = (value as Record<string, unknown>)[key];
  }
  return value;
}

const MAX_RULE_TEXT = 400;

function quoted(value: unknown): string {
  const text = JSON.stringify(value);
  return text.length > MAX_RULE_TEXT ? `${text.slice(0, MAX_RULE_TEXT)}…` : text;
}

/** What a rule is: the bracket's meaning, or the piece of the policy at its pointer. */
export function ruleSentences(rule: string, subject: Subject, document: unknown): readonly string[] {
  const named = NAMED_RULES[rule];
  if (named !== undefined) return named(subject);
  if (!rule.startsWith('/')) return [`What decided is called ${rule}.`];
  const piece = atPointer(document, rule);
  return piece === undefined
    ? [`The rule at ${rule} of the policy decided.`]
    : [`The rule at ${rule} of the policy decided; it says: ${quoted(piece)}`];
}

const OUTCOMES: Readonly<Record<string, string>> = {
  allow: 'was allowed and went well',
  deny: 'was denied',
  error: 'was allowed, but failed: at the server, or on the way to it',
  unknown: 'was handed on, but no outcome was recorded: it is still running, or Gatehouse stopped before it ended',
  approval_required: 'needs the approval of a person',
};

/** The policy that a row names, as it is found today. */
export interface RecordedPolicy {
  name: string;
  /** The version that decided. */
  version: string;
  document: unknown;
  /** The version that holds now. */
  currentVersion: number;
}

/** What the log says of a call, and what the policy of that time says of the rule. */
export function recordSentences(row: AuditRow, policy: RecordedPolicy | undefined): string[] {
  const who = row.identity === undefined ? 'A caller that could not be identified' : row.identity.name;
  const what = row.tool === undefined ? (row.method ?? 'a message') : `the tool ${row.tool}`;
  const where = row.server === undefined ? '' : ` of ${row.server}`;
  const grant = row.grant === undefined ? '' : ` with the grant ${row.grant.label} (${row.grant.id})`;
  const sentences = [
    `${who} asked for ${what}${where}${grant} ${row.kind === 'aggregate' ? 'shortly before' : 'at'} ${new Date(row.time).toISOString()}.`,
    `It ${OUTCOMES[row.outcome] ?? `ended as ${row.outcome}`}.`,
  ];
  if (row.kind === 'aggregate') {
    sentences.push(
      `It was one of ${row.count} equal ones that share this record; their request ids are ${row.requestId}.1 to ${row.requestId}.${row.count}, and what was recorded is of the first.`,
    );
  }
  if (row.message !== undefined && row.message !== '') sentences.push(`What was recorded: ${row.message}`);
  if (row.rule !== undefined && row.rule !== '') {
    sentences.push(...ruleSentences(row.rule, { server: row.server ?? '', tool: row.tool ?? '' }, policy?.document));
  }
  if (policy !== undefined) {
    const since =
      String(policy.currentVersion) === policy.version
        ? 'It has not changed since.'
        : `It is at version ${policy.currentVersion} now, so the same call may end differently.`;
    sentences.push(`The policy was ${policy.name} in version ${policy.version}. ${since}`);
  } else if (row.policy !== undefined) {
    sentences.push('The policy of that call has been removed since.');
  }
  if (row.status !== undefined || row.errorCode !== undefined || row.isError) {
    const parts = [
      row.status === undefined ? '' : `HTTP status ${row.status}`,
      row.errorCode === undefined ? '' : `JSON-RPC error ${row.errorCode}`,
      row.isError ? 'a result marked as an error' : '',
    ].filter((part) => part !== '');
    sentences.push(`The server answered with ${parts.join(', ')}.`);
  }
  return sentences;
}

/** What the counters say now of the limits of a call that would be allowed. */
export function limitSentences(looked: LookResult): string[] {
  if (looked.ok) return [];
  const { charge, used, retryAfterMs } = looked;
  if (charge.kind === 'slot') {
    return [
      `Right now the limit at ${charge.pointer} would deny it: ${used} of ${charge.max} calls are under way. A retry can pass when one of them ends.`,
    ];
  }
  const wait = Number.isFinite(retryAfterMs)
    ? `A retry can pass in ${retryAfterMs} ms.`
    : 'It never fits: the amount is above the limit.';
  return [`Right now the limit at ${charge.pointer} would deny it: ${used} of ${charge.max} are used. ${wait}`];
}

/** The first step of the order of judgement that reads arguments (spec: policy §7). */
const FIRST_ARGUMENT_STEP = 7;

/** What would become of a call whose arguments are not known, from its trace with none. */
export function prospectSentences(
  trace: Trace,
  subject: Subject,
  context: { identity: string; grant: string; policy?: { name: string; version: number; document: unknown } },
): string[] {
  const { decision } = trace;
  const who = `A call of ${subject.tool} by ${context.identity} with the grant ${context.grant}`;
  const deniedAt = trace.steps.find((step) => step.result === 'deny')?.step;
  const sentences: string[] = [];
  if (decision.outcome === 'deny' && (deniedAt === undefined || deniedAt < FIRST_ARGUMENT_STEP)) {
    sentences.push(`${who} would be denied, whatever its arguments: ${decision.reason}`);
    sentences.push(...ruleSentences(decision.rule, subject, context.policy?.document));
  } else if (decision.outcome === 'deny') {
    sentences.push(`${who} can be allowed; it depends on the arguments.`);
    sentences.push(`Without any arguments it would be denied by ${decision.rule}: ${decision.reason}`);
    sentences.push('To try arguments, use: gatehouse policy judge');
  } else {
    sentences.push(`${who} without arguments would be allowed by its rules.`);
    for (const charge of decision.charges) {
      if (charge.kind === 'slot') {
        sentences.push(
          `It would take a slot of ${charge.counter} (at most ${charge.max} at once per ${charge.scope}).`,
        );
        continue;
      }
      const window = charge.unit ?? `${charge.windowSeconds} s`;
      sentences.push(
        `It would charge ${charge.amount} to ${charge.counter} (at most ${charge.max} per ${window} and ${charge.scope}).`,
      );
    }
  }
  if (context.policy !== undefined)
    sentences.push(`The policy is ${context.policy.name} in version ${context.policy.version}.`);
  return sentences;
}
