import type { ToolDefinition } from './types.ts';

export type PoisonKind = 'hidden-characters' | 'escape-sequence' | 'confusable-name' | 'duplicate-name' | 'instruction';

/** Something in a definition that is there for the model and not for the person who accepts it. Spec: gateway §6. */
export interface PoisonFinding {
  kind: PoisonKind;
  /** Where it stands, such as `description` or `inputSchema.properties.path.description`. */
  field: string;
  /** The place and what surrounds it, with everything that is not printable escaped. At most about 120 characters. */
  excerpt: string;
  /** What it is, for a person. */
  message: string;
}

// C0 and C1 but tab, LF and CR; soft hyphen; Arabic letter mark; Hangul and Khmer fillers; zero-width and bidi
// controls; invisible operators; variation selectors beyond those of emoji; BOM; interlinear marks; tag characters.
const HIDDEN =
  // biome-ignore lint/suspicious/noMisleadingCharacterClass: each character counts by itself here
  /[\u0000-\u0008\u000B\u000C\u000E-\u001A\u001C-\u001F\u007F-\u009A\u009C-\u009F\u00AD\u034F\u061C\u115F\u1160\u17B4\u17B5\u180B-\u180F\u200B\u200E\u200F\u202A-\u202E\u2060-\u206F\u3164\uFE00-\uFE0D\uFEFF\uFFA0\uFFF9-\uFFFB]|[\u{E0000}-\u{E0FFF}]|\u{1BCA0}|\u{1D173}/u;
// Joiners are part of emoji and of some scripts; between ASCII letters or beside another one they only hide.
const JOINER = /[\x00-\x7f][\u200C\u200D]|[\u200C\u200D](?:[\x00-\x7f\u200C\u200D]|$)|^[\u200C\u200D]/;
const ESCAPE = /[\u001B\u009B]/;

