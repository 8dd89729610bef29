import { checkPolicy, type Decision, parsePolicyText, type Trace } from '@gatehouse/policy';
import { isJsonObject, type JsonValue, parseJson } from '@gatehouse/wire';
import { OpenAPIHono, z } from '@hono/zod-openapi';
import type { ApiDeps, ApiEnv } from './deps.ts';
import { judgeHypothetical } from './hypothetical.ts';
import { documentOf } from './policies.ts';
import { defineRoute, instant, json, jsonBody, strict } from './route.ts';
import { policyProblemSchema } from './schemas.ts';
import { decisionSchema, traceSchema } from './trace-schemas.ts';

const oneSource = (value: object): boolean =>
  ['document', 'text', 'policy'].filter((name) => (value as Record<string, unknown>)[name] !== undefined).length <= 1;

const document = z.unknown().optional().openapi({ type: 'object', description: 'The document itself.' });
const text = z
  .string()
  .optional()
  .openapi({ description: 'The document as JSON or YAML text, so that problems can name lines.' });

const checkInput = strict({ document, text, server: z.string().optional() })
  .refine(
    (value) => (value.document === undefined) !== (value.text === undefined),
    'Send the policy as document or as text.',
  )
  .openapi('PolicyCheckInput');

const judgeInput = strict({
  server: z.string(),
  document,
  text,
  policy: z.string().optional().openapi({ description: 'Name of a saved policy of the server.' }),
  tool: z.string(),
  arguments: z.record(z.string(), z.unknown()),
  identity: z.string().optional().openapi({ description: 'Id or name.' }),
  grant: z.string().optional().openapi({ description: 'Id or label; its policy is used when no other is given.' }),
  at: instant.optional().openapi({ description: 'Now, when left out.' }),
})
  .refine(oneSource, 'Send only one of document, text and policy.')
  .openapi('JudgeInput');

const tags = ['policies'];

const checkRoute = defineRoute(
  {
    method: 'post',
    path: '/policies/check',
    operationId: 'checkPolicy',
    tags,
    summary: 'All errors and warnings of a policy; saves nothing',
    request: { body: jsonBody(checkInput) },
    responses: {
      200: json(
        z.object({ valid: z.boolean(), problems: z.array(policyProblemSchema) }),
        'valid: there are no errors; warnings may be left.',
      ),
    },
  },
  [404],
);

const judgedSchema: z.ZodType<{ decision: Decision; trace: Trace; policy?: { name: string; version: number } }> = z
  .object({
    decision: decisionSchema,
    trace: traceSchema,
    policy: z.object({ name: z.string(), version: z.int() }).optional(),
  })
  .openapi('Judged');

const judgeRoute = defineRoute(
  {
    method: 'post',
    path: '/policies/judge',
    operationId: 'judgeCall',
    tags,
    summary: 'What a policy makes of a call, step by step; counts nothing and calls nobody',
    request: { body: jsonBody(judgeInput) },
    responses: {
      200: json(judgedSchema, 'The decision. Limits are named with what they would charge, not with their use.'),
    },
  },
  [404, 409, 422],
);

/** A member of the body with its numbers as they were written; the validator's reading has rounded them. */
function exactMember(body: string, name: string): JsonValue | undefined {
  const value = parseJson(body);
  return isJsonObject(value) ? value[name] : undefined;
}

export function judgeApi({ services, clock }: ApiDeps) {
  return new OpenAPIHono<ApiEnv>()
    .openapi(checkRoute, async (c) => {
      const input = c.req.valid('json');
      if (input.server !== undefined) services.servers.get(input.server);
      let policy: unknown;
      if (input.text === undefined) policy = exactMember(await c.req.text(), 'document');
      else {
        const parsed = parsePolicyText(input.text);
        if (!parsed.ok) return c.json({ valid: false, problems: parsed.problems }, 200);
        policy = parsed.document;
      }
      const problems = input.server === undefined ? checkPolicy(policy) : services.policies.check(policy, input.server);
      return c.json({ valid: problems.every((problem) => problem.severity !== 'error'), problems }, 200);
    })
    .openapi(judgeRoute, async (c) => {
      const { server, tool, policy, identity, grant, at, text: source } = c.req.valid('json');
      const body = await c.req.text();
      const given = source === undefined ? exactMember(body, 'document') : documentOf(source);
      const judged = judgeHypothetical(services, {
        server,
        tool,
        arguments: exactMember(body, 'arguments') ?? {},
        document: given,
        policy,
        identity,
        grant,
        now: at === undefined ? clock() : Date.parse(at),
      });
      const used =
        judged.policyName === undefined || judged.policyVersion === undefined
          ? {}
          : { policy: { name: judged.policyName, version: judged.policyVersion } };
      return c.json({ decision: judged.trace.decision, trace: judged.trace, ...used }, 200);
    });
}
