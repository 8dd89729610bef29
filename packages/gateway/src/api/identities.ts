import { OpenAPIHono, z } from '@hono/zod-openapi';
import type { ApiDeps, ApiEnv } from './deps.ts';
import { requireMatch } from './etag.ts';
import { defineRoute, ifMatchHeader, json, jsonBody, listOf, strict } from './route.ts';
import { identitySchema } from './schemas.ts';

const refParam = z.object({
  ref: z.string().openapi({ param: { name: 'ref', in: 'path' }, description: 'Id or name.' }),
});

const createInput = strict({
  name: z.string(),
  kind: z.enum(['person', 'agent']).optional(),
  email: z.string().optional(),
  groups: z.array(z.string()).optional(),
  owner: z.string().optional().openapi({ description: 'The person who answers for an agent.' }),
}).openapi('IdentityInput');

const patchInput = strict({
  email: z.string().optional(),
  groups: z.array(z.string()).optional(),
  owner: z.string().optional(),
  disabled: z
    .boolean()
    .optional()
    .openapi({ description: 'A disabled identity opens nothing, from the next message on.' }),
}).openapi('IdentityPatch');

const tags = ['identities'];

const listRoute = defineRoute({
  method: 'get',
  path: '/identities',
  operationId: 'listIdentities',
  tags,
  summary: 'All identities',
  responses: { 200: json(listOf(identitySchema), 'All identities.') },
});

const createIdentityRoute = defineRoute(
  {
    method: 'post',
    path: '/identities',
    operationId: 'createIdentity',
    tags,
    summary: 'Make a person or an agent known',
    request: { body: jsonBody(createInput) },
    responses: { 201: json(identitySchema, 'The identity.') },
  },
  [409, 503],
);

const getRoute = defineRoute(
  {
    method: 'get',
    path: '/identities/{ref}',
    operationId: 'getIdentity',
    tags,
    summary: 'One identity',
    request: { params: refParam },
    responses: { 200: json(identitySchema, 'The identity. It has no revision, so no ETag.') },
  },
  [404],
);

const patchRoute = defineRoute(
  {
    method: 'patch',
    path: '/identities/{ref}',
    operationId: 'updateIdentity',
    tags,
    summary: 'Change an identity, or disable it',
    request: { params: refParam, headers: ifMatchHeader, body: jsonBody(patchInput) },
    responses: { 200: json(identitySchema, 'The identity as it is now.') },
  },
  [404, 412, 503],
);

export function identitiesApi({ services }: ApiDeps) {
  return new OpenAPIHono<ApiEnv>()
    .openapi(listRoute, (c) => c.json({ items: services.identities.list() }, 200))
    .openapi(createIdentityRoute, async (c) => {
      const identity = await services.identities.create(c.req.valid('json'), c.get('actor'));
      c.header('Location', `/api/v1/identities/${identity.id}`);
      return c.json(identity, 201);
    })
    .openapi(getRoute, (c) => c.json(services.identities.get(c.req.valid('param').ref), 200))
    .openapi(patchRoute, async (c) => {
      const { ref } = c.req.valid('param');
      // RFC 9110 §13.1.1: a precondition on a tag that the resource does not have is false, never ignored.
      requireMatch(c.req.valid('header')['if-match'], undefined, `Identity "${ref}"`);
      return c.json(await services.identities.update(ref, c.req.valid('json'), c.get('actor')), 200);
    });
}
