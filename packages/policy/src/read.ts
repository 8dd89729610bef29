/** Compiles a path to a reader over one call. */
import type { Path, Step } from './path.ts';
import { pathFacts } from './schema-facts.ts';
import type { JudgeContext, PinnedTool } from './types.ts';
import { isObject, kindOf } from './values.ts';
import { type LocalTime, localTime, type Zone } from './zone.ts';

/** Nothing is there. */
export const ABSENT: unique symbol = Symbol('absent');
/** A step goes through a value of the wrong type. */
export const MISFIT: unique symbol = Symbol('misfit');

/** One call under judgement. */
export interface Frame {
  readonly args: unknown;
  readonly context: JudgeContext;
  readonly tool: PinnedTool | undefined;
  readonly zone: Zone;
  /** Filled on first use. */
  time?: LocalTime;
}

/** Reads one value, `ABSENT` or `MISFIT`. */
export type ReadOne = (frame: Frame) => unknown;
/** Reads every element of a path with `[*]`: `ABSENT` or `MISFIT` when a step before the first `[*]` fails, else a list of values, `ABSENT` and `MISFIT`. */
export type ReadMany = (frame: Frame) => readonly unknown[] | typeof ABSENT | typeof MISFIT;

function rootReader(root: Path['root']): ReadOne {
  switch (root) {
    case 'args':
      return (frame) => frame.args;
    case 'identity':
      return (frame) => frame.context.caller.identity;
    case 'grant':
      return (frame) => frame.context.caller.grant;
    case 'server':
      return (frame) => frame.context.caller.server;
    case 'client':
      return (frame) => frame.context.caller.client ?? {};
    case 'tool':
      return (frame) => frame.tool ?? {};
    case 'time':
      return (frame) => {
        frame.time ??= localTime(frame.context.now, frame.zone);
        return frame.time;
      };
  }
}

function stepInto(value: unknown, step: Step, nullIsAbsent: boolean): unknown {
  let next: unknown;
  if (step.kind === 'key') {
    if (!isObject(value)) return MISFIT;
    if (!Object.hasOwn(value, step.key)) return ABSENT;
    next = value[step.key];
  } else if (step.kind === 'index') {
    if (!Array.isArray(value)) return MISFIT;
    if (step.index >= value.length) return ABSENT;
    next = value[step.index];
  } else {
    return MISFIT;
  }
  if (next === undefined || (next === null && nullIsAbsent)) return ABSENT;
  return next;
}

/** Per step, whether `null` counts as absence there. Values of the context that are null or undefined are always absent. */
function nullFlags(path: Path, tool: PinnedTool | undefined): readonly boolean[] {
  if (path.root !== 'args') return path.steps.map(() => true);
  return pathFacts(tool?.inputSchema, path.steps).nullIsAbsent;
}

/** For paths without `[*]`. */
export function compileReadOne(path: Path, tool: PinnedTool | undefined): ReadOne {
  const root = rootReader(path.root);
  const flags = nullFlags(path, tool);
  const { steps } = path;
  const [first] = steps;
  if (steps.length === 1 && first?.kind === 'key' && path.root === 'args') {
    // The common case, one key below args, without a loop.
    const { key } = first;
    const nullIsAbsent = flags[0] === true;
    return ({ args }) => {
      if (args === null || typeof args !== 'object' || kindOf(args) !== 'object') return MISFIT;
      if (!Object.hasOwn(args, key)) return ABSENT;
      const value = (args as Record<string, unknown>)[key];
      return value === undefined || (value === null && nullIsAbsent) ? ABSENT : value;
    };
  }
  return (frame) => {
    let value = root(frame);
    for (let i = 0; i < steps.length; i++) {
      value = stepInto(value, steps[i]!, flags[i] === true);
      if (value === ABSENT || value === MISFIT) return value;
    }
    return value;
  };
}

/** For paths with `[*]`. Nested ones are flattened. */
export function compileReadMany(path: Path, tool: PinnedTool | undefined): ReadMany {
  const root = rootReader(path.root);
  const flags = nullFlags(path, tool);
  const { steps } = path;
  const walk = (start: unknown, from: number, out: unknown[]): typeof ABSENT | typeof MISFIT | undefined => {
    let value = start;
    for (let i = from; i < steps.length; i++) {
      const step = steps[i]!;
      if (step.kind === 'each') {
        if (!Array.isArray(value)) return MISFIT;
        for (const element of value) {
          const inner = element === null && flags[i] ? ABSENT : walk(element, i + 1, out);
          if (inner !== undefined) out.push(inner);
        }
        return undefined;
      }
      value = stepInto(value, step, flags[i] === true);
      if (value === ABSENT || value === MISFIT) return value as typeof ABSENT | typeof MISFIT;
    }
    out.push(value);
    return undefined;
  };
  return (frame) => {
    const out: unknown[] = [];
    return walk(root(frame), 0, out) ?? out;
  };
}
