import { OpenAPIHono, z } from '@hono/zod-openapi';
import { GatehouseError } from '../errors.ts';
import type { Actor } from '../model.ts';
import type { IntakeReport } from '../services.ts';
import type { ApiDeps, ApiEnv } from './deps.ts';
import { etagOf, ifMatch, requireMatch } from './etag.ts';
import { defineRoute, ifMatchHeader, json, jsonBody, listOf, slugParam, strict } from './route.ts';
import { definitionSchema, intakeSchema, serverSchema } from './schemas.ts';

const names = z.array(z.string());
const textMap = z.record(z.string(), z.string());

const transportInput = z
  .discriminatedUnion('kind', [
    strict({ kind: z.literal('http'), url: z.string() }),
    strict({
      kind: z.literal('sse'),
      url: z
        .string()
        .openapi({ description: 'Of the event stream of a server that speaks only HTTP+SSE (2024-11-05).' }),
    }),
    strict({
      kind: z.literal('stdio'),
      command: z.string(),
      args: names.default([]),
      cwd: z.string().optional(),
      environment: textMap.default({}),
    }),
  ])
  .openapi('TransportInput');

const settingsInput = strict({
  serverRequests: strict({ elicitation: z.boolean(), sampling: z.boolean(), roots: z.boolean() }).optional(),
  vendorMethods: names.optional(),
  toleratedArguments: names.optional(),
  newTools: z.enum(['quarantine', 'accept']).optional(),
  children: strict({ max: z.int(), idleSeconds: z.number() }).optional(),
  headers: textMap.optional(),
  trusted: z.boolean().optional(),
}).openapi('ServerSettingsInput', { description: 'What is left out stays as it is, or as the default has it.' });

const credentialsInput = z
  .discriminatedUnion('kind', [
    strict({ kind: z.literal('none') }),
    strict({ kind: z.literal('headers'), values: textMap }),
    strict({ kind: z.literal('environment'), values: textMap }),
  ])
  .openapi('CredentialsInput', { description: 'Sealed at rest; no answer ever holds the values.' });

const createInput = strict({
  slug: z.string(),
  name: z.string().optional(),
  transport: transportInput,
  settings: settingsInput.optional(),
  credentials: credentialsInput.optional(),
  accept: z.boolean().default(false).openapi({ description: 'Accept every tool that is found and not poisoned.' }),
}).openapi('ServerInput');

const patchInput = strict({
  name: z.string().optional(),
  transport: transportInput.optional(),
  settings: settingsInput.optional(),
  credentials: credentialsInput.optional(),
}).openapi('ServerPatch');

const createdSchema = z
  .object({
    server: serverSchema,
    tools: z.array(definitionSchema),
    intake: intakeSchema,
    url: z.string().openapi({ description: 'The proxy URL for clients.' }),
    warning: z
      .string()
      .optional()
      .openapi({ description: 'The server was saved, but its tools could not be read: why, and what to do.' }),
  })
  .openapi('ServerCreated');

const tags = ['servers'];

const listRoute = defineRoute({
  method: 'get',
  path: '/servers',
  operationId: 'listServers',
  tags,
  summary: 'All servers',
  responses: { 200: json(listOf(serverSchema), 'All servers.') },
});

const createServerRoute = defineRoute(
  {
    method: 'post',
    path: '/servers',
    operationId: 'createServer',
    tags,
    summary: 'Register a server and read its tools at once',
    request: { body: jsonBody(createInput) },
    responses: { 201: json(createdSchema, 'Registered. A server that could not be reached is kept, with a warning.') },
  },
  [409, 503],
);

const getRoute = defineRoute(
  {
    method: 'get',
    path: '/servers/{slug}',
    operationId: 'getServer',
    tags,
    summary: 'One server',
    request: { params: slugParam },
    responses: { 200: json(serverSchema, 'The server.') },
  },
  [404],
);

