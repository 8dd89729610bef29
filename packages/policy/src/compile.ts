/** Compiles a checked document: one plan per tool, made when the tool is first judged and kept while its definition stays. */
import type { JsonValue } from '@gatehouse/wire';
import { checkPolicy } from './check.ts';
import { type ArgumentNames, argumentNames } from './folded.ts';
import { compileLimit, type Limit, limitSources } from './limits.ts';
import { isPathStyle, OPERATORS } from './operators.ts';
import { type Path, parseArgsKey } from './path.ts';
import { compileLeaf, compilePredicate, type ListKind, type Node, reasonOf } from './predicate.ts';
import type { PinnedTool, PolicyProblem } from './types.ts';
import { isObject, member, pointer } from './values.ts';
import { type Zone, zoneOf } from './zone.ts';

export interface Rule {
  readonly node: Node;
  readonly list: ListKind;
  readonly pointer: string;
  readonly name: string | undefined;
  readonly reason: string | undefined;
}

export interface Plan {
  readonly tool: PinnedTool;
  readonly hidden: boolean;
  readonly listed: boolean;
  readonly denied:
    | { readonly pointer: string; readonly name: string | undefined; readonly reason: string | undefined }
    | undefined;
  readonly undeclared: 'deny' | 'warn' | 'allow';
  readonly validate: true | 'warn' | false;
  /** `args` and `require` of all blocks. */
  readonly needed: readonly Rule[];
  readonly refused: readonly Rule[];
  readonly limits: readonly Limit[];
  /** Argument names of rules and schema; no other spelling of one may pass. */
  readonly names: ArgumentNames;
}

export interface NamedPlan {
  readonly allow: readonly string[] | undefined;
  readonly deny: readonly string[];
  readonly limits: readonly Limit[];
  readonly name: string | undefined;
  readonly reason: string | undefined;
}

/** A compiled document. Opaque: hand it to `judge`, `explain` and their siblings. */
export interface CompiledPolicy {
  readonly document: JsonValue;
  readonly defaultAction: 'allow' | 'deny';
  readonly list: 'all' | 'allowed';
  readonly zone: Zone;
  readonly resources: NamedPlan | undefined;
  readonly prompts: NamedPlan | undefined;
  plan(tool: PinnedTool): Plan;
}

/**
 * Checks and compiles. Errors of the document itself refuse it. What depends on the tools' definitions is a warning here,
 * also where `checkPolicy` calls it an error: a definition that changes later must not take a stored policy out of force.
 */
export function compilePolicy(
  document: unknown,
  options: { readonly tools: ReadonlyMap<string, PinnedTool> },
): { ok: true; policy: CompiledPolicy; warnings: PolicyProblem[] } | { ok: false; problems: PolicyProblem[] } {
  const problems = checkPolicy(document);
  if (problems.some((p) => p.severity === 'error')) return { ok: false, problems };
  const warnings = checkPolicy(document, { tools: [...options.tools.values()] }).map(
    (p): PolicyProblem => ({ ...p, severity: 'warning' }),
  );
  const policy = compileDocument(structuredClone(document) as Record<string, unknown>);
  for (const tool of options.tools.values()) policy.plan(tool);
  return { ok: true, policy, warnings };
}

function compileDocument(document: Record<string, unknown>): CompiledPolicy {
  const zone = zoneOf(typeof document.timezone === 'string' ? document.timezone : 'UTC');
  const plans = new Map<string, Plan>();
  return {
    document: document as JsonValue,
    defaultAction: document.default as 'allow' | 'deny',
    list: document.list === 'allowed' ? 'allowed' : 'all',
    zone,
    resources: compileNamed(document, 'resources', zone),
    prompts: compileNamed(document, 'prompts', zone),
    plan(tool) {
      const known = plans.get(tool.name);
      if (known && known.tool === tool) return known;
      const plan = compilePlan(document, tool, zone);
      plans.set(tool.name, plan);
      return plan;
    },
  };
}

function compileNamed(
  document: Record<string, unknown>,
  kind: 'resources' | 'prompts',
  zone: Zone,
): NamedPlan | undefined {
  const block = document[kind];
  if (!isObject(block)) return undefined;
  const reason = reasonOf(block);
  return {
    allow: block.allow as string[] | undefined,
    deny: (block.deny as string[] | undefined) ?? [],
    limits: limitSources(pointer('', kind), block, kind).map((source) =>
      compileLimit(source, undefined, zone.name, reason),
    ),
    name: typeof block.name === 'string' ? block.name : undefined,
    reason,
  };
}

interface Block {
  readonly at: string;
  readonly source: Record<string, unknown>;
  readonly owner: string;
}

