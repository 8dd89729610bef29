import { OpenAPIHono, z } from '@hono/zod-openapi';
import type { BackupJob } from '../backup/jobs.ts';
import type { ApiDeps, ApiEnv } from './deps.ts';
import { defineRoute, json, jsonBody, strict } from './route.ts';

const jobSchema = z
  .object({
    id: z.string(),
    dir: z.string(),
    state: z.enum(['running', 'done', 'failed']),
    bytes: z.int().openapi({ description: 'Of the log; 0 until its length is known.' }),
    copied: z.int(),
    report: z
      .object({
        dir: z.string(),
        created: z.string().openapi({ format: 'date-time', description: 'What was recorded before is in it.' }),
        files: z.int(),
        bytes: z.int(),
        keyId: z.string().openapi({ description: 'The secret key that is needed to restore it; it is not in it.' }),
        heads: z
          .array(
            z.object({
              stream: z.enum(['calls', 'admin']),
              writer: z.string(),
              seq: z.int(),
              hash: z.string(),
              time: z.string(),
              key_id: z.string(),
              signature: z.string(),
            }),
          )
          .openapi({ description: 'Signed heads of the log at that moment, to be kept elsewhere.' }),
      })
      .optional(),
    problem: z.object({ code: z.string(), detail: z.string() }).optional(),
  })
  .openapi('BackupJob');

const startInput = strict({
  dir: z.string().openapi({ description: 'Whole path on the machine of the gateway; new or empty.' }),
}).openapi('BackupInput');

const tags = ['status'];

const startRoute = defineRoute(
  {
    method: 'post',
    path: '/backups',
    operationId: 'startBackup',
    tags,
    summary: 'Back up the store and the log to a folder of the gateway’s machine, while it serves',
    request: { body: jsonBody(startInput) },
    responses: { 202: json(jobSchema, 'It has begun: look at /backups/{id}.') },
  },
  [409],
);

const getRoute = defineRoute(
  {
    method: 'get',
    path: '/backups/{id}',
    operationId: 'getBackup',
    tags,
    summary: 'How far a backup is, or how it ended',
    request: { params: z.object({ id: z.string().openapi({ param: { name: 'id', in: 'path' } }) }) },
    responses: { 200: json(jobSchema, 'The last backup of this process.') },
  },
  [404],
);

/** The job goes on while its answer is written. */
const view = (job: BackupJob): BackupJob => ({ ...job });

export function backupsApi({ runtime }: ApiDeps) {
  return new OpenAPIHono<ApiEnv>()
    .openapi(startRoute, async (c) =>
      c.json(view(await runtime.backups.start(c.req.valid('json').dir, c.get('actor'))), 202),
    )
    .openapi(getRoute, (c) => c.json(view(runtime.backups.get(c.req.valid('param').id)), 200));
}
