/** Ajv's errors as sentences that an agent can act on. Strings of the caller are never repeated. */
import type { ErrorObject } from 'ajv';
import { formatSteps, type Step } from './path.ts';
import { kindWords, listWords, literal, preview } from './values.ts';

function stepsAt(instancePath: string, root: unknown): Step[] {
  const steps: Step[] = [];
  let node: unknown = root;
  const tokens = instancePath === '' ? [] : instancePath.slice(1).split('/');
  for (const token of tokens) {
    const key = token.replaceAll('~1', '/').replaceAll('~0', '~');
    steps.push(Array.isArray(node) ? { kind: 'index', index: Number(key) } : { kind: 'key', key });
    node = (node as Record<string, unknown> | undefined)?.[key];
  }
  return steps;
}

/** A JSON Pointer into the arguments in the language's path syntax. */
export function pathAt(instancePath: string, root: unknown): string {
  return formatSteps('args', stepsAt(instancePath, root));
}

/** Where an error lies, in the language's path syntax. */
export function locate(error: ErrorObject, root: unknown): string {
  const params = error.params as Record<string, unknown>;
  const extra = params.missingProperty ?? params.additionalProperty ?? params.unevaluatedProperty;
  const steps = stepsAt(error.instancePath, root);
  return formatSteps('args', typeof extra === 'string' ? [...steps, { kind: 'key', key: extra }] : steps);
}

function labelOf(path: string): string {
  return path === 'args' ? 'the arguments' : path.replace(/^args\.?/, '');
}

export function undeclaredMessage(path: string): string {
  return `${labelOf(path)} is not an argument that this tool declares.`;
}

const TYPES: Readonly<Record<string, string>> = {
  string: 'a string',
  number: 'a number',
  integer: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'an object',
  null: 'null',
};

function typeWords(type: unknown): string {
  const types = Array.isArray(type) ? type : String(type).split(',');
  return types.map((t) => TYPES[String(t)] ?? String(t)).join(' or ');
}

const COMPARISONS: Readonly<Record<string, string>> = {
  '<=': 'at most',
  '<': 'less than',
  '>=': 'at least',
  '>': 'more than',
};

function count(limit: unknown, one: string, verb: 'allowed' | 'needed'): string {
  return limit === 1 ? `1 ${one} is ${verb}` : `${String(limit)} ${one}s are ${verb}`;
}

/** One whole sentence. */
export function argumentMessage(error: ErrorObject, path: string): string {
  const label = labelOf(path);
  const params = error.params as Record<string, unknown>;
  const seen = preview(error.data);
  switch (error.keyword) {
    case 'required':
    case 'dependentRequired':
      return `${label} is missing; it is required.`;
    case 'additionalProperties':
    case 'unevaluatedProperties':
      return undeclaredMessage(path);
    case 'type':
      return `${label} is ${kindWords(error.data)}; ${typeWords(params.type)} is needed.`;
    case 'maximum':
    case 'minimum':
    case 'exclusiveMaximum':
    case 'exclusiveMinimum':
      return `${label} is ${seen ?? 'out of range'}; ${COMPARISONS[String(params.comparison)] ?? 'another value than'} ${String(params.limit)} is allowed.`;
    case 'multipleOf':
      return `${label} is ${seen ?? 'not allowed'}; a multiple of ${String(params.multipleOf)} is needed.`;
    case 'enum':
      return `${label} must be one of ${listWords(params.allowedValues as unknown[])}.`;
    case 'const':
      return `${label} must be ${literal(params.allowedValue)}.`;
    case 'maxLength':
      return `${label} is too long; at most ${count(params.limit, 'character', 'allowed')}.`;
    case 'minLength':
      return `${label} is too short; at least ${count(params.limit, 'character', 'needed')}.`;
    case 'maxItems':
      return `${label} has too many items; at most ${count(params.limit, 'item', 'allowed')}.`;
    case 'minItems':
      return `${label} has too few items; at least ${count(params.limit, 'item', 'needed')}.`;
    case 'pattern':
      return `${label} does not match the pattern ${literal(params.pattern)}.`;
    case 'uniqueItems':
      return `${label} has equal items; each may occur once.`;
    case 'anyOf':
    case 'oneOf':
      return `${label} matches none, or too many, of the forms that the schema allows.`;
    default:
      return `${label} contradicts the schema (${error.keyword}).`;
  }
}
