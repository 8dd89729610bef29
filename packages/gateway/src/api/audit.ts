import { OpenAPIHono, z } from '@hono/zod-openapi';
import type { AdminRow, AuditQuery, AuditRow } from '../audit/search.ts';
import { GatehouseError } from '../errors.ts';
import type { ApiDeps, ApiEnv } from './deps.ts';
import { defineRoute, instant, json, listOf, strict } from './route.ts';
import { begun, streamOfLines, streamOfRows } from './streams.ts';
import { matches, TailRows } from './tail-rows.ts';
import { verifyReportSchema } from './verify-schema.ts';

export const rowSchema: z.ZodType<AuditRow> = z
  .object({
    time: z.number().openapi({ description: 'Milliseconds since the epoch, of the intent or the decision.' }),
    requestId: z.string(),
    kind: z.string(),
    writer: z.string(),
    seq: z.int(),
    outcome: z.string().openapi({ description: '`unknown`: forwarded, and no outcome was recorded.' }),
    traceId: z.string().optional(),
    grant: z.object({ id: z.string(), label: z.string() }).optional(),
    identity: z.object({ id: z.string(), name: z.string() }).optional(),
    server: z.string().optional(),
    session: z.string().optional(),
    client: z.string().optional(),
    source: z.string().optional(),
    method: z.string().optional(),
    tool: z.string().optional(),
    definition: z.string().optional(),
    rule: z.string().optional(),
    message: z.string().optional(),
    policy: z.object({ id: z.string(), version: z.string() }).optional(),
    status: z.number().optional(),
    errorCode: z.number().optional(),
    isError: z.boolean().optional(),
    bytes: z.number().optional(),
    upstreamMs: z.number().optional(),
    count: z.int().openapi({ description: 'How many messages the row stands for.' }),
    records: z
      .array(z.record(z.string(), z.unknown()))
      .optional()
      .openapi({ description: 'The whole records as they are stored; only where one call is asked for.' }),
  })
  .openapi('AuditRow');

const changeSchema: z.ZodType<AdminRow> = z
  .object({
    time: z.number().openapi({ description: 'Milliseconds since the epoch.' }),
    writer: z.string(),
    seq: z.int(),
    actor: z.object({ kind: z.string(), id: z.string() }),
    action: z.string(),
    target: z.string(),
    requestId: z.string().optional(),
    record: z
      .record(z.string(), z.unknown())
      .optional()
      .openapi({ description: 'The whole record as it is stored, with what was before and after.' }),
  })
  .openapi('ChangeRow');

const filters = {
  server: z.string().optional(),
  tool: z.string().optional(),
  grant: z.string().optional().openapi({ description: 'Id or label.' }),
  identity: z.string().optional().openapi({ description: 'Id or name.' }),
  outcome: z.string().optional().openapi({ description: '`allow`, `deny`, `error`, `unknown` …' }),
};

const conditions = {
  from: instant.optional(),
  to: instant.optional().openapi({ description: 'Not included.' }),
  ...filters,
  rule: z.string().optional(),
  requestId: z.string().optional(),
  method: z.string().optional(),
  text: z.string().optional().openapi({ description: 'Part of method, tool, rule or message.' }),
};

const page = {
  limit: z.coerce
    .number()
    .int()
    .min(1)
    .max(1000)
    .optional()
    .openapi({ type: 'integer', description: '100 when left out.' }),
  cursor: z.string().optional(),
};

const searchQuery = strict({ ...conditions, ...page });

const changesQuery = strict({
  from: instant.optional(),
  to: instant.optional().openapi({ description: 'Not included.' }),
  actor: z.string().optional(),
  action: z.string().optional().openapi({ description: 'Such as `grant.create`.' }),
  target: z.string().optional(),
  ...page,
});

const exportQuery = strict({ ...conditions, format: z.enum(['jsonl', 'csv']).optional() });

const requestParam = z.object({ requestId: z.string().openapi({ param: { name: 'requestId', in: 'path' } }) });

const tags = ['audit'];

const searchRoute = defineRoute(
  {
    method: 'get',
    path: '/audit/records',
    operationId: 'searchAudit',
    tags,
    summary: 'Calls, newest first, one row a call',
    request: { query: searchQuery },
    responses: { 200: json(listOf(rowSchema), 'A page of rows.') },
  },
  [503],
);

const recordRoute = defineRoute(
  {
    method: 'get',
    path: '/audit/records/{requestId}',
    operationId: 'getAuditRecords',
    tags,
    summary: 'All records of one call',
    request: { params: requestParam },
    responses: { 200: json(listOf(rowSchema), 'The row with its records, intent or decision first.') },
  },
  [404, 503],
);

const changesRoute = defineRoute(
  {
    method: 'get',
    path: '/audit/changes',
    operationId: 'searchChanges',
    tags,
    summary: 'Changes of state, newest first: who changed what, with what was before and after',
    request: { query: changesQuery },
    responses: { 200: json(listOf(changeSchema), 'A page of changes.') },
  },
  [503],
);

