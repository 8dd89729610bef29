// The words of model.ts as schemas of the OpenAPI document. Each is declared as a schema of the type, so that the two cannot part.

import type { Classification, ToolClass } from '@gatehouse/classify';
import { AXES, TOOL_CLASSES } from '@gatehouse/classify';
import type { PolicyProblem } from '@gatehouse/policy';
import { z } from '@hono/zod-openapi';
import type {
  Definition,
  DefinitionChange,
  Grant,
  Identity,
  Policy,
  PolicyVersion,
  Server,
  ServerSettings,
  Token,
  Transport,
} from '../model.ts';
import type { IntakeReport } from '../services.ts';

const time = z.string().openapi({ format: 'date-time' });
const names = z.array(z.string());
const textMap = z.record(z.string(), z.string());

export const toolClassSchema: z.ZodType<ToolClass> = z
  .enum(TOOL_CLASSES as [ToolClass, ...ToolClass[]])
  .openapi('ToolClass', { description: 'What the tool can do at worst.' });

const transportSchema: z.ZodType<Transport> = z
  .discriminatedUnion('kind', [
    z.object({ kind: z.literal('http'), url: z.string() }),
    z.object({ kind: z.literal('sse'), url: z.string() }),
    z.object({
      kind: z.literal('stdio'),
      command: z.string(),
      args: names,
      cwd: z.string().optional(),
      environment: textMap,
    }),
  ])
  .openapi('Transport');

const settingsSchema: z.ZodType<ServerSettings> = z
  .object({
    serverRequests: z.object({ elicitation: z.boolean(), sampling: z.boolean(), roots: z.boolean() }),
    vendorMethods: names,
    toleratedArguments: names,
    newTools: z.enum(['quarantine', 'accept']),
    children: z.object({ max: z.int(), idleSeconds: z.number() }),
    headers: textMap,
    trusted: z.boolean(),
  })
  .openapi('ServerSettings');

export const serverSchema: z.ZodType<Server> = z
  .object({
    id: z.string(),
    slug: z.string(),
    name: z.string(),
    revision: z.int().openapi({ description: 'Grows with each change; the ETag.' }),
    transport: transportSchema,
    settings: settingsSchema,
    credentials: z
      .object({ kind: z.enum(['none', 'headers', 'environment']), names })
      .openapi({ description: 'What is sealed for this server: names only, values are never shown.' }),
    createdAt: time,
    updatedAt: time,
  })
  .openapi('Server');

const classificationSchema: z.ZodType<Classification> = z
  .object({
    class: toolClassSchema,
    severity: z.enum(['low', 'medium', 'high', 'critical']),
    axes: z.array(z.enum(AXES)),
    signals: z.array(z.object({ axis: z.enum(AXES), text: z.string(), parameters: names })),
    evidence: z.array(
      z.object({
        field: z.string(),
        token: z.string(),
        rule: z.string(),
        supports: toolClassSchema.optional(),
        axis: z.enum(AXES).optional(),
      }),
    ),
    confidence: z.enum(['high', 'medium', 'low']),
    version: z.int(),
  })
  .openapi('Classification');

const changeSchema: z.ZodType<DefinitionChange> = z
  .object({
    pointer: z.string(),
    kind: z.enum(['text', 'annotation', 'output', 'input', 'class', 'new', 'poison', 'other']),
    message: z.string(),
    before: z.unknown().optional(),
    after: z.unknown().optional(),
    words: z
      .array(z.object({ kind: z.enum(['same', 'removed', 'added']), text: z.string() }))
      .optional()
      .openapi({ description: 'Where both sides are text: the difference word by word.' }),
  })
  .openapi('DefinitionChange');

export const definitionSchema: z.ZodType<Definition> = z
  .object({
    server: z.string(),
    name: z.string(),
    state: z.enum(['accepted', 'new', 'changed', 'poisoned', 'text_changed', 'gone']),
    acceptedDigest: z.string().optional(),
    observedDigest: z.string(),
    class: toolClassSchema,
    classification: classificationSchema,
    classOverride: toolClassSchema.optional(),
    changes: z.array(changeSchema),
    accepted: z.unknown().optional(),
    observed: z.unknown(),
    firstSeenAt: time,
    acceptedAt: time.optional(),
    acceptedBy: z.string().optional(),
  })
  .openapi('Definition');

export const intakeSchema: z.ZodType<IntakeReport> = z
  .object({
    new: names,
    changed: names,
    textChanged: names,
    poisoned: names,
    gone: names,
    returned: names,
    unusable: names.openapi({ description: 'Why items of the list could not be taken in at all.' }),
  })
  .openapi('IntakeReport');

export const policyProblemSchema: z.ZodType<PolicyProblem> = z
  .object({
    pointer: z.string(),
    message: z.string(),
    suggestion: z.string().optional(),
    severity: z.enum(['error', 'warning']),
    code: z.string(),
  })
  .openapi('PolicyProblem');

export const policySchema: z.ZodType<Policy> = z
  .object({
    id: z.string(),
    server: z.string(),
    name: z.string(),
    version: z.int().openapi({ description: 'From 1; the ETag.' }),
    document: z.unknown(),
    digest: z.string(),
    warnings: z.array(policyProblemSchema),
    grants: z.int().openapi({ description: 'How many grants carry it.' }),
    createdAt: time,
    updatedAt: time,
    updatedBy: z.string(),
  })
  .openapi('Policy');

export const policyVersionSchema: z.ZodType<PolicyVersion> = z
  .object({ version: z.int(), document: z.unknown(), digest: z.string(), createdAt: time, createdBy: z.string() })
  .openapi('PolicyVersion');

export const identitySchema: z.ZodType<Identity> = z
  .object({
    id: z.string(),
    name: z.string(),
    kind: z.enum(['person', 'agent']),
    email: z.string().optional(),
    groups: names,
    owner: z.string().optional(),
    createdAt: time,
    disabledAt: time.optional(),
  })
  .openapi('Identity');

export const tokenSchema: z.ZodType<Token> = z
  .object({
    id: z.string(),
    identity: z.string(),
    label: z.string(),
    hint: z.string().openapi({ description: 'First characters: enough to recognise it, useless to open anything.' }),
    grants: names,
    createdAt: time,
    expiresAt: time.optional(),
    revokedAt: time.optional(),
    lastUsedAt: time.optional(),
    replacedBy: z.string().optional(),
  })
  .openapi('Token');

export const secretSchema = z
  .string()
  .openapi({ description: 'Shown in this answer only; the store keeps its SHA-256.' });

export const tokenWithSecretSchema: z.ZodType<{ token: Token; secret: string }> = z
  .object({ token: tokenSchema, secret: secretSchema })
  .openapi('TokenWithSecret');

export const grantSchema: z.ZodType<Grant> = z
  .object({
    id: z.string(),
    label: z.string(),
    identity: z.string(),
    identityId: z.string(),
    server: z.string(),
    policy: z.string().optional(),
    attributes: textMap,
    sources: names,
    createdAt: time,
    expiresAt: time.optional(),
    revokedAt: time.optional(),
    revision: z.int().openapi({ description: 'Grows with each change; the ETag.' }),
  })
  .openapi('Grant');
