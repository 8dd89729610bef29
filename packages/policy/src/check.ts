/** Checks a policy document: all errors at once, each with a pointer (spec: policy §10). */
import { TOOL_CLASSES } from '@gatehouse/classify';
import { checkLimits, checkRateLimit, checkSharing, type OwnedBlock, type SeenAmount } from './check-limits.ts';
import { checkArgs, checkPredicates, type SeenPath } from './check-predicate.ts';
import { checkAgainstTools } from './check-tools.ts';
import { isUnavailable } from './features.ts';
import { didYouMean, Problems } from './problems.ts';
import { isCanonicalPrefix } from './resource-uri.ts';
import type { PinnedTool, PolicyProblem } from './types.ts';
import { kindOf, kindWords, pointer } from './values.ts';
import { isZone } from './zone.ts';

const DOCUMENT_FIELDS = [
  'version',
  'description',
  'default',
  'timezone',
  'hide',
  'list',
  'all_tools',
  'classes',
  'tools',
  'resources',
  'prompts',
];
const BLOCK_FIELDS = [
  'action',
  'reason',
  'on_deny',
  'name',
  'args',
  'require',
  'deny_if',
  'limits',
  'rate_limit',
  'arguments',
  'override_class',
];
const MAX_DEPTH = 64;

/** A block with what its rules read. */
export interface CheckedBlock extends OwnedBlock {
  readonly kind: 'all_tools' | 'class' | 'tool';
  readonly key: string;
  readonly seen: readonly SeenPath[];
  readonly amounts: readonly SeenAmount[];
}

export interface CheckOptions {
  /** The server's pinned tools: with them names, absent arguments and missing bounds are looked at, too. */
  readonly tools?: readonly PinnedTool[];
}

/** Every error and warning of a document, errors first. Empty: the document can be compiled as it is. */
export function checkPolicy(document: unknown, options: CheckOptions = {}): PolicyProblem[] {
  const problems = new Problems();
  if (checkJson(problems, document)) checkDocument(problems, document, options);
  return problems.list.sort((a, b) => Number(a.severity === 'warning') - Number(b.severity === 'warning'));
}

/** False when the value is no JSON that the other checks may walk. */
function checkJson(problems: Problems, document: unknown): boolean {
  let sound = true;
  const walk = (value: unknown, at: string, depth: number): void => {
    if (depth > MAX_DEPTH) {
      sound = false;
      problems.error(at, 'too_deep', `The document is nested deeper than ${MAX_DEPTH}.`);
      return;
    }
    switch (kindOf(value)) {
      case 'inexact':
        sound = false;
        problems.error(at, 'inexact_number', 'This number cannot be held exactly; write it with fewer digits.');
        break;
      case 'number':
        if (!Number.isFinite(value) || (Number.isInteger(value) && !Number.isSafeInteger(value))) {
          problems.error(
            at,
            'inexact_number',
            'This number cannot be held exactly; integers go up to 9007199254740991.',
          );
        }
        break;
      case 'string':
        if (!(value as string).isWellFormed())
          problems.error(at, 'wrong_value', 'This string holds half a surrogate pair.');
        break;
      case 'array':
        for (const [i, item] of (value as unknown[]).entries()) walk(item, pointer(at, i), depth + 1);
        break;
      case 'object':
        for (const [key, item] of Object.entries(value as object)) walk(item, pointer(at, key), depth + 1);
        break;
      case 'boolean':
      case 'null':
        if (typeof value === 'undefined') problems.error(at, 'wrong_type', 'There is no value here.');
        break;
    }
  };
  walk(document, '', 0);
  return sound;
}

