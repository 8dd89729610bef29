import { EXIT, type ExitCode, exitCodeOf } from './exit-codes.ts';

export interface ErrorDetail {
  pointer: string;
  message: string;
  suggestion?: string | undefined;
}

/** An error that the command line shows as one plain message and turns into an exit code. */
export class CliError extends Error {
  readonly exitCode: ExitCode;
  /** Stable code, as in the API's problem documents. */
  readonly code: string;
  readonly details: readonly ErrorDetail[];
  readonly requestId: string | undefined;

  constructor(
    exitCode: ExitCode,
    code: string,
    message: string,
    more: { details?: readonly ErrorDetail[]; requestId?: string | undefined; cause?: unknown } = {},
  ) {
    super(message, more.cause === undefined ? undefined : { cause: more.cause });
    this.name = 'CliError';
    this.exitCode = exitCode;
    this.code = code;
    this.details = more.details ?? [];
    this.requestId = more.requestId;
  }
}

export function usageError(message: string): CliError {
  return new CliError(EXIT.usage, 'usage', message);
}

export function notFound(message: string): CliError {
  return new CliError(EXIT.notFound, 'not_found', message);
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/** An error out of an answer that is not 2xx: the API's `application/problem+json`, or whatever else answered there. */
export function errorFromAnswer(status: number, body: unknown, where: string): CliError {
  if (typeof body !== 'object' || body === null || typeof (body as { code?: unknown }).code !== 'string') {
    return new CliError(
      status === 404 ? EXIT.notFound : EXIT.unreachable,
      'unexpected_answer',
      `${where} answered ${status} with something that is not from Gatehouse's API. Is the address right?`,
    );
  }
  const problem = body as { code: string; detail?: unknown; title?: unknown; requestId?: unknown; errors?: unknown };
  const details: ErrorDetail[] = [];
  for (const item of Array.isArray(problem.errors) ? problem.errors : []) {
    if (typeof item !== 'object' || item === null) continue;
    const { pointer, message, suggestion } = item as Record<string, unknown>;
    details.push({ pointer: textOf(pointer) ?? '', message: textOf(message) ?? '', suggestion: textOf(suggestion) });
  }
  const message = textOf(problem.detail) ?? textOf(problem.title) ?? `the gateway answered ${status}`;
  return new CliError(exitCodeOf(problem.code), problem.code, message, {
    details,
    requestId: textOf(problem.requestId),
  });
}

/** An error thrown by the gateway's own code when it runs in this process; recognised by its shape, not by its class. */
export function fromGatewayError(error: unknown): CliError | undefined {
  if (!(error instanceof Error) || error.name !== 'GatehouseError') return undefined;
  const { code, items } = error as Error & { code?: unknown; items?: unknown };
  if (typeof code !== 'string') return undefined;
  return new CliError(exitCodeOf(code), code, error.message, {
    details: Array.isArray(items) ? (items as ErrorDetail[]) : [],
    cause: error,
  });
}
