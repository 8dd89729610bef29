import type { ToolClass } from '@gatehouse/classify';
import type { JsonValue } from '@gatehouse/wire';

/** A tool as a person accepted it: the only definition that rules and validation look at. */
export interface PinnedTool {
  readonly name: string;
  readonly class: ToolClass;
  /** SHA-256 of the canonical definition, lower-case hexadecimal. */
  readonly digest: string;
  /** `new`: no person has accepted it yet; `changed`: it must be looked at again (spec: gateway §6). */
  readonly state: 'accepted' | 'new' | 'changed';
  readonly inputSchema: unknown;
  readonly annotations?: Readonly<Record<string, unknown>>;
  readonly validator: ArgumentValidator;
}

export interface ArgumentValidator {
  /**
   * Never throws on JSON input. `null` for an optional property counts as absent (spec: policy §4).
   * @param plain the arguments are known to hold neither null nor inexact numbers, at any depth
   */
  validate(args: JsonValue, plain?: boolean): ArgumentReport;
}

export interface ArgumentReport {
  /** What contradicts the schema: wrong types, bounds, required properties. */
  readonly problems: readonly ArgumentProblem[];
  /** Properties that the schema does not declare, at any depth. */
  readonly undeclared: readonly ArgumentProblem[];
}

export interface ArgumentProblem {
  /** In the language's path syntax: `args.count`, `args["key.with.dots"]`, `args.to[0]`. */
  readonly path: string;
  /** A whole plain sentence: `count is 8; at most 4 is allowed.` Never carries a string of the caller. */
  readonly message: string;
}

/** A `pattern` that RE2 cannot run: the arguments that it guards are denied (spec: policy §4). */
export interface UnrunnablePattern {
  readonly pattern: string;
  readonly reason: string;
}

export type SchemaCompiler = (
  schema: unknown,
) =>
  | { ok: true; validator: ArgumentValidator; unrunnable: readonly UnrunnablePattern[] }
  | { ok: false; reason: string };

export interface PolicyProblem {
  /** JSON Pointer (RFC 6901) into the document; the empty string is the whole document. */
  readonly pointer: string;
  readonly message: string;
  readonly suggestion?: string;
  readonly severity: 'error' | 'warning';
  /** Stable, lower-case with underscores: `unknown_field`, `missing_undecided`, … */
  readonly code: string;
}

export interface Caller {
  readonly identity: {
    readonly id: string;
    readonly name: string;
    readonly email?: string;
    readonly groups: readonly string[];
  };
  readonly grant: {
    readonly id: string;
    readonly label: string;
    readonly attributes: Readonly<Record<string, string>>;
  };
  readonly server: { readonly slug: string };
  /** Absent where the protocol has no sessions: the scope `session` is then the grant. */
  readonly session?: string;
  /** What the client says of itself; never proven. */
  readonly client?: { readonly name: string; readonly version: string };
}

export interface Call {
  readonly tool: string;
  /** `{}` when the call has none. */
  readonly arguments: JsonValue;
  /** The arguments are known to hold neither null nor inexact numbers: who read them knows, and saves the search. */
  readonly plain?: boolean;
}

export interface JudgeContext {
  readonly caller: Caller;
  /** Milliseconds since the epoch. */
  readonly now: number;
  /** Default false. Frozen servers run only tools of the class `read`. */
  readonly frozen?: boolean;
  /** Names of top-level arguments that known clients add by themselves (a server's setting). */
  readonly toleratedArguments?: ReadonlySet<string>;
}

/** A predicate's value (spec: policy §3). */
export type TruthName = 'true' | 'false' | 'indeterminate' | 'missing';

export interface RuleFailure {
  readonly pointer: string;
  readonly name?: string;
  /** The path that was read, where the rule reads one. */
  readonly path?: string;
  readonly value: TruthName;
  /** The policy's own reason where it gives one, else a sentence of the engine. */
  readonly message: string;
}

/** What a limit with a window takes of a call. */
export interface Charge {
  /** Only a {@link SlotCharge} has one. */
  readonly kind?: undefined;
  /** The whole counter: name, window, alignment (with zone), scope and whose it is. */
  readonly key: string;
  readonly counter: string;
  /** For a calendar month 2592000, a nominal figure: `unit` decides. */
  readonly windowSeconds: number;
  readonly align: 'sliding' | 'calendar';
  /** The calendar period; absent for sliding windows. */
  readonly unit?: CalendarUnit;
  readonly timezone: string;
  /** Integer ≥ 0: the smallest of the limits that share the counter. */
  readonly max: number;
  /** Safe integer ≥ 0. */
  readonly amount: number;
  readonly pointer: string;
  readonly name?: string;
  readonly reason?: string;
  readonly scope: LimitScope;
}

/** What a `concurrent` limit takes of a call: one slot, for as long as the call is under way. */
export interface SlotCharge {
  readonly kind: 'slot';
  /** Whose calls share the slots: name, scope and whose it is. */
  readonly key: string;
  /** `<owner>_concurrent`: the tool's name, `@class`, `all_tools`, `resources` or `prompts`. */
  readonly counter: string;
  /** Integer ≥ 1, the calls that may be under way at once: the smallest of the limits that share the slots. */
  readonly max: number;
  readonly amount: 1;
  readonly pointer: string;
  readonly name?: string;
  readonly reason?: string;
  readonly scope: LimitScope;
}

export type LimitCharge = Charge | SlotCharge;

export type CalendarUnit = 'minute' | 'hour' | 'day' | 'week' | 'month';
export type LimitScope = 'grant' | 'identity' | 'server' | 'session';

export interface AllowDecision {
  readonly outcome: 'allow';
  /** What must be reserved, all or none, before the call is forwarded. */
  readonly charges: readonly LimitCharge[];
  /** Sentences for the record: undeclared or ill-typed arguments where the policy only warns. */
  readonly warnings: readonly string[];
  readonly rule: '';
}

export interface DenyDecision {
  readonly outcome: 'deny';
  /** A JSON Pointer into the document, or `(hidden)`, `(unknown tool)`, `(frozen)`, `(no policy)`, `(new tool)`,
   * `(definition changed)`, `(default deny)`, `(arguments)`, `(resource)`, `(internal error)`. */
  readonly rule: string;
  readonly name?: string;
  readonly reason: string;
  /** True for hidden and unknown tools: to the caller both are the same bytes. */
  readonly concealed: boolean;
  /** Every failing rule of the step that denied. */
  readonly failures: readonly RuleFailure[];
  /** Present when waiting helps: whole milliseconds. */
  readonly retryAfterMs?: number;
}

export type Decision = AllowDecision | DenyDecision;

export interface TracePredicate {
  readonly pointer: string;
  readonly name?: string;
  readonly kind: 'predicate' | 'any' | 'all' | 'not';
  readonly path?: string;
  readonly op?: string;
  /** What the path read: the value, or the word for its absence. Every element for a path with `[*]`. */
  readonly read?: { readonly found: boolean; readonly value?: JsonValue; readonly note?: string };
  readonly value: TruthName;
  readonly members?: readonly TracePredicate[];
}

export interface TraceStep {
  /** The number in the order of judgement (spec: policy §7). */
  readonly step: number;
  readonly title: string;
  readonly result: 'pass' | 'deny' | 'not reached';
  readonly detail?: string;
  readonly predicates: readonly TracePredicate[];
}

export interface Trace {
  readonly steps: readonly TraceStep[];
  readonly decision: Decision;
}
