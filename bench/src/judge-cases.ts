// What is decided when `judge` is measured by itself.
import { ARGUMENTS, policy, TOOL_OF, tools } from './workload.ts';

export interface JudgeCase {
  readonly name: string;
  /** `validate`: the argument schema by itself. */
  readonly kind: 'judge' | 'validate';
  readonly policy: unknown;
  readonly arguments: Readonly<Record<string, unknown>>;
  readonly inputSchema: unknown;
  readonly tool: string;
  /** The case without that which is measured: its time is taken off. */
  readonly without?: string;
  /** Measured for another case only. */
  readonly isBase?: true;
}

const TOOL = TOOL_OF.read;
const inputSchema: unknown = tools(1)[0]?.inputSchema;
const UNVALIDATED = { arguments: { validate: false, undeclared: 'allow' } };
const whole = policy(1);
const unlimited = { ...whole, all_tools: UNVALIDATED };

const ORDER = { tool: TOOL, arguments: ARGUMENTS, inputSchema };

const DECISIONS: readonly JudgeCase[] = [
  { name: 'no rule', kind: 'judge', policy: { version: '1', default: 'allow', all_tools: UNVALIDATED }, ...ORDER },
  { name: '20 predicates', kind: 'judge', policy: unlimited, ...ORDER },
  {
    name: '20 predicates, a limit',
    kind: 'judge',
    policy: { ...whole, all_tools: { ...whole.all_tools, ...UNVALIDATED } },
    ...ORDER,
  },
  { name: '20 predicates, a limit, schema validation', kind: 'judge', policy: whole, ...ORDER },
  { name: 'schema validation by itself', kind: 'validate', policy: whole, ...ORDER },
];

/** RE2 patterns as policies have them, each with a text of 64 bytes that it must read to the end. */
const PATTERNS: readonly { name: string; op: 'matches' | 'regex'; pattern: string; text: string }[] = [
  { name: 'hexadecimal', op: 'matches', pattern: 'acc_[0-9a-f]+', text: `acc_${'4f9d2c81'.repeat(8)}`.slice(0, 64) },
  {
    name: 'alternatives',
    op: 'matches',
    pattern: '(draft|offer|order)-[a-z0-9-]+',
    text: `order-${'58211-x7'.repeat(8)}`.slice(0, 64),
  },
  {
    name: 'address',
    op: 'matches',
    pattern: '[a-z0-9._%+-]+@([a-z0-9-]+\\.)+[a-z]{2,}',
    text: `${'first.last.'.repeat(4)}x@mail.example.org`.padStart(64, 'a'),
  },
  {
    name: 'path',
    op: 'matches',
    pattern: '/srv/files(/[A-Za-z0-9_.-]+)+\\.(txt|md)',
    text: `/srv/files${'/folder_7'.repeat(5)}/notes.md`
      .padEnd(64, 'm')
      .replace(/m+$/, (tail) => `${'m'.repeat(tail.length - 1)}d`),
  },
  {
    name: 'anchored in front',
    op: 'regex',
    pattern: '^order [0-9]+:',
    text: `order 58211: ${'three items '.repeat(5)}`.slice(0, 64),
  },
];

/** Where a pattern does not match, the call is denied: its time with the reason is no time of the pattern. */
function patternCases({ name, op, pattern, text }: (typeof PATTERNS)[number]): JudgeCase[] {
  if (text.length !== 64) throw new Error(`the text of the pattern "${name}" has ${text.length} bytes, not 64`);
  const rest = {
    kind: 'judge' as const,
    tool: TOOL,
    arguments: { text },
    inputSchema: { type: 'object', properties: { text: { type: 'string' } } },
  };
  const rule = (predicate: unknown) => ({
    version: '1',
    default: 'deny',
    all_tools: UNVALIDATED,
    tools: { [TOOL]: { args: { text: predicate } } },
  });
  const base = `without the pattern: ${name}`;
  return [
    { name: base, policy: rule({ exists: true }), isBase: true, ...rest },
    { name: `pattern on 64 bytes: ${name}`, policy: rule({ exists: true, [op]: pattern }), without: base, ...rest },
  ];
}

export const JUDGE_CASES: readonly JudgeCase[] = [...DECISIONS, ...PATTERNS.flatMap(patternCases)];
