import type { Decision, Trace } from '@gatehouse/policy';
import { OpenAPIHono, z } from '@hono/zod-openapi';
import type { AuditRow } from '../audit/search.ts';
import { GatehouseError } from '../errors.ts';
import type { Services } from '../services.ts';
import { rowSchema } from './audit.ts';
import type { ApiDeps, ApiEnv } from './deps.ts';
import { findGrant, judgeHypothetical } from './hypothetical.ts';
import { defineRoute, json, strict } from './route.ts';
import { decisionSchema, traceSchema } from './trace-schemas.ts';
import { limitSentences, prospectSentences, type RecordedPolicy, recordSentences } from './why-sentences.ts';

interface Answer {
  sentences: string[];
  /** What the log holds; with `requestId`. */
  record?: AuditRow;
  /** What would happen now, without arguments; with `tool` and `grant`. */
  decision?: Decision;
  trace?: Trace;
}

const answerSchema: z.ZodType<Answer> = z
  .object({
    sentences: z.array(z.string()),
    record: rowSchema.optional(),
    decision: decisionSchema.optional(),
    trace: traceSchema.optional(),
  })
  .openapi('Why');

const whyRoute = defineRoute(
  {
    method: 'get',
    path: '/why',
    operationId: 'why',
    tags: ['audit'],
    summary: 'The truth about a call that was made, or about one that a grant might make',
    request: {
      query: strict({
        requestId: z.string().optional(),
        tool: z.string().optional(),
        grant: z.string().optional().openapi({ description: 'Id or label.' }),
      }),
    },
    responses: { 200: json(answerSchema, 'Plain sentences, and what they were made from.') },
  },
  [404, 409, 503],
);

/** The policy that a row names, in the version that decided; undefined when it was removed. */
function recordedPolicy(services: Services, row: AuditRow): RecordedPolicy | undefined {
  if (row.policy === undefined || row.server === undefined) return undefined;
  const { id, version } = row.policy;
  if (services.directory.server(row.server) === undefined) return undefined;
  const policy = services.policies.list(row.server).find((candidate) => candidate.id === id || candidate.name === id);
  if (policy === undefined) return undefined;
  const then = services.policies
    .versions(row.server, policy.name)
    .find((candidate) => String(candidate.version) === version);
  return { name: policy.name, version, document: then?.document, currentVersion: policy.version };
}

async function aboutRecord({ audit, services, runtime }: ApiDeps, requestId: string): Promise<Answer> {
  runtime.flushRepeated();
  const [record] = await audit.byRequestId(requestId);
  if (record === undefined) {
    throw new GatehouseError(
      'not_found',
      `The log has no call with the request id "${requestId}". It stands in the denial under _meta["dev.gatehouse/decision"].requestId, and in gatehouse audit search. Repeated equal denials are recorded together, every 10 s: a gateway that was killed before has no record of the last of them.`,
    );
  }
  return { sentences: recordSentences(record, recordedPolicy(services, record)), record };
}

async function aboutProspect({ services, counters, clock }: ApiDeps, tool: string, ref: string): Promise<Answer> {
  const grant = findGrant(services, ref);
  const server = grant.entry.server.slug;
  const now = clock();
  const { trace, policyName } = judgeHypothetical(services, { server, tool, arguments: {}, grant: grant.id, now });
  const { decision } = trace;
  const policy = policyName === undefined ? undefined : services.policies.get(server, policyName);
  const context = { identity: grant.identityName, grant: grant.label, ...(policy === undefined ? {} : { policy }) };
  const sentences = prospectSentences(trace, { server, tool }, context);
  if (decision.outcome === 'allow') sentences.push(...limitSentences(await counters.look(decision.charges, now)));
  return { sentences, decision, trace };
}

export function whyApi(deps: ApiDeps) {
  return new OpenAPIHono<ApiEnv>().openapi(whyRoute, async (c) => {
    const { requestId, tool, grant } = c.req.valid('query');
    if (requestId !== undefined && tool === undefined && grant === undefined)
      return c.json(await aboutRecord(deps, requestId), 200);
    if (requestId === undefined && tool !== undefined && grant !== undefined)
      return c.json(await aboutProspect(deps, tool, grant), 200);
    throw new GatehouseError('invalid_input', 'Ask about one call, or about one tool with one grant.', [
      { pointer: '?requestId', message: 'Send requestId alone, or tool together with grant.' },
    ]);
  });
}
