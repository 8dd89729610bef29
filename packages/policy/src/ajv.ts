/** The gateway's `SchemaCompiler`, on Ajv. The browser brings another: this file is the subpath `ajv`, never the index. */
import type { JsonValue } from '@gatehouse/wire';
import { parsePlainJson } from '@gatehouse/wire';
import { Ajv, type ErrorObject, type Options, type ValidateFunction } from 'ajv';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { argumentMessage, locate, pathAt, undeclaredMessage } from './ajv-messages.ts';
import { compilePattern, translateEcmaScript } from './regex.ts';
import { withoutOptionalNulls } from './schema-facts.ts';
import type { ArgumentProblem, ArgumentReport, ArgumentValidator, SchemaCompiler, UnrunnablePattern } from './types.ts';
import { closeUndeclared, flatNames, UNDECLARED_KEYWORD } from './undeclared.ts';
import { isObject, kindOf, member, pointer } from './values.ts';

/** Schemas beyond these are refused, so that compiling one is bounded. */
export const MAX_SCHEMA_BYTES = 262_144;
const MAX_SCHEMA_DEPTH = 64;
const MAX_PROBLEMS = 20;

const DIALECTS: ReadonlyMap<string, '2020' | 'draft-07'> = new Map([
  ['https://json-schema.org/draft/2020-12/schema', '2020'],
  ['http://json-schema.org/draft-07/schema', 'draft-07'],
  ['https://json-schema.org/draft-07/schema', 'draft-07'],
]);

/** Thrown where a string meets a pattern that RE2 cannot run, so that no `not` around it turns the failure into a pass. */
class UnrunnableError extends Error {}

let collecting: UnrunnablePattern[] = [];

function re2(source: string): { test: (text: string) => boolean; toString: () => string } {
  const result = compilePattern(translateEcmaScript(source));
  // Ajv keeps one expression per text, so each must print as itself.
  const print = (): string => `/${source}/u`;
  if (result.ok) return { test: result.pattern.find, toString: print };
  collecting.push({ pattern: source, reason: result.reason });
  return {
    toString: print,
    test: () => {
      throw new UnrunnableError(result.reason);
    },
  };
}
// Ajv prints `code` only into standalone modules, which are not made here.
re2.code = 're2';

const OPTIONS: Options = {
  strict: false,
  strictNumbers: true,
  meta: false,
  validateSchema: false,
  allErrors: true,
  verbose: true,
  validateFormats: false,
  ownProperties: true,
  addUsedSchema: false,
  coerceTypes: false,
  useDefaults: false,
  logger: false,
  code: { regExp: re2 as never },
};

function depthOf(value: unknown, limit: number): number {
  if (typeof value !== 'object' || value === null) return 0;
  if (limit === 0) return 1;
  let deepest = 0;
  for (const inner of Object.values(value)) deepest = Math.max(deepest, depthOf(inner, limit - 1));
  return deepest + 1;
}

