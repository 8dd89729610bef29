import { OpenAPIHono, z } from '@hono/zod-openapi';
import type { ApiDeps, ApiEnv } from './deps.ts';
import { etagOf, ifMatch, requireMatch } from './etag.ts';
import { defineRoute, ifMatchHeader, instant, json, jsonBody, listOf, optionalJsonBody, strict } from './route.ts';
import { grantSchema, secretSchema, tokenSchema, tokenWithSecretSchema } from './schemas.ts';
import { DEFAULT_OVERLAP_SECONDS, rotateInput } from './tokens.ts';

const idParam = z.object({ id: z.string().openapi({ param: { name: 'id', in: 'path' } }) });
const attributes = z.record(z.string(), z.string());

const createInput = strict({
  server: z.string().openapi({ description: 'Slug of the server.' }),
  identity: z.string().openapi({ description: 'Id or name; made when nobody has that name.' }),
  identityKind: z.enum(['person', 'agent']).optional(),
  policy: z
    .string()
    .optional()
    .openapi({ description: 'Name of a policy of that server; without one every call is denied.' }),
  label: z.string().optional(),
  attributes: attributes.optional(),
  sources: z
    .array(z.string())
    .optional()
    .openapi({ description: 'CIDR blocks that calls may come from; left out: any.' }),
  expiresAt: instant.optional(),
  token: z.boolean().optional().openapi({ description: 'false: make no token.' }),
  tokenExpiresAt: instant.optional(),
}).openapi('GrantInput');

const patchInput = strict({
  policy: z.string().nullable().optional(),
  label: z.string().optional(),
  attributes: attributes.optional(),
  sources: z.array(z.string()).optional(),
  expiresAt: instant.nullable().optional(),
}).openapi('GrantPatch', { description: 'null takes the policy or the expiry away.' });

const createdSchema = z
  .object({
    grant: grantSchema,
    identityCreated: z.boolean(),
    token: tokenSchema.optional(),
    secret: secretSchema.optional(),
    url: z.string().openapi({ description: 'The proxy URL that the client uses.' }),
  })
  .openapi('GrantCreated');

const tags = ['grants'];

const listRoute = defineRoute(
  {
    method: 'get',
    path: '/grants',
    operationId: 'listGrants',
    tags,
    summary: 'All grants, or those of a server or an identity',
    request: { query: strict({ server: z.string().optional(), identity: z.string().optional() }) },
    responses: { 200: json(listOf(grantSchema), 'Grants, revoked ones included.') },
  },
  [404],
);

const createGrantRoute = defineRoute(
  {
    method: 'post',
    path: '/grants',
    operationId: 'createGrant',
    tags,
    summary: 'Let an identity use a server; makes the identity and a token when they are missing',
    request: { body: jsonBody(createInput) },
    responses: { 201: json(createdSchema, 'The grant, and the secret of its token this once.') },
  },
  [404, 409, 503],
);

const getRoute = defineRoute(
  {
    method: 'get',
    path: '/grants/{id}',
    operationId: 'getGrant',
    tags,
    summary: 'One grant',
    request: { params: idParam },
    responses: { 200: json(grantSchema, 'The grant.') },
  },
  [404],
);

const patchRoute = defineRoute(
  {
    method: 'patch',
    path: '/grants/{id}',
    operationId: 'updateGrant',
    tags,
    summary: 'Change policy, label, attributes, sources or expiry',
    request: { params: idParam, headers: ifMatchHeader, body: jsonBody(patchInput) },
    responses: { 200: json(grantSchema, 'The grant as it is now.') },
  },
  [404, 409, 412, 503],
);

const revokeRoute = defineRoute(
  {
    method: 'delete',
    path: '/grants/{id}',
    operationId: 'revokeGrant',
    tags,
    summary: 'Revoke a grant, from the next message on',
    request: { params: idParam, headers: ifMatchHeader },
    responses: { 200: json(grantSchema, 'The revoked grant.') },
  },
  [404, 412, 503],
);

const rotateRoute = defineRoute(
  {
    method: 'post',
    path: '/grants/{id}/rotate',
    operationId: 'rotateGrant',
    tags,
    summary: 'A new token for this grant; those that open only it end after the overlap',
    request: { params: idParam, body: optionalJsonBody(rotateInput) },
    responses: { 200: json(tokenWithSecretSchema, 'The new token, and its secret this once.') },
  },
  [404, 409, 503],
);

export function grantsApi({ services, runtime }: ApiDeps) {
  return new OpenAPIHono<ApiEnv>()
    .openapi(listRoute, (c) => c.json({ items: services.grants.list(c.req.valid('query')) }, 200))
    .openapi(createGrantRoute, async (c) => {
      const made = await services.grants.create(c.req.valid('json'), c.get('actor'));
      const { grant, identityCreated, token, secret } = made;
      c.header('ETag', etagOf(grant.revision));
      c.header('Location', `/api/v1/grants/${grant.id}`);
      return c.json({ grant, identityCreated, token, secret, url: runtime.proxyUrl(grant.server) }, 201);
    })
    .openapi(getRoute, (c) => {
      const grant = services.grants.get(c.req.valid('param').id);
      c.header('ETag', etagOf(grant.revision));
      return c.json(grant, 200);
    })
    .openapi(patchRoute, async (c) => {
      const { id } = c.req.valid('param');
      const seen = ifMatch(c.req.valid('header')['if-match'], `Grant "${id}"`);
      const grant = await services.grants.update(id, c.req.valid('json'), seen, c.get('actor'));
      c.header('ETag', etagOf(grant.revision));
      return c.json(grant, 200);
    })
    .openapi(revokeRoute, async (c) => {
      const { id } = c.req.valid('param');
      requireMatch(c.req.valid('header')['if-match'], services.grants.get(id).revision, `Grant "${id}"`);
      const grant = await services.grants.revoke(id, c.get('actor'));
      c.header('ETag', etagOf(grant.revision));
      return c.json(grant, 200);
    })
    .openapi(rotateRoute, async (c) => {
      const overlap = c.req.valid('json').overlapSeconds ?? DEFAULT_OVERLAP_SECONDS;
      const { token, secret } = await services.grants.rotate(c.req.valid('param').id, overlap, c.get('actor'));
      return c.json({ token, secret }, 200);
    });
}
