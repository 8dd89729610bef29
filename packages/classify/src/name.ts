import { tokenize } from './tokens.ts';
import { type Evidence, TOOL_CLASSES, type ToolClass } from './types.ts';
import {
  ANYWHERE_VERBS,
  BROWSER_VERBS,
  CODE_WORDS,
  CONJUNCTIONS,
  EMPTY_ENDINGS,
  MONEY_CONTEXT_VERBS,
  MONEY_NOUNS,
  MONEY_SERVER_NOUNS,
  MONEY_SERVER_VERBS,
  NOUN_LIKE_VERBS,
  ORDER_NOUNS,
  PLAIN_VERBS,
  RESOLVED_NOUNS,
  type ServerKind,
  SQL_CHANGE_WORDS,
  TAKEN_NOUNS,
} from './words.ts';

/** What the name of a tool says. */
export interface NameReading {
  /** The words without the server's own and without empty endings. */
  tokens: readonly string[];
  /** The verb that says what the tool does, when there is one. */
  verb: string | undefined;
  /** Its class; read or worse. */
  verbClass: ToolClass | undefined;
  /** Whether the verb is one that is hardly ever a noun. */
  plain: boolean;
  /** Whether the name or the server speaks of money. */
  money: boolean;
  evidence: Evidence[];
}

/** Reads the words of a name by their position. `serverTokens` are the words of the server's slug and name. */
export function readName(name: string, serverTokens: ReadonlySet<string>, kind: ServerKind): NameReading {
  const tokens = usefulTokens(tokenize(name), serverTokens);
  const evidence: Evidence[] = [];
  const found = principalVerb(tokens);
  const verb = found?.verb;
  let verbClass = found?.verbClass;
  if (verb !== undefined && kind.browser && BROWSER_VERBS.has(verb)) verbClass = 'execute';
  if (found !== undefined && verbClass !== undefined) {
    evidence.push({ field: 'name', token: found.verb, rule: found.rule, supports: verbClass });
  }
  tokens.forEach((token, at) => {
    if (at === found?.at) return;
    const toolClass = PLAIN_VERBS.get(token);
    if (toolClass === undefined || toolClass === 'read') return;
    const before = tokens[at - 1];
    if (before !== undefined && CONJUNCTIONS.has(before)) {
      evidence.push({ field: 'name', token, rule: 'name.joined-verb', supports: toolClass });
    } else if (ANYWHERE_VERBS.has(token)) {
      evidence.push({ field: 'name', token, rule: 'name.verb-anywhere', supports: toolClass });
    }
  });
  addCode(tokens, verb, verbClass, evidence);
  const money = kind.money || tokens.some((token) => MONEY_NOUNS.has(token));
  addMoney(tokens, verb, verbClass, kind, evidence);
  return { tokens, verb, verbClass, plain: found?.plain ?? false, money, evidence };
}

/** A name repeats its server's ("slack_post_message"); a verb is kept even then, since it may be all there is. */
function usefulTokens(tokens: string[], serverTokens: ReadonlySet<string>): string[] {
  let start = 0;
  while (start < tokens.length - 1) {
    const token = tokens[start]!;
    if (!serverTokens.has(token) || PLAIN_VERBS.has(token) || NOUN_LIKE_VERBS.has(token)) break;
    start += 1;
  }
  let end = tokens.length;
  while (end - 1 > start && (EMPTY_ENDINGS.has(tokens[end - 1]!) || /^\d+$/.test(tokens[end - 1]!))) end -= 1;
  return tokens.slice(start, end);
}

interface Principal {
  verb: string;
  verbClass: ToolClass;
  plain: boolean;
  at: number;
  rule: string;
}

/** First, last, between: plain verbs before noun-like ones, so that `snapshot_create` and `issue_read` come out right. */
function principalVerb(tokens: readonly string[]): Principal | undefined {
  const last = tokens.length - 1;
  const between = tokens.map((_, at) => at).filter((at) => at > 0 && at < last);
  for (const [table, plain] of [
    [PLAIN_VERBS, true],
    [NOUN_LIKE_VERBS, false],
  ] as const) {
    for (const [rule, places] of [
      ['first', [0]],
      ['last', last > 0 ? [last] : []],
      ['inner', between],
    ] as const) {
      for (const at of places) {
        const verb = tokens[at]!;
        const verbClass = table.get(verb);
        if (verbClass === undefined) continue;
        return {
          verb,
          verbClass: byObject(verb, verbClass, tokens),
          plain,
          at,
          rule: `name.${rule}-${plain ? 'verb' : 'noun-verb'}`,
        };
      }
    }
  }
  return undefined;
}

/** Verbs whose class depends on their object. */
function byObject(verb: string, verbClass: ToolClass, tokens: readonly string[]): ToolClass {
  const objects = verb === 'resolve' ? RESOLVED_NOUNS : verb === 'take' ? TAKEN_NOUNS : undefined;
  return objects !== undefined && tokens.some((token) => objects.has(token)) ? 'read' : verbClass;
}

function addCode(
  tokens: readonly string[],
  verb: string | undefined,
  verbClass: ToolClass | undefined,
  evidence: Evidence[],
): void {
  // "make_api_request": whatever the API can do.
  const api = tokens.indexOf('api');
  const after = api === -1 ? undefined : tokens[api + 1];
  if (verbClass !== 'read' && (after === 'request' || after === 'call')) {
    evidence.push({ field: 'name', token: `api ${after}`, rule: 'name.any-request', supports: 'execute' });
  }
  // `update_script` stores code; running verbs run it, and so does "query", whose class is read only by courtesy.
  if (verb !== undefined && verb !== 'query' && verbClass !== 'execute') return;
  for (const token of tokens) {
    if (token === verb || !CODE_WORDS.has(token)) continue;
    const supports: ToolClass = SQL_CHANGE_WORDS.has(token) ? 'destructive' : 'execute';
    evidence.push({ field: 'name', token, rule: 'name.code', supports });
  }
}

function addMoney(
  tokens: readonly string[],
  verb: string | undefined,
  verbClass: ToolClass | undefined,
  kind: ServerKind,
  evidence: Evidence[],
): void {
  const push = (token: string, rule: string) => evidence.push({ field: 'name', token, rule, supports: 'financial' });
  const first = tokens[0];
  // "pay_order", "transfer_tokens": these verbs move money only in the place of a verb.
  if (first !== undefined && kind.money && MONEY_SERVER_VERBS.has(first)) push(first, 'name.money-verb');
  const acts = verbClass !== undefined && verbClass !== 'read';
  const leads = first !== undefined && MONEY_CONTEXT_VERBS.has(first);
  if (verbClass === 'read' && !(leads && !PLAIN_VERBS.has(first))) return;
  for (const token of tokens) {
    if (token === verb && tokens.length > 1 && PLAIN_VERBS.has(token)) continue;
    const isMoney = MONEY_NOUNS.has(token) || (kind.money && MONEY_SERVER_NOUNS.has(token));
    if (isMoney && (acts || leads)) push(token, 'name.money-object');
  }
  if (
    (first === 'place' || (first === 'submit' && kind.money) || first === 'pay') &&
    tokens.some((token) => ORDER_NOUNS.has(token))
  ) {
    push(first, 'name.order');
  }
}

/** The worst class that any evidence supports, or undefined when none supports one. */
export function worstSupported(evidence: readonly Evidence[]): ToolClass | undefined {
  let worst = -1;
  for (const { supports } of evidence) {
    if (supports !== undefined) worst = Math.max(worst, TOOL_CLASSES.indexOf(supports));
  }
  return TOOL_CLASSES[worst];
}