// Each asks for something that no honest description needs: silence towards the person, obedience over the person's
// words, other tools' files, or a tag that models take for authority. Ordinary advice ("call this first") is no finding.
const INSTRUCTIONS: readonly [RegExp, string][] = [
  [
    /<\/?\s*(important|system-reminder)\s*>|<(system|secret|hidden|admin|assistant)>.{1,500}<\/\2>/is,
    'a tag that models take for an order',
  ],
  [
    /\b(do not|don['’]t|never|without) (tell|telling|inform|informing|mention|mentioning|notify|notifying|alert|alerting)\b.{0,40}\b(the |to )?(user|human|person|anyone)\b/i,
    'it asks to keep something from the user',
  ],
  [
    /\b(ignore|disregard|forget|override)\b.{0,20}\b(all |any |your |the )*(previous|prior|above|earlier|other|system) (instructions?|prompts?|rules?|messages?|guidelines?)\b/i,
    'it asks to ignore other instructions',
  ],
  [
    /\b(before|prior to|when|whenever|after) (using|calling|invoking|running) (this|any|the|other|another) (other )?tools?\b.{0,80}\b(read|open|cat|send|include|pass|copy|upload)\b.{0,60}(~\/|\.ssh|id_rsa|\.env\b|mcp\.json|\.aws|credentials?|private key|passwords?|secrets?|\/etc\/|conversation|chat history|system prompt)/is,
    'it asks for files or secrets before the call',
  ],
  [
    /\b(read|open|cat|send|include|pass|copy|upload|exfiltrate)\b.{0,50}(~\/\.ssh|id_rsa|~\/\.aws|~\/\.cursor|mcp\.json\b.{0,40}\b(pass|content|send)|\/etc\/passwd|\/etc\/shadow)/i,
    'it asks for files that hold secrets',
  ],
  [
    /\b(pass|include|send|put|append|provide)\b.{0,50}\b(system prompt|(entire|full|whole|complete) (conversation|chat)( history)?|conversation history|chat history|previous messages)\b/i,
    'it asks for the conversation',
  ],
  [
    /\b(you must|always|make sure to)\b.{0,30}\b(bcc|forward|redirect|copy)\b.{0,60}[\w.+-]+@[\w-]+\.\w+/i,
    'it asks to send a copy elsewhere',
  ],
  [
    /\bsend(ing)? (all|every|any) (e-?mails?|messages?|payments?|transactions?)\b.{0,40}\bto\b.{0,40}(@|0x[0-9a-f]{6})/i,
    'it asks to send what others send elsewhere',
  ],
];

const MAX_STRINGS = 5000;
const MAX_DEPTH = 64;

/** All findings in one definition, in the order of its members; none for an honest one. Never throws. */
export function findPoison(tool: ToolDefinition): PoisonFinding[] {
  const findings: PoisonFinding[] = [];
  const name: unknown = tool.name;
  if (typeof name === 'string') checkName(name, findings);
  const budget = { left: MAX_STRINGS };
  visit(tool, '', 0, budget, findings);
  return findings;
}

function checkName(name: string, findings: PoisonFinding[]): void {
  const foreign = /[^\x00-\x7f]/u.exec(name);
  if (foreign === null || HIDDEN.test(foreign[0])) return;
  findings.push({
    kind: 'confusable-name',
    field: 'name',
    excerpt: excerptAt(name, foreign.index),
    message: /[A-Za-z]/.test(name)
      ? 'the name mixes Latin letters with others that can look the same'
      : 'the name has letters beyond ASCII, which can look like another name',
  });
}

function visit(
  value: unknown,
  field: string,
  depth: number,
  budget: { left: number },
  findings: PoisonFinding[],
): void {
  if (budget.left <= 0 || depth > MAX_DEPTH) return;
  if (typeof value === 'string') {
    budget.left -= 1;
    checkText(value, field, findings);
  } else if (Array.isArray(value)) {
    value.forEach((each: unknown, index) => {
      visit(each, `${field}[${index}]`, depth + 1, budget, findings);
    });
  } else if (typeof value === 'object' && value !== null) {
    for (const [key, each] of Object.entries(value)) {
      const path = field === '' ? key : `${field}.${key}`;
      // A key is read by the model as well.
      if (!PLAIN_KEY.test(key)) checkText(key, `${escapeText(path)} (key)`, findings);
      visit(each, PLAIN_KEY.test(key) ? path : escapeText(path), depth + 1, budget, findings);
    }
  }
}

const PLAIN_KEY = /^[\w$@.\-/]{1,60}$/;

function checkText(text: string, field: string, findings: PoisonFinding[]): void {
  const escapeAt = ESCAPE.exec(text);
  if (escapeAt !== null) {
    findings.push({
      kind: 'escape-sequence',
      field,
      excerpt: excerptAt(text, escapeAt.index),
      message: 'a terminal escape sequence, which can hide or rewrite what a person sees',
    });
  }
  const hidden = HIDDEN.exec(text) ?? JOINER.exec(text);
  if (hidden !== null) {
    findings.push({
      kind: 'hidden-characters',
      field,
      excerpt: excerptAt(text, hidden.index),
      message: `a character that a person does not see (${codePoint(hidden[0])})`,
    });
  }
  // Hidden characters are also used to cut the words of an instruction apart.
  const plain = hidden === null ? text : text.replace(/[\u00AD\u200B-\u200F\u202A-\u202E\u2060-\u206F\uFEFF]/g, '');
  for (const [pattern, why] of INSTRUCTIONS) {
    const match = pattern.exec(plain);
    if (match === null) continue;
    findings.push({
      kind: 'instruction',
      field,
      excerpt: excerptAt(plain, match.index),
      message: `an instruction to the model: ${why}`,
    });
  }
}

function codePoint(match: string): string {
  const character = [...match].find((each) => HIDDEN.test(each) || each === '\u200C' || each === '\u200D') ?? match;
  return `U+${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}`;
}

function excerptAt(text: string, index: number): string {
  const start = Math.max(0, index - 20);
  const end = Math.min(text.length, index + 80);
  return `${start > 0 ? '…' : ''}${escapeText(text.slice(start, end))}${end < text.length ? '…' : ''}`;
}

/** Everything that is not printable ASCII is shown by its number, since that is what the finding is about. */
function escapeText(text: string): string {
  return text.replace(/[^\x20-\x7e]/gu, (character) => {
    if (character === '\n') return '\\n';
    if (character === '\t') return '\\t';
    return `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`;
  });
}

// Letters that look like a Latin one in common fonts (the frequent ones of Unicode's confusables data), and digits that
// look like letters. Only for comparing names with each other.
const LOOKALIKES = new Map<string, string>();
for (const [to, from] of Object.entries({
  a: 'аɑα',
  b: 'Ьв',
  c: 'сϲ',
  d: 'ԁ',
  e: 'еҽ',
  g: 'ɡ',
  h: 'һ',
  i: 'іıɩ',
  j: 'ј',
  k: 'κк',
  l: '1|ӏⅼ',
  m: 'м',
  n: 'ո',
  o: '0оοօ',
  p: 'рρ',
  q: 'ԛ',
  r: 'г',
  s: 'ѕ',
  t: 'т',
  u: 'υս',
  v: 'νѵ',
  w: 'ԝ',
  x: 'хχ',
  y: 'уγ',
  z: 'ᴢ',
})) {
  for (const letter of from) LOOKALIKES.set(letter, to);
}

/** What a name looks like: two names with one skeleton cannot be told apart by eye. */
function skeleton(name: string): string {
  const folded = name
    .normalize('NFKD')
    .replace(/\p{M}|\p{Cf}/gu, '')
    .toLowerCase();
  return [...folded].map((letter) => LOOKALIKES.get(letter) ?? letter).join('');
}

/**
 * Names in one list that are equal, equal but for case, or look alike. One finding for each name that comes after the
 * one it resembles; `field` is its place in the list, such as `tools[3].name`.
 */
export function findDuplicateNames(tools: readonly { name: string }[]): PoisonFinding[] {
  const findings: PoisonFinding[] = [];
  const seen = new Map<string, string>();
  tools.forEach(({ name }, index) => {
    const key = skeleton(String(name));
    const earlier = seen.get(key);
    if (earlier === undefined) {
      seen.set(key, name);
      return;
    }
    const how =
      earlier === name
        ? 'is listed twice'
        : earlier.toLowerCase() === name.toLowerCase()
          ? 'differs only in case from'
          : 'looks like';
    findings.push({
      kind: earlier === name || how.startsWith('differs') ? 'duplicate-name' : 'confusable-name',
      field: `tools[${index}].name`,
      excerpt: escapeText(name),
      message: earlier === name ? `${escapeText(name)} ${how}` : `${escapeText(name)} ${how} ${escapeText(earlier)}`,
    });
  });
  return findings;
}