const patchRoute = defineRoute(
  {
    method: 'patch',
    path: '/servers/{slug}',
    operationId: 'updateServer',
    tags,
    summary: 'Change name, transport, settings or credentials',
    request: { params: slugParam, headers: ifMatchHeader, body: jsonBody(patchInput) },
    responses: { 200: json(serverSchema, 'The server as it is now.') },
  },
  [404, 412, 503],
);

const deleteRoute = defineRoute(
  {
    method: 'delete',
    path: '/servers/{slug}',
    operationId: 'removeServer',
    tags,
    summary: 'Remove a server with its grants, policies and definitions; the log keeps what happened',
    request: { params: slugParam, headers: ifMatchHeader },
    responses: { 204: { description: 'Removed.' } },
  },
  [404, 412, 503],
);

const refreshRoute = defineRoute(
  {
    method: 'post',
    path: '/servers/{slug}/refresh',
    operationId: 'refreshServer',
    tags,
    summary: 'Read the definitions again',
    request: { params: slugParam },
    responses: {
      200: json(z.object({ intake: intakeSchema, tools: z.array(definitionSchema) }), 'What was found.'),
    },
  },
  [404, 502, 503],
);

const NOTHING_READ: IntakeReport = {
  new: [],
  changed: [],
  textChanged: [],
  poisoned: [],
  gone: [],
  returned: [],
  unusable: [],
};

export function serversApi({ services, runtime, onFault }: ApiDeps) {
  /** A server that cannot be read now is registered all the same: it may be started later. */
  const readFirst = async (slug: string, accept: boolean, actor: Actor, requestId: string) => {
    try {
      return { intake: await runtime.readDefinitions(slug, { accept, actor }) };
    } catch (error) {
      if (!(error instanceof GatehouseError)) onFault?.(error, requestId);
      const why = error instanceof GatehouseError ? error.message : `an error inside Gatehouse (${requestId}).`;
      const warning = `The server is registered, but its tools could not be read: ${why} Nothing can be called until they are. When it is reachable, run: gatehouse server refresh ${slug}`;
      return { intake: NOTHING_READ, warning };
    }
  };

  return new OpenAPIHono<ApiEnv>()
    .openapi(listRoute, (c) => c.json({ items: services.servers.list() }, 200))
    .openapi(createServerRoute, async (c) => {
      const { accept, ...input } = c.req.valid('json');
      const actor = c.get('actor');
      const { slug } = await services.servers.create(input, actor);
      const read = await readFirst(slug, accept, actor, c.get('requestId'));
      const server = services.servers.get(slug);
      c.header('ETag', etagOf(server.revision));
      c.header('Location', `/api/v1/servers/${slug}`);
      return c.json({ server, tools: services.definitions.list(slug), url: runtime.proxyUrl(slug), ...read }, 201);
    })
    .openapi(getRoute, (c) => {
      const server = services.servers.get(c.req.valid('param').slug);
      c.header('ETag', etagOf(server.revision));
      return c.json(server, 200);
    })
    .openapi(patchRoute, async (c) => {
      const { slug } = c.req.valid('param');
      const seen = ifMatch(c.req.valid('header')['if-match'], `Server "${slug}"`);
      const server = await services.servers.update(slug, c.req.valid('json'), seen, c.get('actor'));
      c.header('ETag', etagOf(server.revision));
      return c.json(server, 200);
    })
    .openapi(deleteRoute, async (c) => {
      const { slug } = c.req.valid('param');
      requireMatch(c.req.valid('header')['if-match'], services.servers.get(slug).revision, `Server "${slug}"`);
      await services.servers.remove(slug, c.get('actor'));
      return c.body(null, 204);
    })
    .openapi(refreshRoute, async (c) => {
      const { slug } = services.servers.get(c.req.valid('param').slug);
      const intake = await runtime.readDefinitions(slug, { actor: c.get('actor') });
      return c.json({ intake, tools: services.definitions.list(slug) }, 200);
    });
}
