import { OpenAPIHono, z } from '@hono/zod-openapi';
import type { ApiDeps, ApiEnv } from './deps.ts';
import { defineRoute, instant, json, jsonBody, listOf, optionalJsonBody, strict } from './route.ts';
import { tokenSchema, tokenWithSecretSchema } from './schemas.ts';

/** How long an old token holds beside its replacement, in seconds, when the caller does not say. */
export const DEFAULT_OVERLAP_SECONDS = 86_400;

export const rotateInput = strict({
  overlapSeconds: z
    .int()
    .optional()
    .openapi({
      description: `How long the old token holds beside the new one; ${DEFAULT_OVERLAP_SECONDS} when left out.`,
    }),
}).openapi('RotateInput');

const idParam = z.object({ id: z.string().openapi({ param: { name: 'id', in: 'path' } }) });

const createInput = strict({
  identity: z.string().openapi({ description: 'Id or name.' }),
  label: z.string().optional(),
  grants: z.array(z.string()).optional().openapi({ description: 'Ids of the grants that it opens; left out: all.' }),
  expiresAt: instant.optional(),
}).openapi('TokenInput');

const tags = ['tokens'];

const listRoute = defineRoute(
  {
    method: 'get',
    path: '/tokens',
    operationId: 'listTokens',
    tags,
    summary: 'All tokens, or those of one identity',
    request: { query: strict({ identity: z.string().optional() }) },
    responses: { 200: json(listOf(tokenSchema), 'Tokens without their secrets.') },
  },
  [404],
);

const createTokenRoute = defineRoute(
  {
    method: 'post',
    path: '/tokens',
    operationId: 'createToken',
    tags,
    summary: 'Make a token for an identity',
    request: { body: jsonBody(createInput) },
    responses: { 201: json(tokenWithSecretSchema, 'The token, and its secret this once.') },
  },
  [404, 503],
);

const rotateRoute = defineRoute(
  {
    method: 'post',
    path: '/tokens/{id}/rotate',
    operationId: 'rotateToken',
    tags,
    summary: 'A new token with the same identity, grants and label; the old one ends after the overlap',
    request: { params: idParam, body: optionalJsonBody(rotateInput) },
    responses: { 200: json(tokenWithSecretSchema, 'The new token, and its secret this once.') },
  },
  [404, 409, 503],
);

const revokeRoute = defineRoute(
  {
    method: 'delete',
    path: '/tokens/{id}',
    operationId: 'revokeToken',
    tags,
    summary: 'Revoke a token, from the next message on',
    request: { params: idParam },
    responses: { 200: json(tokenSchema, 'The revoked token.') },
  },
  [404, 503],
);

export function tokensApi({ services }: ApiDeps) {
  return new OpenAPIHono<ApiEnv>()
    .openapi(listRoute, (c) => {
      const { identity } = c.req.valid('query');
      return c.json({ items: services.tokens.list(identity) }, 200);
    })
    .openapi(createTokenRoute, async (c) => {
      const { token, secret } = await services.tokens.create(c.req.valid('json'), c.get('actor'));
      return c.json({ token, secret }, 201);
    })
    .openapi(rotateRoute, async (c) => {
      const overlap = c.req.valid('json').overlapSeconds ?? DEFAULT_OVERLAP_SECONDS;
      const { token, secret } = await services.tokens.rotate(c.req.valid('param').id, overlap, c.get('actor'));
      return c.json({ token, secret }, 200);
    })
    .openapi(revokeRoute, async (c) =>
      c.json(await services.tokens.revoke(c.req.valid('param').id, c.get('actor')), 200),
    );
}
