import { orderAxes, signalsOf, wholeToolAxes } from './axes.ts';
import { type DescriptionReading, readDescription } from './description.ts';
import { isMultiplexer, isOpenSchema, readParameter } from './input-rules.ts';
import { type NameReading, readName, worstSupported } from './name.ts';
import { listParameters, type Parameter } from './parameters.ts';
import { tokenize } from './tokens.ts';
import {
  type Axis,
  type Classification,
  type Confidence,
  type Evidence,
  type ServerContext,
  severityOf,
  TOOL_CLASSES,
  type ToolClass,
  type ToolDefinition,
} from './types.ts';
import { PLAIN_VERBS, type ServerKind, serverKind } from './words.ts';

/** Goes up with every change of a rule or a word that can change a result. */
export const CLASSIFIER_VERSION = 1;

const rank = (toolClass: ToolClass): number => TOOL_CLASSES.indexOf(toolClass);

/**
 * Tells what a tool can do at worst, and why. Spec: catalogue §3. Pure and deterministic: no model, no network, no
 * clock. Takes any definition, ill-formed ones too, and never throws; without any evidence the class is `execute` and
 * the confidence `low`.
 */
export function classify(tool: ToolDefinition, server: ServerContext = {}): Classification {
  const serverText = `${server.slug ?? ''} ${server.name ?? ''}`;
  const kind = serverKind(serverText.toLowerCase());
  const name = readName(textOf(tool.name), new Set(tokenize(serverText)), kind);
  const description = readDescription(textOf(tool.description) || textOf(tool.title));
  const parameters = listParameters(tool.inputSchema);

  const schema = readSchema(parameters, name, kind);
  const annotations = readAnnotations(tool.annotations);
  const byText = reconcile(name, description, schema);
  const evidence = [...byText, ...schema.evidence, ...annotations];
  // Hints and flags raise what is known. Where nothing is, they must not stand for all that the tool does.
  const known = [...byText, ...schema.evidence.filter(({ axis }) => axis !== 'irreversible')];
  if (worstSupported(known) === undefined) {
    evidence.push({ field: 'name', token: name.tokens.join(' '), rule: 'default.unknown', supports: 'execute' });
  }
  let toolClass = worstSupported(evidence) ?? 'execute';
  let confidence = confidenceOf(toolClass, byText, schema.evidence, tool.annotations, evidence);

  if (server.trusted === true) {
    const lowered = lowerByTrust(toolClass, tool.annotations);
    if (lowered !== undefined) {
      evidence.push({
        field: lowered.field,
        token: lowered.token,
        rule: 'annotation.trusted',
        supports: lowered.toolClass,
      });
      toolClass = lowered.toolClass;
      confidence = 'medium';
    }
  }

  const axisEvidence = wholeToolAxes(tool, name, toolClass, parameters, new Set(schema.parametersByAxis.keys()));
  if (isOpenSchema(tool.inputSchema)) {
    axisEvidence.push({ field: 'inputSchema', token: 'open', rule: 'schema.open', axis: 'open_schema' });
  }
  evidence.push(...axisEvidence);
  const axes = orderAxes(evidence.flatMap(({ axis }) => (axis === undefined ? [] : [axis])));
  const count = parameters.filter(({ path }) => !/[.[]/.test(path)).length;
  return {
    class: toolClass,
    severity: severityOf(toolClass),
    axes,
    signals: signalsOf(axes, schema.parametersByAxis, count),
    evidence,
    confidence,
    version: CLASSIFIER_VERSION,
  };
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

interface SchemaReading {
  evidence: Evidence[];
  parametersByAxis: Map<Axis, string[]>;
  /** Whether a closed list of actions says what the tool does. */
  decides: boolean;
}

function readSchema(parameters: readonly Parameter[], name: NameReading, kind: ServerKind): SchemaReading {
  const evidence: Evidence[] = [];
  const parametersByAxis = new Map<Axis, string[]>();
  let decides = false;
  const note = (parameter: Parameter, axis: Axis) => {
    const list = parametersByAxis.get(axis);
    if (list === undefined) parametersByAxis.set(axis, [parameter.path]);
    else list.push(parameter.path);
  };
  for (const parameter of parameters) {
    for (const { axis, token, rule } of readParameter(parameter, kind)) {
      const supports = supportedBy(axis, rule, name);
      evidence.push({ field: parameter.field, token, rule, axis, ...(supports === undefined ? {} : { supports }) });
      note(parameter, axis);
    }
    if (isMultiplexer(parameter)) {
      note(parameter, 'multiplexed');
      const actions = readActions(parameter, kind);
      decides ||= parameter.values !== undefined && actions.some(({ supports }) => supports !== undefined);
      evidence.push(...actions);
    }
  }
  return { evidence, parametersByAxis, decides };
}

/** A parameter can make a tool worse than its name: code to run, a flag that passes over a safeguard. */
function supportedBy(axis: Axis, rule: string, name: NameReading): ToolClass | undefined {
  // `update_script(script)` stores code and `explain(sql)` reads it; only a vague or a running verb runs it.
  const vague = name.verb === undefined || !name.plain || name.verbClass === 'execute';
  if (axis === 'code_input' && rule === 'parameter.code' && vague) return 'execute';
  if (axis === 'irreversible') return 'write';
  return undefined;
}

/** A chosen action is as bad as the worst that can be chosen; without a closed list anything can be. */
function readActions(parameter: Parameter, kind: ServerKind): Evidence[] {
  const { field, name, values } = parameter;
  if (values === undefined) {
    return [{ field, token: name, rule: 'parameter.action-open', supports: 'execute', axis: 'multiplexed' }];
  }
  const worst = new Map<ToolClass, Evidence>();
  for (const value of values) {
    const supports = worstSupported(readName(value, new Set(), kind).evidence);
    if (supports === undefined || worst.has(supports)) continue;
    worst.set(supports, { field, token: value.toLowerCase(), rule: 'parameter.action', supports, axis: 'multiplexed' });
  }
  if (worst.size === 0) return [{ field, token: name, rule: 'parameter.action-unread', axis: 'multiplexed' }];
  return [...worst.values()];
}

/** The author's hints may raise a class. What they would lower is looked at only when the server is trusted. */
function readAnnotations(annotations: Record<string, unknown> | undefined): Evidence[] {
  const evidence: Evidence[] = [];
  if (annotations?.readOnlyHint === false) {
    evidence.push({
      field: 'annotations.readOnlyHint',
      token: 'false',
      rule: 'annotation.not-read-only',
      supports: 'write',
    });
  }
  // In MCP "destructive" means "not only adding", so that it covers every update.
  if (annotations?.destructiveHint === true && annotations.readOnlyHint !== true) {
    evidence.push({
      field: 'annotations.destructiveHint',
      token: 'true',
      rule: 'annotation.destructive',
      supports: 'write',
      axis: 'irreversible',
    });
  }
  return evidence;
}

function lowerByTrust(
  toolClass: ToolClass,
  annotations: Record<string, unknown> | undefined,
): { field: string; token: string; toolClass: ToolClass } | undefined {
  if (annotations?.readOnlyHint === true && toolClass !== 'read') {
    return { field: 'annotations.readOnlyHint', token: 'true', toolClass: 'read' };
  }
  if (annotations?.destructiveHint === false && toolClass === 'destructive') {
    return { field: 'annotations.destructiveHint', token: 'false', toolClass: 'write' };
  }
  return undefined;
}

/** Evidence of name and description; a vague word of one speaks for no class where the other is plain. */
function reconcile(name: NameReading, description: DescriptionReading, schema: SchemaReading): Evidence[] {
  const nameIsVague = !name.plain && (schema.decides || (description.verbClass !== undefined && description.plain));
  const descriptionIsVague = !description.plain && name.verb !== undefined;
  const fromName = name.evidence.map((each) => (nameIsVague && each.rule.endsWith('noun-verb') ? silent(each) : each));
  const fromDescription = description.evidence.map((each) =>
    descriptionIsVague && each.rule === 'description.noun-verb' ? silent(each) : each,
  );
  return [...fromName, ...fromDescription, ...moneyInDescription(name, description)];
}

function silent({ supports: _, ...evidence }: Evidence): Evidence {
  return evidence;
}

/** "invoice_sales_order" names no verb; the description's verb and the money in the name together are one. */
function moneyInDescription(name: NameReading, description: DescriptionReading): Evidence[] {
  if (name.verb !== undefined || !name.money || description.verb === undefined) return [];
  if (description.verbClass === 'read') return [];
  const verb = PLAIN_VERBS.get(description.verb) ?? description.verbClass;
  if (verb === undefined || verb === 'read') return [];
  return [{ field: 'description', token: description.verb, rule: 'description.money-verb', supports: 'financial' }];
}

/** Spec: catalogue §3: conflicting evidence is `low`; agreement of two sources is `high`. */
function confidenceOf(
  toolClass: ToolClass,
  byText: readonly Evidence[],
  bySchema: readonly Evidence[],
  annotations: Record<string, unknown> | undefined,
  all: readonly Evidence[],
): Confidence {
  if (all.some(({ rule }) => rule === 'default.unknown')) return 'low';
  if (annotations?.readOnlyHint === true && toolClass !== 'read') return 'low';
  const sources: ToolClass[] = [];
  for (const part of [
    byText.filter(({ field }) => field === 'name'),
    byText.filter(({ field }) => field === 'description'),
    bySchema,
    all.filter(({ rule }) => rule === 'annotation.not-read-only'),
  ]) {
    const classOfPart = worstSupported(part);
    if (classOfPart !== undefined) sources.push(classOfPart);
  }
  // An annotation knows only read and not-read, so any class above read agrees with it.
  const conflict = sources.some(
    (each) => (each === 'read') !== (toolClass === 'read') || rank(toolClass) - rank(each) > 2,
  );
  if (conflict) return 'low';
  if (annotations?.destructiveHint === true && annotations.readOnlyHint !== true && rank(toolClass) < rank('execute'))
    return 'low';
  const agreeing = sources.filter((each) => each === toolClass || (toolClass !== 'read' && each === 'write')).length;
  const saidReadOnly = annotations?.readOnlyHint === true && toolClass === 'read' ? 1 : 0;
  return agreeing + saidReadOnly >= 2 ? 'high' : 'medium';
}
