// Decisions and traces of the policy package as schemas.

import type { Charge, Decision, RuleFailure, SlotCharge, Trace, TracePredicate, TraceStep } from '@gatehouse/policy';
import { z } from '@hono/zod-openapi';

const truth = z.enum(['true', 'false', 'indeterminate', 'missing']);

export const chargeSchema: z.ZodType<Charge> = z
  .object({
    key: z.string(),
    counter: z.string(),
    windowSeconds: z.int(),
    align: z.enum(['sliding', 'calendar']),
    unit: z.enum(['minute', 'hour', 'day', 'week', 'month']).optional(),
    timezone: z.string(),
    max: z.int(),
    amount: z.int(),
    pointer: z.string(),
    name: z.string().optional(),
    reason: z.string().optional(),
    scope: z.enum(['grant', 'identity', 'server', 'session']),
  })
  .openapi('Charge');

export const slotChargeSchema: z.ZodType<SlotCharge> = z
  .object({
    kind: z.literal('slot'),
    key: z.string(),
    counter: z.string(),
    max: z.int().openapi({ description: 'Calls that may be under way at once.' }),
    amount: z.literal(1),
    pointer: z.string(),
    name: z.string().optional(),
    reason: z.string().optional(),
    scope: z.enum(['grant', 'identity', 'server', 'session']),
  })
  .openapi('SlotCharge');

const failureSchema: z.ZodType<RuleFailure> = z
  .object({
    pointer: z.string(),
    name: z.string().optional(),
    path: z.string().optional(),
    value: truth,
    message: z.string(),
  })
  .openapi('RuleFailure');

export const decisionSchema: z.ZodType<Decision> = z
  .discriminatedUnion('outcome', [
    z.object({
      outcome: z.literal('allow'),
      charges: z.array(z.union([slotChargeSchema, chargeSchema])),
      warnings: z.array(z.string()),
      rule: z.literal(''),
    }),
    z.object({
      outcome: z.literal('deny'),
      rule: z.string(),
      name: z.string().optional(),
      reason: z.string(),
      concealed: z.boolean(),
      failures: z.array(failureSchema),
      retryAfterMs: z.int().optional(),
    }),
  ])
  .openapi('Decision');

const predicateSchema: z.ZodType<TracePredicate> = z
  .object({
    pointer: z.string(),
    name: z.string().optional(),
    kind: z.enum(['predicate', 'any', 'all', 'not']),
    path: z.string().optional(),
    op: z.string().optional(),
    read: z.object({ found: z.boolean(), value: z.any().optional(), note: z.string().optional() }).optional(),
    value: truth,
    members: z.array(z.lazy(() => predicateSchema)).optional(),
  })
  .openapi('TracePredicate');

const stepSchema: z.ZodType<TraceStep> = z
  .object({
    step: z.int().openapi({ description: 'The number in the order of judgement.' }),
    title: z.string(),
    result: z.enum(['pass', 'deny', 'not reached']),
    detail: z.string().optional(),
    predicates: z.array(predicateSchema),
  })
  .openapi('TraceStep');

export const traceSchema: z.ZodType<Trace> = z
  .object({ steps: z.array(stepSchema), decision: decisionSchema })
  .openapi('Trace');
