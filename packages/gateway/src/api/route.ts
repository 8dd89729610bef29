// How a route is declared: what all of them share stands here once.
import { createRoute, type RouteConfig, z } from '@hono/zod-openapi';
import { ERRORS, type ErrorCode } from '../errors.ts';

/** Largest body of a request to the API, in bytes. */
export const MAX_API_BODY = 4 * 1024 * 1024;

export const problemSchema = z
  .object({
    type: z.url(),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
    code: z.enum(Object.keys(ERRORS) as [ErrorCode, ...ErrorCode[]]),
    requestId: z.string(),
    errors: z
      .array(z.object({ pointer: z.string(), message: z.string(), suggestion: z.string().optional() }))
      .optional(),
  })
  .openapi('Problem', { description: 'RFC 9457. `errors` names every fault of the input.' });

const problemContent = { 'application/problem+json': { schema: problemSchema } };

/** Statuses that any route may answer, with the sentence for the document. */
const COMMON_PROBLEMS = {
  400: 'The request is not valid.',
  401: 'The admin token is missing or wrong.',
  500: 'An error inside Gatehouse.',
} as const;

const PROBLEMS = {
  404: 'There is no such thing.',
  409: 'It exists already, or is in use.',
  412: 'It was changed in the meantime.',
  413: 'The body is larger than 4 MiB.',
  415: 'The content type is not supported.',
  422: 'The policy is not valid.',
  502: 'The MCP server could not be reached.',
  503: 'The store or the audit log does not accept changes.',
} as const;

export const BEARER_SCHEME = 'adminToken';

/**
 * A route that demands the admin token and answers problem documents. Its type names only what it answers when it
 * succeeds, so that the typed client's results are not unions with every error.
 * @param problems statuses beside 400, 401 and 500 (and 413 and 415 for those with a body)
 */
export function defineRoute<
  P extends string,
  R extends Omit<RouteConfig, 'path' | 'security'> & { path: P; operationId: string; summary: string },
>(config: R, problems: readonly (keyof typeof PROBLEMS)[] = []) {
  const statuses = config.request?.body === undefined ? problems : [...problems, 413 as const, 415 as const];
  const responses: RouteConfig['responses'] = { ...config.responses };
  for (const [status, description] of Object.entries(COMMON_PROBLEMS))
    responses[status] = { description, content: problemContent };
  for (const status of statuses) responses[status] = { description: PROBLEMS[status], content: problemContent };
  return createRoute<P, R>({ ...config, security: [{ [BEARER_SCHEME]: [] }], responses } as R);
}

/** An object of the input: a field that it does not have is refused, and the message says which there are. */
export function strict<S extends z.core.$ZodLooseShape>(shape: S) {
  const names = Object.keys(shape);
  const fields = names.length === 0 ? 'there are none' : `the fields are ${names.join(', ')}`;
  return z.strictObject(shape, {
    error: (issue) => (issue.code === 'unrecognized_keys' ? `There is no such field here; ${fields}.` : undefined),
  });
}

/** `{ "items": [...], "next"?: cursor }`, the shape of every list. */
export function listOf<T>(item: z.ZodType<T>) {
  return z.object({
    items: z.array(item),
    next: z.string().optional().openapi({ description: 'Give it as `cursor` to get what follows; absent at the end.' }),
  });
}

export function json<T extends z.ZodType>(schema: T, description: string) {
  return { description, content: { 'application/json': { schema } } };
}

export function jsonBody<T extends z.ZodType>(schema: T) {
  return { required: true as const, content: { 'application/json': { schema } } };
}

/** A body that may be left out; the handler then finds `{}`. */
export function optionalJsonBody<T extends z.ZodType>(schema: T) {
  return { required: false as const, content: { 'application/json': { schema } } };
}

export const instant = z.iso.datetime({
  offset: true,
  error: 'Write a time as RFC 3339, such as 2026-05-01T08:00:00Z.',
});

export const slugParam = z.object({
  slug: z.string().openapi({ param: { name: 'slug', in: 'path' }, example: 'flux' }),
});

export const ifMatchHeader = z.object({
  'if-match': z.string().optional().openapi({
    description: 'The ETag that you saw; with another one nothing is changed (412).',
  }),
});
