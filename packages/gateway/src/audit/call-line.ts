// From a line of the stream `calls` to the values of its row (spec: audit). Most of the time of building the index went
// into parsing lines of which it needs a third, so lines as this writer makes them are read in place.
import { parsePlainJson } from '@gatehouse/wire';
import { outcomeOf, type StoredRecord } from './stored-record.ts';

/** What the index keeps of one record of a call; null where the record does not say. */
export interface CallLine {
  writer: string;
  seq: number;
  /** Milliseconds since the epoch. */
  time: number;
  kind: string;
  requestId: string;
  traceId: string | null;
  grantId: string | null;
  grantLabel: string | null;
  identityId: string | null;
  identityName: string | null;
  server: string | null;
  session: string | null;
  client: string | null;
  source: string | null;
  method: string | null;
  tool: string | null;
  definition: string | null;
  /** What the record itself says happened; an intent says only what was decided. */
  outcome: string;
  rule: string | null;
  message: string | null;
  policy: string | null;
  policyVersion: string | null;
  status: number | null;
  errorCode: number | null;
  isError: number | null;
  bytes: number | null;
  upstreamMs: number | null;
  count: number;
}

const string = (value: unknown): string | null => (typeof value === 'string' ? value : null);
const integer = (value: unknown): number | null => (Number.isSafeInteger(value) ? (value as number) : null);

/**
 * Reads any record. Undefined for one that is not a call's or lacks what every row has: a damaged record has no row, and
 * no place in the log may keep the rest from being found.
 */
export function callOf(record: StoredRecord): CallLine | undefined {
  const { kind, grant, identity } = record;
  // A damaged record may have `null` here.
  const decision = record.decision ?? undefined;
  const result = record.result ?? undefined;
  const time = Date.parse(record.time);
  const seq = integer(record.seq);
  const isCall = record.stream === 'calls' && typeof record.request_id === 'string';
  if (!isCall || Number.isNaN(time) || seq === null || typeof record.writer !== 'string' || typeof kind !== 'string') {
    return undefined;
  }
  return {
    writer: record.writer,
    seq,
    time,
    kind,
    requestId: record.request_id!,
    traceId: string(record.trace_id),
    grantId: string(grant?.id),
    grantLabel: string(grant?.label),
    identityId: string(identity?.id),
    identityName: string(identity?.name),
    server: string(record.server),
    session: string(record.session),
    client: string(record.client),
    source: string(record.source),
    method: string(record.method),
    tool: string(record.tool),
    definition: string(record.definition),
    outcome: string(outcomeOf({ decision, result })) ?? 'unknown',
    rule: string(decision?.rule),
    message: string(decision?.message),
    policy: string(decision?.policy?.id),
    policyVersion: decision?.policy ? String(decision.policy.version) : null,
    status: integer(result?.status),
    errorCode: integer(result?.error_code),
    isError: typeof result?.is_error === 'boolean' ? Number(result.is_error) : null,
    bytes: integer(result?.bytes),
    upstreamMs: Number.isFinite(result?.upstream_ms) ? result!.upstream_ms! : null,
    count: integer(record.count) ?? 1,
  };
}

/** The record of a line. Undefined when it is none; verification names it. */
export function parseLine(line: string): StoredRecord | undefined {
  try {
    const value = parsePlainJson(line);
    return typeof value === 'object' && value !== null ? (value as StoredRecord) : undefined;
  } catch {
    return undefined;
  }
}

// A string without an escape is its own value.
const S = '"([^"\\\\\\x00-\\x1f]*)"';
const N = '(0|-?[1-9]\\d{0,14})';
const optional = (name: string, pattern: string): string => `(?:,"${name}":${pattern})?`;

/** The members from `seq` to `definition`, in the order of `callMembers`. */
const HEAD = new RegExp(
  `${N},"time":${S},"kind":"(decision|intent|outcome|aggregate)","request_id":${S}${optional('trace_id', S)}` +
    `${optional('grant', `\\{"id":${S},"label":${S}\\}`)}${optional('identity', `\\{"id":${S},"name":${S}\\}`)}` +
    ['server', 'session', 'client', 'source', 'method', 'tool', 'definition'].map((name) => optional(name, S)).join(''),
  'y',
);
const DECISION = new RegExp(
  `,"decision":\\{"outcome":${S}${optional('rule', S)}${optional('message', S)}` +
    optional('policy', `\\{"id":${S},"version":(?:${N}|${S})\\}`),
  'y',
);
const DEADLINE = new RegExp(`,"deadline":${S}`, 'y');
const RESULT = new RegExp(
  `,"result":\\{(?:"status":${N})?(?:,?"error_code":${N})?(?:,?"is_error":(true|false))?(?:,?"bytes":${N})?` +
    '(?:,?"upstream_ms":((?:0|[1-9]\\d{0,14})(?:\\.\\d{1,15})?))?\\}',
  'y',
);
const COUNT = new RegExp(`,"count":${N}`, 'y');

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** Whether an odd number of backslashes stands before `at`. */
function isEscaped(text: string, at: number): boolean {
  let i = at;
  while (text.charCodeAt(i - 1) === BACKSLASH) i -= 1;
  return (at - i) % 2 === 1;
}

