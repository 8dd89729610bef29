import { OpenAPIHono, z } from '@hono/zod-openapi';
import type { Cut, RetentionView } from '../audit/retention.ts';
import type { ApiDeps, ApiEnv } from './deps.ts';
import { defineRoute, json } from './route.ts';

const cutSchema: z.ZodType<Cut> = z
  .object({
    stream: z.enum(['calls', 'admin']),
    writer: z.string(),
    firstSeq: z.int(),
    lastSeq: z.int(),
    firstTime: z.string().openapi({ format: 'date-time' }),
    lastTime: z.string().openapi({ format: 'date-time' }),
    segments: z.int(),
    bytes: z.int(),
  })
  .openapi('Cut', { description: 'Records of one chain of the audit log, from its beginning on.' });

const viewSchema: z.ZodType<RetentionView> = z
  .object({
    age: z.int().nullable().openapi({ description: 'Milliseconds that records are kept at least; null: for ever.' }),
    before: z.string().optional().openapi({ format: 'date-time', description: 'Older segments are cut.' }),
    due: z.array(cutSchema).openapi({ description: 'What is old enough now.' }),
    kept: z
      .array(z.object({ stream: z.enum(['calls', 'admin']), writer: z.string(), name: z.string(), reason: z.string() }))
      .openapi({ description: 'Segments that are old enough and stay all the same.' }),
  })
  .openapi('Retention');

const tags = ['audit'];

const viewRoute = defineRoute(
  {
    method: 'get',
    path: '/audit/retention',
    operationId: 'getRetention',
    tags,
    summary: 'What of the log is old enough to be cut',
    responses: { 200: json(viewSchema, 'As it is now; nothing is changed.') },
  },
  [503],
);

const applyRoute = defineRoute(
  {
    method: 'post',
    path: '/audit/retention',
    operationId: 'applyRetention',
    tags,
    summary: 'Cut what is old enough, now instead of within the hour',
    responses: {
      200: json(
        z.object({ cut: z.array(cutSchema) }),
        'What was cut; each part is told by a signed record in the stream admin.',
      ),
    },
  },
  [503],
);

export function retentionApi({ upkeep }: ApiDeps) {
  return new OpenAPIHono<ApiEnv>()
    .openapi(viewRoute, async (c) => c.json(await upkeep.retention.view(), 200))
    .openapi(applyRoute, async (c) => c.json({ cut: await upkeep.retention.run(c.get('actor')) }, 200));
}
