// Errors as problem documents (RFC 9457).
import { randomUUID } from 'node:crypto';

import type { PolicyProblem } from '@gatehouse/policy';
import type { Context } from 'hono';
import { HTTPException } from 'hono/http-exception';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import type { z } from 'zod';
import { AuditUnavailableError } from '../audit/log.ts';
import { AuditQueryError } from '../audit/search.ts';
import { ERRORS, type ErrorCode, type ErrorItem, GatehouseError } from '../errors.ts';
import type { ApiDeps, ApiEnv } from './deps.ts';

export interface Problem {
  type: string;
  title: string;
  status: number;
  detail: string;
  code: ErrorCode;
  requestId: string;
  errors?: readonly ErrorItem[];
}

export type InputPlace = 'json' | 'form' | 'query' | 'param' | 'header' | 'cookie';

/** RFC 6901, from the parts of a path. */
export function pointerOf(path: readonly PropertyKey[]): string {
  return path.map((part) => `/${String(part).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
}

// A query has no JSON Pointer, so its parameters are named as they stand in the URL.
function placeOf(place: InputPlace, path: readonly PropertyKey[]): string {
  if (place === 'json') return pointerOf(path);
  const name = path.map(String).join('.');
  return place === 'query' ? `?${name}` : name;
}

/** One item for each fault; an unknown field is named by its own pointer. Values of the input are never repeated. */
export function itemsOf(issues: readonly z.core.$ZodIssue[], place: InputPlace): ErrorItem[] {
  return issues.flatMap((issue): ErrorItem[] => {
    if (issue.code === 'unrecognized_keys') {
      return issue.keys.map((key) => ({ pointer: placeOf(place, [...issue.path, key]), message: issue.message }));
    }
    return [{ pointer: placeOf(place, issue.path), message: issue.message }];
  });
}

/** The problems of a policy as the items of an error. */
export function policyInvalid(detail: string, problems: readonly PolicyProblem[]): GatehouseError {
  const items = problems.map(
    ({ pointer, message, suggestion }): ErrorItem =>
      suggestion === undefined ? { pointer, message } : { pointer, message, suggestion },
  );
  return new GatehouseError('policy_invalid', detail, items);
}

const PLACES: Readonly<Record<InputPlace, string>> = {
  json: 'The body is not as this route takes it',
  form: 'The body is not as this route takes it',
  query: 'The query is not as this route takes it',
  param: 'The path is not as this route takes it',
  header: 'A header is not as this route takes it',
  cookie: 'A cookie is not as this route takes it',
};

/** The hook of every validator: refuses with all faults at once. */
export function refuseInvalid(
  result: { target: string } & ({ success: true } | { success: false; error: z.core.$ZodError }),
): void {
  if (result.success) return;
  const place = result.target as InputPlace;
  const items = itemsOf(result.error.issues, place);
  const first = items[0];
  const where = first === undefined || first.pointer === '' ? '' : ` (${first.pointer})`;
  throw new GatehouseError('invalid_input', `${PLACES[place]}${where}: ${first?.message ?? 'it is not valid.'}`, items);
}

const BY_STATUS: Readonly<Record<number, ErrorCode>> = {
  400: 'invalid_input',
  413: 'too_large',
  415: 'unsupported_media_type',
};

function asGatehouseError(error: unknown): GatehouseError | undefined {
  if (error instanceof GatehouseError) return error;
  if (error instanceof AuditQueryError) return new GatehouseError('invalid_input', error.message, [], { cause: error });
  if (error instanceof AuditUnavailableError)
    return new GatehouseError('audit_unavailable', error.message, [], { cause: error });
  if (!(error instanceof HTTPException)) return undefined;
  const code = BY_STATUS[error.status];
  if (code === undefined) return undefined;
  return new GatehouseError(
    code,
    code === 'unsupported_media_type'
      ? 'Send the body as application/json, and say so in Content-Type.'
      : error.message,
  );
}

/** Gives the request its id, once; in the answer's `X-Request-Id`, too. */
export function nameRequest(c: Context<ApiEnv>): string {
  const known = c.get('requestId') as string | undefined;
  if (known !== undefined) return known;
  const requestId = `req_${randomUUID().replaceAll('-', '')}`;
  c.set('requestId', requestId);
  c.header('X-Request-Id', requestId);
  return requestId;
}

/** The answer for an error. Anything but a GatehouseError is a fault, and its text stays inside. */
export function problemResponse(c: Context<ApiEnv>, error: unknown, deps: Pick<ApiDeps, 'onFault'>): Response {
  const requestId = nameRequest(c);
  let known = asGatehouseError(error);
  if (known === undefined) {
    deps.onFault?.(error, requestId);
    known = new GatehouseError(
      'internal',
      `The request was not carried out. Look for ${requestId} in the program's log.`,
    );
  }
  const problem: Problem = {
    type: `https://gatehouse.dev/errors/${known.code}`,
    title: ERRORS[known.code].title,
    status: known.status,
    detail: known.message,
    code: known.code,
    requestId,
    ...(known.items.length > 0 ? { errors: known.items } : {}),
  };
  if (known.code === 'unauthorized') c.header('WWW-Authenticate', 'Bearer realm="gatehouse"');
  return c.json(problem, known.status as ContentfulStatusCode, { 'Content-Type': 'application/problem+json' });
}
