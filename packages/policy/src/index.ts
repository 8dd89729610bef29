export { checkPolicy } from './check.ts';
export { type CompiledPolicy, compilePolicy } from './compile.ts';
export { type CounterWindow, windowOfKey } from './counter-key.ts';
export { explain } from './explain.ts';
export { FEATURES, type Feature } from './features.ts';
export { judge, judgeWithoutArguments, toolVisibility } from './judge.ts';
export { type LimitState, limitDenial } from './limit-denial.ts';
export { MAX_SECONDS as MAX_WINDOW_SECONDS } from './limits.ts';
export { parsePolicyText } from './parse-text.ts';
export { judgePrompt, judgeResource, judgeResourceTemplate } from './resources.ts';
export type {
  AllowDecision,
  ArgumentProblem,
  ArgumentReport,
  ArgumentValidator,
  CalendarUnit,
  Call,
  Caller,
  Charge,
  Decision,
  DenyDecision,
  JudgeContext,
  LimitCharge,
  LimitScope,
  PinnedTool,
  PolicyProblem,
  RuleFailure,
  SchemaCompiler,
  SlotCharge,
  Trace,
  TracePredicate,
  TraceStep,
  TruthName,
  UnrunnablePattern,
} from './types.ts';
export {
  chargeWindow,
  emptyWindow,
  isIdle,
  lookWindow,
  releaseWindow,
  type WindowState,
} from './window.ts';
