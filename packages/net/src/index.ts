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
export { Exchange, type ResponseHandler } from './http1/connection.ts';
export { Http1Error, type Http1ErrorCode } from './http1/http1-error.ts';
export { Http1Pool, type Http1PoolOptions } from './http1/pool.ts';
export type { RequestHead, RequestMethod, RequestParts } from './http1/request-head.ts';
export type { ResponseHeaders } from './http1/response-head.ts';
export { latin1Of } from './latin1.ts';
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
