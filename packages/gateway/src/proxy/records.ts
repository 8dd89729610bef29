// What the log says of a message (spec: audit). Built on the path of every call, so it holds no more than that.
import type { Message } from '@gatehouse/wire';
import type { CallRecord, DecisionRecord, LimitRecord, ResultRecord } from '../audit/record.ts';
import type { Receipt } from '../limits/counters.ts';
import type { GrantEntry } from '../model.ts';
import type { CallState } from './call.ts';
import type { Gate, Inbound } from './gate.ts';
import type { Judgement } from './judgement.ts';
import type { Session } from './sessions.ts';

/** What all records of a grant say of it, made once: the log keeps its text for as long as the objects live. */
interface GrantRecord {
  readonly grant: { readonly id: string; readonly label: string };
  readonly identity: { readonly id: string; readonly name: string };
  readonly policy: { readonly id: string; readonly version: number } | undefined;
}

const ofGrants = new WeakMap<GrantEntry, GrantRecord>();

function grantRecord(grant: GrantEntry): GrantRecord {
  let made = ofGrants.get(grant);
  if (made === undefined) {
    const { policyName, policyVersion } = grant;
    made = {
      grant: { id: grant.id, label: grant.label },
      identity: { id: grant.identityId, name: grant.identityName },
      policy: policyName === undefined ? undefined : { id: policyName, version: policyVersion ?? 0 },
    };
    ofGrants.set(grant, made);
  }
  return made;
}

export function baseRecord(inbound: Inbound, requestId: string): Omit<CallRecord, 'kind'> {
  const { grant, identity } = grantRecord(inbound.grant);
  const { slug } = inbound.grant.entry.server;
  return inbound.source === ''
    ? { requestId, grant, identity, server: slug }
    : { requestId, grant, identity, server: slug, source: inbound.source };
}

/** The longest method, URI or name that a record and an answer repeat, in characters: a client may send 4 MiB of one. */
const MAX_REPEATED = 1_024;

/** Text of a client, short enough for the log; says so where it was cut. */
export function clipped(text: string): string {
  return text.length <= MAX_REPEATED ? text : `${text.slice(0, MAX_REPEATED)}… (${text.length} characters)`;
}

function callRecord(call: CallState, judgement: Judgement): Omit<CallRecord, 'kind'> {
  const record: Omit<CallRecord, 'kind'> & { -readonly [K in keyof CallRecord]?: CallRecord[K] } = baseRecord(
    call.inbound,
    call.requestId,
  );
  if (call.message.method !== undefined) record.method = clipped(call.message.method);
  if (call.session !== undefined) {
    record.session = sessionLabel(call.session);
    if (call.session.client !== undefined) record.client = `${call.session.client.name}/${call.session.client.version}`;
  }
  if (judgement.toolName !== undefined) record.tool = judgement.toolName;
  if (judgement.tool !== undefined) record.definition = judgement.tool.digest;
  const subject = call.message.uri ?? (judgement.toolName === undefined ? call.message.name : undefined);
  if (subject !== undefined) record.detail = { subject: clipped(subject) };
  if (judgement.arguments !== undefined) {
    record.arguments = call.gate.audit.digestArguments(judgement.arguments);
  }
  return record;
}

/** Enough to tell sessions apart; the sealed id itself stays out of the log. */
export function sessionLabel(session: Session): string {
  return session.id.slice(4, 20);
}

function decisionOf(call: CallState, judgement: Judgement): DecisionRecord {
  const { decision } = judgement;
  const { policy } = grantRecord(call.inbound.grant);
  return {
    outcome: decision.outcome,
    ...(decision.rule === '' ? {} : { rule: decision.rule }),
    ...(decision.outcome === 'deny' ? { message: decision.reason } : {}),
    ...(policy === undefined ? {} : { policy }),
  };
}

/** The one record of what is answered at once, or goes on without being able to act. */
export function decisionRecord(call: CallState, judgement: Judgement): CallRecord {
  const record: CallRecord = {
    ...callRecord(call, judgement),
    kind: 'decision',
    decision: decisionOf(call, judgement),
  };
  const { decision } = judgement;
  if (decision.outcome === 'deny' && decision.failures.length > 1) {
    record.detail = { ...record.detail, failures: decision.failures.map(({ pointer, value }) => ({ pointer, value })) };
  }
  return record;
}

/**
 * Records a denial; of one that is repeated again and again, the count.
 * @returns the request id that it is found by; undefined when the log cannot be written
 */
export async function recordDenial(call: CallState, judgement: Judgement): Promise<string | undefined> {
  const { gate, inbound, message, requestId } = call;
  const { tool } = judgement;
  const decision = decisionOf(call, judgement);
  const kind = { decision, method: message.method, tool: tool?.name, definition: tool?.digest };
  const counted = gate.denials.add(inbound, kind);
  if (counted !== undefined) return gate.audit.writable ? counted : undefined;
  return gate.audit.append(decisionRecord(call, judgement), 'process').then(
    () => requestId,
    () => undefined,
  );
}

export function methodOf(message: Message): Pick<CallRecord, 'method'> {
  return message.method === undefined ? {} : { method: clipped(message.method) };
}

const INTERNAL_ERROR = '(internal error)';

/** The one record of what was refused before it was judged; of what is refused again and again, the count. */
export async function recordRefusal(
  gate: Gate,
  inbound: Inbound,
  requestId: string,
  rule: string,
  message: string,
  more: Pick<CallRecord, 'method' | 'detail'>,
): Promise<void> {
  gate.metrics.decision(inbound.grant.entry.server.slug, 'refuse');
  const decision = { outcome: 'refuse', rule, message };
  const reason = more.detail?.refused;
  const kind = { decision, method: more.method, reason: typeof reason === 'string' ? reason : undefined };
  // A fault inside is looked into one by one: its answer names the record.
  if (rule !== INTERNAL_ERROR && gate.denials.add(inbound, kind) !== undefined) return;
  // A refusal sends nothing on, so a log that cannot take it changes nothing but that.
  await gate.audit
    .append({ ...baseRecord(inbound, requestId), kind: 'decision', ...more, decision }, 'process')
    .catch(() => undefined);
}

/** Written before the first byte goes upstream; says what was reserved. */
export function intentRecord(
  call: CallState,
  judgement: Judgement,
  receipt: Receipt | undefined,
  deadline: number,
): CallRecord {
  const decision = decisionOf(call, judgement);
  const { decision: judged } = judgement;
  return {
    ...callRecord(call, judgement),
    kind: 'intent',
    decision: { ...decision, ...(receipt === undefined ? {} : reservedBy(receipt)), deadline },
    ...(judged.outcome === 'allow' && judged.warnings.length > 0 ? { detail: { warnings: judged.warnings } } : {}),
  };
}

function reservedBy({ charges, sliding, slots }: Receipt): Pick<DecisionRecord, 'limits' | 'sliding'> {
  const limits = charges.map(({ charge, slice }): LimitRecord => ({ key: charge.key, units: charge.amount, slice }));
  for (const { key } of slots?.charges ?? []) limits.push({ key, units: 1, slot: true });
  return sliding === undefined ? { limits } : { limits, sliding };
}

/** @param held the call may still run, so that its slots are held until its deadline, over a restart as well */
export function outcomeRecord(
  call: CallState,
  outcome: string,
  result: ResultRecord,
  message?: string,
  held = false,
): CallRecord {
  return {
    ...baseRecord(call.inbound, call.requestId),
    kind: 'outcome',
    decision: { outcome, ...(message === undefined ? {} : { message }) },
    result,
    ...(held ? { detail: { slots: 'held' } } : {}),
  };
}
