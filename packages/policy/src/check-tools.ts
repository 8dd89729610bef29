/** What a document says of tools, held against the server's pinned definitions (spec: policy §3, §10). */
import type { CheckedBlock } from './check.ts';
import type { SeenPath } from './check-predicate.ts';
import { parsePath } from './path.ts';
import { didYouMean, type Problems } from './problems.ts';
import { argumentNames, pathFacts } from './schema-facts.ts';
import type { PinnedTool } from './types.ts';
import { member, pointer } from './values.ts';

export function checkAgainstTools(
  problems: Problems,
  document: Record<string, unknown>,
  blocks: readonly CheckedBlock[],
  tools: readonly PinnedTool[],
): void {
  const byName = new Map(tools.map((tool) => [tool.name, tool]));
  checkNames(problems, document, blocks, byName);
  for (const block of blocks) {
    const applicable = tools.filter((tool) => judges(block, tool, blocks));
    for (const seen of block.seen) checkSeen(problems, seen, block, applicable);
    for (const amount of block.amounts) checkAmountPath(problems, amount, applicable);
    checkDefaults(problems, block, applicable);
  }
  for (const tool of tools) checkBounds(problems, document, blocks, tool);
}

function judges(block: CheckedBlock, tool: PinnedTool, blocks: readonly CheckedBlock[]): boolean {
  if (block.kind === 'all_tools') return true;
  if (block.kind === 'tool') return block.key === tool.name;
  const own = blocks.find((b) => b.kind === 'tool' && b.key === tool.name);
  return block.key === tool.class && own?.block.override_class !== true;
}

function checkNames(
  problems: Problems,
  document: Record<string, unknown>,
  blocks: readonly CheckedBlock[],
  byName: ReadonlyMap<string, PinnedTool>,
): void {
  const report = (at: string, name: string): void => {
    if (!byName.has(name)) {
      problems.warn(at, 'unknown_tool', `The server has no tool "${name}".`, didYouMean(name, byName.keys()));
    }
  };
  for (const block of blocks) if (block.kind === 'tool') report(block.at, block.key);
  const { hide } = document;
  if (!Array.isArray(hide)) return;
  hide.forEach((item, i) => {
    if (typeof item !== 'string' || item === '*' || item.startsWith('@')) return;
    report(pointer('/hide', i), item.startsWith('!') ? item.slice(1) : item);
  });
}

function checkSeen(problems: Problems, seen: SeenPath, block: CheckedBlock, tools: readonly PinnedTool[]): void {
  if (seen.path.root !== 'args' || seen.path.steps.length === 0) return;
  const facts = tools.map((tool) => pathFacts(tool.inputSchema, seen.path.steps));
  const unknown = facts.find((f) => f.unknownKey)?.unknownKey;
  // A rule for all tools may name an argument that only some of them have.
  if (unknown && (block.kind === 'tool' || facts.every((f) => f.unknownKey))) {
    problems.warn(
      seen.pointer,
      'unknown_argument',
      `The definition of ${block.kind === 'tool' ? `"${block.key}"` : 'these tools'} has no argument "${unknown.key}".`,
      didYouMean(unknown.key, unknown.candidates),
    );
  }
  const undecided = seen.list === 'require' || seen.list === 'deny_if';
  if (undecided && !seen.missingWritten && seen.op !== 'exists' && facts.some((f) => f.optional)) {
    problems.error(
      seen.pointer,
      'missing_undecided',
      `${seen.path.source} may be absent; the predicate must say what that means.`,
      'write `"missing": "fail"` (a call without it is denied) or `"missing": "pass"` (a call without it passes this rule)',
    );
  }
  if (seen.op === 'regex' && seen.list !== 'deny_if' && seen.list !== 'when' && !isAnchored(seen.value)) {
    problems.warn(
      seen.pointer,
      'unanchored_regex',
      'The pattern may match anywhere in the string, so that anything may surround it.',
      'use `matches`, or anchor it with `^` and `$`; for URLs use `url_in`',
    );
  }
}

function isAnchored(pattern: unknown): boolean {
  if (typeof pattern !== 'string') return true;
  const start = pattern.startsWith('^') || pattern.startsWith('\\A');
  const end = /(?:^|[^\\])(?:\\\\)*\$$/.test(pattern) || pattern.endsWith('\\z');
  return start && end;
}