function dialectOf(schema: unknown): '2020' | 'draft-07' | undefined {
  const declared = isObject(schema) ? member(schema, '$schema') : undefined;
  if (declared === undefined) return '2020';
  return typeof declared === 'string' ? DIALECTS.get(declared.replace(/#$/, '')) : undefined;
}

/** JSON Pointers of the undeclared properties that the validation under way has met. */
let found: string[] = [];

function compileWith(schema: unknown, dialect: '2020' | 'draft-07'): ValidateFunction {
  return (dialect === '2020' ? new Ajv2020(OPTIONS) : new Ajv(OPTIONS)).compile(schema as object);
}

function compileClosed(schema: unknown): ValidateFunction {
  const ajv = new Ajv2020(OPTIONS);
  ajv.addKeyword({
    keyword: UNDECLARED_KEYWORD,
    errors: false,
    validate: (_schema: unknown, _data: unknown, _parent: unknown, context?: { instancePath: string }) => {
      found.push(context?.instancePath ?? '');
      return true;
    },
  });
  return ajv.compile(schema as object);
}

// The meta-schemas are compiled once; each schema gets an instance of its own, so that `$id`s of two tools never meet.
const metas = { '2020': undefined, 'draft-07': undefined } as Record<'2020' | 'draft-07', Ajv | Ajv2020 | undefined>;

function metaProblem(schema: unknown, dialect: '2020' | 'draft-07'): string | undefined {
  const options: Options = { strict: false, validateFormats: false, logger: false };
  metas[dialect] ??= dialect === '2020' ? new Ajv2020(options) : new Ajv(options);
  const ajv = metas[dialect];
  if (ajv.validateSchema(schema as object)) return undefined;
  const error = ajv.errors?.[0];
  return `the schema is not valid at ${error?.instancePath || 'its root'}: ${error?.message ?? 'unknown'}`;
}

function flatFinder(names: ReadonlySet<string>): (value: unknown) => void {
  return (value) => {
    if (!isObject(value)) return;
    // Without a list of the keys: this runs on every call. JSON values inherit nothing that could be enumerated.
    for (const key in value) if (!names.has(key)) found.push(pointer('', key));
  };
}

/** Compiles a tool's input schema: 2020-12, or draft-07 where it says so. Nothing is fetched; formats are annotations. */
export const compileSchema: SchemaCompiler = (schema) => {
  if (typeof schema === 'boolean' || !isObject(schema))
    return { ok: false, reason: 'an input schema must be a JSON object' };
  const text = JSON.stringify(schema);
  if (text.length > MAX_SCHEMA_BYTES)
    return { ok: false, reason: `the schema is larger than ${MAX_SCHEMA_BYTES} characters` };
  if (depthOf(schema, MAX_SCHEMA_DEPTH) > MAX_SCHEMA_DEPTH) {
    return { ok: false, reason: `the schema is nested deeper than ${MAX_SCHEMA_DEPTH}` };
  }
  const dialect = dialectOf(schema);
  if (!dialect)
    return { ok: false, reason: 'the schema declares a dialect other than JSON Schema 2020-12 or draft-07' };
  const { $schema: _dialect, ...body } = parsePlainJson(text) as Record<string, unknown>;
  collecting = [];
  try {
    const invalid = metaProblem(body, dialect);
    if (invalid) return { ok: false, reason: invalid };
    const validate = compileWith(body, dialect);
    const unrunnable = [...new Map(collecting.map((one) => [one.pattern, one])).values()];
    const names = flatNames(body);
    const closed = names ? undefined : closeUndeclared(body);
    const undeclared = names ? flatFinder(names) : closed === undefined ? undefined : compileClosed(closed);
    return { ok: true, validator: new AjvValidator(body, validate, undeclared), unrunnable };
  } catch (error) {
    return { ok: false, reason: error instanceof Error ? error.message : 'the schema does not compile' };
  }
};

const VALID: ArgumentReport = { problems: [], undeclared: [] };

class AjvValidator implements ArgumentValidator {
  readonly #schema: unknown;
  readonly #validate: ValidateFunction;
  readonly #undeclared: ((value: unknown) => unknown) | undefined;

  constructor(schema: unknown, validate: ValidateFunction, undeclared: ((value: unknown) => unknown) | undefined) {
    this.#schema = schema;
    this.#validate = validate;
    this.#undeclared = undeclared;
  }

  validate(args: JsonValue, plain = false): ArgumentReport {
    if (plain || isPlain(args)) return this.#once(args);
    const pruned = withoutOptionalNulls(this.#schema, args);
    if (!hasInexact(pruned)) return this.#once(pruned);
    // The exact decimal lies between two doubles: what holds for the nearest and both neighbours holds for it.
    const nearest = this.#once(replaceInexact(pruned, 0));
    if (nearest.problems.length > 0) return nearest;
    for (const direction of [-1, 1] as const) {
      const other = this.#once(replaceInexact(pruned, direction));
      if (other.problems.length > 0) return { problems: other.problems, undeclared: nearest.undeclared };
    }
    return nearest;
  }

  #once(value: unknown): ArgumentReport {
    try {
      const valid = this.#validate(value);
      const errors = valid ? [] : (this.#validate.errors ?? []);
      found = [];
      this.#undeclared?.(value);
      return valid && found.length === 0 ? VALID : report(errors, found, value);
    } catch (error) {
      // Also the call stack of a schema that recurses as deep as the arguments do.
      const message =
        error instanceof UnrunnableError
          ? `An argument cannot be checked: its schema has a pattern that RE2 cannot run (${error.message}).`
          : 'The arguments cannot be checked against the schema.';
      return { problems: [{ path: 'args', message }], undeclared: [] };
    }
  }
}

const CLOSING = new Set(['additionalProperties', 'unevaluatedProperties']);
// A closed object inside a branch decides which branch holds; it is no word on the whole arguments.
const BRANCH = /\/(?:anyOf|oneOf|not|if|then|else|contains)\//;

function report(errors: readonly ErrorObject[], extra: readonly string[], root: unknown): ArgumentReport {
  const problems = new Map<string, ArgumentProblem>();
  const undeclared = new Map<string, ArgumentProblem>();
  for (const error of errors) {
    const closing = CLOSING.has(error.keyword) && !BRANCH.test(error.schemaPath);
    const into = closing ? undeclared : problems;
    if (into.size >= MAX_PROBLEMS) continue;
    const path = locate(error, root);
    const message = argumentMessage(error, path);
    // Several errors may be told in one sentence.
    if (!into.has(message)) into.set(message, { path, message });
  }
  for (const at of extra.slice(0, MAX_PROBLEMS)) {
    const path = pathAt(at, root);
    const message = undeclaredMessage(path);
    if (!undeclared.has(message)) undeclared.set(message, { path, message });
  }
  return { problems: [...problems.values()], undeclared: [...undeclared.values()] };
}

/** True for values without null and inexact numbers, which need no copy. */
function isPlain(value: unknown): boolean {
  if (typeof value !== 'object') return true;
  if (value === null || kindOf(value) === 'inexact') return false;
  for (const key in value) if (!isPlain((value as Record<string, unknown>)[key])) return false;
  return true;
}

function hasInexact(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const kind = kindOf(value);
  return kind === 'inexact' || Object.values(value).some(hasInexact);
}

const bits = new DataView(new ArrayBuffer(8));

/** The next double below (-1) or above (1). */
function neighbour(value: number, direction: -1 | 1): number {
  if (!Number.isFinite(value))
    return direction * Number.MAX_VALUE === value ? value : Math.sign(value) * Number.MAX_VALUE;
  if (value === 0) return direction * Number.MIN_VALUE;
  bits.setFloat64(0, value);
  bits.setBigInt64(0, bits.getBigInt64(0) + (value > 0 === direction > 0 ? 1n : -1n));
  return bits.getFloat64(0);
}

function replaceInexact(value: unknown, direction: -1 | 0 | 1): unknown {
  const kind = kindOf(value);
  if (kind === 'inexact') {
    const nearest = Number((value as { source: string }).source);
    return direction === 0 ? nearest : neighbour(nearest, direction);
  }
  if (kind === 'array') return (value as unknown[]).map((item) => replaceInexact(item, direction));
  if (kind !== 'object') return value;
  const copy: Record<string, unknown> = {};
  for (const [key, inner] of Object.entries(value as object)) {
    Object.defineProperty(copy, key, {
      value: replaceInexact(inner, direction),
      enumerable: true,
      writable: true,
      configurable: true,
    });
  }
  return copy;
}
