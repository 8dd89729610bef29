import { OpenAPIHono, z } from '@hono/zod-openapi';
import type { ApiDeps, ApiEnv } from './deps.ts';
import { defineRoute, json } from './route.ts';

const rotationSchema = z
  .object({
    keyId: z.string().openapi({ description: 'Of the new key: 8 hexadecimal characters that say nothing about it.' }),
    previousKeyId: z.string(),
    file: z.string(),
    previousFile: z.string().openapi({ description: 'Where the earlier keys are kept.' }),
    credentials: z.int().openapi({ description: 'Upstream credentials that were wrapped anew.' }),
  })
  .openapi('KeyRotation');

const rotateRoute = defineRoute(
  {
    method: 'post',
    path: '/key/rotate',
    operationId: 'rotateKey',
    tags: ['status'],
    summary: 'Make a new secret key and go on under it; the admin token is another one from then on',
    responses: { 200: json(rotationSchema, 'The new key is in force.') },
  },
  [409, 503],
);

export function keysApi({ runtime }: ApiDeps) {
  return new OpenAPIHono<ApiEnv>().openapi(rotateRoute, async (c) =>
    c.json(await runtime.rotateKey(c.get('actor')), 200),
  );
}