function checkDocument(problems: Problems, document: unknown, options: CheckOptions): void {
  if (!problems.object('', document, 'A policy')) return;
  problems.fields('', document, DOCUMENT_FIELDS, 'A policy');
  problems.texts('', document);
  checkVersion(problems, document.version);
  if (document.default === undefined) {
    problems.error(
      '/default',
      'missing_field',
      'A policy needs "default": "deny" or "allow", for tools that it does not list.',
    );
  } else {
    problems.choice('/default', document.default, ['deny', 'allow'], '"default"');
  }
  if (document.list !== undefined) problems.choice('/list', document.list, ['all', 'allowed'], '"list"');
  if (document.timezone !== undefined && (typeof document.timezone !== 'string' || !isZone(document.timezone))) {
    problems.error(
      '/timezone',
      'unknown_zone',
      '"timezone" must be an IANA time zone such as "Europe/Berlin" or "UTC".',
    );
  }
  if (document.hide !== undefined) checkHide(problems, document.hide);
  const blocks = checkBlocks(problems, document, options);
  checkSharing(problems, blocks);
  for (const key of ['resources', 'prompts'] as const) {
    if (document[key] !== undefined) checkNamed(problems, pointer('', key), document[key], key);
  }
  if (options.tools) checkAgainstTools(problems, document, blocks, options.tools);
}

function checkVersion(problems: Problems, version: unknown): void {
  if (version === '1') return;
  if (version === undefined) problems.error('/version', 'missing_field', 'A policy needs "version": "1".');
  else if (version === 1) {
    problems.error('/version', 'wrong_type', '"version" is a string.', 'write `"1"` in quotation marks');
  } else problems.error('/version', 'wrong_value', 'This engine reads version "1".');
}

function checkHide(problems: Problems, hide: unknown): void {
  if (!problems.array('/hide', hide, '"hide"')) return;
  const positive = hide.some((item) => typeof item === 'string' && !item.startsWith('!'));
  hide.forEach((item, i) => {
    const at = pointer('/hide', i);
    if (typeof item !== 'string' || item === '' || item === '!') {
      problems.error(at, 'wrong_type', `An item of "hide" must be a tool's name, "*", "@class" or "!name".`);
    } else if (item.startsWith('@')) {
      if (!(TOOL_CLASSES as readonly string[]).includes(item.slice(1))) {
        problems.error(
          at,
          'unknown_class',
          `There is no class "${item.slice(1)}".`,
          didYouMean(item.slice(1), TOOL_CLASSES),
        );
      }
    } else if (item.startsWith('!')) {
      if (/^![@*!]/.test(item)) problems.error(at, 'wrong_value', 'An exception in "hide" names one tool: "!name".');
      else if (!positive)
        problems.warn(at, 'no_effect', 'An exception hides nothing by itself; no other item of "hide" covers it.');
    }
  });
}

function checkBlocks(problems: Problems, document: Record<string, unknown>, options: CheckOptions): CheckedBlock[] {
  const classOf = new Map(options.tools?.map((tool) => [tool.name, tool.class as string]));
  const blocks: CheckedBlock[] = [];
  const add = (kind: CheckedBlock['kind'], key: string, at: string, value: unknown): void => {
    if (!problems.object(at, value, 'A rule block')) return;
    const seen: SeenPath[] = [];
    const amounts: SeenAmount[] = [];
    checkBlock(problems, at, value, kind, seen, amounts);
    const owner = kind === 'all_tools' ? 'all_tools' : kind === 'class' ? `@${key}` : key;
    const block: CheckedBlock = {
      at,
      block: value,
      owner,
      kind,
      key,
      seen,
      amounts,
      meets: (other) => meet(block, other as CheckedBlock, classOf),
    };
    blocks.push(block);
  };
  if (document.all_tools !== undefined) add('all_tools', '', '/all_tools', document.all_tools);
  if (document.classes !== undefined && problems.object('/classes', document.classes, '"classes"')) {
    for (const [name, value] of Object.entries(document.classes)) {
      const at = pointer('/classes', name);
      if ((TOOL_CLASSES as readonly string[]).includes(name)) add('class', name, at, value);
      else problems.error(at, 'unknown_class', `There is no class "${name}".`, didYouMean(name, TOOL_CLASSES));
    }
  }
  if (document.tools !== undefined && problems.object('/tools', document.tools, '"tools"')) {
    for (const [name, value] of Object.entries(document.tools)) {
      const at = pointer('/tools', name);
      if (name === '*') {
        problems.error(
          at,
          'unknown_field',
          'Rules for every tool stand in "all_tools"; "tools" takes exact names.',
          'did you mean `all_tools`?',
        );
      } else add('tool', name, at, value);
    }
  }
  return blocks;
}