/** The blocks that judge a tool: all_tools, its class, the tool itself. */
function blocksOf(document: Record<string, unknown>, tool: PinnedTool): { blocks: Block[]; listed: boolean } {
  const blocks: Block[] = [];
  if (isObject(document.all_tools)) blocks.push({ at: '/all_tools', source: document.all_tools, owner: 'all_tools' });
  const own = isObject(document.tools) ? member(document.tools, tool.name) : undefined;
  const ofClass = isObject(document.classes) ? member(document.classes, tool.class) : undefined;
  if (isObject(ofClass) && !(isObject(own) && own.override_class === true)) {
    blocks.push({ at: pointer('/classes', tool.class), source: ofClass, owner: `@${tool.class}` });
  }
  if (isObject(own)) blocks.push({ at: pointer('/tools', tool.name), source: own, owner: tool.name });
  return { blocks, listed: isObject(own) || isObject(ofClass) };
}

function isHidden(document: Record<string, unknown>, tool: PinnedTool): boolean {
  const { hide } = document;
  if (!Array.isArray(hide) || hide.includes(`!${tool.name}`)) return false;
  return hide.some((item) => item === '*' || item === tool.name || item === `@${tool.class}`);
}

/** The strictest of what the blocks write; the first of `order` is the strictest and the default. */
function strictest<T extends string | boolean>(blocks: readonly Block[], key: string, order: readonly T[]): T {
  const written = blocks
    .map(({ source }) => (isObject(source.arguments) ? source.arguments[key] : undefined))
    .filter((value) => value !== undefined) as T[];
  return written.length === 0 ? order[0]! : (order.find((value) => written.includes(value)) ?? order[0]!);
}

function compilePlan(document: Record<string, unknown>, tool: PinnedTool, zone: Zone): Plan {
  const { blocks, listed } = blocksOf(document, tool);
  const denying = blocks.find(({ source }) => source.action === 'deny');
  return {
    tool,
    hidden: isHidden(document, tool),
    listed,
    denied: denying && {
      pointer: pointer(denying.at, 'action'),
      name: typeof denying.source.name === 'string' ? denying.source.name : undefined,
      reason: reasonOf(denying.source),
    },
    undeclared: strictest(blocks, 'undeclared', ['deny', 'warn', 'allow'] as const),
    validate: strictest<true | 'warn' | false>(blocks, 'validate', [true, 'warn', false]),
    needed: blocks.flatMap((block) => [...argsRules(block, tool), ...listRules(block, 'require', tool)]),
    refused: blocks.flatMap((block) => listRules(block, 'deny_if', tool)),
    limits: blocks.flatMap(({ at, source, owner }) =>
      limitSources(at, source, owner).map((limit) => compileLimit(limit, tool, zone.name, reasonOf(source))),
    ),
    names: argumentNames(
      blocks.map(({ source }) => source),
      tool.inputSchema,
    ),
  };
}

function rule(node: Node, list: ListKind, block: Block): Rule {
  const name = node.name ?? (typeof block.source.name === 'string' ? block.source.name : undefined);
  return { node, list, pointer: node.pointer, name, reason: node.reason ?? reasonOf(block.source) };
}

function listRules(block: Block, list: 'require' | 'deny_if', tool: PinnedTool): Rule[] {
  const items = block.source[list];
  if (!Array.isArray(items)) return [];
  return items.map((item, i) => {
    const at = pointer(block.at, list, i);
    return rule(compilePredicate(at, item as Record<string, unknown>, { list, tool, inverted: false }), list, block);
  });
}

function argsRules(block: Block, tool: PinnedTool): Rule[] {
  const { args } = block.source;
  if (!isObject(args)) return [];
  return Object.entries(args).flatMap(([key, value]) => {
    const parsed = parseArgsKey(key);
    if (!parsed.ok) throw new Error(parsed.message);
    const entry = value as Record<string, unknown>;
    return parsed.paths.flatMap((path) => entryRules(block, pointer(block.at, 'args', key), path, entry, tool));
  });
}

function entryRules(block: Block, at: string, path: Path, entry: Record<string, unknown>, tool: PinnedTool): Rule[] {
  const { style } = entry;
  const common = {
    path,
    options: isPathStyle(style) ? { style } : {},
    name: typeof entry.name === 'string' ? entry.name : undefined,
    reason: reasonOf(entry),
  };
  const context = { list: 'args', tool, inverted: false } as const;
  const rules: Rule[] = [];
  if (entry.required === true) {
    rules.push(
      rule(compileLeaf(pointer(at, 'required'), { ...common, op: 'exists', value: true }, context), 'args', block),
    );
  }
  for (const [op, value] of Object.entries(entry)) {
    if (OPERATORS.has(op))
      rules.push(rule(compileLeaf(pointer(at, op), { ...common, op, value }, context), 'args', block));
  }
  return rules;
}
