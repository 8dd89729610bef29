import { parsePolicyText } from '@gatehouse/policy';
import { OpenAPIHono, z } from '@hono/zod-openapi';
import { GatehouseError } from '../errors.ts';
import type { ApiDeps, ApiEnv } from './deps.ts';
import { etagOf, ifMatch, mustNotExist, requireMatch } from './etag.ts';
import { policyInvalid } from './problem.ts';
import { defineRoute, ifMatchHeader, json, listOf, slugParam } from './route.ts';
import { policySchema, policyVersionSchema } from './schemas.ts';

const policyParam = slugParam.extend({
  name: z.string().openapi({ param: { name: 'name', in: 'path' }, example: 'default' }),
});

const putHeaders = ifMatchHeader.extend({
  'if-none-match': z.string().optional().openapi({
    description: '`*`: the policy must not exist yet (else 412).',
  }),
});

const tags = ['policies'];

const listRoute = defineRoute(
  {
    method: 'get',
    path: '/servers/{slug}/policies',
    operationId: 'listPolicies',
    tags,
    summary: 'The policies of a server',
    request: { params: slugParam },
    responses: { 200: json(listOf(policySchema), 'Each in its present version.') },
  },
  [404],
);

const getRoute = defineRoute(
  {
    method: 'get',
    path: '/servers/{slug}/policies/{name}',
    operationId: 'getPolicy',
    tags,
    summary: 'One policy in its present version',
    request: { params: policyParam },
    responses: { 200: json(policySchema, 'The policy.') },
  },
  [404],
);

const versionsRoute = defineRoute(
  {
    method: 'get',
    path: '/servers/{slug}/policies/{name}/versions',
    operationId: 'listPolicyVersions',
    tags,
    summary: 'Every version that was ever saved',
    request: { params: policyParam },
    responses: { 200: json(listOf(policyVersionSchema), 'The versions.') },
  },
  [404],
);

/**
 * A schema for the OpenAPI document alone, so that the body reaches the handler as the text that was sent: the policy
 * package reads it, names lines, and refuses what JSON.parse would let pass. To the typed client it is any value.
 */
const unvalidated = (schema: { type: 'object' | 'string'; description: string }) => schema as unknown as z.ZodUnknown;

const POLICY_TYPE = /^application\/(?:json|yaml)\s*(?:;|$)/i;

const putRoute = defineRoute(
  {
    method: 'put',
    path: '/servers/{slug}/policies/{name}',
    operationId: 'putPolicy',
    tags,
    summary: 'Save a policy; grants that carry it use it from the next message',
    request: {
      params: policyParam,
      headers: putHeaders,
      body: {
        required: true as const,
        content: {
          'application/json': { schema: unvalidated({ type: 'object', description: 'The document.' }) },
          'application/yaml': { schema: unvalidated({ type: 'string', description: 'The document as YAML 1.2.' }) },
        },
      },
    },
    responses: { 200: json(policySchema, 'A new version.'), 201: json(policySchema, 'A new policy.') },
  },
  [404, 412, 422, 503],
);

const deleteRoute = defineRoute(
  {
    method: 'delete',
    path: '/servers/{slug}/policies/{name}',
    operationId: 'removePolicy',
    tags,
    summary: 'Remove a policy that no grant carries',
    request: { params: policyParam, headers: ifMatchHeader },
    responses: { 204: { description: 'Removed.' } },
  },
  [404, 409, 412, 503],
);

/**
 * The document in a text of JSON or YAML.
 * @throws GatehouseError policy_invalid
 */
export function documentOf(text: string): unknown {
  const parsed = parsePolicyText(text);
  if (parsed.ok) return parsed.document;
  throw policyInvalid(
    `The policy cannot be read: ${parsed.problems[0]?.message ?? 'it is neither JSON nor YAML.'}`,
    parsed.problems,
  );
}

/** `If-Match` or `If-None-Match: *` as the version that must be there; 0: none. */
function demandedVersion(headers: z.output<typeof putHeaders>, what: string): number | undefined {
  const seen = ifMatch(headers['if-match'], what);
  if (!mustNotExist(headers['if-none-match'])) return seen;
  if (headers['if-match'] !== undefined) {
    throw new GatehouseError('invalid_input', 'If-Match and If-None-Match exclude each other.', [
      { pointer: 'If-None-Match', message: 'Send it for a new policy, or If-Match for one that is there.' },
    ]);
  }
  return 0;
}

export function policiesApi({ services }: ApiDeps) {
  return new OpenAPIHono<ApiEnv>()
    .openapi(listRoute, (c) => {
      const { slug } = services.servers.get(c.req.valid('param').slug);
      return c.json({ items: services.policies.list(slug) }, 200);
    })
    .openapi(getRoute, (c) => {
      const { slug, name } = c.req.valid('param');
      const policy = services.policies.get(slug, name);
      c.header('ETag', etagOf(policy.version));
      return c.json(policy, 200);
    })
    .openapi(versionsRoute, (c) => {
      const { slug, name } = c.req.valid('param');
      return c.json({ items: services.policies.versions(slug, name) }, 200);
    })
    .openapi(putRoute, async (c) => {
      const { slug, name } = c.req.valid('param');
      services.servers.get(slug);
      const demanded = demandedVersion(c.req.valid('header'), `Policy "${name}" of server "${slug}"`);
      if (!POLICY_TYPE.test(c.req.header('content-type') ?? '')) {
        throw new GatehouseError('unsupported_media_type', 'Send the policy as application/json or application/yaml.');
      }
      const document = documentOf(await c.req.text());
      const policy = await services.policies.put(slug, name, document, demanded, c.get('actor'));
      c.header('ETag', etagOf(policy.version));
      return policy.version === 1 ? c.json(policy, 201) : c.json(policy, 200);
    })
    .openapi(deleteRoute, async (c) => {
      const { slug, name } = c.req.valid('param');
      const what = `Policy "${name}" of server "${slug}"`;
      requireMatch(c.req.valid('header')['if-match'], services.policies.get(slug, name).version, what);
      await services.policies.remove(slug, name, c.get('actor'));
      return c.body(null, 204);
    });
}
