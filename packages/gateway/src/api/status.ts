import { OpenAPIHono, z } from '@hono/zod-openapi';
import type { Definition } from '../model.ts';
import type { ApiDeps, ApiEnv } from './deps.ts';
import { defineRoute, json } from './route.ts';

const auditSchema = z.object({
  writable: z.boolean().openapi({ description: 'false: no call that needs a record passes.' }),
  lastError: z.string().optional(),
  records: z.int(),
  queueDepth: z.int(),
  segments: z.int(),
  lastHeadSeq: z.int(),
  indexLag: z.int(),
  dropped: z.int(),
  reserve: z
    .object({
      bytes: z.int().openapi({ description: 'To be kept; 0: none.' }),
      held: z.int().openapi({ description: 'Kept now.' }),
      spent: z.boolean().openapi({ description: 'The disk was full: nothing new passes until the reserve is whole.' }),
      problem: z.string().optional(),
    })
    .openapi({ description: 'Disk kept for the outcomes of calls under way.' }),
  indexError: z.string().optional(),
  heads: z
    .array(
      z.object({
        sink: z.enum(['file', 'webhook']),
        target: z.string().openapi({ description: 'The file, or the host of the webhook.' }),
        last: z
          .object({
            stream: z.string(),
            writer: z.string(),
            seq: z.int(),
            time: z.string(),
            exportedAt: z.string().openapi({ format: 'date-time' }),
          })
          .optional(),
        waiting: z.int(),
        dropped: z.int(),
        failures: z.int(),
        error: z.string().optional(),
      }),
    )
    .openapi({ description: 'Where signed heads are sent; none: none leaves this machine.' }),
  retention: z.object({
    age: z.int().nullable().openapi({ description: 'Milliseconds; null: nothing is cut.' }),
    lastRun: z.string().optional().openapi({ format: 'date-time' }),
    lastError: z.string().optional(),
    cutSegments: z.int(),
    cutRecords: z.int(),
  }),
});

const statusSchema = z
  .object({
    version: z.string(),
    startedAt: z.string().openapi({ format: 'date-time' }),
    instanceId: z.string(),
    dataDir: z.string(),
    epoch: z.int().openapi({ description: 'Grows with each change of the configuration.' }),
    servers: z.array(
      z.object({
        slug: z.string(),
        name: z.string(),
        transport: z.enum(['http', 'sse', 'stdio']),
        url: z.string().openapi({ description: 'The proxy URL for clients.' }),
        state: z.string().openapi({ description: 'Of the upstream.' }),
        tools: z.object({ accepted: z.int(), waiting: z.int(), poisoned: z.int(), gone: z.int() }),
      }),
    ),
    audit: auditSchema,
    counters: z.object({ counters: z.int(), reserved: z.int(), denied: z.int(), released: z.int() }),
    auditPublicKey: z.string(),
  })
  .openapi('Status');

const statusRoute = defineRoute({
  method: 'get',
  path: '/status',
  operationId: 'getStatus',
  tags: ['status'],
  summary: 'The gateway at a glance',
  responses: { 200: json(statusSchema, 'How it is now.') },
});

/** `text_changed` counts as accepted: agents read what was accepted. */
function countTools(definitions: readonly Definition[]) {
  const counts = { accepted: 0, waiting: 0, poisoned: 0, gone: 0 };
  for (const { state } of definitions) {
    if (state === 'accepted' || state === 'text_changed') counts.accepted++;
    else if (state === 'new' || state === 'changed') counts.waiting++;
    else counts[state]++;
  }
  return counts;
}

export function statusApi({ services, audit, upkeep, counters, runtime }: ApiDeps) {
  return new OpenAPIHono<ApiEnv>().openapi(statusRoute, (c) =>
    c.json(
      {
        version: runtime.version,
        startedAt: runtime.startedAt,
        instanceId: runtime.instanceId,
        dataDir: runtime.dataDir,
        epoch: services.directory.epoch,
        servers: services.servers.list().map(({ slug, name, transport }) => ({
          slug,
          name,
          transport: transport.kind,
          url: runtime.proxyUrl(slug),
          state: runtime.upstreamState(slug),
          tools: countTools(services.definitions.list(slug)),
        })),
        audit: {
          writable: audit.writable,
          lastError: audit.lastError,
          ...audit.stats(),
          heads: upkeep.heads.states,
          retention: upkeep.retention.state,
        },
        counters: counters.stats(),
        auditPublicKey: audit.publicKey(),
      },
      200,
    ),
  );
}