function checkAmountPath(
  problems: Problems,
  amount: { readonly pointer: string; readonly path: string },
  tools: readonly PinnedTool[],
): void {
  const parsed = parsePath(amount.path);
  if (!parsed.ok) return;
  const steps = parsed.paths[0]!.steps;
  if (tools.some((tool) => pathFacts(tool.inputSchema, steps).optional)) {
    problems.warn(
      amount.pointer,
      'amount_may_be_absent',
      `${amount.path} may be absent; such calls are denied, since they cannot be counted.`,
      'write an object with `"path"` and `"missing": 1` to count them as 1',
    );
  }
}

/** `"missing": "schema_default"` needs a default in the pinned schema. */
function checkDefaults(problems: Problems, block: CheckedBlock, tools: readonly PinnedTool[]): void {
  const limits = Array.isArray(block.block.limits) ? block.block.limits : [];
  limits.forEach((limit, i) => {
    const amount = (limit as Record<string, unknown> | null)?.amount;
    for (const term of Array.isArray(amount) ? amount : [amount]) {
      if (typeof term !== 'object' || term === null || (term as { missing?: unknown }).missing !== 'schema_default')
        continue;
      const parsed = parsePath(String((term as { path?: unknown }).path));
      if (!parsed.ok) continue;
      const lacking = tools.find((tool) => parsed.paths.some((p) => !pathFacts(tool.inputSchema, p.steps).default));
      if (lacking) {
        problems.error(
          pointer(block.at, 'limits', i, 'amount'),
          'no_schema_default',
          `The definition of "${lacking.name}" names no default for ${parsed.paths.map((p) => p.source).join(', ')}.`,
          'write the number itself as `"missing"`',
        );
      }
    }
  });
}

const HEAVY = ['write', 'execute', 'destructive', 'financial'];

/** Words of an argument's name that make it worth a bound. */
const BOUNDED: readonly { readonly what: string; readonly words: readonly string[]; readonly advice: string }[] = [
  { what: 'URL', words: ['url', 'uri', 'webhook', 'endpoint', 'callback', 'href'], advice: '`url_in`' },
  { what: 'path', words: ['path', 'file', 'filename', 'directory', 'dir', 'folder'], advice: '`path_within`' },
  { what: 'recipient', words: ['to', 'cc', 'bcc', 'recipient', 'recipients', 'email'], advice: '`in` or `matches`' },
  { what: 'amount', words: ['amount', 'price', 'total', 'quantity', 'cost'], advice: '`lte`' },
];

function words(name: string): string[] {
  return name
    .replace(/([a-z0-9])([A-Z])/g, '$1_$2')
    .toLowerCase()
    .split(/[^a-z0-9]+/);
}

function checkBounds(
  problems: Problems,
  document: Record<string, unknown>,
  blocks: readonly CheckedBlock[],
  tool: PinnedTool,
): void {
  const applied = blocks.filter((block) => judges(block, tool, blocks));
  const own = applied.find((block) => block.kind === 'tool');
  const listed = applied.some((block) => block.kind !== 'all_tools');
  if (!listed && document.default !== 'allow') return;
  if (applied.some((block) => block.block.action === 'deny') || !HEAVY.includes(tool.class)) return;
  const at = own?.at ?? applied.find((b) => b.kind === 'class')?.at ?? '/default';
  const limited = applied.some((block) => {
    const limits = member(block.block, 'limits');
    return (Array.isArray(limits) && limits.length > 0) || block.block.rate_limit !== undefined;
  });
  if (!limited) {
    problems.warn(
      at,
      'no_limit',
      `"${tool.name}" (${tool.class}) is allowed without a limit.`,
      'add for instance `"rate_limit": "30/minute"`',
    );
  }
  for (const name of argumentNames(tool.inputSchema)) {
    const kind = BOUNDED.find((b) => words(name).some((word) => b.words.includes(word)));
    const read = applied.some((block) =>
      block.seen.some(
        (seen) =>
          seen.list !== 'when' &&
          seen.op !== 'exists' &&
          seen.path.steps[0]?.kind === 'key' &&
          seen.path.steps[0].key === name,
      ),
    );
    if (kind && !read) {
      problems.warn(
        at,
        'unbounded_argument',
        `The ${kind.what} argument "${name}" of "${tool.name}" has no bound.`,
        `bound it with ${kind.advice}`,
      );
    }
  }
}