function meet(a: CheckedBlock, b: CheckedBlock, classOf: ReadonlyMap<string, string>): boolean {
  if (a === b || a.kind === 'all_tools' || b.kind === 'all_tools') return true;
  if (a.kind === b.kind) return false;
  const [tool, other] = a.kind === 'tool' ? [a, b] : [b, a];
  if (tool.block.override_class === true) return false;
  const known = classOf.get(tool.key);
  return known === undefined || known === other.key;
}

function checkBlock(
  problems: Problems,
  at: string,
  block: Record<string, unknown>,
  kind: CheckedBlock['kind'],
  seen: SeenPath[],
  amounts: SeenAmount[],
): void {
  problems.fields(at, block, BLOCK_FIELDS, 'A rule block');
  problems.texts(at, block);
  if (block.action !== undefined) {
    const where = pointer(at, 'action');
    if (typeof block.action === 'string' && isUnavailable('action', block.action))
      problems.unavailable(where, block.action);
    else problems.choice(where, block.action, ['allow', 'deny'], '"action"');
  }
  if (block.args !== undefined) checkArgs(problems, pointer(at, 'args'), block.args, seen);
  for (const list of ['require', 'deny_if'] as const) {
    if (block[list] === undefined) continue;
    checkPredicates(problems, pointer(at, list), block[list], { list, grouped: false, depth: 0, hasArgs: true, seen });
  }
  const context = { hasArgs: true, seen, amounts };
  if (block.limits !== undefined) checkLimits(problems, pointer(at, 'limits'), block.limits, context);
  if (block.rate_limit !== undefined) checkRateLimit(problems, pointer(at, 'rate_limit'), block.rate_limit);
  if (block.arguments !== undefined) checkArguments(problems, pointer(at, 'arguments'), block.arguments);
  if (block.override_class !== undefined) {
    const where = pointer(at, 'override_class');
    problems.boolean(where, block.override_class, '"override_class"');
    if (kind !== 'tool') problems.error(where, 'unknown_field', '"override_class" belongs into the block of a tool.');
  }
}

function checkArguments(problems: Problems, at: string, value: unknown): void {
  if (!problems.object(at, value, '"arguments"')) return;
  problems.fields(at, value, ['undeclared', 'validate'], '"arguments"');
  if (value.undeclared !== undefined) {
    problems.choice(pointer(at, 'undeclared'), value.undeclared, ['deny', 'warn', 'allow'], '"undeclared"');
  }
  const { validate } = value;
  if (validate === undefined || validate === true) return;
  const where = pointer(at, 'validate');
  if (validate !== false && validate !== 'warn') {
    problems.error(where, 'wrong_value', '"validate" is true, "warn" or false.');
  } else {
    problems.warn(where, 'unvalidated', 'Calls whose arguments contradict the schema are let through.');
  }
}

function checkNamed(problems: Problems, at: string, value: unknown, kind: 'resources' | 'prompts'): void {
  if (!problems.object(at, value, `"${kind}"`)) return;
  problems.fields(at, value, ['allow', 'deny', 'limits', 'name', 'reason', 'on_deny'], `"${kind}"`);
  problems.texts(at, value);
  for (const key of ['allow', 'deny']) {
    if (value[key] === undefined) continue;
    const where = pointer(at, key);
    if (!problems.array(where, value[key], `"${key}"`)) continue;
    (value[key] as unknown[]).forEach((item, i) => {
      if (typeof item !== 'string' || item === '') {
        problems.error(
          pointer(where, i),
          'wrong_type',
          `An item of "${key}" must be a string; it is ${kindWords(item)}.`,
        );
      } else if (kind === 'resources' && item !== '*' && !isCanonicalPrefix(item)) {
        problems.error(
          pointer(where, i),
          'wrong_value',
          'A resource prefix must be "*" or the start of a canonical URI, with its scheme, such as "file:///srv/data".',
        );
      }
    });
  }
  if (value.limits !== undefined) {
    checkLimits(problems, pointer(at, 'limits'), value.limits, { hasArgs: false, seen: [], amounts: [] });
    checkSharing(problems, [{ at, block: value, owner: kind, meets: () => true }]);
  }
}
