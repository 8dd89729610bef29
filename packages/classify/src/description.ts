import { lemma } from './tokens.ts';
import type { Axis, Evidence, ToolClass } from './types.ts';
import { NOUN_LIKE_VERBS, PLAIN_VERBS } from './words.ts';

/** What the description of a tool says. */
export interface DescriptionReading {
  /** The verb that the description begins with, and its class; undefined when it begins otherwise. */
  verb: string | undefined;
  verbClass: ToolClass | undefined;
  /** Whether the verb is one that is hardly ever a noun. */
  plain: boolean;
  evidence: Evidence[];
}

// Longer texts are prose for a model; what a tool does stands at the beginning.
const SENTENCE_CHARS = 400;
const TEXT_CHARS = 4000;

const FILLERS = new Set(
  `this the a an tool tools function endpoint that which to use used using can be it is lets let allows allow you user users
   enables will helps please quickly safely permanently irreversibly securely easily immediately automatically directly
   programmatically asynchronously simply always just only also one or more single raw`.split(/\s+/),
);
// "Run a query", "call the search endpoint", "use": in a description these say only that the tool does something.
const HOLLOW = new Set([
  'run',
  'execute',
  'call',
  'perform',
  'do',
  'make',
  'handle',
  'process',
  'use',
  'invoke',
  'act',
  'take',
]);

// In a name these are as often something else ("return_order"); at the beginning of a description they say what comes back.
const GIVING = /^(return|give|provide|display|contain|report)s?$/;

interface Phrase {
  pattern: RegExp;
  rule: string;
  supports?: ToolClass;
  axis?: Axis;
}

const PHRASES: readonly Phrase[] = [
  {
    pattern: /\b(permanently|irreversibly) (and \w+ )?(delet|remov|eras|destroy|wip|drop|purg)\w*/,
    rule: 'description.permanent',
    supports: 'destructive',
    axis: 'irreversible',
  },
  {
    pattern: /\b(irreversible|can ?not be undone|can't be undone|not reversible|no undo)\b/,
    rule: 'description.irreversible',
    axis: 'irreversible',
  },
  {
    pattern:
      /\b(dml|ddl)\b|\b(insert|update)\b.{0,30}\b(delete|drop|truncate|alter)\b.{0,30}\b(quer|statement|command|sql)|\bsql\b.{0,60}\b(delete|drop|truncate|alter)\b/,
    rule: 'description.sql-changes',
    supports: 'destructive',
  },
  {
    pattern:
      /\barbitrary (\w+ )?(code|commands?|javascript|js|sql|shell|scripts?|python|expressions?)\b|\b(shell|bash|terminal) commands?\b/,
    rule: 'description.arbitrary-code',
    supports: 'execute',
    axis: 'code_input',
  },
  {
    pattern:
      /\b(charges? (the|your|a|their) (card|customer|account|payment)|moves? (real )?(funds|money)|real money|transfers? (funds|money)|sends? (a )?payments?)\b/,
    rule: 'description.money',
    supports: 'financial',
  },
  {
    pattern:
      /\b(costs?|consumes?|deducts?|charges?|uses?|spends?)\b.{0,20}\bcredits?\b|\bper (call|image|request) (cost|fee|price)\b|\bpaid api\b|\bbilled\b/,
    rule: 'description.paid',
    axis: 'paid_per_call',
  },
  {
    pattern: /\b(sends?|delivers?) (an? |the )?(\w+ )?(e-?mails?|sms|text messages?)\b/,
    rule: 'description.sends',
    supports: 'write',
    axis: 'egress',
  },
];

/** Reads the first verb of a description, those joined to it, and phrases of danger anywhere. */
export function readDescription(description: string): DescriptionReading {
  const text = description.slice(0, TEXT_CHARS).toLowerCase();
  const evidence: Evidence[] = [];
  const words = text.slice(0, SENTENCE_CHARS).match(/[a-z][a-z'-]*|[.,;:/&\n]/g) ?? [];
  let at = 0;
  while (at < words.length && at < 14 && (FILLERS.has(words[at]!) || words[at]! === ',')) at += 1;
  const first = verbOf(words[at]);
  let plain = false;
  if (first !== undefined && !HOLLOW.has(first.verb)) {
    plain = first.plain;
    evidence.push({
      field: 'description',
      token: first.verb,
      rule: plain ? 'description.verb' : 'description.noun-verb',
      supports: first.toolClass,
    });
    // "Create, update or delete": a list of verbs is a list of things it does.
    for (let next = at + 1; next < words.length; next += 1) {
      const word = words[next]!;
      if (word === ',' || word === '/' || word === '&' || word === 'or' || word === 'and') continue;
      const before = words[next - 1]!;
      if (!/^([,/&]|or|and)$/.test(before)) break;
      const joined = verbOf(word);
      if (joined === undefined || !joined.plain) break;
      evidence.push({
        field: 'description',
        token: joined.verb,
        rule: 'description.joined-verb',
        supports: joined.toolClass,
      });
    }
  }
  for (const { pattern, rule, supports, axis } of PHRASES) {
    const match = pattern.exec(text);
    if (match === null) continue;
    evidence.push({
      field: 'description',
      token: match[0],
      rule,
      ...(supports === undefined ? {} : { supports }),
      ...(axis === undefined ? {} : { axis }),
    });
  }
  return {
    verb: first?.verb,
    verbClass: first !== undefined && !HOLLOW.has(first.verb) ? first.toolClass : undefined,
    plain,
    evidence,
  };
}

function verbOf(word: string | undefined): { verb: string; toolClass: ToolClass; plain: boolean } | undefined {
  if (word === undefined) return undefined;
  if (GIVING.test(word)) return { verb: word.replace(/s$/, ''), toolClass: 'read', plain: true };
  const verb = lemma(word);
  const plain = PLAIN_VERBS.get(verb);
  if (plain !== undefined) return { verb, toolClass: plain, plain: true };
  // "Detailed", "based", "scheduled" describe; only the plain forms can be a verb here.
  const nounLike = word === verb || word === `${verb}s` ? NOUN_LIKE_VERBS.get(verb) : undefined;
  return nounLike === undefined ? undefined : { verb, toolClass: nounLike, plain: false };
}
