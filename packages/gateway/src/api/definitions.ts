import { OpenAPIHono, z } from '@hono/zod-openapi';
import type { ApiDeps, ApiEnv } from './deps.ts';
import { defineRoute, json, jsonBody, listOf, slugParam, strict } from './route.ts';
import { definitionSchema, toolClassSchema } from './schemas.ts';

const toolParam = slugParam.extend({
  tool: z
    .string()
    .openapi({ param: { name: 'tool', in: 'path' }, description: 'Name of the tool; a slash in it as %2F.' }),
});

const acceptInput = z
  .union(
    [
      strict({
        tools: z
          .array(
            strict({
              name: z.string(),
              digest: z.string().optional().openapi({
                description: 'The observed digest that was looked at; refused when the definition changed since.',
              }),
              class: toolClassSchema.optional(),
            }),
          )
          .min(1),
      }),
      strict({ all: z.literal(true) }),
    ],
    { error: 'Send {"tools": [{"name": …, "digest"?: …, "class"?: …}]}, or {"all": true}.' },
  )
  .openapi('AcceptInput', { description: 'Poisoned tools are accepted only by name.' });

const tags = ['definitions'];

const listRoute = defineRoute(
  {
    method: 'get',
    path: '/servers/{slug}/tools',
    operationId: 'listDefinitions',
    tags,
    summary: 'The pinned tools of a server',
    request: { params: slugParam },
    responses: { 200: json(listOf(definitionSchema), 'Accepted ones, and those that wait for a person.') },
  },
  [404],
);

const getRoute = defineRoute(
  {
    method: 'get',
    path: '/servers/{slug}/tools/{tool}',
    operationId: 'getDefinition',
    tags,
    summary: 'One pinned tool',
    request: { params: toolParam },
    responses: { 200: json(definitionSchema, 'The definition with what changed since it was accepted.') },
  },
  [404],
);

const acceptRoute = defineRoute(
  {
    method: 'post',
    path: '/servers/{slug}/tools/accept',
    operationId: 'acceptDefinitions',
    tags,
    summary: 'Accept tools as they are now, with their class or another',
    request: { params: slugParam, body: jsonBody(acceptInput) },
    responses: { 200: json(listOf(definitionSchema), 'What is now accepted.') },
  },
  [404, 409, 412, 503],
);

export function definitionsApi({ services }: ApiDeps) {
  return new OpenAPIHono<ApiEnv>()
    .openapi(listRoute, (c) => {
      const { slug } = services.servers.get(c.req.valid('param').slug);
      return c.json({ items: services.definitions.list(slug) }, 200);
    })
    .openapi(getRoute, (c) => {
      const { slug, tool } = c.req.valid('param');
      return c.json(services.definitions.get(slug, tool), 200);
    })
    .openapi(acceptRoute, async (c) => {
      const { slug } = services.servers.get(c.req.valid('param').slug);
      const choice = c.req.valid('json');
      const accepted = await services.definitions.accept(
        slug,
        'tools' in choice ? choice.tools : 'all',
        c.get('actor'),
      );
      return c.json({ items: accepted }, 200);
    });
}