const PREV = ',"prev":"';
const HASH = '","hash":"';
const DIGEST_LENGTH = 64;

/** Whether `,"prev":"…","hash":"…"}` with two digests, and nothing else, stands from `at` to `end`. */
function isTail(text: string, at: number, end: number): boolean {
  const prev = at + PREV.length;
  const hash = prev + DIGEST_LENGTH + HASH.length;
  return (
    hash + DIGEST_LENGTH + 2 === end &&
    text.startsWith(PREV, at) &&
    text.indexOf('"', prev) === prev + DIGEST_LENGTH &&
    text.startsWith(HASH, prev + DIGEST_LENGTH) &&
    text.indexOf('"', hash) === end - 2 &&
    text.charCodeAt(end - 1) === 0x7d
  );
}

/** The index behind the bracket that closes the one at `at`; `end` when there is none at `at`, or none that closes it. */
function skipBrackets(text: string, at: number, end: number): number {
  const first = text.charCodeAt(at);
  if (first !== 0x7b && first !== 0x5b) return end;
  let depth = 0;
  for (let i = at; i < end; i += 1) {
    const character = text.charCodeAt(i);
    if (character === QUOTE) {
      do i = text.indexOf('"', i + 1);
      while (i > 0 && isEscaped(text, i));
      if (i < 0) return end;
    } else if (character === 0x7b || character === 0x5b) depth += 1;
    else if (character === 0x7d || character === 0x5d) {
      depth -= 1;
      if (depth === 0) return i + 1;
    }
  }
  return end;
}

/** Behind the member `,"name":{…}` or `,"name":[…]` if it stands at `at`, else `at`. */
function skipMember(text: string, at: number, end: number, name: string): number {
  return text.startsWith(name, at) ? skipBrackets(text, at + name.length, end) : at;
}

const number = (text: string | undefined): number | null => (text === undefined ? null : Number(text));

/** Reads lines of one writer as {@link Chain} and `callMembers` make them. */
export class CallLineReader {
  readonly #writer: string;
  readonly #open: string;

  constructor(writer: string) {
    this.#writer = writer;
    this.#open = `{"v":1,"stream":"calls","writer":"${writer}","seq":`;
  }

  /**
   * The record of the line at `text[start…end)`. Undefined for every line that is not, member by member and to its last
   * character, as the writer orders it, or has an escape in what is read: such a line has to be parsed. For a line that
   * is JSON the values are those of {@link callOf}, since each member is matched where it must stand and no second one
   * of its name can follow.
   */
  read(text: string, start: number, end: number): CallLine | undefined {
    if (!text.startsWith(this.#open, start)) return undefined;
    HEAD.lastIndex = start + this.#open.length;
    const head = HEAD.exec(text);
    if (head === null) return undefined;
    let at = skipMember(text, HEAD.lastIndex, end, ',"arguments":');

    DECISION.lastIndex = at;
    const decision = DECISION.exec(text);
    if (decision !== null) {
      at = skipMember(text, DECISION.lastIndex, end, ',"limits":');
      at = skipMember(text, at, end, ',"approval":');
      DEADLINE.lastIndex = at;
      if (DEADLINE.test(text)) at = DEADLINE.lastIndex;
      if (text.charCodeAt(at) !== 0x7d) return undefined;
      at += 1;
    }
    RESULT.lastIndex = at;
    const result = RESULT.exec(text);
    if (result !== null) at = RESULT.lastIndex;
    COUNT.lastIndex = at;
    const count = COUNT.exec(text);
    if (count !== null) at = COUNT.lastIndex;
    at = skipMember(text, at, end, ',"detail":');
    if (!isTail(text, at, end)) return undefined;

    const time = Date.parse(head[2]!);
    if (Number.isNaN(time)) return undefined;
    const made: CallLine = {
      writer: this.#writer,
      seq: Number(head[1]),
      time,
      kind: head[3]!,
      requestId: head[4]!,
      traceId: head[5] ?? null,
      grantId: head[6] ?? null,
      grantLabel: head[7] ?? null,
      identityId: head[8] ?? null,
      identityName: head[9] ?? null,
      server: head[10] ?? null,
      session: head[11] ?? null,
      client: head[12] ?? null,
      source: head[13] ?? null,
      method: head[14] ?? null,
      tool: head[15] ?? null,
      definition: head[16] ?? null,
      outcome: '',
      rule: decision?.[2] ?? null,
      message: decision?.[3] ?? null,
      policy: decision?.[4] ?? null,
      policyVersion: decision?.[5] ?? decision?.[6] ?? null,
      status: number(result?.[1]),
      errorCode: number(result?.[2]),
      isError: result?.[3] === undefined ? null : result[3] === 'true' ? 1 : 0,
      bytes: number(result?.[4]),
      upstreamMs: number(result?.[5]),
      count: number(count?.[1]) ?? 1,
    };
    made.outcome = decision?.[1] ?? ownOutcome(made, result !== null);
    return made;
  }
}

function ownOutcome({ isError, errorCode, status }: CallLine, hasResult: boolean): string {
  if (!hasResult) return 'unknown';
  const result = {
    ...(isError === 1 && { is_error: true }),
    ...(errorCode !== null && { error_code: errorCode }),
    ...(status !== null && { status }),
  };
  return outcomeOf({ result });
}
