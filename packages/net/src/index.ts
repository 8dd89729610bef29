export { Backoff, type BackoffOptions } from './backoff.ts';
export {
  createEgressGuard,
  type EgressGuard,
  type EgressGuardOptions,
  type EgressRequest,
  type EgressResponse,
} from './egress.ts';
export { EgressError, type EgressErrorCode, type EgressVerdict } from './egress-rules.ts';
export { type CleanEnvironmentOptions, cleanEnvironment } from './environment.ts';
export { flattenNewlines, LineSplitter, type LineSplitterOptions, type OversizedLine } from './lines.ts';
export {
  type ExitStatus,
  type StartError,
  type StartResult,
  StdioChild,
  type StdioChildOptions,
  type StopOptions,
  type WriteResult,
} from './stdio-child.ts';
export { TailBuffer } from './tail-buffer.ts';