const tailRoute = defineRoute({
  method: 'get',
  path: '/audit/tail',
  operationId: 'tailAudit',
  tags,
  summary: 'Rows as calls end: server-sent events',
  request: { query: strict(filters) },
  responses: {
    200: {
      description: '`event: row` with an AuditRow; `event: dropped` with `{"count"}` when the reader was too slow.',
      content: { 'text/event-stream': { schema: z.string() } },
    },
  },
});

const exportRoute = defineRoute(
  {
    method: 'get',
    path: '/audit/export',
    operationId: 'exportAudit',
    tags,
    summary: 'Records as JSON Lines (verifiable when nothing is left out), or calls as CSV',
    request: { query: exportQuery },
    responses: {
      200: {
        description: 'A stream of any length.',
        content: { 'application/x-ndjson': { schema: z.string() }, 'text/csv': { schema: z.string() } },
      },
    },
  },
  [503],
);

const verifyRoute = defineRoute(
  {
    method: 'get',
    path: '/audit/verify',
    operationId: 'verifyAudit',
    tags,
    summary: 'Verify the whole log with its own key; a stranger does better with the offline verifier',
    responses: {
      200: json(verifyReportSchema, 'What was checked, what is wrong, and what cannot be proven.'),
    },
  },
  [503],
);

const keyRoute = defineRoute({
  method: 'get',
  path: '/audit/key',
  operationId: 'getAuditKey',
  tags,
  summary: 'The public key that heads of the log are signed under',
  responses: { 200: json(z.object({ algorithm: z.literal('Ed25519'), publicKey: z.string() }), 'The key, PEM.') },
});

function spanOf({ from, to }: { from?: string | undefined; to?: string | undefined }): { from?: number; to?: number } {
  return {
    ...(from === undefined ? {} : { from: Date.parse(from) }),
    ...(to === undefined ? {} : { to: Date.parse(to) }),
  };
}

function queryOf({ from, to, ...rest }: z.output<typeof searchQuery>): AuditQuery {
  return { ...rest, ...spanOf({ from, to }) };
}

export function auditApi({ audit, runtime }: ApiDeps) {
  return new OpenAPIHono<ApiEnv>()
    .openapi(searchRoute, async (c) => {
      const query = queryOf(c.req.valid('query'));
      if (query.requestId !== undefined) runtime.flushRepeated();
      const { rows, cursor } = await audit.search(query);
      return c.json({ items: rows, ...(cursor === undefined ? {} : { next: cursor }) }, 200);
    })
    .openapi(recordRoute, async (c) => {
      const { requestId } = c.req.valid('param');
      runtime.flushRepeated();
      const rows = await audit.byRequestId(requestId);
      if (rows.length === 0)
        throw new GatehouseError('not_found', `The log has no call with the request id "${requestId}".`);
      return c.json({ items: rows }, 200);
    })
    .openapi(changesRoute, async (c) => {
      const { from, to, ...rest } = c.req.valid('query');
      const { rows, cursor } = await audit.searchAdmin({ ...rest, ...spanOf({ from, to }) });
      return c.json({ items: rows, ...(cursor === undefined ? {} : { next: cursor }) }, 200);
    })
    .openapi(tailRoute, (c) => {
      const filter = c.req.valid('query');
      const headers = {
        'Content-Type': 'text/event-stream',
        // A buffering proxy in front would hold rows back.
        'X-Accel-Buffering': 'no',
      };
      // Nobody would read the rows, and nothing would end the listening.
      if (c.req.method === 'HEAD') return c.body(null, 200, headers);
      const joined = new TailRows();
      const stream = streamOfRows((push) =>
        audit.tail(({ line }) => {
          const row = joined.take(line);
          if (row !== undefined && matches(row, filter)) push(row);
        }),
      );
      return c.body(stream, 200, headers);
    })
    .openapi(exportRoute, async (c) => {
      const { format = 'jsonl', ...query } = c.req.valid('query');
      const headers = {
        'Content-Type': format === 'csv' ? 'text/csv; charset=utf-8' : 'application/x-ndjson',
        'Content-Disposition': `attachment; filename="gatehouse-audit.${format}"`,
      };
      const found = queryOf(query);
      const lines = format === 'csv' ? audit.exportCsv(found) : audit.exportLines(found);
      // Nobody reads the body of an answer to HEAD: nothing is opened for it.
      const body = c.req.method === 'HEAD' ? lines : await begun(lines);
      return c.body(streamOfLines(body, format === 'csv' ? '\r\n' : '\n'), 200, headers);
    })
    .openapi(verifyRoute, async (c) => c.json(await audit.verify(), 200))
    .openapi(keyRoute, (c) => c.json({ algorithm: 'Ed25519' as const, publicKey: audit.publicKey() }, 200));
}
