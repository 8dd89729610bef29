/** What a tool can do at worst. Spec: catalogue §3. */
export type ToolClass = 'read' | 'write' | 'execute' | 'destructive' | 'financial';

/** All classes, from harmless to worst. */
export const TOOL_CLASSES: readonly ToolClass[] = ['read', 'write', 'execute', 'destructive', 'financial'];

export type Severity = 'low' | 'medium' | 'high' | 'critical';

export type Confidence = 'high' | 'medium' | 'low';

/** Properties of a tool that are independent of its class. Spec: catalogue §3. */
export const AXES = [
  'egress',
  'untrusted_input',
  'private_data',
  'secret_in',
  'secret_out',
  'bulk',
  'irreversible',
  'multiplexed',
  'code_input',
  'path_input',
  'url_input',
  'html_input',
  'recipient_input',
  'money_input',
  'admin',
  'open_schema',
  'many_parameters',
  'paid_per_call',
  'schema_smell',
] as const;

export type Axis = (typeof AXES)[number];

export interface Evidence {
  /** Where it stands: `name`, `description`, `inputSchema.properties.callback_url`, `annotations.destructiveHint`, `server`. */
  field: string;
  /** The word that counted, in lower case. */
  token: string;
  /** The rule that took it, such as `name.verb`. */
  rule: string;
  /** The class that it speaks for. */
  supports?: ToolClass;
  /** The axis that it sets. */
  axis?: Axis;
}

/** An axis as a sentence for people. */
export interface Signal {
  axis: Axis;
  /** For instance "Accepts URL or endpoint input (callback_url)". */
  text: string;
  /** Parameters by path, such as `items[].url`; empty when the axis is not about parameters. */
  parameters: string[];
}

export interface Classification {
  class: ToolClass;
  severity: Severity;
  /** In the order of `AXES`. */
  axes: Axis[];
  signals: Signal[];
  evidence: Evidence[];
  /** `low`: the evidence conflicts or is missing, and a person should look. */
  confidence: Confidence;
  /** The version of the rules; a new version changes nothing that was accepted. */
  version: number;
}

/** A tool as its server lists it. Everything but the name may be missing or ill-formed. */
export interface ToolDefinition {
  name: string;
  title?: string;
  description?: string;
  inputSchema?: unknown;
  outputSchema?: unknown;
  annotations?: Record<string, unknown>;
}

export interface ServerContext {
  slug?: string;
  name?: string;
  /** Whether the annotations of its author may lower a class. Default false. */
  trusted?: boolean;
}

/** The worse of two classes. */
export function worstClass(a: ToolClass, b: ToolClass): ToolClass {
  return TOOL_CLASSES.indexOf(a) >= TOOL_CLASSES.indexOf(b) ? a : b;
}

const SEVERITIES: Readonly<Record<ToolClass, Severity>> = {
  read: 'low',
  write: 'medium',
  execute: 'high',
  destructive: 'critical',
  financial: 'critical',
};

export function severityOf(c: ToolClass): Severity {
  return SEVERITIES[c];
}
