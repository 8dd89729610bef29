/**
 * An error that a caller can act on. `code` is stable and machine readable; `whatToDo` is one sentence for the
 * person or model that reads it. `httpStatus` and `traceId` are the provider's, kept so that "balance used up",
 * "moderated" and "disabled" can be told apart although all three arrive as 403 (spec: flux §1).
 */
export class FluxError extends Error {
  readonly code: string;
  readonly whatToDo: string;
  readonly httpStatus: number | undefined;
  readonly traceId: string | undefined;

  constructor(
    code: string,
    message: string,
    whatToDo: string,
    origin: { httpStatus?: number; traceId?: string; cause?: unknown } = {},
  ) {
    super(message, { cause: origin.cause });
    this.name = 'FluxError';
    this.code = code;
    this.whatToDo = whatToDo;
    this.httpStatus = origin.httpStatus;
    this.traceId = origin.traceId;
  }
}

/** What a task keeps of the error that ended it. */
export interface ErrorRecord {
  code: string;
  message: string;
  what_to_do: string;
  http_status?: number | undefined;
  trace_id?: string | undefined;
}

/** Any thrown value as a record; what is not a {@link FluxError} keeps its message under the code `internal`. */
export function toErrorRecord(error: unknown): ErrorRecord {
  if (error instanceof FluxError) {
    return {
      code: error.code,
      message: error.message,
      what_to_do: error.whatToDo,
      ...(error.httpStatus === undefined ? {} : { http_status: error.httpStatus }),
      ...(error.traceId === undefined ? {} : { trace_id: error.traceId }),
    };
  }
  return {
    code: 'internal',
    message: error instanceof Error ? error.message : String(error),
    what_to_do: 'Try again; if it happens again, report it with the task id and the server log of that moment.',
  };
}
